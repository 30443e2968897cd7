//lint:file-ignore U1000 TwinFile copies what other packages use

package asm

import (
	"math"
	"unsafe"
)

func gemm_f32xf16_generic(rows int, k int, a *float32, lda int, b *uint8, _ int, c *float32, ldc int, bias *float32, acc int, _ *uint8, _ int) {
	narrowTile(rows, k, a, lda, b, f16, c, ldc, bias, acc)
}

func gemm_f32xbf16_generic(rows int, k int, a *float32, lda int, b *uint8, _ int, c *float32, ldc int, bias *float32, acc int, _ *uint8, _ int) {
	narrowTile(rows, k, a, lda, b, bf16, c, ldc, bias, acc)
}

// narrowTile is gemmTile for a panel of 16-bit values. It converts a few steps of k at a time to float32.
func narrowTile(rows, k int, a *float32, lda int, b *uint8, widen func(uint16) float32, c *float32, ldc int, bias *float32, acc int) {
	var panel [64 * 16]float32
	for done := 0; done < k; {
		n := min(64, k-done)
		for i, h := range unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(b), 32*done)), 16*n) {
			panel[i] = widen(h)
		}
		gemmTile(rows, n, (*float32)(unsafe.Add(unsafe.Pointer(a), 4*done)), lda, &panel[0], 16, c, ldc, bias, acc)
		done, bias, acc = done+n, nil, 1
	}
}

func convert_f16_generic(n int, dst *float32, src *uint8) {
	d := unsafe.Slice(dst, n)
	for i, h := range unsafe.Slice((*uint16)(unsafe.Pointer(src)), n) {
		d[i] = f16(h)
	}
}

func convert_bf16_generic(n int, dst *float32, src *uint8) {
	d := unsafe.Slice(dst, n)
	for i, h := range unsafe.Slice((*uint16)(unsafe.Pointer(src)), n) {
		d[i] = bf16(h)
	}
}

// bf16 converts a bfloat16 to float32.
func bf16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// f16 converts an IEEE half to float32. A NaN becomes a quiet NaN, as with the instructions of every CPU.
func f16(h uint16) float32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case rest < 0x0400: // zero or subnormal: a multiple of 2^-24
		return math.Float32frombits(math.Float32bits(float32(rest)*0x1p-24) | sign)
	case rest < 0x7c00:
		return math.Float32frombits(sign | rest<<13 + 112<<23)
	case rest == 0x7c00:
		return math.Float32frombits(sign | 0x7f800000)
	}
	return math.Float32frombits(sign | 0x7fc00000 | rest<<13)
}
