package half

import "testing"

// Halves are converted both ways without loss, and rounded to the nearest.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		f := From(uint16(h))
		if f == f && To(f) != uint16(h) {
			t.Fatalf("%04x is %v, which is %04x", h, f, To(f))
		}
	}
	for h := uint16(0); h < 0x7bff; h++ {
		a, b := From(h), From(h+1)
		mid := a/2 + b/2
		if got, want := To(mid), h+h&1; got != want {
			t.Fatalf("%v, between %04x and the next, is %04x", mid, h, got)
		}
	}
}
