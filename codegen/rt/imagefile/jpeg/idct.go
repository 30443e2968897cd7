package jpeg

// Multipliers of libjpeg's accurate transform (jidctint) with 13 fractional bits: cNNNN is
// N.NNN.
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

// Number of low bits that the rounding shift of each pass removes.
const (
	drop1 = 11
	drop2 = 18
)

// plainIDCT dequantises a block, applies the inverse DCT and writes 8 x 8 samples. Damaged
// files can overflow 16 bits: the arithmetic then wraps and saturates as in the vector code of
// libjpeg-turbo.
func plainIDCT(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	var t, u [64]int32 // u is t transposed
	below := int16(0)  // bits of all coefficients outside the first row
	for i, c := range block {
		t[i] = int32(int16(int32(c) * int32(quant[i])))
		if i >= 8 {
			below |= c
		}
	}
	if below == 0 {
		for x := range 8 { // only the first row has coefficients: the first pass is a shift, the same for all rows
			u[8*x] = int32(int16(t[x] << 2))
		}
		column((*[8]int32)(t[:]), (*[57]int32)(u[:]), drop2)
		for y := range 8 {
			store(dst[y*stride:], (*[8]int32)(t[:]))
		}
		return
	}
	for x := range 8 {
		column((*[8]int32)(u[8*x:]), (*[57]int32)(t[x:]), drop1)
	}
	for i, v := range u {
		u[i] = saturated(v)
	}
	for y := range 8 {
		column((*[8]int32)(t[:]), (*[57]int32)(u[y:]), drop2)
		store(dst[y*stride:], (*[8]int32)(t[:]))
	}
}

// store clamps eight samples, shifted by 128, to bytes.
func store(dst []byte, v *[8]int32) {
	dst = dst[:8]
	for x, v := range v {
		dst[x] = sample(v)
	}
}

// column applies the one-dimensional inverse DCT to the first column of t (stride 8) and writes
// eight results to to, rounded and shifted right by drop bits.
func column(to *[8]int32, t *[57]int32, drop uint) {
	wrap := func(v int32) int32 { return int32(int16(v)) }
	v0, v1, v2, v3, v4, v5, v6, v7 := t[0], t[8], t[16], t[24], t[32], t[40], t[48], t[56]

	drop &= 31
	half := int32(1) << (drop - 1)
	e0, e1 := wrap(v0+v4)<<13+half, wrap(v0-v4)<<13+half
	e2 := v2*c0541 + v6*(c0541-c1847)
	e3 := v2*(c0541+c0765) + v6*c0541
	a0, a3 := e0+e3, e0-e3
	a1, a2 := e1+e2, e1-e2

	v73, v51 := wrap(v7+v3), wrap(v5+v1)
	z3 := v73*(c1175-c1961) + v51*c1175
	z4 := v73*c1175 + v51*(c1175-c0390)
	o0 := v7*(c0298-c0899) - v1*c0899 + z3
	o1 := v5*(c2053-c2562) - v3*c2562 + z4
	o2 := v3*(c3072-c2562) - v5*c2562 + z3
	o3 := v1*(c1501-c0899) - v7*c0899 + z4

	to[0], to[7] = (a0+o3)>>drop, (a0-o3)>>drop
	to[1], to[6] = (a1+o2)>>drop, (a1-o2)>>drop
	to[2], to[5] = (a2+o1)>>drop, (a2-o1)>>drop
	to[3], to[4] = (a3+o0)>>drop, (a3-o0)>>drop
}
