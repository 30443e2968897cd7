package asm

// What OpIDCT multiplies by: the numbers of libjpeg's accurate transform, in 13 bits after the point. IDCT0298 stands for
// 0.298 and so on.
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
