package ir

import (
	"math"
	"testing"
)

// rounding checks that a 16-bit type's conversion is nearest-even: every pair
// of neighbours a < b, the point half way, and the float32s beside it.
func rounding(t *testing.T, to func(float32) uint16, from func(uint16) float32, inf uint16) {
	for h := uint16(0); h < inf; h++ {
		a, b := from(h), float64(from(h+1))
		if h+1 == inf { // half way to the value that would follow
			b = 2*float64(a) - float64(from(h-1))
		}
		if got := to(a); got != h {
			t.Fatalf("to(%v) = %#04x, want %#04x", a, got, h)
		}
		mid := float32((float64(a) + b) / 2)
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{{mid, even}, {math.Nextafter32(mid, 0), h}, {math.Nextafter32(mid, math.MaxFloat32), h + 1}} {
			if c.f <= a || float64(c.f) >= b {
				continue
			}
			if got := to(c.f); got != c.want {
				t.Fatalf("to(%v) = %#04x, want %#04x (between %v and %v)", c.f, got, c.want, a, b)
			}
			if got := to(-c.f); got != c.want|0x8000 {
				t.Fatalf("to(%v) = %#04x, want %#04x", -c.f, got, c.want|0x8000)
			}
		}
	}
	for h := inf + 1; h <= 0x7fff; h++ {
		if f := from(h); f == f {
			t.Fatalf("from(%#04x) = %v, want NaN", h, f)
		}
		if got := to(from(h)); got&0x7fff <= inf {
			t.Fatalf("NaN %#04x became %#04x", h, got)
		}
	}
	if !math.IsInf(float64(from(inf)), 1) || to(float32(math.Inf(1))) != inf || to(float32(math.Inf(-1))) != inf|0x8000 {
		t.Error("infinities do not stay")
	}
}

func TestF16(t *testing.T) { rounding(t, ToF16, FromF16, 0x7c00) }

func TestBF16(t *testing.T) { rounding(t, ToBF16, FromBF16, 0x7f80) }
