//go:build !noasm

package jpeg

import "golang.org/x/sys/cpu"

// idct is plainIDCT, by the AVX2 kernel on CPUs that have AVX2.
func idct(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	if !cpu.X86.HasAVX2 {
		plainIDCT(dst, stride, block, quant)
		return
	}
	_ = dst[7*stride+7]
	idct_i16_avx2(&dst[0], stride, &block[0], &quant[0])
}

// idctHalf is plainIDCTHalf, likewise.
func idctHalf(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	if !cpu.X86.HasAVX2 {
		plainIDCTHalf(dst, stride, block, quant)
		return
	}
	_ = dst[3*stride+3]
	idct_half_i16_avx2(&dst[0], stride, &block[0], &quant[0])
}
