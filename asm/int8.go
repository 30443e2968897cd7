package asm

import (
	"encoding/binary"
	"math"
	"slices"
)

// int8Tail is the size, in bytes, of a panel's tail: the scale, the compensation and the scaled sum of its 16 columns.
const int8Tail = Panel * (4 + 4 + 4)

// fourSum is the most that the positive integers of a four add up to, and the negative ones without their sign: times 255, the
// largest activation, it fits 16 bits.
const fourSum = 128

// ToInt8 quantises a row of weights: it sets dst to integers from -127 to 127, which times the scale that it returns are about the
// weights. They are the weights over the scale, rounded to nearest, ties to even. The scale is the largest absolute value over 127
// or, if small is set, over the most steps for which fours add up to 128 at most. Fours are elements 0, 1, 4 and 5, and the other
// four, of each eight. The values of a row that was quantised stay. Where the scale is 0, all
// integers are. -128 is not used, since kernels negate weights.
func ToInt8(dst []int8, row []float32, small bool) (scale float32) {
	m := uint32(0) // the bits of non-negative floats have the order of the floats
	for _, v := range row {
		m = max(m, math.Float32bits(v)&^(1<<31))
	}
	most := math.Float32frombits(m)
	steps := 127
	if small {
		steps = smallSteps(row, most)
	}
	for {
		scale = most / float32(steps)
		for i, v := range row {
			if dst[i] = 0; scale != 0 {
				dst[i] = int8(max(-127, min(127, math.RoundToEven(float64(v)/float64(scale)))))
			}
		}
		if !small || steps <= fourSum/4 || largestFour(dst[:len(row)]) <= fourSum {
			return scale
		}
		steps--
	}
}

// smallSteps returns steps in the largest absolute value of a row with which to begin: if the row was quantised, the fewest with
// which all values are whole and fours fit; otherwise no fewer than the most with which fours fit once they are rounded.
func smallSteps(row []float32, most float32) int {
	four := largestFour(row)
	for steps := 1; steps <= 127; steps++ {
		per := float64(steps) / float64(most)
		if float64(four)*per < fourSum+0.5 && !slices.ContainsFunc(row, func(v float32) bool {
			x := float64(float64(v) * per)
			return !(math.Abs(x-math.RoundToEven(x)) < 1e-3)
		}) {
			return steps
		}
	}
	if most := (fourSum + 2) * most / four; most < 127 { // rounding takes half of each of four at most
		return max(fourSum/4, int(most))
	}
	return 127
}

// largestFour returns the largest sum of the positive elements of a four, or of the negative ones without their sign.
func largestFour[T int8 | float32](row []T) (most float32) {
	for i := range row {
		if i%2 != 0 || i%8 >= 4 {
			continue
		}
		var pos, neg float32
		for _, at := range [4]int{i, i + 1, i + 4, i + 5} {
			if at < len(row) {
				v := float32(row[at])
				pos, neg = pos+max(v, 0), neg-min(v, 0)
			}
		}
		most = max(most, pos, neg)
	}
	return most
}

// PackTable quantises a table with rows of k values to int8 and packs it in RowsLayout.
func PackTable(src []float32, k int) []byte {
	n := len(src) / k
	out := make([]byte, (len(src)+3)/4*4, (len(src)+3)/4*4+4*n)
	q := make([]int8, k)
	for r := range n {
		scale := ToInt8(q, src[r*k:][:k], false)
		for i, v := range q {
			out[r*k+i] = byte(v)
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(scale))
	}
	return out
}

// Int8Size returns the size of the layout's int8 panels, in bytes.
func (l Layout) Int8Size() int { return l.Panels() * (Panel*l.PaddedK + int8Tail) }

// PackInt8 quantises weights as [ToInt8] does and packs them as int8 panels [PaddedK/4][16][4]; PaddedK is a multiple of 4. Each
// panel ends with a tail, little-endian: 16 column scales (float32), 16 compensations for activations with zero point 128, which are -128 times
// the column's sum (int32), and 16 column sums times the scale (float32).
func (l Layout) PackInt8(small bool, src ...[]float32) []byte {
	out := make([]byte, 0, l.Int8Size())
	values, q := Panel*l.PaddedK, make([]int8, l.K)
	for p := range l.Panels() {
		panel := make([]byte, values+int8Tail)
		l.within(p*Panel, (p+1)*Panel, func(r Run) {
			for i := range r.Len {
				lane, sum := r.Col+i-p*Panel, int32(0)
				scale := ToInt8(q, src[r.Src][(r.Row+i)*l.K:][:l.K], small)
				for k, v := range q {
					panel[k/4*64+lane*4+k%4] = byte(v)
					sum += int32(v)
				}
				binary.LittleEndian.PutUint32(panel[values+4*lane:], math.Float32bits(scale))
				binary.LittleEndian.PutUint32(panel[values+64+4*lane:], uint32(-128*sum))
				binary.LittleEndian.PutUint32(panel[values+128+4*lane:], math.Float32bits(float32(sum)*scale))
			}
		})
		out = append(out, panel...)
	}
	return out
}
