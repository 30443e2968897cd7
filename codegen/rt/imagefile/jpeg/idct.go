package jpeg

import "math"

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

// idct writes the samples of a block. Where numbers outgrow 16 bits, which damage makes, it
// wraps and saturates as libjpeg-turbo's vector code does.
func idct(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	var t [64]int32
	flat := true // no coefficient below the first row
	for x := range 8 {
		in := func(y int) int32 { return int32(int16(int32(block[8*y+x]) * int32(quant[8*y+x]))) }
		if block[8+x]|block[16+x]|block[24+x]|block[32+x]|block[40+x]|block[48+x]|block[56+x] == 0 {
			v := saturate(in(0) << 2)
			for y := range 8 {
				t[8*y+x] = v
			}
			continue
		}
		flat = false
		out := transform(in(0), in(1), in(2), in(3), in(4), in(5), in(6), in(7), 11)
		for y, v := range out {
			t[8*y+x] = v
		}
	}
	if flat {
		for x := range 8 {
			v := int32(int16(int32(block[x]) * int32(quant[x]) << 2))
			for y := range 8 {
				t[8*y+x] = v
			}
		}
	}
	for y := range 8 {
		r := t[8*y:][:8]
		d := dst[y*stride:][:8]
		for x, v := range transform(r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], 18) {
			d[x] = byte(min(max(v, -128), 127) + 128)
		}
	}
}

// transform is a pass over eight numbers of 16 bits. It drops the lowest bits of the results.
func transform(in0, in1, in2, in3, in4, in5, in6, in7 int32, drop uint) [8]int32 {
	half := int32(1) << (drop - 1)

	e2 := in2*c0541 + in6*(c0541-c1847)
	e3 := in2*(c0541+c0765) + in6*c0541
	e0 := int32(int16(in0+in4)) << 13
	e1 := int32(int16(in0-in4)) << 13
	a0, a3 := e0+e3+half, e0-e3+half
	a1, a2 := e1+e2+half, e1-e2+half

	z3, z4 := int32(int16(in7+in3)), int32(int16(in5+in1))
	z3, z4 = z3*(c1175-c1961)+z4*c1175, z3*c1175+z4*(c1175-c0390)
	o0 := in7*(c0298-c0899) - in1*c0899 + z3
	o1 := in5*(c2053-c2562) - in3*c2562 + z4
	o2 := in3*(c3072-c2562) - in5*c2562 + z3
	o3 := in1*(c1501-c0899) - in7*c0899 + z4

	return [8]int32{
		saturate((a0 + o3) >> drop), saturate((a1 + o2) >> drop), saturate((a2 + o1) >> drop), saturate((a3 + o0) >> drop),
		saturate((a3 - o0) >> drop), saturate((a2 - o1) >> drop), saturate((a1 - o2) >> drop), saturate((a0 - o3) >> drop),
	}
}

func saturate(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }
