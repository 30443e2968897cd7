package ir

import (
	"math"
	"testing"
)

// In every type of at most 16 bits each value encodes to itself, a number between two values to the
// nearer one, or the even one, and NaN to NaN.
func TestDTypes(t *testing.T) {
	for _, d := range DTypes() {
		if again, err := ParseDType(d.String()); err != nil || again != d {
			t.Errorf("%v is read as %v (%v)", d, again, err)
		}
		if d.Size() <= 2 && !d.Scaled() {
			t.Run(d.String(), func(t *testing.T) { rounding(t, d) })
		}
	}
}

func rounding(t *testing.T, d DType) {
	sign := uint32(1) << (8*d.Size() - 1)
	none := sign - 1 // the first that is no finite number
	for !finite(d.Decode(none)) {
		none--
	}
	none++
	for h := range none {
		a, b := d.Decode(h), float64(d.Decode(h+1))
		if h+1 == none { // half way to the value that would follow
			b = 2*float64(a) - float64(d.Decode(h-1))
		}
		if got := d.Encode(a); got != h {
			t.Fatalf("%v is encoded as %#04x, want %#04x", a, got, h)
		}
		mid := float32((float64(a) + b) / 2)
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint32
		}{{mid, even}, {math.Nextafter32(mid, 0), h}, {math.Nextafter32(mid, math.MaxFloat32), h + 1}} {
			if c.f <= a || float64(c.f) >= b {
				continue
			}
			if got := d.Encode(c.f); got != c.want {
				t.Fatalf("%v is encoded as %#04x, want %#04x (between %v and %v)", c.f, got, c.want, a, b)
			}
			if got := d.Encode(-c.f); got != c.want|sign {
				t.Fatalf("%v is encoded as %#04x, want %#04x", -c.f, got, c.want|sign)
			}
		}
	}
	for h := none; h < sign; h++ {
		f := d.Decode(h)
		if again := d.Decode(d.Encode(f)); finite(f) || (f != f) != (again != again) {
			t.Fatalf("%#04x is %v, and %v when it was encoded", h, f, again)
		}
	}
	if d.Encode(float32(math.Inf(1))) != none || d.Encode(float32(math.Inf(-1))) != none|sign {
		t.Error("infinities are not the first that is no number")
	}
	if i := Round([]float32{1, float32(math.NaN()), d.Decode(none - 1), math.MaxFloat32}, d); i != 3 {
		t.Errorf("element %d does not fit, want the last", i)
	}
}

func finite(f float32) bool { return math.Float32bits(f)&0x7f800000 != 0x7f800000 }
