// Package half converts numbers of 16 bits, IEEE halves, which checkpoints and indexes hold.
package half

import "math"

// From widens an IEEE half; exact.
func From(h uint16) float32 {
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

// To rounds to an IEEE half, ties to even. NaN stays NaN; values of 65520
// and more become infinities.
func To(f float32) uint16 {
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
