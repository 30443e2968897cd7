//go:build !noasm

package pixel

import "golang.org/x/sys/cpu"

// Unless it says otherwise, a function processes a prefix of its slices with AVX2 and returns the
// number of elements done; the Go loops of the callers process the rest and compute the same bits.

func vectorPairs(dst []uint32, cb, cr, farCb, farCr []uint8) (done int) {
	n := len(dst) &^ 7
	if n == 0 || !cpu.X86.HasAVX2 {
		return 0
	}
	_, _ = cb[n-1], cr[n-1]
	if farCb == nil {
		pairs_u8_avx2(n, &dst[0], &cb[0], &cr[0], nil, nil)
		return n
	}
	_, _ = farCb[n-1], farCr[n-1]
	pairs_u8_avx2(n, &dst[0], &cb[0], &cr[0], &farCb[0], &farCr[0])
	return n
}

func vectorSpread(dst, src []uint32, right, left uint32, shift int) (done int) {
	n := (len(src) - 1) &^ 7
	if n == 0 || !cpu.X86.HasAVX2 {
		return 0
	}
	_ = dst[2*n-1]
	spread_u32_avx2(n, &dst[0], &src[0], uint16(right), uint16(left), shift)
	return n
}

// vectorHorizontal processes whole rows; it returns whether there is a kernel.
func vectorHorizontal(dst, src []uint8, a *axis) bool {
	if !cpu.X86.HasAVX2 {
		return false
	}
	n := len(a.starts)
	_, _ = dst[3*n], src[3*(int(a.starts[n-1])+4*a.groups)+3]
	horizontal_u8_avx2(n, &dst[0], &src[0], &a.starts[0], a.groups, &a.parts[0])
	return true
}

func vectorVertical(dst, src []uint8, stride int, parts []int16) (done int) {
	n := len(dst) &^ 15
	if n == 0 || !cpu.X86.HasAVX2 {
		return 0
	}
	_ = src[(len(parts)/2-1)*stride+n-1]
	vertical_u8_avx2(n, &dst[0], &src[0], stride, len(parts)/8, &parts[0])
	return n
}

func vectorYCC(dst, luma []uint8, chroma []uint32) (done int) {
	n := min(len(luma), (len(dst)-4)/3) &^ 7
	if n <= 0 || !cpu.X86.HasAVX2 {
		return 0
	}
	_ = chroma[n-1]
	ycc_u8_avx2(n, &dst[0], &luma[0], &chroma[0])
	return n
}
