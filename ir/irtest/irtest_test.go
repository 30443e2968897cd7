package irtest_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
)

const text = `program tiny T<=12
weight @q.a.w f32[4,4]
weight @q.b.w f32[4,4]
weight @tok.w f32[5,4]

func f(ids: i32[T]) segments a=T {
  e     = lookup ids, @tok : f32[T,4]
  y     = linear e, @q.* : f32[T,4]
  return y
}
`

func parse(t *testing.T) *ir.Program {
	t.Helper()
	p, err := ir.Parse("x.ir", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// recorder is a testing.TB that keeps errors in place of failing.
type recorder struct {
	testing.TB
	errs []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}

// TestEquivalentReportsDamage checks that each kind of damage is reported.
func TestEquivalentReportsDamage(t *testing.T) {
	tests := []struct {
		name   string
		damage func(p *ir.Program)
		want   string // part of the first error, "" = none
	}{
		{"nothing", func(p *ir.Program) {}, ""},
		{"wrong expert", func(p *ir.Program) { p.Funcs[0].Values[1].Bundle = "q.b" }, "f: y["},
		{"gone", func(p *ir.Program) { p.Funcs[0].Name = "g" }, "func f is gone"},
		{"other result", func(p *ir.Program) { p.Funcs[0].Values[1].Name = "z" }, "f: result y is gone"},
		{"unverified", func(p *ir.Program) { p.Funcs[0].Values[1].Type = ir.Mat(ir.T, 5) }, "after: T=1: f: y = linear e, @q.*: type is f32[T,5], want f32[T,4]"},
		{"not a number", func(p *ir.Program) {
			p.Weight("q.a.w").Load = func() ([]float32, error) {
				return []float32{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, float32(math.NaN())}, nil
			}
		}, "f: y["},
		{"load", func(p *ir.Program) {
			p.Weight("q.a.w").Load = func() ([]float32, error) { return nil, os.ErrNotExist }
		}, "after: T=1: f: y = linear e, @q.*: weight @q.a.w: file does not exist"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := parse(t), parse(t)
			tt.damage(after)
			r := &recorder{TB: t}
			irtest.Equivalent(r, before, after, 1e-9)
			switch {
			case tt.want == "" && len(r.errs) > 0:
				t.Errorf("reported %q", r.errs)
			case tt.want != "" && len(r.errs) == 0:
				t.Error("reported nothing")
			case tt.want != "" && !strings.Contains(r.errs[0], tt.want):
				t.Errorf("reported %q, want %q", r.errs[0], tt.want)
			}
		})
	}
}

func TestRandom(t *testing.T) {
	p, q := parse(t), parse(t)
	irtest.RandomWeights(p)
	irtest.RandomWeights(q)
	x, _ := p.Weight("q.a.w").Load()
	y, _ := q.Weight("q.a.w").Load()
	if diff := cmp.Diff(x, y); diff != "" {
		t.Errorf("one name, two values:\n%s", diff)
	}
	if z, _ := p.Weight("q.b.w").Load(); cmp.Equal(x, z) {
		t.Error("two names, the same values")
	}
	for _, id := range irtest.Inputs(p, p.Funcs[0], 12)["ids"].IDs {
		if id < 0 || id >= 5 {
			t.Errorf("id %d is not in 0..4", id)
		}
	}
	if diff := cmp.Diff([]int{1, 2, 6, 11, 12}, irtest.Lengths(p, p.Funcs[0])); diff != "" {
		t.Errorf("lengths (-want +got):\n%s", diff)
	}
}

// TestRandomRounds checks that 16-bit weights have no more bits than they can hold.
func TestRandomRounds(t *testing.T) {
	p := &ir.Program{Name: "p", Weights: []*ir.Weight{
		{Name: "a.w", Type: ir.Of(ir.BF16, ir.C(1000))},
		{Name: "b.w", Type: ir.Of(ir.F16, ir.C(1000))},
	}}
	irtest.RandomWeights(p)
	for i, bits := range []int{16, 13} {
		x, _ := p.Weights[i].Load()
		for _, v := range x {
			if math.Abs(float64(v)) >= 0x1p-14 && math.Float32bits(v)<<(32-bits) != 0 {
				t.Fatalf("%s: %x has bits below its last", p.Weights[i].Name, math.Float32bits(v))
			}
		}
	}
}

// TestCases runs the case runner on a rewrite that names the one expert.
func TestCases(t *testing.T) {
	dir := t.TempDir()
	after := `// dropped: @q.b.w

func f(ids: i32[T]) segments a=T {
  e     = lookup ids, @tok : f32[T,4]
  y     = linear e, @q.a : f32[T,4]
  return y
}
`
	asmtest.Write(t, filepath.Join(dir, "one.ir"), text+"-- after --\n"+after)
	runs := 0
	irtest.Cases(t, dir, func(_ *testing.T, p *ir.Program) error {
		runs++
		p.Funcs[0].Values[1].Bundle = "q.a"
		p.Weights = append(p.Weights[:1:1], p.Weights[2])
		return nil
	}, 1e-9)
	if runs != 1 {
		t.Errorf("the rewrite ran %d times, want 1", runs)
	}
}
