package blob

import "unsafe"

// slack is the number of floats allocated after an arena: 16-wide kernels may read past
// the last column of the last row, and an empty matrix may start at the end.
const slack = 64

// AlignedFloats returns n zeroed floats that start at a multiple of 64 bytes. The
// slack floats after them belong to the same allocation.
func AlignedFloats(n int) []float32 {
	s := make([]float32, n+slack+16)
	off := int(-uintptr(unsafe.Pointer(&s[0]))%64) / 4
	return s[off : off+n : off+n+slack]
}
