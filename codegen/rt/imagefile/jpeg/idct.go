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
	var t, u [64]int32 // u is transposed
	var lower int16    // bits of all coefficients below the first row
	var bits int32     // of all numbers + small
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
			v := int32(int16(t[x] << 2))
			u[8*x], u[8*x+1] = v, v
			bits |= v + small
		}
		columns((*[16]int32)(t[:]), (*[58]int32)(u[:]), bits, drop2)
		store(dst, (*[8]int32)(t[:]))
		for y := 1; y < 8; y++ {
			copy(dst[y*stride:][:8], dst[:8])
		}
		return
	}
	for x := 0; x < 8; x += 2 {
		columns((*[16]int32)(u[8*x:]), (*[58]int32)(t[x:]), bits, drop1)
	}
	bits = 0
	for i := 0; i < 64; i += 4 {
		v := u[i:][:4:4]
		bits |= (v[0] + small) | (v[1] + small) | (v[2] + small) | (v[3] + small)
	}
	if bits>>smallBits != 0 {
		for i, v := range u {
			u[i] = saturate(v)
		}
	}
	for y := 0; y < 8; y += 2 {
		columns((*[16]int32)(t[:]), (*[58]int32)(u[y:]), bits, drop2)
		store(dst[y*stride:], (*[8]int32)(t[:]))
		store(dst[(y+1)*stride:], (*[8]int32)(t[8:]))
	}
}

// columns transforms the first two columns of t to two rows, given the bits of all numbers + small.
func columns(to *[16]int32, t *[58]int32, bits int32, drop uint) {
	drop &= 31
	if bits>>smallBits != 0 {
		to[0], to[1], to[2], to[3], to[4], to[5], to[6], to[7] = large(t[0], t[8], t[16], t[24], t[32], t[40], t[48], t[56], drop)
		to[8], to[9], to[10], to[11], to[12], to[13], to[14], to[15] = large(t[1], t[9], t[17], t[25], t[33], t[41], t[49], t[57], drop)
		return
	}
	v0 := pair(t[0], t[1])
	v1 := pair(t[8], t[9])
	v2 := pair(t[16], t[17])
	v3 := pair(t[24], t[25])
	v4 := pair(t[32], t[33])
	v5 := pair(t[40], t[41])
	v6 := pair(t[48], t[49])
	v7 := pair(t[56], t[57])
	half := int64(1<<32|1) << (drop - 1)
	if v1|v2|v3|v4|v5|v6|v7 == 0 {
		a, b := split(v0<<13+half, drop)
		for i := range 8 {
			to[i], to[i+8] = a, b
		}
		return
	}
	v0, v1, v2, v3, v4, v5, v6, v7 = transform(v0+v4, v0-v4, v7+v3, v5+v1, v1, v2, v3, v5, v6, v7, half)
	to[0], to[8] = split(v0, drop)
	to[1], to[9] = split(v1, drop)
	to[2], to[10] = split(v2, drop)
	to[3], to[11] = split(v3, drop)
	to[4], to[12] = split(v4, drop)
	to[5], to[13] = split(v5, drop)
	to[6], to[14] = split(v6, drop)
	to[7], to[15] = split(v7, drop)
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
