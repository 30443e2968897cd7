package caption

import (
	"math"
	"testing"
)

// exp is what math.Exp is, but for the last digits.
func TestExp(t *testing.T) {
	for x := 0.0; x > -800; x -= 1. / 128 * 1.0001 {
		if want := math.Exp(x); math.Abs(exp(x)-want) > 2e-12*want {
			t.Fatalf("exp(%v) is %v, want %v", x, exp(x), want)
		}
	}
	if got := exp(math.Inf(-1)); got != 0 {
		t.Errorf("exp(-Inf) is %v", got)
	}
	if got := exp(math.NaN()); got == got {
		t.Errorf("exp(NaN) is %v", got)
	}
}
