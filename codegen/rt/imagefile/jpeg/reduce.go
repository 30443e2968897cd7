package jpeg

import "math"

// Multipliers of libjpeg's reduced transforms (jidctred) with 13 fractional bits: rNNNNN is N.NNNN.
const (
	r02111 = 1730
	r05098 = 4176
	r06013 = 4926
	r07210 = 5906
	r08504 = 6967
	r08999 = 7373
	r10616 = 8697
	r12728 = 10426
	r14518 = 11893
	r21727 = 17799
	r25629 = 20995
	r36245 = 29692
)

// plainIDCTHalf is plainIDCT to 4 x 4 samples, the means of 2 x 2 of those. It wraps and saturates
// likewise.
func plainIDCTHalf(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	below := int16(0) // bits of all coefficients outside the first row, but for row 4, which has no part in the means
	for i, c := range block[8:] {
		if i/8 != 3 {
			below |= c
		}
	}
	var t [4][8]int32 // after the vertical pass
	for x := range 8 {
		if x == 4 {
			continue // likewise
		}
		var v [8]int32
		for y := range v {
			v[y] = product(block, quant, 8*y+x)
		}
		for y, s := range halfLine(&v, drop1) {
			if below == 0 {
				s = int32(int16(s))
			}
			t[y][x] = saturated(s)
		}
	}
	for y := range t {
		for x, s := range halfLine(&t[y], drop2) {
			dst[y*stride+x] = sample(s)
		}
	}
}

// halfLine applies the one-dimensional transform to four samples, rounded and shifted right by drop
// bits and the one that halving takes.
func halfLine(v *[8]int32, drop uint) (to [4]int32) {
	drop++
	half := int32(1) << (drop - 1)
	a := v[2]*c1847 - v[6]*c0765
	e0, e1 := v[0]<<14+a+half, v[0]<<14-a+half
	o0 := v[1]*r25629 + v[3]*r08999 - v[5]*r06013 - v[7]*r05098
	o1 := v[1]*r10616 - v[3]*r21727 + v[5]*r14518 - v[7]*r02111
	to[0], to[3] = (e0+o0)>>drop, (e0-o0)>>drop
	to[1], to[2] = (e1+o1)>>drop, (e1-o1)>>drop
	return to
}

// idctQuarter is plainIDCTHalf to 2 x 2 samples, the means of 4 x 4.
func idctQuarter(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	var t [2][5]int32 // columns 0, 1, 3, 5 and 7 after the vertical pass
	for i, x := range [5]int{0, 1, 3, 5, 7} {
		a, b := quarterLine(product(block, quant, x), product(block, quant, 8+x), product(block, quant, 24+x),
			product(block, quant, 40+x), product(block, quant, 56+x), drop1)
		t[0][i], t[1][i] = saturated(a), saturated(b)
	}
	for y, v := range t {
		a, b := quarterLine(v[0], v[1], v[2], v[3], v[4], drop2)
		dst[y*stride], dst[y*stride+1] = sample(a), sample(b)
	}
}

// quarterLine is halfLine to two samples. It has the elements that count.
func quarterLine(v0, v1, v3, v5, v7 int32, drop uint) (int32, int32) {
	drop = (drop + 2) & 31
	even := v0<<15 + 1<<(drop-1)
	odd := v1*r36245 - v3*r12728 + v5*r08504 - v7*r07210
	return (even + odd) >> drop, (even - odd) >> drop
}

// idctEighth is plainIDCTHalf to one sample, the mean of all.
func idctEighth(dst []byte, block *[64]int16, quant *[64]uint16) {
	v := (int32(block[0])*int32(quant[0]) + 4) >> 3
	dst[0] = sample(v << 22 >> 22) // libjpeg has no vector code here: it wraps to 10 bits
}

// product returns dequantised coefficient i.
func product(block *[64]int16, quant *[64]uint16, i int) int32 {
	return int32(block[i] * int16(quant[i]))
}

func saturated(v int32) int32 { return min(max(v, math.MinInt16), math.MaxInt16) }

func sample(v int32) byte { return byte(min(max(v+128, 0), 255)) }
