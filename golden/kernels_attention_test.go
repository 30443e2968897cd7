package golden_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

func init() {
	testers[asm.OpGemmNN] = tester{test: testGemmNN, sum: 0x241e272a2f7ddc51}
	testers[asm.OpSoftmax] = tester{test: testSoftmax, sum: 0x2130d219c366f945}
	testers[asm.OpScaleRows] = tester{test: testScaleRows, sum: 0x55a725226c7561b7, once: true}
	testers[asm.OpPackKeys] = tester{test: testPackKeys, sum: 0x58d60a57a69eb9ab, once: true}
}

func testGemmNN(c *check, k asm.Kernel, fn any) {
	f := fn.(kernel.GemmNN)
	for _, depth := range upTo(40, 63, 64, 65, 197) {
		for variant := range 4 {
			acc, ldb := variant&1, k.NR+7*(variant>>1)
			what := fmt.Sprintf("k=%d acc=%d ldb=%d", depth, acc, ldb)
			tiles := 1 + variant%3
			rows := tiles * k.MR
			a := c.newMat(c.in, rows, depth, depth+3, c.normal)
			b := c.newMat(c.in2, depth, k.NR, ldb, c.normal)
			out := c.newMat(c.out, rows, k.NR, k.NR+5, c.normal)
			start := slices.Clone(out.p)
			f(tiles, depth, a.ptr(), a.ld, b.ptr(), b.ld, out.ptr(), out.ld, acc)
			for r := range rows {
				for j := range k.NR {
					want, abs := startOf(start[r*out.ld+j], acc, nil, j)
					for i, x := range a.row(r) {
						p := float64(x) * float64(b.row(i)[j])
						want, abs = want+p, abs+math.Abs(p)
					}
					c.near(out.row(r)[j], want, gemmBound(depth, abs), what, r, j)
				}
			}
			c.intact(out, what)
		}
	}
}

// A power 2^d has three relative errors: of d, a difference rounded once (d*ln2*unit), of the polynomial (9.2e-8) and of its
// evaluation (less than 4*unit). Below 2^-125 it is 2^-125.
func powerBound(d, want float64) float64 {
	return want*(9.2e-8+(4-d)*unit) + 0x1p-125
}

func testSoftmax(c *check, _ asm.Kernel, fn any) {
	f := fn.(kernel.Softmax)
	for _, n := range upTo(70, 197, 261, 1000) {
		for _, rows := range []int{0, 1, 3} {
			what := fmt.Sprintf("rows=%d n=%d", rows, n)
			room := asm.Ceil(n)
			x := c.newMat(c.out, max(rows, 1), room, room+16, c.scores)
			for r := range rows {
				for i := n; i < room; i++ {
					x.row(r)[i] = math.Float32frombits(canary) // must not count, must become 0
				}
			}
			src := slices.Clone(x.p)
			inv := c.newMat(c.vec, 1, max(rows, 1), max(rows, 1), c.normal)
			first := inv.p[0]
			f(rows, x.ptr(), x.ld, n, inv.ptr())
			if rows == 0 {
				c.same(inv.p[0], first, what, 0, 0)
				c.same(x.p[0], src[0], what, 0, 0)
			}
			for r := range rows {
				in := src[r*x.ld:][:n]
				top := float64(slices.Max(in))
				sum, bound := 0.0, 0.0
				for i, v := range in {
					d := float64(v) - top
					want := math.Exp2(d)
					c.near(x.row(r)[i], want, powerBound(d, want), what, r, i)
					sum, bound = sum+want, bound+powerBound(d, want)
				}
				for i := n; i < room; i++ {
					c.same(x.row(r)[i], 0, what, r, i)
				}
				// n/32 additions a lane, five across lanes and three across vectors; then one division.
				rel := bound/sum + float64(n/32+10)*unit
				c.near(inv.p[r], 1/sum, rel*(1+rel)/sum, what+" inv", r, 0)
			}
			c.intact(x, what)
			c.intact(inv, what+" inv")
		}
	}
	for n := 1; n < 70; n++ {
		x := c.newMat(c.out, 1, asm.Ceil(n), asm.Ceil(n), c.scores)
		x.p[n/2] = float32(math.NaN())
		inv := c.newMat(c.vec, 1, 1, 1, c.normal)
		f(1, x.ptr(), x.ld, n, inv.ptr())
		if v := inv.p[0]; v == v {
			c.Fatalf("n=%d: a NaN among the scores gives inv = %v, want NaN", n, v)
		}
	}
}

func testScaleRows(c *check, _ asm.Kernel, fn any) {
	f := fn.(kernel.ScaleRows)
	c.rowwise(upTo(70, 768), c.normal, func(rows int, dst, src mat) func(r, i int, x float32) (float64, float64) {
		s := c.newMat(c.vec, 1, max(rows, 1), max(rows, 1), c.normal)
		f(rows, dst.ptr(), dst.ld, src.ptr(), src.ld, src.n, s.ptr())
		return func(r, _ int, x float32) (float64, float64) { return float64(x * s.p[r]), 0 }
	})
}

func testPackKeys(c *check, _ asm.Kernel, fn any) {
	f := fn.(kernel.PackKeys)
	for rows := 1; rows <= asm.Panel; rows++ {
		for _, k := range upTo(40, 64, 100) {
			what := fmt.Sprintf("rows=%d k=%d", rows, k)
			src := c.newMat(c.in, rows, k, k+5, c.normal)
			dst := c.newMat(c.out, k, asm.Panel, asm.Panel, c.normal)
			f(rows, dst.ptr(), src.ptr(), src.ld, k)
			for i := range k {
				for r, got := range dst.row(i) {
					want := float32(0)
					if r < rows {
						want = src.row(r)[i]
					}
					c.same(got, want, what, i, r)
				}
			}
			c.intact(dst, what)
		}
	}
}
