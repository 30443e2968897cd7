package golden_test

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	testers[asm.OpIDCT] = tester{test: testIDCT}
	testers[asm.OpIDCTHalf] = tester{test: testIDCT}
	testers[asm.OpPairs] = tester{test: testPairs}
	testers[asm.OpSpread] = tester{test: testSpread}
	testers[asm.OpYCC] = tester{test: testYCC}
	testers[asm.OpHorizontal] = tester{test: testHorizontal}
	testers[asm.OpVertical] = tester{test: testVertical}
}

// The types of kernels for pixels.
type (
	idctFunc   = func(dst *uint8, stride int, block *int16, quant *uint16)
	pairsFunc  = func(n int, dst *uint32, a *uint8, b *uint8, fara *uint8, farb *uint8)
	spreadFunc = func(n int, dst *uint32, src *uint32, right uint16, left uint16, shift int)
	yccFunc    = func(n int, dst *uint8, luma *uint8, chroma *uint32)

	horizontalFunc = func(n int, dst *uint8, src *uint8, starts *int32, groups int, weights *int16)
	verticalFunc   = func(n int, dst *uint8, src *uint8, stride int, groups int, weights *int16)
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

// weights returns the weights of n outputs with 22 fractional bits, as kernels of a resize take them and as a function of the tap.
// The magnitudes of an output's add up to 1.4 at most. Some outputs have weights of one sign.
func (c *check) weights(n, groups int) (parts []int16, at func(i int) int32) {
	parts = narrow[int16](c, c.vec, 8*groups*n)
	most, sign := 7*(1<<22)/5/int32(4*groups), 0
	for i := range 4 * groups * n {
		if i%(4*groups) == 0 {
			sign = c.rng.IntN(3) - 1
		}
		v := c.rng.Int32N(2*most+1) - most
		if sign != 0 {
			v = max(v, -v) * int32(sign)
		}
		parts[i/4*8+i%4], parts[i/4*8+i%4+4] = int16(v>>8), int16(v&0xff)
	}
	return parts, func(i int) int32 { return int32(parts[i/4*8+i%4])<<8 + int32(parts[i/4*8+i%4+4]) }
}

// samples returns n random bytes at the end of the fence, many of them 0 or 255.
func (c *check) samples(fence []float32, n int) []uint8 {
	b := narrow[uint8](c, fence, n)
	for i := range b {
		b[i] = uint8(min(max(c.rng.IntN(1024)-384, 0), 255))
	}
	return b
}

// rounded returns a sum of weighted bytes, with 22 fractional bits, as a byte.
func rounded(sum int32) uint8 { return uint8(min(max((sum+1<<21)>>22, 0), 255)) }

func testHorizontal(c *check, _ asm.Kernel, fn any) {
	f := fn.(horizontalFunc)
	for _, n := range upTo(5, 64) {
		for _, groups := range []int{1, 2, 3, 18} {
			pixels := 4*groups + c.rng.IntN(2*n)
			src, dst := c.samples(c.in, 3*pixels+4), narrow[uint8](c, c.out, 3*n+1)
			starts := narrow[int32](c, c.vec2, n)
			for i := range starts {
				starts[i] = int32(i * (pixels - 4*groups) / max(1, n-1))
			}
			parts, at := c.weights(n, groups)
			f(n, &dst[0], &src[0], &starts[0], groups, &parts[0])
			for i, got := range dst[:3*n] {
				var sum int32
				for j := range 4 * groups {
					sum += at(4*groups*(i/3)+j) * int32(src[3*(int(starts[i/3])+j)+i%3])
				}
				if want := rounded(sum); got != want {
					c.Fatalf("n=%d groups=%d: byte %d is %d, want %d", n, groups, i, got, want)
				}
			}
		}
	}
}

func testVertical(c *check, _ asm.Kernel, fn any) {
	f := fn.(verticalFunc)
	for _, n := range []int{16, 32, 80} {
		for _, groups := range []int{1, 2, 3, 18} {
			stride := n + c.rng.IntN(40)
			src, dst := c.samples(c.in, (4*groups-1)*stride+n), narrow[uint8](c, c.out, n)
			parts, at := c.weights(1, groups)
			f(n, &dst[0], &src[0], stride, groups, &parts[0])
			for i, got := range dst {
				var sum int32
				for j := range 4 * groups {
					sum += at(j) * int32(src[j*stride+i])
				}
				if want := rounded(sum); got != want {
					c.Fatalf("n=%d groups=%d: byte %d is %d, want %d", n, groups, i, got, want)
				}
			}
		}
	}
}

// testIDCT compares with the transform of the JPEG standard. A test of package jpeg compares it with its twin, bit for bit.
func testIDCT(c *check, k asm.Kernel, fn any) {
	f, side := fn.(idctFunc), 8
	if k.Op == asm.OpIDCTHalf {
		side = 4
	}
	each := 8 / side              // columns and rows whose mean is one of the kernel's
	basis := make([][]float64, 8) // of frequency u at sample x
	for u := range basis {
		basis[u] = make([]float64, side)
		for x := range 8 {
			v := math.Cos(float64((2*x+1)*u)*math.Pi/16) / 2
			if u == 0 {
				v = math.Sqrt2 / 4
			}
			basis[u][x/each] += v / float64(each)
		}
	}
	for _, floats := range []int{side / 4, side/4 + 1, 16} { // of a row
		for _, known := range []int{1, 8, 9, 64} {
			block, quant := c.halves(64), narrow[uint16](c, c.in, 64)
			for i := range block {
				block[i], quant[i] = 0, uint16(1+c.rng.IntN(9))
				if i < known {
					block[i] = uint16(int16(c.rng.IntN(15) - 7))
				}
			}
			dst := c.newMat(c.out, side, side/4, floats, c.normal)
			f((*uint8)(unsafe.Pointer(dst.ptr())), 4*floats, (*int16)(unsafe.Pointer(&block[0])), &quant[0])
			for y := range side {
				row := unsafe.Slice((*uint8)(unsafe.Pointer(&dst.row(y)[0])), side)
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
