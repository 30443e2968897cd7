package arm64

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpGemmBF16] = gemmBF16
	generators[asm.OpRound] = round
}

// gemmBF16 writes a tile of products of bfloat16. The values are converted to float32 and multiplied by fused multiply-adds, the
// second of each pair first. BFDOT and BFMMLA would round differently.
func gemmBF16(w *writer, kernel asm.Kernel) {
	const line = 4 * asm.Panel // bytes of a step in a panel
	const k, b, pf, step, lda, mask = R(0), R(7), R(10), R(11), R(12), R(13)
	a := func(r int) V { return V(r) }
	row := func(r int) R { return R(1 + r) }
	acc := make([]vecs, kernel.MR)
	for r := range acc {
		acc[r] = regs(8+V(4*r), 4)
	}
	w.hold("C, row after row", slices.Concat(acc...))
	w.hold("rows of A, two pairs each, as float32", regs(0, kernel.MR))
	w.hold("four columns of B, one of each pair, as float32; a mask", regs(6, 2))
	for r := range kernel.MR {
		w.holds(fmt.Sprintf("row %d of A", r), row(r))
	}
	w.mark("tile")
	w.start(acc, true)
	w.arg("k", k)
	w.arg("a", row(0))
	w.arg("lda", lda)
	w.LSL(lda, lda, 1)
	for r := range kernel.MR - 1 {
		w.ADD(row(r+1), row(r), lda)
	}
	w.arg("b", b)
	w.arg("pf", pf)
	w.arg("pfstep", step)
	const high = 0xffff0000
	w.words("highHalves", mask, high, high, high, high)
	// one writes a step of k, whose pair of A is in lanes 2u and 2u+1. There is no free register for the mask, so it is reloaded.
	one := func(u int) {
		w.PRFM(pf, 0)
		w.ADD(pf, pf, step)
		for half := 1; half >= 0; half-- {
			for j := range 4 {
				x, spare := V(6+j%2), V(7-j%2)
				w.LDR(x, b, line*u+16*j)
				if half == 1 {
					w.LDR(spare, mask, 0)
					w.AND(x, x, spare)
				} else {
					w.SHL(x, x, 16)
				}
				for r := range acc {
					w.FMLAlane(acc[r][j], x, a(r), 2*u+half)
				}
			}
		}
	}
	widen := func() {
		for r := range acc {
			w.SHLL(a(r), a(r))
		}
	}

	const unroll = 2
	w.SUBSI(k, k, unroll)
	w.BLT("tail")
	w.loop("loop", w.BGE, func() {
		for r := range acc {
			w.LDRdpost(a(r), row(r), 4*unroll)
		}
		widen()
		for u := range unroll {
			one(u)
		}
		w.ADDI(b, b, unroll*line)
		w.SUBSI(k, k, unroll)
	})
	w.mark("tail")
	w.ADDSI(k, k, unroll)
	w.BEQ("store")
	for r := range acc {
		w.LDRs(a(r), row(r), 4)
	}
	widen()
	one(0)

	w.mark("store")
	w.setArg("pf", pf)
	w.result(acc, func(low, high V, off int) { w.STP(low, high, c, off) })
	w.nextTile(kernel.MR, 1)
}

// round writes the rounding of rows to bfloat16, ties to even: it adds 0x7fff plus the last bit that remains and keeps the
// upper 16 bits.
func round(w *writer, _ asm.Kernel) {
	dst, src := w.arg("dst", 1), w.arg("src", 2)
	ldd, lds := w.arg("ldd", 3), w.floats("lds", 4)
	w.LSL(ldd, ldd, 1)
	const atDst, atSrc, consts = R(5), R(6), R(7)
	const last, half, quiet = V(24), V(25), V(26)
	x, up, number := w.hold("the block, then what NaNs become", regs(0, chains)), w.hold("the rounded block", regs(8, chains)), w.hold("ones, zeros for NaNs", regs(16, chains))
	w.holds("the last bit that remains", last)
	w.holds("0x7fff", half)
	w.holds("the quiet bit of a NaN", quiet)
	w.words("round", consts, 0x10000, 0x7fff, 0x400000)
	for _, v := range []V{last, half, quiet} {
		w.LD1Rpost(v, consts)
	}
	r := newRow(w)
	w.forRows([]R{dst, src}, []R{ldd, lds}, func() {
		w.MOVR(atDst, dst)
		r.each([]R{src}, []R{atSrc}, func(masked bool) {
			r.load(x, atSrc, masked)
			x.each(func(i int) { w.CMTST(up[i], x[i], last) })
			x.each(func(i int) { w.SUBint(up[i], half, up[i]) })
			x.each(func(i int) { w.ADDint(up[i], up[i], x[i]) })
			x.each(func(i int) { w.FCMEQ(number[i], x[i], x[i]) })
			x.each(func(i int) { w.ORR(x[i], x[i], quiet) })
			x.each(func(i int) { w.BIF(up[i], x[i], number[i]) })
			x[:4].each(func(i int) { w.UZP2h(x[i], up[2*i], up[2*i+1]) })
			w.STP(x[0], x[1], atDst, 0)
			w.STP(x[2], x[3], atDst, 32)
			w.ADDI(atDst, atDst, 2*block)
		})
	})
}
