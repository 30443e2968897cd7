package rt

import "unsafe"

// slack is the room behind an arena: 16-wide kernels may read past the last
// column of the last row, and an empty matrix may start at the end.
const slack = 64

// alignedFloats returns n zeroed floats that start at a multiple of 64 bytes,
// followed by slack more that belong to the same allocation.
func alignedFloats(n int) []float32 {
	s := make([]float32, n+slack+16)
	off := int(-uintptr(unsafe.Pointer(&s[0]))%64) / 4
	return s[off : off+n : off+n+slack]
}

// at returns the address i floats after p.
func at(p *float32, i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p), i*4))
}

// floats returns the n floats at p.
func floats(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

// ceil16 rounds n up to a multiple of 16.
func ceil16(n int) int { return (n + 15) &^ 15 }

// part returns the i-th of n nearly equal ranges of [0, total).
func part(total, n, i int) (lo, hi int) { return total * i / n, total * (i + 1) / n }
