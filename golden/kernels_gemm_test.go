package golden_test

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir"
)

func init() {
	testers[asm.OpGemm] = tester{test: testGemm, sum: 0x49a0d0a84c20e288}
	testers[asm.OpGemmNarrow] = tester{test: testGemmNarrow}
	testers[asm.OpConvert] = tester{test: testConvert}
	testers[asm.OpGemmBF16] = tester{test: testGemmBF16}
	testers[asm.OpRound] = tester{test: testRound}
}

// A sum of k products has an error of at most (k+2)*unit*sum|a||b|, where the sum includes the initial value: one rounding for
// each addition, one for each product unless it is fused, and one for the bias.
func gemmBound(k int, abs float64) float64 { return float64(k+2) * unit * abs }

// startOf returns the initial value of an element of C, and the sum of its terms' absolute values.
func startOf(c float32, acc int, bias []float32, j int) (start, abs float64) {
	if acc != 0 {
		start, abs = float64(c), math.Abs(float64(c))
	}
	if bias != nil {
		start, abs = start+float64(bias[j]), abs+math.Abs(float64(bias[j]))
	}
	return start, abs
}

func testGemm(c *check, k asm.Kernel, fn any) {
	f := fn.(kernel.Gemm)
	panels := k.NR / asm.Panel
	for _, depth := range upTo(40, 63, 64, 65, 768) {
		for variant := range 4 {
			acc, withBias := variant&1, variant&2 != 0
			what := fmt.Sprintf("k=%d acc=%d bias=%v", depth, acc, withBias)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			a := c.newMat(c.in, rows, depth, depth+3, c.normal)
			b := c.newMat(c.in2, panels, depth*asm.Panel, depth*asm.Panel, c.normal)
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			var bias []float32
			if withBias {
				bias = c.newMat(c.vec, 1, k.NR, k.NR, c.normal).p
			}
			// Prefetching may be beyond the panel, in protected memory, or turned off.
			pf, step := &b.p[0], 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, depth, a.ptr(), a.ld, b.ptr(), b.ld, out.ptr(), out.ld, ptr(bias), acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					want, abs := startOf(start[r*out.ld+j], acc, bias, j)
					for i, x := range a.row(r) {
						p := float64(x) * float64(b.row(j / asm.Panel)[i*asm.Panel+j%asm.Panel])
						want, abs = want+p, abs+math.Abs(p)
					}
					c.near(out.row(r)[j], want, gemmBound(depth, abs), what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// halves returns n 16-bit values of the second input.
func (c *check) halves(n int) []uint16 { return narrow[uint16](c, c.in2, n) }

// narrow returns the end of a fenced row of floats as n values of another type.
func narrow[T uint8 | uint16 | int16 | int32](c *check, fence []float32, n int) []T {
	size := int(unsafe.Sizeof(T(0)))
	floats := c.newMat(fence, 1, (n*size+3)/4, (n*size+3)/4, c.normal).p
	all := unsafe.Slice((*T)(unsafe.Pointer(&floats[0])), 4*len(floats)/size)
	return all[len(all)-n:]
}

// dtypeOf returns the element type of the weights that a kernel reads.
func dtypeOf(k asm.Kernel) ir.DType {
	d, err := ir.ParseDType(k.DType)
	if err != nil {
		panic(err)
	}
	return d
}

func testGemmNarrow(c *check, k asm.Kernel, fn any) {
	f, d := fn.(kernel.GemmNarrow), dtypeOf(k)
	panels := k.NR / asm.Panel
	for _, depth := range upTo(40, 63, 64, 65, 768) {
		for variant := range 4 {
			acc, withBias := variant&1, variant&2 != 0
			what := fmt.Sprintf("k=%d acc=%d bias=%v", depth, acc, withBias)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			a := c.newMat(c.in, rows, depth, depth+3, c.normal)
			stride := depth*asm.Panel + variant
			values := (panels-1)*stride + depth*asm.Panel
			b, wide := narrow[uint8](c, c.in2, values*d.Size()), make([]float32, panels*stride)
			for i := range values {
				wide[i] = d.Decode(d.Encode(c.normal()))
				d.Put(b[i*d.Size():], wide[i])
			}
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			var bias []float32
			if withBias {
				bias = c.newMat(c.vec, 1, k.NR, k.NR, c.normal).p
			}
			// Prefetching may be beyond the panel, in protected memory, or turned off.
			pf, step := &b[0], 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, depth, a.ptr(), a.ld, &b[0], stride, out.ptr(), out.ld, ptr(bias), acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					want, abs := startOf(start[r*out.ld+j], acc, bias, j)
					for i, x := range a.row(r) {
						p := float64(x) * float64(wide[j/asm.Panel*stride+i*asm.Panel+j%asm.Panel])
						want, abs = want+p, abs+math.Abs(p)
					}
					c.near(out.row(r)[j], want, gemmBound(depth, abs), what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// testConvert converts every value of the type, and rows of every length.
func testConvert(c *check, k asm.Kernel, fn any) {
	f, d := fn.(kernel.Convert), dtypeOf(k)
	all := 1 << (8 * d.Size())
	for _, n := range append(upTo(70), all) {
		src := narrow[uint8](c, c.in2, n*d.Size())
		bits := make([]uint32, n)
		for i := range bits {
			bits[i] = uint32(i * (all/n | 1) % all)
			for j := range d.Size() {
				src[i*d.Size()+j] = byte(bits[i] >> (8 * j))
			}
		}
		dst := c.newMat(c.out, 1, n, n, c.normal)
		f(n, dst.ptr(), &src[0])
		for i, h := range bits {
			want, got := d.Decode(h), dst.p[i]
			if want != want && got != got {
				continue // a NaN stays one, of whatever kind
			}
			c.same(got, want, fmt.Sprintf("n=%d, %#04x", n, h), 0, i)
		}
		c.intact(dst, fmt.Sprint("n=", n))
	}
}

// testGemmBF16 compares sums of products of bfloat16 with their definition, which gives the order of roundings, bit for bit.
func testGemmBF16(c *check, k asm.Kernel, fn any) {
	f := fn.(kernel.GemmBF16)
	panels := k.NR / asm.Panel
	for _, pairs := range upTo(10, 31, 32, 33, 384) {
		for variant := range 4 {
			acc, withBias := variant&1, variant&2 != 0
			what := fmt.Sprintf("%d pairs acc=%d bias=%v", pairs, acc, withBias)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			depth, lda, stride := 2*pairs, 2*pairs+3, 2*pairs*asm.Panel+variant
			a, b := narrow[uint16](c, c.in, (rows-1)*lda+depth), c.halves((panels-1)*stride+depth*asm.Panel)
			for _, h := range [][]uint16{a, b} {
				for i := range h {
					h[i] = ir.ToBF16(c.normal())
				}
			}
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			bias := make([]float32, k.NR)
			var biasPtr *float32
			if withBias {
				bias = c.newMat(c.vec, 1, k.NR, k.NR, c.normal).p
				biasPtr = &bias[0]
			}
			pf, step := &b[0], 64
			if variant == 3 {
				pf, step = nil, 0
			}
			f(tiles, pairs, &a[0], lda, &b[0], stride, out.ptr(), out.ld, biasPtr, acc, pf, step)
			for r := range rows {
				for j := range k.NR {
					want := bias[j]
					if acc != 0 {
						want += start[r*out.ld+j]
					}
					for i := range pairs {
						x, y := a[r*lda+2*i:], b[j/asm.Panel*stride+i*2*asm.Panel+j%asm.Panel*2:]
						for _, n := range []int{1, 0} {
							want += float32(ir.FromBF16(x[n]) * ir.FromBF16(y[n])) // 16 bits: exact
						}
					}
					c.same(out.row(r)[j], want, what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// testRound rounds numbers between all neighbouring values, and rows of every length.
func testRound(c *check, _ asm.Kernel, fn any) {
	f := fn.(kernel.Round)
	for _, n := range upTo(70, 768, 1<<16) {
		what := fmt.Sprint("n=", n)
		rows, room := 3, (n+31)/32*32
		if n == 1<<16 {
			rows = 1
		}
		at := uint32(0)
		src := c.newMat(c.in, rows, n, n+3, func() float32 {
			at++
			return math.Float32frombits(at<<16 + []uint32{0x7fff, 0x8000, 0x8001, 0, 1, 0xffff}[at%6])
		})
		dst := c.newMat(c.out, rows, room/2, room/2+3, c.normal)
		f(rows, (*uint16)(unsafe.Pointer(dst.ptr())), 2*dst.ld, src.ptr(), src.ld, n)
		for r := range rows {
			got := unsafe.Slice((*uint16)(unsafe.Pointer(&dst.row(r)[0])), room)
			for i, h := range got {
				want := uint16(0)
				if i < n {
					want = ir.ToBF16(src.row(r)[i])
				}
				if h != want {
					c.Fatalf("%s: [%d][%d] = %#04x, want %#04x", what, r, i, h, want)
				}
			}
		}
		c.intact(dst, what)
	}
}
