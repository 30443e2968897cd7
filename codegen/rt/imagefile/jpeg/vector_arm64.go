//go:build !noasm

package jpeg

// idct is plainIDCT by the NEON kernel: every arm64 CPU has NEON.
func idct(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	_ = dst[7*stride+7]
	idct_i16_neon(&dst[0], stride, &block[0], &quant[0])
}

// idctHalf is plainIDCTHalf, likewise.
func idctHalf(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	_ = dst[3*stride+3]
	idct_half_i16_neon(&dst[0], stride, &block[0], &quant[0])
}
