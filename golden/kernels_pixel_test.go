package golden_test

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	testers[asm.OpIDCT] = tester{test: testIDCT}
	testers[asm.OpPairs] = tester{test: testPairs}
	testers[asm.OpSpread] = tester{test: testSpread}
	testers[asm.OpYCC] = tester{test: testYCC}
}

// The types of kernels for pixels.
type (
	idctFunc   = func(dst *uint8, stride int, block *int16, quant *uint16)
	pairsFunc  = func(n int, dst *uint32, a *uint8, b *uint8, fara *uint8, farb *uint8)
	spreadFunc = func(n int, dst *uint32, src *uint32, right uint16, left uint16, shift int)
	yccFunc    = func(n int, dst *uint8, luma *uint8, chroma *uint32)
)

// words returns the end of a fenced row of floats as n 32-bit values.
func words(fence []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(&fence[0])), len(fence))
}

func testPairs(c *check, _ asm.Kernel, fn any) {
	f := fn.(pairsFunc)
	for _, n := range []int{8, 16, 40} {
		in := narrow[uint8](c, c.in, 4*n)
		for i := range in {
			in[i] = uint8(c.rng.Uint32())
		}
		a, b, fara, farb := in[:n], in[n:2*n], in[2*n:3*n], in[3*n:]
		for _, far := range []bool{false, true} {
			dst := c.newMat(c.out, 1, n, n, c.normal)
			if far {
				f(n, &words(dst.p)[0], &a[0], &b[0], &fara[0], &farb[0])
			} else {
				f(n, &words(dst.p)[0], &a[0], &b[0], nil, nil)
			}
			for i, got := range words(dst.p) {
				want := uint32(a[i]) | uint32(b[i])<<16
				if far {
					want = 3*want + (uint32(fara[i]) | uint32(farb[i])<<16)
				}
				c.same(math.Float32frombits(got), math.Float32frombits(want), fmt.Sprint("n=", n, " far ", far), 0, i)
			}
			c.intact(dst, fmt.Sprint("n=", n))
		}
	}
}

func testSpread(c *check, _ asm.Kernel, fn any) {
	f := fn.(spreadFunc)
	for _, n := range []int{8, 16, 40} {
		src := words(c.newMat(c.in, 1, n+1, n+1, c.normal).p)
		for i := range src {
			src[i] = c.rng.Uint32() & 0x03fc03fc
		}
		dst := c.newMat(c.out, 1, 2*n, 2*n, c.normal)
		f(n, &words(dst.p)[0], &src[0], 7, 8, 4)
		for i, got := range words(dst.p) {
			want := uint32(0)
			for at := 0; at < 32; at += 16 {
				this, next, round := src[i/2]>>at&0xffff, src[i/2+1]>>at&0xffff, uint32(7)
				if i%2 == 1 {
					this, next, round = next, this, 8
				}
				want |= (3*this + next + round) >> 4 << at
			}
			c.same(math.Float32frombits(got), math.Float32frombits(want), fmt.Sprint("n=", n), 0, i)
		}
		c.intact(dst, fmt.Sprint("n=", n))
	}
}

func testYCC(c *check, _ asm.Kernel, fn any) {
	f := fn.(yccFunc)
	for _, n := range []int{8, 16, 40} {
		chroma, luma := words(c.newMat(c.in, 1, n, n, c.normal).p), narrow[uint8](c, c.in2, n)
		for i := range chroma {
			chroma[i], luma[i] = c.rng.Uint32()&0x00ff00ff, uint8(c.rng.Uint32())
		}
		dst := c.newMat(c.out, 1, 3*n/4+1, 3*n/4+1, c.normal)
		rgb := unsafe.Slice((*uint8)(unsafe.Pointer(dst.ptr())), 3*n)
		f(n, &rgb[0], &luma[0], &chroma[0])
		for i := range n {
			l, cb, cr := float64(luma[i]), float64(chroma[i]&0xffff)-128, float64(chroma[i]>>16)-128
			for j, want := range []float64{l + 1.402*cr, l - 0.344136*cb - 0.714136*cr, l + 1.772*cb} {
				c.near(float32(rgb[3*i+j]), min(max(want, 0), 255), 0.51, fmt.Sprint("n=", n), i, j)
			}
		}
		c.intact(dst, fmt.Sprint("n=", n))
	}
}

// testIDCT compares with the transform of the JPEG standard. A test of package jpeg compares it with its twin, bit for bit.
func testIDCT(c *check, _ asm.Kernel, fn any) {
	f := fn.(idctFunc)
	var basis [8][8]float64 // of frequency u at sample x
	for u := range 8 {
		for x := range 8 {
			basis[u][x] = math.Cos(float64((2*x+1)*u)*math.Pi/16) / 2
			if u == 0 {
				basis[u][x] = math.Sqrt2 / 4
			}
		}
	}
	for _, floats := range []int{2, 3, 16} { // of a row
		for _, known := range []int{1, 8, 9, 64} {
			block, quant := c.halves(64), narrow[uint16](c, c.in, 64)
			for i := range block {
				block[i], quant[i] = 0, uint16(1+c.rng.IntN(9))
				if i < known {
					block[i] = uint16(int16(c.rng.IntN(15) - 7))
				}
			}
			dst := c.newMat(c.out, 8, 2, floats, c.normal)
			f((*uint8)(unsafe.Pointer(dst.ptr())), 4*floats, (*int16)(unsafe.Pointer(&block[0])), &quant[0])
			for y := range 8 {
				row := unsafe.Slice((*uint8)(unsafe.Pointer(&dst.row(y)[0])), 8)
				for x, got := range row {
					want := 128.0
					for i, v := range block {
						want += float64(int16(v)) * float64(quant[i]) * basis[i/8][y] * basis[i%8][x]
					}
					c.near(float32(got), min(max(want, 0), 255), 1, fmt.Sprint("coefficients ", known), y, x)
				}
			}
			c.intact(dst, fmt.Sprint("coefficients ", known))
		}
	}
}
