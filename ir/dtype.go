package ir

import "math"

// FromBF16 widens a bfloat16; exact.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 rounds to bfloat16, ties to even. NaN stays NaN; values beyond the
// largest bfloat16 become infinities.
func ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // quiet, so that cutting the payload cannot make an infinity
	}
	return uint16((b + 0x7fff + (b>>16)&1) >> 16)
}

// FromF16 widens an IEEE half; exact.
func FromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, man := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero or subnormal: man * 2^-24, exact in float32
		return math.Float32frombits(math.Float32bits(float32(man)*(1.0/(1<<24))) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
}

// ToF16 rounds to an IEEE half, ties to even. NaN stays NaN; values of 65520
// and more become infinities.
func ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13)&0x1ff
	case b >= 0x477ff000: // 65520, half way from the largest half to 65536
		return sign | 0x7c00
	case b >= 0x38800000: // 2^-14, the smallest normal half
		b -= 112 << 23
		return sign | uint16((b+0xfff+(b>>13)&1)>>13)
	}
	// Adding 0.5 makes the unit in the last place 2^-24, the step of subnormal
	// halves, so the addition does the rounding.
	return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
}

// Round rounds f in place to a 16-bit type, ties to even, and returns the first element
// that does not fit, or -1. Rounding to float32 leaves f as it is.
func Round(f []float32, d DType) int {
	to, from := ToF16, FromF16
	switch d {
	case F32:
		return -1
	case BF16, BF16Dot:
		to, from = ToBF16, FromBF16
	}
	for i, v := range f {
		r := from(to(v))
		if math.IsInf(float64(r), 0) {
			return i
		}
		f[i] = r
	}
	return -1
}
