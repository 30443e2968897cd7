package jpeg

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

// reducedIDCT is idct to side x side samples, a quarter, a half or all of the block's frequencies
// in each direction: side is 1, 2 or 4. Like idct, it wraps and saturates where damaged files
// overflow 16 bits.
func reducedIDCT(dst []byte, stride int, block *[64]int16, quant *[64]uint16, side int) {
	if side == 1 {
		v := (int32(block[0])*int32(quant[0]) + 4) >> 3
		dst[0] = sample(v << 22 >> 22) // libjpeg has no vector code here: it wraps to 10 bits
		return
	}
	flat := side == 4 // no coefficient that counts is below the first row
	for i, c := range block[8:] {
		flat = flat && (c == 0 || i/8 == 3)
	}
	var t [64]int32 // the first side rows after the vertical pass
	var v [8]int32
	for x := range 8 {
		if x == 4 && side == 4 || x > 0 && x%2 == 0 && side == 2 {
			continue // the horizontal pass does not use these columns
		}
		for y := range v {
			v[y] = int32(block[8*y+x] * int16(quant[8*y+x]))
		}
		for y, s := range reducedLine(&v, side, drop1) {
			if flat {
				s = int32(int16(s))
			}
			t[8*y+x] = min(max(s, -1<<15), 1<<15-1)
		}
	}
	for y := range side {
		line := reducedLine((*[8]int32)(t[8*y:]), side, drop2)
		for x := range side {
			dst[y*stride+x] = sample(line[x])
		}
	}
}

func sample(v int32) byte { return byte(min(max(v+128, 0), 255)) }

// reducedLine applies the one-dimensional transform to side samples, 2 or 4, rounded and shifted
// right by drop bits.
func reducedLine(v *[8]int32, side int, drop uint) (to [4]int32) {
	if side == 2 {
		drop += 2
		even := v[0]<<15 + 1<<(drop-1)
		odd := v[1]*r36245 - v[3]*r12728 + v[5]*r08504 - v[7]*r07210
		to[0], to[1] = (even+odd)>>drop, (even-odd)>>drop
		return to
	}
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
