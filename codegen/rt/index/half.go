//go:build !js

package index

import "math"

// toHalf rounds to an IEEE half, ties to even. Values of 65520 and more become infinities.
func toHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x477ff000: // 65520, half way from the largest half to 65536
		return sign | 0x7c00
	case b >= 0x38800000: // 2^-14, the smallest normal half
		b -= 112 << 23
		return sign | uint16((b+0xfff+(b>>13)&1)>>13)
	}
	// Adding 0.5 makes the unit in the last place 2^-24, the step of subnormal halves, so the addition does the rounding.
	return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
}

// fromHalf converts an IEEE half.
func fromHalf(h uint16) float32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case rest < 0x0400: // zero or subnormal: a multiple of 2^-24
		return math.Float32frombits(math.Float32bits(float32(rest)*0x1p-24) | sign)
	case rest < 0x7c00:
		return math.Float32frombits(sign | rest<<13 + 112<<23)
	}
	return math.Float32frombits(sign | 0x7f800000 | rest&0x3ff<<13)
}
