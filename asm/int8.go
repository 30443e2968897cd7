package asm

import (
	"encoding/binary"
	"math"
)

// MaxInt8 is the largest weight of a product of bytes, of either sign: -128 has no opposite in a byte.
const MaxInt8 = 127

// int8Tail is the bytes that follow a panel's values: for its 16 columns the scale, the compensation and the scaled sum.
const int8Tail = Panel * (4 + 4 + 4)

// Int8Scale returns the scale of a row of weights: values are integers of at most MaxInt8 times it. It is 0 for a row of
// zeros.
func Int8Scale(row []float32) float32 {
	m := uint32(0) // numbers without their sign are ordered as their bits are
	for _, v := range row {
		m = max(m, math.Float32bits(v)&^(1<<31))
	}
	return math.Float32frombits(m) / MaxInt8
}

// ToInt8 is v over the scale, rounded to nearest, ties to even, and at most MaxInt8 of either sign.
func ToInt8(v, scale float32) int8 {
	if scale == 0 {
		return 0
	}
	return int8(max(-MaxInt8, min(MaxInt8, math.RoundToEven(float64(v)/float64(scale)))))
}

// PackTable packs a table of rows of k values as RowsLayout says.
func PackTable(src []float32, k int) []byte {
	n := len(src) / k
	out := make([]byte, (len(src)+3)/4*4, (len(src)+3)/4*4+4*n)
	for r := range n {
		row := src[r*k:][:k]
		scale := Int8Scale(row)
		for i, v := range row {
			out[r*k+i] = byte(ToInt8(v, scale))
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(scale))
	}
	return out
}

// Int8Size is the size in bytes of what PackInt8 returns.
func (l Layout) Int8Size() int { return l.Panels() * (Panel*l.Deep + int8Tail) }

// PackInt8 packs a weight as bytes: panels [Deep/4][16][4], Deep in whole fours, each followed by the scales of
// its columns (float32), -128 times their sums (int32), and their sums times the scales (float32), little-endian. Activations
// are stored with 128 added.
func (l Layout) PackInt8(src ...[]float32) []byte {
	out := make([]byte, 0, l.Int8Size())
	values := Panel * l.Deep
	for p := range l.Panels() {
		panel := make([]byte, values+int8Tail)
		l.within(p*Panel, (p+1)*Panel, func(r Run) {
			for i := range r.Len {
				row, lane := src[r.Src][(r.Row+i)*l.K:][:l.K], r.Col+i-p*Panel
				scale, sum := Int8Scale(row), int32(0)
				for k, v := range row {
					q := ToInt8(v, scale)
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
