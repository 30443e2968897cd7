package golden_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

func init() {
	testers[asm.OpLayerNorm] = tester{test: testLayerNorm, sum: 0x3724c46d59e4497}
	testers[asm.OpGelu] = tester{test: testGelu(func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }), sum: 0x82589cc427d97f73}
	testers[asm.OpGeluTanh] = tester{test: testGelu(func(x float64) float64 { return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) }), sum: 0x88fbc0386a487f12}
	testers[asm.OpQuickGelu] = tester{test: testGelu(func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }), sum: 0x434d2d2fc8e0964c}
	testers[asm.OpAdd] = tester{test: testCombine(func(x, y float32) float32 { return x + y }), sum: 0x57a5a83c48a7143c, once: true}
	testers[asm.OpMul] = tester{test: testCombine(func(x, y float32) float32 { return x * y }), sum: 0xf21767d07a1c927d, once: true}
}

// testCombine tests kernels that compute dst = of(dst, src).
func testCombine(of func(x, y float32) float32) func(c *check, _ asm.Kernel, fn any) {
	return func(c *check, _ asm.Kernel, fn any) {
		f := fn.(kernel.Add)
		for _, n := range upTo(70, 768) {
			for _, rows := range []int{0, 1, 3} {
				what := fmt.Sprintf("rows=%d n=%d", rows, n)
				src := c.newMat(c.in, max(rows, 1), n, n+1, c.normal)
				dst := c.newMat(c.out, max(rows, 1), n, n+3, c.normal)
				start := slices.Clone(dst.p)
				f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, n)
				for r := range dst.rows {
					for i, got := range dst.row(r) {
						want := start[r*dst.ld+i]
						if rows > 0 {
							want = of(want, src.row(r)[i])
						}
						c.same(got, want, what, r, i)
					}
				}
				c.intact(dst, what)
			}
		}
	}
}

// rowwise tests a kernel from rows of src to rows of dst, which may be the same. run calls it and returns a function of the
// expected value of element [r][i], given the source, and its bound.
func (c *check) rowwise(ns []int, fill func() float32, run func(rows int, dst, src mat) func(r, i int, x float32) (want, bound float64)) {
	c.Helper()
	for _, n := range ns {
		for _, rows := range []int{0, 1, 3} {
			for _, inPlace := range []bool{false, true} {
				what := fmt.Sprintf("rows=%d n=%d in place=%v", rows, n, inPlace)
				src := c.newMat(c.in, max(rows, 1), n, n+1, fill)
				dst := src
				if !inPlace {
					dst = c.newMat(c.out, max(rows, 1), n, n+3, c.normal)
				}
				start, in := slices.Clone(dst.p), mat{p: slices.Clone(src.p), rows: src.rows, n: src.n, ld: src.ld}
				expect := run(rows, dst, src)
				for r := range dst.rows {
					for i, got := range dst.row(r) {
						if rows == 0 {
							c.same(got, start[r*dst.ld+i], what, r, i)
							continue
						}
						want, bound := expect(r, i, in.row(r)[i])
						c.near(got, want, bound, what, r, i)
					}
				}
				c.intact(dst, what)
			}
		}
	}
}

// The error of layer normalisation, to first order: the mean is a sum of n/32 terms per lane; its error and the error of the
// difference are scaled like the result. Half of the variance's relative error is added, and the square of the mean's error,
// which matters for almost constant rows.
func layerNormBound(n int, x, mean, meanAbs, scale float64) float64 {
	terms := float64(n/32 + 10)
	dm := terms * unit * meanAbs
	y := math.Abs(x-mean) * scale
	return scale*(dm+2*unit*(math.Abs(x)+math.Abs(mean))) + y*(terms*unit+dm*dm*scale*scale)
}

func testLayerNorm(c *check, _ asm.Kernel, fn any) {
	f := fn.(kernel.LayerNorm)
	const eps = 1e-5
	for _, affine := range []bool{false, true} {
		for _, shift := range []float32{0, 30} {
			c.rowwise(upTo(70, 128, 768, 3072), func() float32 { return c.normal() + shift }, func(rows int, dst, src mat) func(r, i int, x float32) (float64, float64) {
				in := mat{p: slices.Clone(src.p), rows: src.rows, n: src.n, ld: src.ld}
				var g, b []float32
				if affine {
					g = c.newMat(c.vec, 1, src.n, src.n, c.normal).p
					b = c.newMat(c.vec2, 1, src.n, src.n, c.normal).p
				}
				f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, src.n, ptr(g), ptr(b), eps)
				mean, abs, scale := make([]float64, src.rows), make([]float64, src.rows), make([]float64, src.rows)
				for r := range src.rows {
					for _, v := range in.row(r) {
						mean[r] += float64(v) / float64(src.n)
						abs[r] += math.Abs(float64(v)) / float64(src.n)
					}
					for _, v := range in.row(r) {
						scale[r] += (float64(v) - mean[r]) * (float64(v) - mean[r]) / float64(src.n)
					}
					scale[r] = 1 / math.Sqrt(scale[r]+eps)
				}
				return func(r, i int, _ float32) (float64, float64) {
					x := float64(in.row(r)[i])
					want, bound := (x-mean[r])*scale[r], layerNormBound(src.n, x, mean[r], abs[r], scale[r])
					if affine {
						gain, bias := float64(g[i]), float64(b[i])
						want = want*gain + bias
						bound = bound*math.Abs(gain) + 2*unit*(math.Abs(want)+math.Abs(bias))
					}
					return want, bound
				}
			})
		}
	}
}

// geluBound has an absolute part for the error of the exponent, a float32 of up to 28 in base 2, and one rounding of the result.
func geluBound(want float64) float64 { return 3e-7 + unit*math.Abs(want) }

// testGelu tests the kernels of an activation that tends to 0 below 0 and to x above.
func testGelu(of func(x float64) float64) func(*check, asm.Kernel, any) {
	return func(c *check, k asm.Kernel, fn any) { c.gelu(string(k.Op), of, fn.(kernel.Gelu)) }
}

func (c *check) gelu(name string, of func(x float64) float64, f kernel.Gelu) {
	c.Helper()
	c.rowwise(upTo(70, 3072), c.normal, func(rows int, dst, src mat) func(r, i int, x float32) (float64, float64) {
		f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, src.n)
		return func(_, _ int, x float32) (float64, float64) {
			want := of(float64(x))
			return want, geluBound(want)
		}
	})
	const n = 1 << 16
	at := 0
	x := c.newMat(c.in, 1, n, n, func() float32 { at++; return float32(at-n/2) * (24.0 / n) })
	out := c.newMat(c.out, 1, n, n, c.normal)
	f(1, out.ptr(), 0, x.ptr(), 0, n)
	for i, v := range x.p {
		want := of(float64(v))
		c.near(out.p[i], want, geluBound(want), "[-12,12]", 0, i)
	}
	inf, least, huge, nan := float32(math.Inf(1)), float32(math.SmallestNonzeroFloat32), float32(math.MaxFloat32), float32(math.NaN())
	for i, s := range []struct{ in, want float32 }{{0, 0}, {inf, inf}, {1e30, 1e30}, {-1e30, 0}, {huge, huge}, {-huge, 0}, {-inf, 0}, {nan, nan},
		{least, least}, {-least, -least}, {1e-40, 5e-41}, {60, 60}, {-60, 0}, {1e12, 1e12}, {-1e12, 0}} {
		f(1, &out.p[0], 0, &s.in, 0, 1)
		got := out.p[0]
		if got != s.want && !(got != got && s.want != s.want) && !(math.Abs(float64(got-s.want)) < 1e-7) {
			c.Errorf("special %d: %s(%v) = %v, want %v", i, name, s.in, got, s.want)
		}
	}
}
