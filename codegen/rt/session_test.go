package rt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
)

// A package as the compiler would emit it: a tiny model of one layer with two
// entries, written by hand.
const (
	tinyD, tinyFixed, tinyVocab = 16, 5, 30
	tinyImage                   = 3 * 4 * 4
	tinyRows, tinyText          = 12, 6
)

var (
	tinyPatches = exec.Patches{Proj: exec.Linear{W: 0, Bias: 768, K: 12, N: tinyD}, Cls: 832, Pos: 896, Height: 4, Width: 4, Patch: 2, Channels: 3}
	tinyEmbed   = exec.Embed{Table: 1216, Pos: 3136, D: tinyD, Vocab: tinyVocab}
	tinyNorm    = exec.Norm{G: -1, B: -1, N: tinyD, Eps: 1e-5}
	tinyQKV     = exec.Linear{W: 3520, Bias: 6592, K: tinyD, N: 3 * tinyD}
	tinyOut     = exec.Linear{W: 6784, Bias: -1, K: tinyD, N: tinyD}
	tinyAttn    = exec.Attention{Heads: 1, D: tinyD, DP: tinyD, Scale: 1, Base2: true}
	tinyFFN     = exec.FFN{Norm1: &tinyNorm, Fc1: exec.Linear{W: 7808, Bias: 9856, K: tinyD, N: 20}, Fc2: exec.Linear{W: 9984, Bias: 11264, K: 20, N: tinyD}}
	tinyPair    = []exec.Section{{C: tinyFixed}, {T: true}}
)

const tinyWeights = 2832

func tinyPairRun(e *exec.Exec) {
	const ld = 32
	v, l := e.Rows(tinyFixed, false), e.Rows(0, true)
	x := e.Mat(0, ld, v+l, tinyD)
	i := e.Mat(4000, 48, v+l, 3*tinyD)
	c := e.Mat(12000, ld, v+l, tinyD)
	t := e.Mat(16000, ld, 8, tinyD)
	h := e.Mat(20000, 48, 8, 20)
	e.EmbedPatches(x.Sub(0, v), e.Mat(4000, ld, 4, 12), &tinyPatches)
	e.EmbedText(x.Sub(v, l), &tinyEmbed)
	e.QKV(i, x, t, &tinyNorm, &tinyQKV)
	e.SelfAttention(c, i, &tinyAttn, tinyPair)
	e.AttnOut(x, c, x, t, &tinyNorm, &tinyOut)
	e.FFN(x, x, t, h, &tinyFFN)
	e.Select(e.Mat(24000, 16, e.B, tinyD), x, tinyPair, exec.Section{C: tinyFixed})
}

func tinyTextRun(e *exec.Exec) {
	x := e.Mat(0, 32, e.T, tinyD)
	e.EmbedText(x, &tinyEmbed)
	e.LayerNorm(x, x, &tinyNorm)
}

var tinyTensors = []blob.Tensor{{Name: "@all", DType: blob.F32, Shape: []int{tinyWeights}, Bytes: tinyWeights * 4}}

func tinyPackage() *Package {
	return &Package{
		Name: "tiny", Contract: Contract5, Layout: blob.LayoutHash(tinyTensors), Rows: tinyRows, Text: tinyText, Vocab: tinyVocab,
		Kernels: []*kernel.Table{kerneltest.Naive("generic", 6, 16)},
		Funcs: []*exec.Func{
			{Name: "pair", Image: tinyImage, Text: true, Fixed: tinyFixed, Arena: 24800, Run: tinyPairRun, Outputs: []exec.Output{
				{Name: "first", Off: 24000, LD: 16, Cols: tinyD, Sections: []exec.Section{{C: 1}}}, {Name: "rows", LD: 32, Cols: tinyD, Sections: tinyPair},
			}},
			{Name: "language", Text: true, Arena: 1600, Run: tinyTextRun, Outputs: []exec.Output{{Name: "rows", LD: 32, Cols: tinyD, Sections: []exec.Section{{T: true}}}}},
		},
	}
}

// tinyBlob is the bytes of the model's weight file.
func tinyBlob(t testing.TB) []byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	v := make([]float32, tinyWeights)
	for i := range v {
		v[i] = float32(rng.NormFloat64()) / 4
	}
	return blobOf(t, v)
}

// blobOf is the bytes of a weight file of the model, of the given values.
func blobOf(t testing.TB, values any) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "weights.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := blob.Write(f, blob.PackingPanels16, tinyTensors, func(_ int, w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, values)
	}); err != nil {
		t.Fatal(err)
	}
	b := asmtest.Read(t, f.Name())
	return b
}

func tinyModel(t testing.TB, opts ...Option) *Model {
	t.Helper()
	p := tinyPackage()
	p.Blob = string(tinyBlob(t))
	m, err := p.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// tinyBatch makes sequences whose texts have the given lengths.
func tinyBatch(image bool, lens ...int) []Seq {
	rng := rand.New(rand.NewPCG(7, 8))
	batch := make([]Seq, len(lens))
	for i, n := range lens {
		if image {
			batch[i].Image = make([]float32, tinyImage)
			for j := range batch[i].Image {
				batch[i].Image[j] = float32(rng.NormFloat64())
			}
		}
		for range n {
			batch[i].IDs = append(batch[i].IDs, int32(rng.IntN(tinyVocab)))
		}
	}
	return batch
}

func TestRunSplits(t *testing.T) {
	batch := tinyBatch(true, 6, 1, 2, 6, 6, 3, 1, 1, 1, 5)
	for _, threads := range []int{1, 3} {
		m := tinyModel(t, WithThreads(threads))
		s := m.NewSession()
		f := m.Func("pair")
		var alone [][]float32 // outputs of each sequence run alone
		for i := range batch {
			r, err := s.Run(f, batch[i:i+1])
			if err != nil {
				t.Fatal(err)
			}
			first, rows := r.Out(0, 0), r.Out(1, 0)
			if len(first) != tinyD || len(rows) != (tinyFixed+len(batch[i].IDs))*tinyD {
				t.Fatalf("sequence %d: outputs of %d and %d floats", i, len(first), len(rows))
			}
			if !slices.Equal(first, rows[tinyFixed*tinyD:][:tinyD]) {
				t.Errorf("sequence %d: the selected row is not row %d", i, tinyFixed)
			}
			if slices.ContainsFunc(rows, func(x float32) bool { return x != x || x == 0 }) {
				t.Errorf("sequence %d: unlikely values %v", i, rows)
			}
			alone = append(alone, slices.Clone(first), slices.Clone(rows))
		}
		for n := range len(batch) + 1 {
			r, err := s.Run(f, batch[:n])
			if err != nil {
				t.Fatal(err)
			}
			if r.Len() != n || len(r.All(0)) != n*tinyD {
				t.Errorf("batch of %d: Len %d, All %d floats", n, r.Len(), len(r.All(0)))
			}
			for i := range n {
				if !slices.Equal(r.Out(0, i), alone[2*i]) || !slices.Equal(r.Out(1, i), alone[2*i+1]) {
					t.Errorf("batch of %d: sequence %d differs from a run alone", n, i)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRunErrors(t *testing.T) {
	m := tinyModel(t)
	s := m.NewSession()
	pair, language := m.Func("pair"), m.Func("language")
	good := tinyBatch(true, 2)[0]
	with := func(change func(*Seq)) []Seq {
		q := good
		change(&q)
		return []Seq{good, q}
	}
	for _, c := range []struct {
		name  string
		f     *exec.Func
		batch []Seq
		want  string
	}{
		{"no image", pair, with(func(q *Seq) { q.Image = nil }), "input 1: image: 0 values, want 48"},
		{"short image", pair, with(func(q *Seq) { q.Image = q.Image[1:] }), "image: 47 values, want 48"},
		{"no text", pair, with(func(q *Seq) { q.IDs = nil }), "the text is empty"},
		{"long text", pair, with(func(q *Seq) { q.IDs = make([]int32, 7) }), "has 7 ids, the limit is 6"},
		{"id", pair, with(func(q *Seq) { q.IDs = []int32{0, tinyVocab} }), "id 30 at 1 is outside the vocabulary of 30"},
		{"negative id", pair, with(func(q *Seq) { q.IDs = []int32{-1} }), "id -1 at 0"},
		{"image to text", language, []Seq{good}, "takes none; leave Image nil"},
		{"foreign", tinyPackage().Funcs[0], []Seq{good}, "belongs to another package"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Run(c.f, c.batch)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tiny: "+c.f.Name+": ") {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := s.Run(pair, []Seq{good}); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if _, err := s.Run(pair, []Seq{good}); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "session is closed") {
		t.Errorf("closed session: %v", err)
	}
	s = m.NewSession()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(pair, []Seq{good}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed model: %v", err)
	}
	if err := m.Verify(); !errors.Is(err, ErrClosed) {
		t.Errorf("verifying a closed model: %v", err)
	}
}

// TestRunBusy runs a session from inside its own call, which is use by two at
// once without the need for a second goroutine.
func TestRunBusy(t *testing.T) {
	p := tinyPackage()
	p.Blob = string(tinyBlob(t))
	var s *Session
	var inner, closing error
	language := p.Funcs[1]
	language.Run = func(e *exec.Exec) {
		tinyTextRun(e)
		_, inner = s.Run(language, tinyBatch(false, 1))
		closing = s.Close()
	}
	m, err := p.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s = m.NewSession()
	if _, err := s.Run(language, tinyBatch(false, 3)); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(inner, ErrBusy) || !errors.Is(closing, ErrBusy) {
		t.Errorf("inner call %v, close %v; want ErrBusy", inner, closing)
	}
}

func TestNoAllocations(t *testing.T) {
	for _, threads := range []int{1, 2} {
		m := tinyModel(t, WithThreads(threads))
		s := m.NewSession()
		batch, f := tinyBatch(true, 6, 1, 2, 6), m.Func("pair")
		run := func() {
			r, err := s.Run(f, batch)
			if err != nil {
				t.Fatal(err)
			}
			r.Out(1, 3)
		}
		run()
		if n := testing.AllocsPerRun(50, run); n != 0 {
			t.Errorf("%d threads: %g allocations a call", threads, n)
		}
		s.Close()
	}
}

// A session has the threads of its model, and the same results with any number.
func TestSessionThreads(t *testing.T) {
	batch := tinyBatch(true, 6, 1, 2, 6)
	var want []float32
	for _, threads := range []int{2, 1, 5, maxThreads} {
		m := tinyModel(t, WithThreads(threads))
		s := m.NewSession()
		if got := s.exec.Threads(); got != threads {
			t.Errorf("a session with %d threads, want %d", got, threads)
		}
		r, err := s.Run(m.Func("pair"), batch)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = slices.Clone(r.All(0))
		} else if !slices.Equal(want, r.All(0)) {
			t.Errorf("%d threads give other results", threads)
		}
		s.Close()
	}
}

func TestDo(t *testing.T) {
	m := tinyModel(t, WithThreads(1))
	f, batch := m.Func("pair"), tinyBatch(true, 3)
	var want []float32
	if err := m.Do(t.Context(), func(s *Session) error {
		r, err := s.Run(f, batch)
		want = slices.Clone(r.Out(0, 0))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				err := m.Do(t.Context(), func(s *Session) error {
					r, err := s.Run(f, batch)
					if err == nil && !slices.Equal(r.Out(0, 0), want) {
						t.Error("another result")
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sick := errors.New("mine")
	if err := m.Do(t.Context(), func(*Session) error { return sick }); err != sick {
		t.Errorf("got %v, want the function's error", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for range runtime.GOMAXPROCS(0) + 1 {
		if err := m.Do(t.Context(), func(*Session) error { return sick }); !errors.Is(err, ErrClosed) {
			t.Errorf("on a closed model: %v", err)
		}
	}
}

// TestSessionCollected checks that a forgotten session's threads end.
func TestSessionCollected(t *testing.T) {
	m := tinyModel(t, WithThreads(3))
	before := runtime.NumGoroutine()
	for range 5 {
		s := m.NewSession()
		if _, err := s.Run(m.Func("language"), tinyBatch(false, 4)); err != nil {
			t.Fatal(err)
		}
	}
	for start := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		runtime.GC()
		if time.Since(start) > time.Minute {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.bin")
	asmtest.Write(t, path, tinyBlob(t))
	for _, c := range []struct {
		name   string
		change func(*Package)
		opts   []Option
		want   string
	}{
		{"layout", func(p *Package) { p.Layout[0]++ }, nil, "belong to another model or build"},
		{"contract", func(p *Package) { p.Contract = 7 }, nil, "contract 7"},
		{"rows", func(p *Package) { p.Rows = 4 }, nil, "raise it in the description"},
		{"kernels", func(p *Package) { p.Kernels = nil }, nil, "no kernels for level"},
		{"unknown level", nil, []Option{WithLevel("sse9")}, `unknown level "sse9"; known levels are generic, avx2`},
		{"empty level", nil, []Option{WithLevel("")}, "empty level"},
		{"threads", nil, []Option{WithThreads(0)}, "want 1 to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := tinyPackage()
			if c.change != nil {
				c.change(p)
			}
			_, err := p.Open(path, c.opts...)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tiny: ") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := tinyPackage().New(); err == nil || !strings.Contains(err.Error(), "use Open with the path") {
		t.Errorf("no weights anywhere: %v", err)
	}
	p := tinyPackage()
	p.Blob = string(tinyBlob(t)[:5000])
	if _, err := p.New(); err == nil || !strings.Contains(err.Error(), "tiny: embedded weights: the file has 5000 bytes") {
		t.Errorf("cut-off embedded weights: %v", err)
	}
	b, err := blob.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b.Packing = 2
	if _, err := tinyPackage().OpenWith(b); err == nil || !strings.Contains(err.Error(), "packing 2") {
		t.Errorf("packing: %v", err)
	}
}

func TestOpenFileAndHugePages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.bin")
	asmtest.Write(t, path, tinyBlob(t))
	var first []float32
	for _, opts := range [][]Option{nil, {WithHugePages()}} {
		m, err := tinyPackage().Open(path, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(); err != nil {
			t.Error(err)
		}
		r, err := m.NewSession().Run(m.Func("pair"), tinyBatch(true, 4))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = slices.Clone(r.Out(0, 0))
		} else if !slices.Equal(first, r.Out(0, 0)) {
			t.Error("huge pages change the result")
		}
		if runtime.GOOS != "linux" && m.Info().HugePages {
			t.Error("huge pages claimed")
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
	}
}

func TestPackageLevels(t *testing.T) {
	p := Package{Kernels: []*kernel.Table{{Level: "neon"}, {Level: "avx512"}, {Level: "generic"}}}
	if got := p.Levels(); got[0] != "generic" || slices.Contains(got, "avx2") || slices.Contains(got, "neon") && runtime.GOARCH != "arm64" {
		t.Errorf("levels of the package: %v", got)
	}
}

func TestInfo(t *testing.T) {
	m := tinyModel(t, WithThreads(2), WithLevel("generic"))
	got := m.Info()
	got.CPULevels, got.Kernels = nil, got.Kernels[:1]
	want := Info{
		Precision: "f32", Package: "tiny", Fingerprint: m.Fingerprint(), Level: "generic", Threads: 2, Rows: tinyRows, Text: tinyText, Vocab: tinyVocab,
		Weights: 11328, Source: "embedded", ArenaBytes: 24800, Kernels: []kernel.Info{{Op: "gemm", Kernel: "gemm_f32_6x16_generic"}},
		Entries: []exec.Info{
			{Name: "pair", Image: tinyImage, Text: true, Fixed: tinyFixed, Arena: 24800, Outputs: []exec.OutputInfo{{Name: "first", Fixed: 1, Cols: tinyD}, {Name: "rows", Fixed: tinyFixed, Text: true, Cols: tinyD}}},
			{Name: "language", Text: true, Arena: 1600, Outputs: []exec.OutputInfo{{Name: "rows", Text: true, Cols: tinyD}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(text), `"level":"generic"`) {
		t.Errorf("%s, %v", text, err)
	}
	if m.Func("none") != nil {
		t.Error("a function called none")
	}
	if m.Blob().Size() != 11328 {
		t.Errorf("blob of %d bytes", m.Blob().Size())
	}
}

// Whatever asks a model or its weights beside Close gets an answer or an error.
func TestUseBesideClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.bin")
	asmtest.Write(t, path, tinyBlob(t))
	for range 20 {
		m, err := tinyPackage().Open(path)
		if err != nil {
			t.Fatal(err)
		}
		want := m.Info()
		var all sync.WaitGroup
		start := make(chan struct{})
		for _, ask := range []func() error{
			func() error {
				if d := cmp.Diff(want, m.Info()); d != "" {
					t.Errorf("Info beside Close (-want +got)\n%s", d)
				}
				return nil
			},
			m.Verify,
			func() error { m.Blob().Data(0); m.Blob().Scalar("@all"); return nil },
			func() error {
				s := m.NewSession()
				defer s.Close()
				_, err := s.Run(m.Func("pair"), tinyBatch(true, 2))
				return err
			},
			func() error {
				return m.Do(t.Context(), func(s *Session) error { _, err := s.Run(m.Func("language"), tinyBatch(false, 2)); return err })
			},
			m.Close, m.Close,
		} {
			all.Go(func() {
				<-start
				if err := ask(); err != nil && !strings.Contains(err.Error(), "closed") {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		if m.Blob().Data(0) != nil || m.Fingerprint() != want.Fingerprint || m.Info().Weights != want.Weights {
			t.Error("a closed model has weights, or has forgotten what they were")
		}
	}
}

// A fingerprint is that of the weights and of what is computed with them, the same on every
// system: this one is written down.
func TestFingerprint(t *testing.T) {
	of := func(computes, weights byte) string {
		p := tinyPackage()
		p.Computes[0], p.Blob = computes, string(blobOf(t, bytes.Repeat([]byte{weights}, tinyWeights*4)))
		m, err := p.New()
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return m.Fingerprint()
	}
	if got, want := of(1, 2), "c9da2b5641d0079045e2f5c0f492dee7"; got != want {
		t.Errorf("the fingerprint is %s, want %s", got, want)
	}
	if a, b := of(2, 2), of(1, 3); a == of(1, 2) || b == of(1, 2) || a == b {
		t.Error("other weights or another program have the same fingerprint")
	}
}
