//lint:file-ignore U1000 TwinFile copies what other packages use

package asm

import "unsafe"

func gemm_f32_generic(rows int, k int, a *float32, lda int, b *float32, _ int, c *float32, ldc int, bias *float32, acc int, _ *float32, _ int) {
	gemmTile(rows, k, a, lda, b, 16, c, ldc, bias, acc)
}

func gemm_nn_f32_generic(rows int, k int, a *float32, lda int, b *float32, ldb int, c *float32, ldc int, acc int) {
	gemmTile(rows, k, a, lda, b, ldb, c, ldc, nil, acc)
}

// gemmTile computes a tile of 16 columns; row k of B starts at b + k*ldb.
func gemmTile(rows, k int, a *float32, lda int, b *float32, ldb int, c *float32, ldc int, bias *float32, acc int) {
	for r := range rows {
		row := rowOf(c, r, ldc, 16)
		if acc == 0 {
			clear(row)
		}
		if bias != nil {
			for j, v := range unsafe.Slice(bias, 16) {
				row[j] += v
			}
		}
		gemmRow(row, rowOf(a, r, lda, k), b, ldb)
	}
}

// gemmRow adds a*B to a row of 16 columns. Four sums at a time stay in registers and hide each other's latency; wider
// blocks, or blocks of several rows, are spilled by the compiler and gain nothing.
func gemmRow(c, a []float32, b *float32, ldb int) {
	for j := 0; j < 16; j += 4 {
		c := (*[4]float32)(c[j:])
		c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
		base, at, step := unsafe.Pointer(b), 4*j, 4*ldb
		for _, x := range a {
			v := (*[4]float32)(unsafe.Add(base, at))
			c0 += float32(x * v[0])
			c1 += float32(x * v[1])
			c2 += float32(x * v[2])
			c3 += float32(x * v[3])
			at += step
		}
		c[0], c[1], c[2], c[3] = c0, c1, c2, c3
	}
}
