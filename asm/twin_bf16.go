//lint:file-ignore U1000 TwinFile copies what other packages use

package asm

import (
	"math"
	"unsafe"
)

// gemm_bf16dot_generic takes four columns at a time, whose sums stay in registers. A product of two bfloat16 has 16
// significant bits and is exact.
func gemm_bf16dot_generic(rows int, k int, a *uint16, lda int, b *uint16, _ int, c *float32, ldc int, bias *float32, acc int, _ *uint16, _ int) {
	panel := unsafe.Slice(b, 32*k)
	for r := range rows {
		row := unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(a), 2*r*lda)), 2*k)
		out := rowOf(c, r, ldc, 16)
		if acc == 0 {
			clear(out)
		}
		if bias != nil {
			for j, v := range unsafe.Slice(bias, 16) {
				out[j] += v
			}
		}
		for j := 0; j < 16; j += 4 {
			sum := (*[4]float32)(out[j:])
			c0, c1, c2, c3 := sum[0], sum[1], sum[2], sum[3]
			for i := 0; i < len(row); i += 2 {
				x := (*[2]uint16)(row[i:])
				x0, x1 := bf16(x[0]), bf16(x[1])
				v := (*[8]uint16)(panel[16*i+2*j:])
				c0 += float32(x1 * bf16(v[1]))
				c1 += float32(x1 * bf16(v[3]))
				c2 += float32(x1 * bf16(v[5]))
				c3 += float32(x1 * bf16(v[7]))
				c0 += float32(x0 * bf16(v[0]))
				c1 += float32(x0 * bf16(v[2]))
				c2 += float32(x0 * bf16(v[4]))
				c3 += float32(x0 * bf16(v[6]))
			}
			sum[0], sum[1], sum[2], sum[3] = c0, c1, c2, c3
		}
	}
}

func round_bf16dot_generic(rows int, dst *uint16, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		d := unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(dst), 2*r*ldd)), (n+31)/32*32)
		for i, v := range rowOf(src, r, lds, n) {
			d[i] = toBF16(v)
		}
		clear(d[n:])
	}
}

// toBF16 rounds to bfloat16, ties to even. A NaN stays a NaN.
func toBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
