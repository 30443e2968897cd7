//go:build !noasm

package pixel

import "golang.org/x/sys/cpu"

// Each function processes a prefix of its slices with AVX2 and returns the number of elements
// done; the Go loops of the callers process the rest and compute the same bits.

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

func vectorYCC(dst, luma []uint8, chroma []uint32) (done int) {
	n := min(len(luma), (len(dst)-4)/3) &^ 7
	if n <= 0 || !cpu.X86.HasAVX2 {
		return 0
	}
	_ = chroma[n-1]
	ycc_u8_avx2(n, &dst[0], &luma[0], &chroma[0])
	return n
}
