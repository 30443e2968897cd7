//go:build !js

package index

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/kernels"
	"github.com/multiway-go/multiway/ir/half"
)

const testDim = 40

func config(dim int) Config {
	return Config{Model: "m", Fingerprint: "f", Settings: "exif=true", Dim: dim, Kernels: slices.Concat(kernels.F32, kernels.F16), Threads: 2}
}

// vectorOf returns a vector of length 1 that a number determines.
func vectorOf(n uint64, dim int) []float32 {
	r := rand.New(rand.NewPCG(n, 7))
	v := make([]float32, dim)
	sum := 0.0
	for i := range v {
		v[i] = float32(r.NormFloat64())
		sum += float64(v[i]) * float64(v[i])
	}
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// itemOf is a file whose content is a number.
func itemOf(path string, content uint64, dim int) Item {
	return Item{File: File{Name: Name{"/photos", path}, Size: int64(content), ModTime: int64(content), SHA256: sha256.Sum256(fmt.Append(nil, content))},
		Vector: vectorOf(content, dim)}
}

func create(t testing.TB, dir string, c Config) *Index {
	t.Helper()
	x, err := Create(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content returns all that an index holds, as text.
func content(x *Index) (string, error) {
	var b strings.Builder
	roots, err := x.Roots()
	if err != nil {
		return "", err
	}
	for _, root := range roots {
		for e, err := range x.Entries(root, "") {
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&b, e.Path, e.Size, e.ModTime, e.Err, e.Vector)
		}
	}
	return b.String(), nil
}

// Search agrees with sums in float64 over the vectors rounded to f16, at every level, in plain Go, for every number of queries and threads, and
// its order is exact.
func TestSearch(t *testing.T) {
	configs := map[string]Config{"plain Go": {}}
	for _, l := range kernel.Levels() {
		c := config(0)
		c.Level = l
		configs[l] = c
	}
	for _, dim := range []int{1, 7, testDim, 128} {
		dir := filepath.Join(t.TempDir(), "index")
		x := create(t, dir, config(dim))
		const n = 16*7 + 5
		var items []Item
		for i := range n {
			items = append(items, itemOf(fmt.Sprintf("p%03d", i), uint64(i), dim))
		}
		must(t, x.Add(items...))
		must(t, x.Remove(items[3].Name, items[40].Name))
		x.Close()
		for name, c := range configs {
			for _, threads := range []int{1, 3} {
				c.Model, c.Fingerprint, c.Settings, c.Dim, c.Threads = "m", "f", "exif=true", dim, threads
				x, err := Open(dir, c)
				must(t, err)
				for queries := 1; queries <= 5; queries++ {
					var q [][]float32
					for i := range queries {
						q = append(q, vectorOf(uint64(1000+i), dim))
					}
					for _, k := range []int{0, 1, 10} {
						got, err := x.Search(context.Background(), q, k)
						must(t, err)
						for i := range q {
							checkHits(t, fmt.Sprintf("%s, dim %d, %d threads, query %d of %d, k %d", name, dim, threads, i, queries, k), got[i], items, q[i], k, n-2)
						}
					}
				}
				x.Close()
			}
		}
	}
}

func checkHits(t *testing.T, name string, got []Hit, items []Item, q []float32, k, n int) {
	t.Helper()
	if k == 0 {
		k = n
	}
	if len(got) != k {
		t.Errorf("%s: %d hits, want %d", name, len(got), k)
		return
	}
	scores := map[string]float64{}
	var all []float64
	for i, it := range items {
		if i == 3 || i == 40 {
			continue
		}
		sum := 0.0
		for j, v := range it.Vector {
			sum += float64(q[j]) * float64(half.From(half.To(v)))
		}
		scores[it.Path] = sum
		all = append(all, sum)
	}
	slices.Sort(all)
	slices.Reverse(all)
	seen := map[string]bool{}
	for i, h := range got {
		want, ok := scores[h.Path]
		if !ok || seen[h.Path] {
			t.Errorf("%s: hit %d is %s, which is not there, or twice", name, i, h.Path)
		}
		seen[h.Path] = true
		if d := math.Abs(float64(h.Score) - want); d > 2e-6 {
			t.Errorf("%s: %s has score %v, want %v", name, h.Path, h.Score, want)
		}
		if d := math.Abs(float64(h.Score) - all[i]); d > 2e-6 {
			t.Errorf("%s: hit %d has score %v, want %v", name, i, h.Score, all[i])
		}
		if i > 0 && h.Score > got[i-1].Score {
			t.Errorf("%s: hit %d is better than the one before", name, i)
		}
	}
}

// The same files in the same order give the same bits whatever the number of queries, k and threads.
func TestSearchBits(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	x := create(t, dir, config(testDim))
	var items []Item
	for i := range 1000 {
		items = append(items, itemOf(fmt.Sprint(i), uint64(i), testDim))
	}
	must(t, x.Add(items...))
	x.Close()
	var want []Hit
	for _, threads := range []int{1, 2, 5} {
		c := config(testDim)
		c.Threads = threads
		x, err := Open(dir, c)
		must(t, err)
		for n := 1; n <= 6; n++ {
			q := make([][]float32, n)
			for i := range q {
				q[i] = vectorOf(99, testDim)
			}
			found, err := x.Search(context.Background(), q, 20)
			must(t, err)
			if want == nil {
				want = found[0]
			}
			for i := range q {
				if diff := cmp.Diff(want, found[i]); diff != "" {
					t.Fatalf("%d threads, query %d of %d (-want +got):\n%s", threads, i, n, diff)
				}
			}
		}
		x.Close()
	}
}

// Files of equal content share a vector, which lives as long as one of them.
func TestContents(t *testing.T) {
	x := create(t, filepath.Join(t.TempDir(), "index"), config(testDim))
	a, b := itemOf("a", 1, testDim), itemOf("b", 1, testDim)
	b.Vector = nil
	stats := func(want Stats) {
		t.Helper()
		got, err := x.Stats()
		must(t, err)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if err := x.Add(b); err == nil {
		t.Error("a file without a vector was taken")
	}
	must(t, x.Add(a, b))
	stats(Stats{2, 0, 1})
	found, err := x.Search(context.Background(), [][]float32{a.Vector}, 5)
	must(t, err)
	if len(found[0]) != 2 || found[0][0].Path != "a" || found[0][1].Path != "b" {
		t.Errorf("found %v", found)
	}
	broken := itemOf("c", 3, testDim)
	broken.Vector, broken.Err = nil, "no picture"
	must(t, x.Add(broken))
	must(t, x.Remove(a.Name, Name{"/photos", "none"}, Name{"/none", "a"}))
	stats(Stats{1, 1, 1})
	// A move, and a content that is replaced, in one change.
	moved := b
	moved.Path = "d"
	must(t, x.change([]Item{moved, itemOf("c", 4, testDim)}, []Name{b.Name}))
	stats(Stats{2, 0, 2})
	files, err := x.Lookup(moved.Name, b.Name, broken.Name)
	must(t, err)
	if files[0] == nil || files[1] != nil || files[2] == nil || files[2].Err != "" {
		t.Errorf("it knows %v", files)
	}
	must(t, x.Remove(moved.Name))
	stats(Stats{1, 0, 1})
	if v, err := x.Vector(broken.Name); err != nil || len(v) != testDim {
		t.Errorf("vector %v, %v", v, err)
	}
	must(t, x.Remove(broken.Name))
	stats(Stats{})
}

// An index is opened only by what made it, by one writer at a time.
func TestRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	if _, err := Open(dir, config(testDim)); !errors.Is(err, ErrNoIndex) {
		t.Errorf("no folder: %v", err)
	}
	x := create(t, dir, config(testDim))
	must(t, x.Add(itemOf("a", 1, testDim)))
	if _, err := Create(dir, config(testDim)); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	r, err := Open(dir, config(testDim))
	must(t, err)
	if err := r.Add(itemOf("b", 2, testDim)); !errors.Is(err, ErrRead) {
		t.Errorf("a reader writes: %v", err)
	}
	must(t, x.Add(itemOf("b", 2, testDim)))
	if s, err := r.Stats(); err != nil || s.Files != 2 {
		t.Errorf("a reader does not follow: %v, %v", s, err)
	}
	must(t, r.Close())
	if _, err := r.Search(context.Background(), [][]float32{vectorOf(1, testDim)}, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	must(t, x.Close())
	if err := x.Add(itemOf("b", 2, testDim)); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	for _, f := range []func(*Config){
		func(c *Config) { c.Fingerprint = "other" }, func(c *Config) { c.Settings = "exif=false" }, func(c *Config) { c.Dim++ },
	} {
		c := config(testDim)
		f(&c)
		for _, open := range []func(string, Config) (*Index, error){Open, Create} {
			if _, err := open(dir, c); !errors.Is(err, ErrOther) {
				t.Errorf("%+v: %v", c, err)
			}
		}
	}
	other := t.TempDir()
	must(t, os.WriteFile(filepath.Join(other, "precious"), nil, 0o666))
	if _, err := Create(other, config(testDim)); !errors.Is(err, ErrNoIndex) {
		t.Errorf("another folder: %v", err)
	}
	for _, it := range []Item{
		{}, itemOf("x", 1, 3),
		{File: File{Name: Name{"/", "x"}}, Vector: append(make([]float32, testDim-1), float32(math.NaN()))},
		{File: File{Name: Name{"/", "x"}}, Vector: append(make([]float32, testDim-1), 65505)},
		{File: File{Name: Name{"/", "x"}, Err: "bad"}, Vector: make([]float32, testDim)},
		{File: File{Name: Name{"/", strings.Repeat("x", maxPath+1)}}, Vector: make([]float32, testDim)},
	} {
		if err := x.Add(it); err == nil || errors.Is(err, ErrClosed) {
			t.Errorf("%s was taken: %v", it.Path, err)
		}
	}
}

// copyDir copies an index as a killed process would leave it.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o777))
	entries, err := os.ReadDir(from)
	must(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, e.Name()), data, 0o666))
	}
}

// What a process leaves that ends before any of the steps of a change is the index before the change or after it, and the next
// process goes on with it.
func TestCrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	x := create(t, dir, config(testDim))
	r := rand.New(rand.NewPCG(3, 4))
	var names []Name
	copies := 0
	before, err := content(x)
	must(t, err)
	rounds := 30
	if testing.Short() {
		rounds = 8
	}
	for round := range rounds {
		var items []Item
		var remove []Name
		for range r.IntN(20) {
			n := r.Uint64N(60)
			items = append(items, itemOf(fmt.Sprint("f", r.IntN(80)), n, testDim))
			names = append(names, items[len(items)-1].Name)
		}
		for range r.IntN(8) {
			if len(names) > 0 {
				remove = append(remove, names[r.IntN(len(names))])
			}
		}
		var left []string
		var steps []string
		x.step = func(what string) {
			to := filepath.Join(t.TempDir(), fmt.Sprint("copy", copies))
			copies++
			copyDir(t, dir, to)
			left, steps = append(left, to), append(steps, what)
		}
		must(t, x.change(items, remove))
		x.step = func(string) {}
		after, err := content(x)
		must(t, err)
		for i, copied := range left {
			y, err := Create(copied, config(testDim))
			if err != nil {
				t.Fatalf("round %d, before %q: %v", round, steps[i], err)
			}
			got, err := content(y)
			if err != nil || got != before && got != after {
				t.Fatalf("round %d, before %q: neither the old index nor the new one: %v", round, steps[i], err)
			}
			if got == before {
				must(t, y.change(items, remove))
				if got, err = content(y); err != nil || got != after {
					t.Fatalf("round %d, before %q: going on gives another index: %v", round, steps[i], err)
				}
			}
			y.Close()
			if _, err := Check(copied, config(testDim), false); err != nil {
				t.Fatalf("round %d, before %q: %v", round, steps[i], err)
			}
		}
		before = after
	}
	// The start.
	for i, copied := range func() (left []string) {
		y := &Index{dir: filepath.Join(t.TempDir(), "new"), config: config(testDim)}
		must(t, os.Mkdir(y.dir, 0o777))
		y.step = func(string) {
			to := filepath.Join(t.TempDir(), fmt.Sprint("start", len(left)))
			copyDir(t, y.dir, to)
			left = append(left, to)
		}
		must(t, y.begin())
		return left
	}() {
		y, err := Create(copied, config(testDim))
		if err != nil {
			t.Fatalf("start, step %d: %v", i, err)
		}
		y.Close()
	}
	if copies < 5*rounds {
		t.Errorf("%d steps were tried", copies)
	}
}

// A file that was cut, or has other bytes, is refused, or what is found is right all the same. It does not end the process.
func TestDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	x := create(t, dir, config(testDim))
	var items []Item
	for i := range 400 {
		items = append(items, itemOf(fmt.Sprint("folder/picture", i), uint64(i), testDim))
	}
	must(t, x.Add(items[:300]...))
	must(t, x.Add(items[300:]...))
	must(t, x.Remove(items[17].Name))
	queries := [][]float32{vectorOf(1000, testDim), vectorOf(1001, testDim)}
	want, err := x.Search(context.Background(), queries, 30)
	must(t, err)
	all, err := content(x)
	must(t, err)
	x.Close()
	r := rand.New(rand.NewPCG(5, 6))
	copied := filepath.Join(t.TempDir(), "copy")
	refused := 0
	rounds := 400
	if testing.Short() {
		rounds = 80
	}
	for i := range rounds {
		must(t, os.RemoveAll(copied))
		copyDir(t, dir, copied)
		path := []string{recordsPath(copied), vectorsPath(copied)}[i%2]
		data, err := os.ReadFile(path)
		must(t, err)
		was := bytes.Clone(data)
		switch i / 2 % 4 {
		case 0:
			data = data[:r.IntN(len(data))]
		case 1:
			for range 20 {
				data[r.IntN(len(data))] = byte(r.Uint32())
			}
		case 2:
			data[r.IntN(len(data))] ^= 1 << r.IntN(8)
		case 3:
			from := r.IntN(len(data))
			clear(data[from:min(len(data), from+r.IntN(1<<16))])
		}
		must(t, os.WriteFile(path, data, 0o666))
		how := fmt.Sprintf("round %d, %s", i, filepath.Base(path))
		for _, write := range []bool{false, true} {
			y, err := open(copied, config(testDim), write, false)
			if err == nil {
				var got [][]Hit
				got, err = y.Search(context.Background(), queries, 30)
				if err == nil && !cmp.Equal(got, want) {
					t.Errorf("%s: another result, without an error", how)
				}
				if text, e := content(y); e == nil && text != all {
					t.Errorf("%s: another content, without an error", how)
				} else if e != nil && !errors.Is(e, ErrDamaged) {
					t.Errorf("%s: %v", how, e)
				}
				y.Close()
			}
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", how, err)
			}
			if err != nil {
				refused++
			} else if bytes.Equal(data, was) {
				continue
			}
		}
	}
	if refused < rounds/2 {
		t.Errorf("%d of %d damaged copies were refused", refused, 2*rounds)
	}
}

// Readers and the writer of one process, and another process's, do not disturb each other.
func TestConcurrent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	x := create(t, dir, config(testDim))
	must(t, x.Add(itemOf("a", 1, testDim)))
	other, err := Open(dir, config(testDim))
	must(t, err)
	defer other.Close()
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for _, y := range []*Index{x, other, other} {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				found, err := y.Search(context.Background(), [][]float32{vectorOf(1, testDim)}, 3)
				if err != nil {
					t.Error(err)
					return
				}
				if h := found[0][0]; h.Path != "a" || math.Abs(float64(h.Score)-1) > 1e-3 {
					t.Errorf("found %v", h)
				}
			}
		})
	}
	for range 3 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if has, err := x.Has(itemOf("", 1, 1).SHA256); err != nil || !has {
					t.Errorf("has it: %v, %v", has, err)
					return
				}
			}
		})
	}
	for i := range 20 {
		must(t, x.Add(itemOf(fmt.Sprint("b", i%7), uint64(2+i), testDim), itemOf(fmt.Sprint("c", i), uint64(1000+i), testDim)))
		must(t, x.Remove(Name{"/photos", fmt.Sprint("c", i-3)}))
	}
	close(stop)
	wait.Wait()
}

// A backup holds what the index held, whatever happens to the index meanwhile.
func TestBackup(t *testing.T) {
	for _, n := range []int{0, 50} {
		dir := t.TempDir()
		x := create(t, filepath.Join(dir, "index"), config(testDim))
		for i := range n {
			must(t, x.Add(itemOf(fmt.Sprint(i), uint64(i), testDim)))
		}
		want, err := content(x)
		must(t, err)
		to := filepath.Join(dir, "backup")
		must(t, x.Backup(to))
		if err := x.Backup(to); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over another: %v", err)
		}
		must(t, x.Add(itemOf("more", 1000, testDim)))
		y, err := Open(to, config(testDim))
		must(t, err)
		if got, err := content(y); err != nil || got != want {
			t.Errorf("the backup holds %q, %v, want %q", got, err, want)
		}
		must(t, y.Close())
		if _, err := Check(to, config(testDim), false); err != nil {
			t.Error(err)
		}
	}
}
