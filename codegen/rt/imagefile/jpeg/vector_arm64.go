//go:build !noasm

package jpeg

// idct is plainIDCT by vectors, which every such CPU has.
func idct(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	_ = dst[7*stride+7]
	idct_i16_neon(&dst[0], stride, &block[0], &quant[0])
}
