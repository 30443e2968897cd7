package irtest

import (
	"math"
	"testing"

	"github.com/multiway-go/multiway/ir"
)

// Equivalent checks that every function of before gives the same results in after: for
// all outputs |x-y| <= tol*(1+|x|). Weights without a loader get random values in both
// programs. A tol of 1e-9 suits exact rewrites, 1e-5 rewrites that round weights to
// float32 once.
func Equivalent(t testing.TB, before, after *ir.Program, tol float64) {
	t.Helper()
	RandomWeights(before)
	RandomWeights(after)
	for _, f := range before.Funcs {
		if after.Func(f.Name) == nil {
			t.Errorf("func %s is gone", f.Name)
			continue
		}
		for _, n := range Lengths(before, f) {
			in := Inputs(before, f, n)
			want, err := before.Run(f.Name, n, in)
			if err != nil {
				t.Errorf("before: T=%d: %v", n, err)
				break
			}
			got, err := after.Run(f.Name, n, in)
			if err != nil {
				t.Errorf("after: T=%d: %v", n, err)
				break
			}
			if !same(t, f, n, want, got, tol) {
				break
			}
		}
	}
}

// same compares the outputs of one run and reports the worst element of each that differs.
func same(t testing.TB, f *ir.Func, n int, want, got map[string]*ir.Tensor, tol float64) bool {
	t.Helper()
	ok := len(want) == len(got)
	if !ok {
		t.Errorf("%s: %d results after, want %d", f.Name, len(got), len(want))
	}
	for _, v := range f.Results {
		x, y := want[v.Name], got[v.Name]
		if y == nil || len(x.F) != len(y.F) {
			t.Errorf("%s: result %s is gone or has another shape", f.Name, v.Name)
			ok = false
			continue
		}
		worst, at := 0.0, 0
		for i := range x.F {
			// A NaN on either side makes the difference NaN, which counts as worst.
			d := math.Abs(x.F[i]-y.F[i]) / (1 + math.Abs(x.F[i]))
			if !(d <= worst) {
				worst, at = d, i
			}
			if d != d {
				break
			}
		}
		if !(worst <= tol) {
			t.Errorf("%s: %s[%d] at T=%d: got %g, want %g within %g (random seed %d)", f.Name, v.Name, at, n, y.F[at], x.F[at], tol, Seed)
			ok = false
		}
	}
	return ok
}
