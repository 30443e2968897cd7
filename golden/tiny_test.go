package golden_test

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/beit3tiny"
)

// Tests of the committed package beit3tiny, and of the promises of all generated packages.

// opened opens a package at a level.
func opened[M io.Closer](t testing.TB, open func(...rt.Option) (M, error), level string, opts ...rt.Option) M {
	t.Helper()
	m, err := open(append(opts, rt.WithLevel(level))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// atLevels runs a test at every level of this CPU that the package has.
func atLevels(t *testing.T, f func(t *testing.T, level string)) {
	for _, l := range builtLevels() {
		t.Run(l, func(t *testing.T) { f(t, l) })
	}
}

// sequence makes the input of a function with a text of n tokens.
func sequence(f *exec.Func, n int, seed uint64) rt.Seq {
	r := rand.New(rand.NewPCG(seed, 17))
	var s rt.Seq
	for range f.Image {
		s.Image = append(s.Image, 2*r.Float32()-1)
	}
	if f.Text {
		for range n {
			s.IDs = append(s.IDs, int32(r.IntN(beit3tiny.Package().Vocab)))
		}
	}
	return s
}

// picture makes a picture of w x h pixels.
func picture(w, h int, seed uint64) image.Image {
	r := rand.New(rand.NewPCG(seed, 18))
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{uint8(r.Uint32()), uint8(x), uint8(y), 255})
		}
	}
	return img
}

// The package equals the float64 interpreter on the program of its description.
func TestTinyEqualsInterpreter(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		equalsInterpreter(t, "beit3tiny", beit3tiny.Package(), opened(t, beit3tiny.New, level).Task().Model)
	})
}

// equalsInterpreter compares every function of a committed package, open as m, with the
// interpreter on the program of its description.
func equalsInterpreter(t *testing.T, name string, pkg *rt.Package, m *rt.Model) {
	t.Helper()
	desc, err := compile.Open(filepath.Join(generated, name, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer desc.Close()
	p, _, err := desc.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Funcs) != len(pkg.Funcs) {
		t.Fatalf("the program has %d functions, the package %d", len(p.Funcs), len(pkg.Funcs))
	}
	s := m.NewSession()
	for _, f := range pkg.Funcs {
		lengths := []int{1}
		if f.Text {
			lengths = []int{1, 2, 7, pkg.Text}
		}
		for _, n := range lengths {
			seq := sequence(f, n, uint64(n))
			in, text := inputs.Tensors(p.Func(f.Name), seq)
			want, err := p.Run(f.Name, text, in)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Run(f, []rt.Seq{seq})
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range f.Outputs {
				got, want := r.Out(i, 0), want[o.Name].F
				if len(got) != len(want) {
					t.Fatalf("%s %s with %d ids: %d values, want %d", f.Name, o.Name, n, len(got), len(want))
				}
				worst, peak := 0.0, 1.0
				for j := range want {
					worst, peak = max(worst, math.Abs(float64(got[j])-want[j])), max(peak, math.Abs(want[j]))
				}
				if !(worst <= 1e-5*peak) {
					t.Errorf("%s %s with %d ids: max abs error %.2e, want at most %.2e", f.Name, o.Name, n, worst, 1e-5*peak)
				}
			}
		}
	}
}

// A sequence has the same bits alone and in any batch, however the batch is split into passes, and
// with any number of threads.
func TestTinyBatches(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		alone := opened(t, beit3tiny.New, level, rt.WithThreads(1)).NewSession().Task()
		for _, threads := range []int{1, 2, 5} {
			s := opened(t, beit3tiny.New, level, rt.WithThreads(threads)).NewSession().Task()
			for _, f := range beit3tiny.Package().Funcs {
				var batch []rt.Seq
				for i := range 23 { // more rows than the limit of one pass
					batch = append(batch, sequence(f, 1+i*5%beit3tiny.Package().Text, uint64(i)))
				}
				all, err := s.Run(f, batch)
				if err != nil {
					t.Fatal(err)
				}
				for i := range batch {
					one, err := alone.Run(f, batch[i:i+1])
					if err != nil {
						t.Fatal(err)
					}
					for o := range f.Outputs {
						if !slices.Equal(all.Out(o, i), one.Out(o, 0)) {
							t.Fatalf("%s %s, %d threads: sequence %d has other bits in a batch than alone", f.Name, f.Outputs[o].Name, threads, i)
						}
					}
				}
			}
		}
	})
}

// After a batch that fills the limit of rows, no batch of other lengths or numbers of sequences
// allocates more memory.
func TestTinyMixturesAllocateNothing(t *testing.T) {
	s := opened(t, beit3tiny.New, "generic", rt.WithThreads(2)).NewSession().Task()
	most := beit3tiny.Package().Text
	f := beit3tiny.Package().Funcs[slices.IndexFunc(beit3tiny.Package().Funcs, func(f *exec.Func) bool { return f.Name == "pair" })]
	full := make([]rt.Seq, 40)
	for i := range full {
		full[i] = sequence(f, most, uint64(i))
	}
	if _, err := s.Run(f, full); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	batch := make([]rt.Seq, len(full))
	const calls = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		n := 1 + r.IntN(len(full))
		for i := range batch[:n] {
			batch[i] = full[i]
			batch[i].IDs = full[i].IDs[:1+r.IntN(most)]
		}
		if _, err := s.Run(f, batch[:n]); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	// A few allocations of the process itself are counted too.
	if got := after.Mallocs - before.Mallocs; got > calls/10 {
		t.Errorf("%d mixed batches allocate %d times", calls, got)
	}
}

func TestTinyAllocatesNothing(t *testing.T) {
	img, imgs := task.Image(picture(40, 30, 1)), []task.Picture{task.Image(picture(9, 50, 2)), task.Image(picture(24, 24, 3)), task.Image(picture(100, 7, 4))}
	ctx := t.Context()
	texts := []string{"", "a red bicycle", "blue birds over a long, long river", "x"}
	atLevels(t, func(t *testing.T, level string) {
		s := opened(t, beit3tiny.New, level).NewSession()
		for name, call := range map[string]func() error{
			"EmbedImage":    func() error { _, err := s.EmbedImage(ctx, img); return err },
			"EmbedImages":   func() error { _, err := s.EmbedImages(ctx, imgs); return err },
			"EmbedText":     func() error { _, err := s.EmbedText(ctx, texts[2]); return err },
			"EmbedTexts":    func() error { _, err := s.EmbedTexts(ctx, texts); return err },
			"LogitsOfImage": func() error { _, err := s.LogitsOfImage(ctx, img); return err },
		} {
			if err := call(); err != nil { // buffers grow
				t.Fatalf("%s: %v", name, err)
			}
			if n := testing.AllocsPerRun(20, func() {
				if err := call(); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s allocates %v times a call", name, n)
			}
		}
	})
}

// A session serves one goroutine; a second one gets an error and disturbs nothing.
func TestTinyBusySession(t *testing.T) {
	m := opened(t, beit3tiny.New, "generic")
	s, img := m.NewSession(), task.Image(picture(24, 24, 9))
	texts := make([]string, 3000)
	for i := range texts {
		texts[i] = fmt.Sprintf("text number %d", i)
	}
	want, err := m.EmbedTexts(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		started, done := make(chan struct{}), make(chan struct{})
		var got [][]float32
		var failed error
		go func() {
			defer close(done)
			close(started)
			r, err := s.EmbedTexts(t.Context(), texts)
			failed = err
			for _, x := range r {
				got = append(got, slices.Clone(x))
			}
		}()
		<-started
		busy, disturbed := 0, false
		for range 1000 {
			if _, err := s.LogitsOfImage(t.Context(), img); errors.Is(err, rt.ErrBusy) {
				busy++
			} else if err != nil {
				t.Fatal(err)
			} else if disturbed = busy > 0; disturbed {
				break // the other call is over, and its results with it
			}
			if busy == 3 {
				break
			}
		}
		<-done
		switch {
		case errors.Is(failed, rt.ErrBusy), busy == 0, disturbed:
			continue // the two calls did not meet as this test wants
		case failed != nil:
			t.Fatal(failed)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("a second caller changed the first one's results (-want +got)\n%s", d)
		}
		return
	}
	t.Error("two goroutines used a session 50 times and none got ErrBusy")
}

// A model serves any number of goroutines.
func TestTinyConcurrentModel(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		m := opened(t, beit3tiny.New, level)
		const n = 6
		var imgs []task.Picture
		var texts []string
		for i := range n {
			imgs = append(imgs, task.Image(picture(20+i, 30-i, uint64(i))))
			texts = append(texts, strings.Repeat("more ", i)+"words")
		}
		s := m.NewSession()
		type answers struct {
			Image, Text, Logits []float32
		}
		ask := func(i int, image, text, logits func(int) ([]float32, error)) (a answers, err error) {
			for _, q := range []struct {
				dst *[]float32
				do  func(int) ([]float32, error)
			}{{&a.Image, image}, {&a.Text, text}, {&a.Logits, logits}} {
				x, e := q.do(i)
				*q.dst, err = slices.Clone(x), errors.Join(err, e)
			}
			return a, err
		}
		var want []answers
		for i := range n {
			a, err := ask(i,
				func(i int) ([]float32, error) { return s.EmbedImage(t.Context(), imgs[i]) },
				func(i int) ([]float32, error) { return s.EmbedText(t.Context(), texts[i]) },
				func(i int) ([]float32, error) { return s.LogitsOfImage(t.Context(), imgs[i]) })
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, a)
		}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for k := range 10 {
					i := (g + k) % n
					got, err := ask(i,
						func(i int) ([]float32, error) { return m.EmbedImage(t.Context(), imgs[i]) },
						func(i int) ([]float32, error) { return m.EmbedText(t.Context(), texts[i]) },
						func(i int) ([]float32, error) { return m.LogitsOfImage(t.Context(), imgs[i]) })
					if err != nil {
						t.Error(err)
						return
					}
					if d := cmp.Diff(want[i], got); d != "" {
						t.Errorf("item %d (-want +got)\n%s", i, d)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// A package's golden vectors pass at every level, and fail with other weights.
func TestTinyCheck(t *testing.T) {
	atLevels(t, func(t *testing.T, level string) {
		results, err := opened(t, beit3tiny.New, level).Task().Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != len(beit3tiny.Package().Funcs) {
			t.Errorf("%d vectors, want one a function", len(results))
		}
		for _, r := range results {
			if !r.OK() || r.Bound == 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestTinyAnswers(t *testing.T) {
	m := opened(t, beit3tiny.New, "generic")
	img := task.Image(picture(64, 48, 7))
	v, err := m.EmbedImage(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	w, err := m.EmbedText(t.Context(), "a star")
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string][]float32{"image": v, "text": w} {
		sum := 0.0
		for _, y := range x {
			sum += float64(y) * float64(y)
		}
		if len(x) != 24 || math.Abs(sum-1) > 1e-5 {
			t.Errorf("the %s's embedding has %d values with squares of sum %v, want 24 and 1", name, len(x), sum)
		}
	}
	top, err := m.ClassifyImage(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.NewSession().ClassifyImage(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(all, top); d != "" || len(all) != len(beit3tiny.Labels()) {
		t.Errorf("of %d classes (-session +model)\n%s", len(all), d)
	}
	sum := float32(0)
	for i, l := range all {
		sum += l.Prob
		if l.Name != beit3tiny.Labels()[l.Index] || i > 0 && l.Prob > all[i-1].Prob {
			t.Errorf("class %d of the answer is %+v", i, l)
		}
	}
	if sum < 0.999 || sum > 1.001 {
		t.Errorf("probabilities sum to %v", sum)
	}
	if s := m.LogitScale(); !(s > 0) || math.IsInf(s, 0) {
		t.Errorf("the logit scale is %v", s)
	}
}

// Any input gives a result or an error.
func TestTinyHostileInput(t *testing.T) {
	s := opened(t, beit3tiny.New, "generic").NewSession()
	long, err := s.EmbedText(t.Context(), strings.Repeat("long ", 100000))
	if err != nil {
		t.Fatal(err)
	}
	long = slices.Clone(long)
	if cut, err := s.EmbedText(t.Context(), strings.Repeat("long ", 1000)); err != nil || !slices.Equal(long, cut) {
		t.Errorf("texts that are equal up to the limit differ after it (%v)", err)
	}
	for _, text := range []string{"", "\x00", "\xff\xfe broken \xc3", "\u202e\u0301", strings.Repeat("\U0001f9d1\u200d", 500)} {
		if v, err := s.EmbedText(t.Context(), text); err != nil || len(v) != 24 || v[0] != v[0] {
			t.Errorf("text %.20q: %v, %v", text, v, err)
		}
	}
	f := beit3tiny.Package().Funcs
	for _, row := range []struct {
		name string
		call func() error
		want string
	}{
		{"no picture", func() error { _, err := s.EmbedImage(t.Context(), task.Picture{}); return err }, "input 0: picture: it is nil"},
		{"an empty picture", func() error {
			_, err := s.EmbedImage(t.Context(), task.Image(image.NewRGBA(image.Rect(0, 0, 0, 9))))
			return err
		}, "input 0: picture: "},
		{"an id outside", func() error { _, err := s.Language(t.Context(), []rt.Seq{{IDs: []int32{0, 141}}}); return err }, "id 141 at 1 is outside the vocabulary of 141"},
		{"no ids", func() error { _, err := s.Language(t.Context(), []rt.Seq{{}}); return err }, "the text is empty"},
		{"too many ids", func() error { _, err := s.Language(t.Context(), []rt.Seq{{IDs: make([]int32, 13)}}); return err }, "13 ids, the limit is 12"},
		{"half a picture", func() error { _, err := s.Vision(t.Context(), []rt.Seq{{Image: make([]float32, 7)}}); return err }, "7 values, want 1728"},
		{"a picture for a text function", func() error {
			_, err := s.Task().Images(t.Context(), f[3], []task.Picture{task.Image(picture(8, 8, 1))})
			return err
		}, "takes none"},
		{"a foreign function", func() error { _, err := s.Task().Run(&exec.Func{Name: "other"}, nil); return err }, "another package"},
		{"an unknown level", func() error { _, err := beit3tiny.New(rt.WithLevel("avx9")); return err }, `unknown level "avx9"`},
	} {
		if err := row.call(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want one with %q", row.name, err, row.want)
		}
	}
	if _, err := s.EmbedText(t.Context(), "still works"); err != nil {
		t.Error(err)
	}
}

// within reports whether data lies in the memory of text.
func within(data []byte, text string) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(unsafe.Pointer(unsafe.StringData(text)))
	return at >= from && at+uintptr(len(data)) <= from+uintptr(len(text))
}

// Open accepts only the weight file of the package.
func TestTinyWeightFiles(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(generated, "beit3tiny", "weights.bin"))
	if err != nil {
		t.Fatal(err)
	}
	open := func(t *testing.T, data []byte) (*beit3tiny.Model, error) {
		path := filepath.Join(t.TempDir(), "weights.bin")
		asmtest.Write(t, path, data)
		m, err := beit3tiny.Open(path, rt.WithLevel("generic"))
		if err == nil {
			t.Cleanup(func() { m.Close() })
		}
		return m, err
	}
	edit := func(at int, b byte) []byte {
		data := slices.Clone(good)
		data[at] ^= b
		return data
	}

	m, err := open(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(); err != nil {
		t.Error(err)
	}
	mapped, err := m.EmbedText(t.Context(), "the same")
	if err != nil {
		t.Fatal(err)
	}
	inside := opened(t, beit3tiny.New, "generic")
	if !within(inside.Task().Blob().Data(0), beit3tiny.Package().Blob) {
		t.Error("embedded weights are copied before they are used")
	}
	embedded, err := inside.EmbedText(t.Context(), "the same")
	if err != nil || !slices.Equal(mapped, embedded) {
		t.Errorf("mapped and embedded weights give different bits (%v)", err)
	}

	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte("no weights at all"), "cut off": good[:len(good)/2], "another magic": edit(0, 1),
		"another layout": edit(20, 1),
	} {
		if _, err := open(t, data); err == nil || !strings.Contains(err.Error(), "weights.bin") {
			t.Errorf("%s: got error %v, want one that names the file", name, err)
		}
	}
	if _, err := beit3tiny.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got error %v", err)
	}

	// Open does not read the payload: Verify finds any change in it, the vectors find a large one.
	spoiled := slices.Clone(good)
	for i := len(spoiled) / 2; i < len(spoiled); i++ {
		spoiled[i] ^= 0x20
	}
	m, err = open(t, spoiled)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(); err == nil || !strings.Contains(err.Error(), "weights.bin") {
		t.Errorf("Verify of spoiled weights: %v", err)
	}
	results, err := m.Task().Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(results, func(c task.Checked) bool { return !c.OK() }) {
		t.Errorf("spoiled weights pass the package's vectors: %+v", results)
	}
}
