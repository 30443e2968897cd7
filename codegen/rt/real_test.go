package rt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/kernels"
)

// layers is a model of encoder layers over random weights, one expert, whose
// input rows stay in the arena; entry "vision" has fixed rows, "language" text.
type layers struct {
	d, heads, hidden, count int
	fixed, text, rows       int

	weights []float32
	norm    exec.Norm
	attn    exec.Attention
	each    []layer
}

type layer struct {
	qkv, out exec.Linear
	ffn      exec.FFN
}

func (l *layers) linear(rng *rand.Rand, k, n int) exec.Linear {
	lin := exec.Linear{K: k, N: n, W: 4 * len(l.weights)}
	scale := float32(1 / math.Sqrt(float64(k)))
	for range k * n {
		l.weights = append(l.weights, (rng.Float32()*2-1)*scale)
	}
	lin.Bias = 4 * len(l.weights)
	for range n {
		l.weights = append(l.weights, rng.Float32()*2-1)
	}
	return lin
}

// model builds and opens the package. steps are the steps to run, by letter: q(kv),
// a(ttention), o(ut), f(fn).
func (l *layers) model(t testing.TB, steps string, opts ...rt.Option) *rt.Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 10))
	if l.weights == nil {
		for range l.count {
			x := layer{qkv: l.linear(rng, l.d, 3*l.d), out: l.linear(rng, l.d, l.d)}
			x.ffn = exec.FFN{Norm1: &l.norm, Fc1: l.linear(rng, l.d, l.hidden), Norm2: &exec.Norm{G: -1, B: -1, N: l.hidden, Eps: 1e-5}, Fc2: l.linear(rng, l.hidden, l.d)}
			l.each = append(l.each, x)
		}
		l.norm = exec.Norm{G: -1, B: -1, N: l.d, Eps: 1e-5}
		l.attn = exec.Attention{Heads: l.heads, D: l.d / l.heads, DP: l.d / l.heads, Base2: true, Scale: 1 / float32(math.Sqrt(float64(l.d/l.heads)))}
	}
	tensors := []blob.Tensor{{Name: "@all", DType: blob.F32, Shape: []int{len(l.weights)}, Bytes: int64(len(l.weights)) * 4}}
	path := filepath.Join(t.TempDir(), "weights.bin")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = blob.Write(file, blob.PackingPanels16, tensors, func(_ int, w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, l.weights)
	})
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	ld, wide, deep := l.d+16, 3*l.d+16, l.hidden+16
	size := 4 * l.rows * (3*ld + wide + deep)
	run := func(secs []exec.Section) func(e *exec.Exec) {
		return func(e *exec.Exec) {
			rows := e.Rows(secs[0].C, secs[0].T)
			x, i := e.Mat(0, ld, rows, l.d), e.Mat(4*l.rows*ld, wide, rows, 3*l.d)
			c, t := e.Mat(4*l.rows*(ld+wide), ld, rows, l.d), e.Mat(4*l.rows*(2*ld+wide), ld, rows, l.d)
			h := e.Mat(4*l.rows*(3*ld+wide), deep, rows, l.hidden)
			for r := range rows {
				e.Copy(x.Sub(r, 1), exec.Mat{P: &l.weights[r%97*16], LD: l.d, Rows: 1, Cols: l.d})
			}
			for n := range l.each {
				y := &l.each[n]
				for _, s := range steps {
					switch s {
					case 'q':
						e.QKV(i, x, t, &l.norm, &y.qkv)
					case 'a':
						e.SelfAttention(c, i, &l.attn, secs)
					case 'o':
						e.AttnOut(x, c, x, t, &l.norm, &y.out)
					case 'f':
						e.FFN(x, x, t, h, &y.ffn)
					}
				}
			}
		}
	}
	vision, language := []exec.Section{{C: l.fixed}}, []exec.Section{{T: true}}
	p := &rt.Package{
		Name: "layers", Contract: rt.Contract5, Layout: blob.LayoutHash(tensors), Kernels: kernels.F32, Rows: l.rows, Text: l.text, Vocab: 2,
		Funcs: []*exec.Func{
			{Name: "vision", Fixed: l.fixed, Arena: size, Run: run(vision), Outputs: []exec.Output{{Name: "x", LD: ld, Cols: l.d, Sections: vision}}},
			{Name: "language", Text: true, Arena: size, Run: run(language), Outputs: []exec.Output{{Name: "x", LD: ld, Cols: l.d, Sections: language}}},
		},
	}
	m, err := p.Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestCompiledKernels runs layers with every level of this CPU and build and
// compares them with the generic one; odd sizes, several threads.
func TestCompiledKernels(t *testing.T) {
	for _, l := range []*layers{
		{d: 64, heads: 4, hidden: 160, count: 2, fixed: 19, text: 9, rows: 64},
		{d: 112, heads: 7, hidden: 208, count: 1, fixed: 50, text: 33, rows: 100},
		{d: 48, heads: 3, hidden: 1216, count: 1, fixed: 5, text: 7, rows: 16},
	} {
		var want [][]float32
		for _, level := range kernel.Levels() {
			for _, threads := range []int{1, 3} {
				m := l.model(t, "qaof", rt.WithLevel(level), rt.WithThreads(threads))
				s := m.NewSession()
				var got [][]float32
				for _, c := range []struct {
					f    string
					lens []int
				}{{"vision", []int{0}}, {"vision", []int{0, 0, 0}}, {"language", []int{1, l.text, 5}}, {"language", []int{2}}} {
					batch := make([]rt.Seq, len(c.lens))
					for i, n := range c.lens {
						batch[i].IDs = make([]int32, n)
					}
					r, err := s.Run(m.Func(c.f), batch)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, slices.Clone(r.All(0)))
				}
				s.Close()
				if want == nil {
					want = got
				}
				for i := range want {
					for j, w := range want[i] {
						if g := got[i][j]; !(math.Abs(float64(g-w)) <= 1e-4*(1+math.Abs(float64(w)))) {
							t.Fatalf("d=%d %s, %d threads, run %d: value %d is %g, %g at generic", l.d, level, threads, i, j, g, w)
						}
					}
				}
			}
		}
	}
}

// sideBySide has n sessions of a model call f as many times each, all at once, and
// checks their results.
func sideBySide(t testing.TB, m *rt.Model, f *exec.Func, batch []rt.Seq, n, calls int, want []float32) {
	var all sync.WaitGroup
	for range n {
		s := m.NewSession()
		defer s.Close()
		all.Go(func() {
			for range calls {
				r, err := s.Run(f, batch)
				if err != nil {
					t.Error(err)
					return
				}
				if !slices.Equal(r.All(0), want) {
					t.Error("a session beside others has other results")
					return
				}
			}
		})
	}
	all.Wait()
}

// Sessions that have all threads each share the machine: all of them come to an end,
// with the results that they have alone.
func TestSessionsSideBySide(t *testing.T) {
	l := &layers{d: 64, heads: 4, hidden: 160, count: 3, fixed: 19, text: 9, rows: 64}
	for _, level := range kernel.Levels() {
		m := l.model(t, "qaof", rt.WithLevel(level), rt.WithThreads(max(2, runtime.GOMAXPROCS(0))))
		s := m.NewSession()
		batch := make([]rt.Seq, 5)
		r, err := s.Run(m.Func("vision"), batch)
		if err != nil {
			t.Fatal(err)
		}
		sideBySide(t, m, m.Func("vision"), batch, 3, 10, r.All(0))
		s.Close()
	}
}

// BenchmarkSideBySide says what a pass takes, on average, when several sessions with
// all threads each run at once; one is the ideal.
func BenchmarkSideBySide(b *testing.B) {
	l := &layers{d: 768, heads: 12, hidden: 3072, count: 4, fixed: 197, text: 64, rows: 2048}
	m := l.model(b, "qaof")
	f, batch := m.Func("vision"), make([]rt.Seq, 1)
	s := m.NewSession()
	defer s.Close()
	r, err := s.Run(f, batch)
	if err != nil {
		b.Fatal(err)
	}
	want := slices.Clone(r.All(0))
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			for b.Loop() {
				sideBySide(b, m, f, batch, n, 8, want)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(8*n*b.N), "ms/pass")
		})
	}
}

// BenchmarkLayers times the steps of four BEiT-3 base layers, whose weights do not
// fit a cache, with the best level of this CPU (or MULTIWAY_LEVEL).
func BenchmarkLayers(b *testing.B) {
	l := &layers{d: 768, heads: 12, hidden: 3072, count: 4, fixed: 197, text: 64, rows: 2048}
	for _, threads := range []int{1, 2} {
		for _, step := range []string{"q", "a", "o", "f", "qaof"} {
			for _, c := range []struct {
				f       string
				n, text int
			}{{"language", 1, 16}, {"language", 1, 64}, {"vision", 1, 0}, {"vision", 8, 0}} {
				rows := c.n * (c.text + 197)
				if c.text > 0 {
					rows = c.n * c.text
				}
				per := float64(rows / c.n)
				work := map[string]float64{"q": 2 * 3 * 768 * 768, "a": 4 * 768 * per, "o": 2 * 768 * 768, "f": 4 * 768 * 3072}
				flops := 0.0
				for _, s := range step {
					flops += 4 * work[string(s)] * float64(rows)
				}
				b.Run(fmt.Sprintf("%s/rows=%d/threads=%d", step, rows, threads), func(b *testing.B) {
					m := l.model(b, step, rt.WithThreads(threads))
					s := m.NewSession()
					defer s.Close()
					batch := make([]rt.Seq, c.n)
					for i := range batch {
						batch[i].IDs = make([]int32, c.text)
					}
					best := math.Inf(1)
					for b.Loop() {
						before := b.Elapsed()
						if _, err := s.Run(m.Func(c.f), batch); err != nil {
							b.Fatal(err)
						}
						best = min(best, (b.Elapsed() - before).Seconds())
					}
					b.ReportMetric(flops/best/1e9, "best-GFLOP/s")
				})
			}
		}
	}
}
