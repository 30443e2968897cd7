//go:build noasm || !(amd64 || arm64)

package jpeg

func idct(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	plainIDCT(dst, stride, block, quant)
}

func idctHalf(dst []byte, stride int, block *[64]int16, quant *[64]uint16) {
	plainIDCTHalf(dst, stride, block, quant)
}
