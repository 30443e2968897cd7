package asm

import (
	"encoding/binary"
	"math"
)

// int8Tail is the size, in bytes, of a panel's tail: the scale, the compensation and the scaled sum of its 16 columns.
const int8Tail = Panel * (4 + 4 + 4)

// Int8Scale returns the quantisation scale of a row of weights, integers of at most limit: the largest absolute value over limit.
func Int8Scale(row []float32, limit int) float32 {
	m := uint32(0) // the bits of non-negative floats have the order of the floats
	for _, v := range row {
		m = max(m, math.Float32bits(v)&^(1<<31))
	}
	return math.Float32frombits(m) / float32(limit)
}

// ToInt8 quantises v: v/scale rounded to nearest, ties to even, clamped to ±limit; 0 if the scale is 0. The limit is 127 at
// most: -128 is not used, since kernels negate weights.
func ToInt8(v, scale float32, limit int) int8 {
	if scale == 0 {
		return 0
	}
	return int8(max(-float64(limit), min(float64(limit), math.RoundToEven(float64(v)/float64(scale)))))
}

// PackTable quantises a table with rows of k values to integers of at most limit and packs it in RowsLayout.
func PackTable(src []float32, k, limit int) []byte {
	n := len(src) / k
	out := make([]byte, (len(src)+3)/4*4, (len(src)+3)/4*4+4*n)
	for r := range n {
		row := src[r*k:][:k]
		scale := Int8Scale(row, limit)
		for i, v := range row {
			out[r*k+i] = byte(ToInt8(v, scale, limit))
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(scale))
	}
	return out
}

// Int8Size returns the size of the layout's int8 panels, in bytes.
func (l Layout) Int8Size() int { return l.Panels() * (Panel*l.PaddedK + int8Tail) }

// PackInt8 quantises weights to integers of at most limit and packs them as int8 panels [PaddedK/4][16][4]; PaddedK is a multiple of 4. Each panel ends with a
// tail, little-endian: 16 column scales (float32), 16 compensations for activations with zero point 128, which are -128 times
// the column's sum (int32), and 16 column sums times the scale (float32).
func (l Layout) PackInt8(limit int, src ...[]float32) []byte {
	out := make([]byte, 0, l.Int8Size())
	values := Panel * l.PaddedK
	for p := range l.Panels() {
		panel := make([]byte, values+int8Tail)
		l.within(p*Panel, (p+1)*Panel, func(r Run) {
			for i := range r.Len {
				row, lane := src[r.Src][(r.Row+i)*l.K:][:l.K], r.Col+i-p*Panel
				scale, sum := Int8Scale(row, limit), int32(0)
				for k, v := range row {
					q := ToInt8(v, scale, limit)
					panel[k/4*64+lane*4+k%4] = byte(q)
					sum += int32(q)
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
