package rt

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
)

// A package with a state, written by hand: one layer without weights, whose keys, values
// and queries are numbers made of the ids.
const (
	stateD    = 20 // of each of two heads, which are 32 apart
	stateDP   = 32
	stateCols = 2 * 2 * stateDP
	stateWord = tinyText + 1 // most words
	stateRows = 37           // of a picture: two panels of keys and a part of one
)

// stateValue is column j of what an id gives, and of row -id of a picture.
func stateValue(id, j int) float32 { return float32(math.Sin(float64(id*31 + j*7))) }

var (
	stateAttention = exec.Attention{Heads: 2, D: stateD, DP: stateDP, Mask: &exec.Mask{Prefix: exec.Section{C: stateRows, T: true}, At: exec.Section{C: stateRows, T: true}}}
	stateTwo       = []exec.Section{{C: 2}}
)

// rowOf is row i of m.
func rowOf(m exec.Mat, i int) []float32 { return unsafe.Slice(m.Row(i), m.Cols) }

func stateBegin(e *exec.Exec) {
	kv := e.Mat(0, stateCols+16, e.Rows(stateRows, false), stateCols)
	for seq, img := range e.Images {
		for r := range stateRows {
			for j := range stateCols {
				rowOf(kv, seq*stateRows+r)[j] = stateValue(-int(img[0])-r, j)
			}
		}
	}
	e.StoreFixed(kv, 0)
}

func stateStep(e *exec.Exec) {
	n := e.Rows(2, false)
	kv, q := e.Mat(0, stateCols+16, n, stateCols), e.Mat(16000, 2*stateDP, n, 2*stateDP)
	for r, id := range e.IDs {
		for j := range stateCols {
			rowOf(kv, r)[j] = stateValue(int(id), j)
		}
		for j := range 2 * stateDP {
			rowOf(q, r)[j] = stateValue(int(id)+1000, j)
		}
	}
	e.StoreToken(kv, 0)
	e.StateAttention(e.Mat(20000, 48, n, 2*stateD), q, kv, &stateAttention, stateTwo, stateTwo, 0)
}

func statePackage(k *kernel.Table) *Package {
	p := tinyPackage()
	p.Kernels, p.Rows = []*kernel.Table{k}, stateRows+tinyText
	p.Funcs = append(p.Funcs,
		&exec.Func{Name: "begin", Image: tinyImage, Fixed: stateRows, Arena: 24800, Run: stateBegin, Stores: []exec.Slot{{Rows: stateRows, Cols: stateCols}}},
		&exec.Func{Name: "step", Text: true, IDs: 2, Fixed: 2, Arena: 24800, Run: stateStep, States: []exec.Slot{{Rows: stateRows, Cols: stateCols}},
			Outputs: []exec.Output{{Name: "rows", Off: 20000, LD: 48, Cols: 2 * stateD, Sections: stateTwo}}})
	return p
}

func openState(t *testing.T, k *kernel.Table) (*Session, *exec.Func, *exec.Func) {
	t.Helper()
	b, err := blob.Read(tinyBlob(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := statePackage(k).OpenWith(b, WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	s := m.NewSession()
	t.Cleanup(func() { s.Close() })
	return s, m.Func("begin"), m.Func("step")
}

// attend is the attention of an id over rows of others, in float64.
func attend(id int, rows []int) []float64 {
	out := make([]float64, 2*stateD)
	for h := range 2 {
		var w []float64
		sum := 0.0
		for _, r := range rows {
			s := 0.0
			for j := range stateD {
				s += float64(stateValue(id+1000, h*stateDP+j)) * float64(stateValue(r, h*stateDP+j))
			}
			w = append(w, math.Exp(s/math.Sqrt(stateD)))
			sum += w[len(w)-1]
		}
		for i, r := range rows {
			for j := range stateD {
				out[h*stateD+j] += w[i] / sum * float64(stateValue(r, (2+h)*stateDP+j))
			}
		}
	}
	return out
}

// Beams that are given words at random and go on as each other see the rows that they
// were given, whatever the kernels' tiles.
func TestStateOfBeams(t *testing.T) {
	for _, k := range []*kernel.Table{kerneltest.Naive("generic", 1, 16), kerneltest.Naive("generic", 4, 16), kerneltest.Naive("generic", 6, 48)} {
		s, begin, step := openState(t, k)
		st, err := s.Model().NewState(step, 3)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, uint64(k.NR)))
		for picture := range 2 { // the second caption begins anew in the same state
			img := make([]float32, tinyImage)
			img[0] = float32(40 * (1 + picture))
			if _, err := s.Run(begin, []Seq{{Image: img, State: st}}); err != nil {
				t.Fatal(err)
			}
			var fixed []int
			for r := range stateRows {
				fixed = append(fixed, -int(img[0])-r)
			}
			beams := [][]int{nil} // words of each
			for word := range stateWord {
				if st.Tokens() != word {
					t.Fatalf("%d tokens, want %d", st.Tokens(), word)
				}
				var batch []Seq
				given := make([]int, len(beams))
				for i := range beams {
					given[i] = rng.IntN(tinyVocab)
					batch = append(batch, Seq{IDs: []int32{int32(given[i]), 7}, State: st, Beam: i})
				}
				r, err := s.Run(step, batch)
				if err != nil {
					t.Fatal(err)
				}
				for i, words := range beams {
					rows := append(append([]int{}, fixed...), words...)
					rows = append(rows, given[i])
					want := append(attend(given[i], rows), attend(7, append(rows, 7))...)
					for j, got := range r.Out(0, i) {
						if math.Abs(float64(got)-want[j]) > 1e-5 {
							t.Fatalf("picture %d, word %d, beam %d: value %d is %g, want %g", picture, word, i, j, got, want[j])
						}
					}
				}
				parents := make([]int, 1+rng.IntN(3))
				var next [][]int
				for i := range parents {
					parents[i] = rng.IntN(len(beams))
					next = append(next, append(append([]int{}, beams[parents[i]]...), given[parents[i]]))
				}
				if err := st.Advance(parents); err != nil {
					t.Fatal(err)
				}
				beams = next
			}
		}
	}
}

func TestStateErrors(t *testing.T) {
	s, begin, step := openState(t, kerneltest.Naive("generic", 4, 16))
	language := s.Model().Func("language")
	st, err := s.Model().NewState(step, 2)
	if err != nil {
		t.Fatal(err)
	}
	run := func(f *exec.Func, q Seq) func() error {
		return func() error { _, err := s.Run(f, []Seq{q}); return err }
	}
	img, ids := make([]float32, tinyImage), []int32{3, 7}
	for _, c := range []struct {
		name string
		do   func() error
		want string // "" = no error
	}{
		{"a function without a state", func() error { _, err := s.Model().NewState(language, 1); return err }, "none of this package's that has a state"},
		{"no beams", func() error { _, err := s.Model().NewState(step, 0); return err }, "0 beams, want 1 to 1024"},
		{"no state", run(begin, Seq{Image: img}), "State is nil"},
		{"a state too many", run(language, Seq{IDs: ids, State: st}), "this function takes none"},
		{"no picture", run(step, Seq{IDs: ids, State: st}), "holds no image yet"},
		{"no step to advance by", func() error { return st.Advance([]int{0}) }, "beam 0 cannot continue beam 0"},
		{"begin", run(begin, Seq{Image: img, State: st}), ""},
		{"one id", run(step, Seq{IDs: ids[:1], State: st}), "ids: 1 of them, this function takes 2"},
		{"no such beam", run(step, Seq{IDs: ids, State: st, Beam: 1}), "beam 1: the state has 1 beams"},
		{"step", run(step, Seq{IDs: ids, State: st}), ""},
		{"too many beams", func() error { return st.Advance([]int{0, 0, 0}) }, "3 beams, want 1 to 2"},
		{"advance", func() error { return st.Advance([]int{0, 0}) }, ""},
		{"a beam that was given nothing", func() error { return st.Advance([]int{1}) }, "beam 0 cannot continue beam 1"},
		{"to the end", func() error {
			for st.Tokens() <= tinyText {
				if err := run(step, Seq{IDs: ids, State: st})(); err != nil {
					return err
				}
				if err := st.Advance([]int{0}); err != nil {
					return err
				}
			}
			return nil
		}, ""},
		{"past the end", run(step, Seq{IDs: ids, State: st}), "the caption has 7 tokens, the limit is 6"},
	} {
		err := c.do()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Fatalf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// A step allocates nothing once the session is warm, whatever the beams do.
func TestStateDoesNotAllocate(t *testing.T) {
	s, begin, step := openState(t, kerneltest.Naive("generic", 4, 16))
	st, err := s.Model().NewState(step, 2)
	if err != nil {
		t.Fatal(err)
	}
	first := []Seq{{Image: make([]float32, tinyImage), State: st}}
	batch := []Seq{{IDs: []int32{3, 7}, State: st}, {IDs: []int32{4, 7}, State: st, Beam: 1}}
	parents := [][]int{{0, 0}, {1, 0}}
	caption := func() {
		if _, err := s.Run(begin, first); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if _, err := s.Run(step, batch[:min(2, 1+i)]); err != nil {
				t.Fatal(err)
			}
			if err := st.Advance(parents[min(1, i)]); err != nil {
				t.Fatal(err)
			}
		}
	}
	caption()
	if n := testing.AllocsPerRun(10, caption); n > 0 {
		t.Errorf("a caption allocates %v times", n)
	}
}
