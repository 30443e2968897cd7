package asm

// The factors of OpIDCT, as in libjpeg's accurate transform: fixed point with 13 fractional bits. IDCT0298 is 0.298 and so on.
const (
	IDCT0298 = 2446
	IDCT0390 = 3196
	IDCT0541 = 4433
	IDCT0765 = 6270
	IDCT0899 = 7373
	IDCT1175 = 9633
	IDCT1501 = 12299
	IDCT1847 = 15137
	IDCT1961 = 16069
	IDCT2053 = 16819
	IDCT2562 = 20995
	IDCT3072 = 25172
)
