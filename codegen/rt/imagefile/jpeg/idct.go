package jpeg

import (
	"encoding/binary"
	"math"
)

// Of libjpeg's accurate transform, in 13 bits after the point.
const (
	c0298 = 2446
	c0390 = 3196
	c0541 = 4433
	c0765 = 6270
	c0899 = 7373
	c1175 = 9633
	c1501 = 12299
	c1847 = 15137
	c1961 = 16069
	c2053 = 16819
	c2562 = 20995
	c3072 = 25172
)

// Numbers from -small up to small can be transformed two at a time: no sum that they make
// outgrows 32 bits. (n+small)>>smallBits is 0 for just these.
const (
	smallBits = 15
	small     = 1 << (smallBits - 1)
)

// What the two passes drop of their results.
const (
	drop1 = 11
	drop2 = 18
)

// idct writes the samples of a block. Where numbers outgrow 16 bits, which damage makes, it
// wraps and saturates as libjpeg-turbo's vector code does.
func idct(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	var t [64]int32
	var lower int16 // bits of all coefficients below the first row
	var bits int32  // of all numbers + small
	for i := 0; i < 64; i += 4 {
		b, q, to := block[i:][:4:4], quant[i:][:4:4], t[i:][:4:4]
		to[0] = int32(int16(int32(b[0]) * int32(q[0])))
		to[1] = int32(int16(int32(b[1]) * int32(q[1])))
		to[2] = int32(int16(int32(b[2]) * int32(q[2])))
		to[3] = int32(int16(int32(b[3]) * int32(q[3])))
		bits |= (to[0] + small) | (to[1] + small) | (to[2] + small) | (to[3] + small)
		if i >= 8 {
			lower |= b[0] | b[1] | b[2] | b[3]
		}
	}
	if lower == 0 {
		// All rows are alike.
		bits = 0
		for x := range 8 {
			t[x] = int32(int16(t[x] << 2))
			bits |= t[x] + small
		}
		copy(t[8:16], t[:8])
		twoRows(dst, stride, (*[16]int32)(t[:]), bits)
		for y := 2; y < 8; y++ {
			copy(dst[y*stride:][:8], dst[:8])
		}
		return
	}
	if bits>>smallBits == 0 {
		bits = 0
		for x := 0; x < 8; x += 2 {
			bits |= twoColumns((*[58]int32)(t[x:]))
		}
	} else {
		bits = 0
		for x := range 8 {
			bits |= column((*[57]int32)(t[x:]))
		}
	}
	if bits>>smallBits != 0 {
		for i, v := range t {
			t[i] = saturate(v)
		}
	}
	for y := 0; y < 8; y += 2 {
		twoRows(dst[y*stride:], stride, (*[16]int32)(t[8*y:]), bits)
	}
}

// twoColumns transforms the first two columns of small numbers. It returns the bits of the results + small.
func twoColumns(t *[58]int32) int32 {
	v0 := pair(t[0], t[1])
	v1 := pair(t[8], t[9])
	v2 := pair(t[16], t[17])
	v3 := pair(t[24], t[25])
	v4 := pair(t[32], t[33])
	v5 := pair(t[40], t[41])
	v6 := pair(t[48], t[49])
	v7 := pair(t[56], t[57])
	if v1|v2|v3|v4|v5|v6|v7 == 0 {
		a, b := t[0]<<2, t[1]<<2
		for y := 0; y < 64; y += 8 {
			t[y], t[y+1] = a, b
		}
		return (a + small) | (b + small)
	}
	v0, v1, v2, v3, v4, v5, v6, v7 = transform(v0+v4, v0-v4, v7+v3, v5+v1, v1, v2, v3, v5, v6, v7, 1<<(drop1-1)|1<<(drop1-1+32))
	t[0], t[1] = split(v0, drop1)
	t[8], t[9] = split(v1, drop1)
	t[16], t[17] = split(v2, drop1)
	t[24], t[25] = split(v3, drop1)
	t[32], t[33] = split(v4, drop1)
	t[40], t[41] = split(v5, drop1)
	t[48], t[49] = split(v6, drop1)
	t[56], t[57] = split(v7, drop1)
	bits := int32(0)
	for y := 0; y < 64; y += 8 {
		bits |= (t[y] + small) | (t[y+1] + small)
	}
	return bits
}

// column is twoColumns for one, of any numbers of 16 bits.
func column(t *[57]int32) int32 {
	t[0], t[8], t[16], t[24], t[32], t[40], t[48], t[56] = large(t[0], t[8], t[16], t[24], t[32], t[40], t[48], t[56], drop1)
	bits := int32(0)
	for y := 0; y < 64; y += 8 {
		bits |= t[y] + small
	}
	return bits
}

// twoRows transforms two rows to samples, given the bits of all numbers + small.
func twoRows(dst []byte, stride int, t *[16]int32, bits int32) {
	if bits>>smallBits == 0 {
		v0 := pair(t[0], t[8])
		v1 := pair(t[1], t[9])
		v2 := pair(t[2], t[10])
		v3 := pair(t[3], t[11])
		v4 := pair(t[4], t[12])
		v5 := pair(t[5], t[13])
		v6 := pair(t[6], t[14])
		v7 := pair(t[7], t[15])
		v0, v1, v2, v3, v4, v5, v6, v7 = transform(v0+v4, v0-v4, v7+v3, v5+v1, v1, v2, v3, v5, v6, v7, 1<<(drop2-1)|1<<(drop2-1+32))
		t[0], t[8] = split(v0, drop2)
		t[1], t[9] = split(v1, drop2)
		t[2], t[10] = split(v2, drop2)
		t[3], t[11] = split(v3, drop2)
		t[4], t[12] = split(v4, drop2)
		t[5], t[13] = split(v5, drop2)
		t[6], t[14] = split(v6, drop2)
		t[7], t[15] = split(v7, drop2)
	} else {
		t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7] = large(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], drop2)
		t[8], t[9], t[10], t[11], t[12], t[13], t[14], t[15] = large(t[8], t[9], t[10], t[11], t[12], t[13], t[14], t[15], drop2)
	}
	store(dst, (*[8]int32)(t[:8]))
	store(dst[stride:], (*[8]int32)(t[8:]))
}

// store writes a row of samples.
func store(dst []byte, v *[8]int32) {
	s0, s1, s2, s3, s4, s5, s6, s7 := v[0]+128, v[1]+128, v[2]+128, v[3]+128, v[4]+128, v[5]+128, v[6]+128, v[7]+128
	if (s0|s1|s2|s3|s4|s5|s6|s7)>>8 != 0 {
		for x, v := range v {
			dst[x] = byte(min(max(v+128, 0), 255))
		}
		return
	}
	binary.LittleEndian.PutUint64(dst, uint64(s0)|uint64(s1)<<8|uint64(s2)<<16|uint64(s3)<<24|
		uint64(s4)<<32|uint64(s5)<<40|uint64(s6)<<48|uint64(s7)<<56)
}

// pair puts two numbers into one, and split takes them out again without their lowest bits.
func pair(a, b int32) int64 { return int64(b)<<32 + int64(a) }

func split(v int64, drop uint) (a, b int32) {
	return int32(v) >> drop, int32((v+1<<31)>>32) >> drop
}

// large transforms any numbers of 16 bits.
func large(v0, v1, v2, v3, v4, v5, v6, v7 int32, drop uint) (_, _, _, _, _, _, _, _ int32) {
	wrap := func(v int32) int64 { return int64(int16(v)) }
	o0, o1, o2, o3, o4, o5, o6, o7 := transform(wrap(v0+v4), wrap(v0-v4), wrap(v7+v3), wrap(v5+v1),
		int64(v1), int64(v2), int64(v3), int64(v5), int64(v6), int64(v7), 1<<(drop-1))
	return int32(o0) >> drop, int32(o1) >> drop, int32(o2) >> drop, int32(o3) >> drop,
		int32(o4) >> drop, int32(o5) >> drop, int32(o6) >> drop, int32(o7) >> drop
}

func saturate(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }

// transform is a pass over eight numbers, or pairs of them. Numbers 0 and 4 are given by their sum and their
// difference, others by sums too.
func transform(v04, d04, v73, v51, v1, v2, v3, v5, v6, v7, half int64) (_, _, _, _, _, _, _, _ int64) {
	e2 := v2*c0541 + v6*(c0541-c1847)
	e3 := v2*(c0541+c0765) + v6*c0541
	e0, e1 := v04<<13+half, d04<<13+half
	a0, a3 := e0+e3, e0-e3
	a1, a2 := e1+e2, e1-e2

	z3 := v73*(c1175-c1961) + v51*c1175
	z4 := v73*c1175 + v51*(c1175-c0390)
	o0 := v7*(c0298-c0899) - v1*c0899 + z3
	o1 := v5*(c2053-c2562) - v3*c2562 + z4
	o2 := v3*(c3072-c2562) - v5*c2562 + z3
	o3 := v1*(c1501-c0899) - v7*c0899 + z4

	return a0 + o3, a1 + o2, a2 + o1, a3 + o0, a3 - o0, a2 - o1, a1 - o2, a0 - o3
}
