package passes

import (
	"fmt"
	"math"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
)

// simulate runs a planned program in a real arena, with batches packed as in the runtime, and
// compares the results with the program before planning, run on one sequence at a time. Scratch
// memory and padding columns are filled with NaN, so that an overwritten value shows.
func simulate(t *testing.T, before, after *ir.Program, rows int) {
	t.Helper()
	for _, f := range after.Funcs {
		shapes, err := shapes(f)
		if err != nil {
			t.Fatal(err)
		}
		limits, err := limitsOf(after, f, shapes, rows)
		if err != nil {
			t.Fatal(err)
		}
		for _, seqs := range []int{1, min(3, limits.seqs)} {
			s := &simulation{p: after, f: f, shapes: shapes, limits: limits, after: offsets(f)}
			for i := range seqs {
				s.text = append(s.text, 1+(i*2+seqs)%max(1, after.MaxT))
			}
			if err := s.run(before); err != nil {
				t.Errorf("%s: batch of texts %v: %v", f.Name, s.text, err)
			}
		}
	}
}

type simulation struct {
	p      *ir.Program
	f      *ir.Func
	shapes map[*ir.Value]shape
	limits limits
	after  map[*ir.Value]ir.Dim
	text   []int // rows of each sequence's text
	arena  []float64
	inputs []map[string]*ir.Tensor // of each sequence
}

// packed returns the number of rows of all sequences in a dimension.
func (s *simulation) packed(d ir.Dim) int {
	n := len(s.text) * d.C
	if d.T {
		for _, t := range s.text {
			n += t
		}
	}
	return n
}

// cells returns the arena index of every element of one sequence of v, in order.
func (s *simulation) cells(v *ir.Value, seq int) []int {
	sh := s.shapes[v]
	ld := v.Attrs.Int("ld", asm.Stride(sh.cols))
	row := s.packed(s.after[v])
	var out []int
	cols := v.Type.Cols()
	d, dp := headColumns(v)
	for _, sec := range sh.sections {
		start, n := seq*sec.C, sec.C
		if sec.T {
			start, n = 0, s.text[seq]
			for _, t := range s.text[:seq] {
				start += t
			}
		}
		for r := range n {
			at := int(v.Offset/4) + (row+start+r)*ld
			for c := range cols {
				out = append(out, at+c/d*dp+c%d)
			}
		}
		row += s.packed(sec)
	}
	return out
}

// headColumns returns the columns of a head, without and with padding, of a fused
// qkv and its joins and views; of any other value all columns are one head.
func headColumns(v *ir.Value) (d, dp int) {
	for v.Op == ir.OpConcat || v.Op == ir.OpRows {
		v = v.Args[0]
	}
	if v.Op != ir.OpQKV {
		return v.Type.Cols(), v.Type.Cols()
	}
	d = v.Type.Cols() / qkvParts(v) / v.Attrs.Int("heads", 1)
	return d, asm.Ceil(d)
}

func (s *simulation) run(before *ir.Program) error {
	s.arena = make([]float64, s.f.Arena/4)
	for i, t := range s.text {
		in := irtest.Inputs(before, before.Func(s.f.Name), t)
		for _, x := range in { // sequences differ
			for j := range x.F {
				x.F[j] += float64(i)
			}
		}
		s.inputs = append(s.inputs, in)
		for _, v := range s.f.Params {
			if v.Packed() {
				s.store(v, i, in[v.Name])
			}
		}
	}
	for _, v := range s.f.Values {
		if v.Op.View {
			continue
		}
		if v.Op == ir.OpStore {
			for i := range s.text {
				x, err := s.eval(v, i)
				if err != nil {
					return err
				}
				s.inputs[i][v.Name] = x
			}
			continue
		}
		var out []*ir.Tensor
		for i := range s.text {
			x, err := s.eval(v, i)
			if err != nil {
				return err
			}
			out = append(out, x)
		}
		for i, bytes := range scratchOf(s.p, v, s.limits) {
			s.poison(int64(v.Attrs.Int(ir.ScratchKeys[i], -1)), bytes)
		}
		// A product writes whole panels.
		sh, ld := s.shapes[v], v.Attrs.Int("ld", 0)
		for r := range s.packed(ir.TotalRows(sh.sections)) {
			s.poison(v.Offset+int64(s.packed(s.after[v])+r)*int64(ld)*4, int64(asm.Ceil(sh.cols))*4)
		}
		for i, x := range out {
			s.store(v, i, x)
		}
	}
	for i, t := range s.text {
		want, err := before.Run(s.f.Name, t, s.inputs[i])
		if err != nil {
			return err
		}
		for _, v := range s.f.Results {
			if v.Op == ir.OpStore {
				for j, y := range s.inputs[i][v.Name].F {
					if x := want[v.Name].F[j]; !(math.Abs(x-y) <= Rounded.Tolerance()*(1+math.Abs(x))) {
						return fmt.Errorf("sequence %d: %s[%d] is %g, want %g\n%s", i, v.Name, j, y, x, ir.PrintFunc(s.f))
					}
				}
				continue
			}
			for j, c := range s.cells(v, i) {
				x, y := want[v.Name].F[j], s.arena[c]
				if !(math.Abs(x-y) <= Rounded.Tolerance()*(1+math.Abs(x))) {
					return fmt.Errorf("sequence %d: %s[%d] is %g, want %g\n%s", i, v.Name, j, y, x, ir.PrintFunc(s.f))
				}
			}
		}
	}
	return nil
}

func (s *simulation) poison(at, bytes int64) {
	for i := at / 4; i < (at+bytes)/4; i++ {
		s.arena[i] = math.NaN()
	}
}

func (s *simulation) store(v *ir.Value, seq int, x *ir.Tensor) {
	for j, c := range s.cells(v, seq) {
		s.arena[c] = x.F[j]
	}
}

// eval computes v for one sequence from the content of the arena.
func (s *simulation) eval(v *ir.Value, seq int) (*ir.Tensor, error) {
	in := map[string]*ir.Tensor{}
	f := &ir.Func{Name: "step"}
	u := *v
	u.Name, u.Args = "result", nil
	for i, a := range v.Args {
		p := &ir.Value{Name: fmt.Sprint("p", i), Type: a.Type, Offset: -1, State: a.State}
		f.Params = append(f.Params, p)
		u.Args = append(u.Args, p)
		if !a.Packed() {
			in[p.Name] = s.inputs[seq][a.Name]
			continue
		}
		x := &ir.Tensor{Shape: a.Type.At(s.text[seq])}
		for _, c := range s.cells(a, seq) {
			x.F = append(x.F, s.arena[c])
		}
		in[p.Name] = x
	}
	f.Values, f.Results = []*ir.Value{&u}, []*ir.Value{&u}
	q := &ir.Program{Name: s.p.Name, MaxT: s.p.MaxT, Weights: s.p.Weights, Funcs: []*ir.Func{f}}
	out, err := q.Run("step", s.text[seq], in)
	return out["result"], err
}
