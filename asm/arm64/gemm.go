package arm64

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpGemm] = gemm
	generators[asm.OpGemmNN] = gemmNN
	generators[asm.OpGemmNarrow] = gemmNarrow
	generators[asm.OpPeakFMA] = peakFMA
}

// source is the layout of B that a tile reads.
type source int

const (
	panel  source = iota // [k][16]
	halves               // [k][16] of 16-bit values, converted to float32 as they are loaded
	matrix               // row-major, not packed
	fours                // int8, [k][16][4]: as long as float32, with four products in place of one
)

func gemm(w *writer, k asm.Kernel)       { tile(w, k, panel) }
func gemmNN(w *writer, k asm.Kernel)     { tile(w, k, matrix) }
func gemmNarrow(w *writer, k asm.Kernel) { tile(w, k, halves) }

// tile writes C[mr][16] = start + A[mr][K]*B[K][16], where start is C or zero, plus the bias if B is packed. Every element
// of C is one sum in the order of k, so its bits do not depend on mr. With source fours the products are of int8, and start
// is added to the finished sums.
func tile(w *writer, kernel asm.Kernel, from source) {
	mr := kernel.MR
	const k, b, pf, step, ld, signs = R(0), R(7), R(10), R(11), R(12), R(13)
	const bLow, bHigh = V(6), V(7)
	a := func(r int) V { return V(r) }
	row := func(r int) R { return R(1 + r) }
	acc := make([]vecs, mr)
	for r := range acc {
		acc[r] = regs(8+V(4*r), 4)
	}
	w.hold("C, row after row", slices.Concat(acc...))
	w.hold("rows of A, four elements each", regs(0, mr))
	w.holds("half a row of B", bLow, bHigh)
	for r := range mr {
		w.holds(fmt.Sprintf("row %d of A", r), row(r))
	}
	w.mark("tile")
	if from == fours {
		zero(w, acc)
	} else {
		w.start(acc, from != matrix)
	}

	w.arg("k", k)
	w.arg("a", row(0))
	w.arg("lda", ld)
	if from != fours {
		w.LSL(ld, ld, 2)
	}
	for r := 1; r < mr; r++ {
		w.ADD(row(r), row(r-1), ld)
	}
	w.arg("b", b)
	switch from {
	case matrix:
		w.floats("ldb", ld)
	case fours:
		w.zeroPoint(signs)
	}
	if from != matrix {
		w.arg("pf", pf)
		w.arg("pfstep", step)
	}
	// one writes one step of k, with the elements of A in lane i of the registers a.
	one := func(i int) {
		if from != matrix && (from != halves || i%2 == 0) {
			w.PRFM(pf, 0)
			w.ADD(pf, pf, step)
		}
		multiply := w.FMLAlane
		if from == fours {
			multiply = w.SDOTlane
		}
		for j := 0; j < 4; j += 2 {
			switch from {
			case panel, fours:
				w.LDPpost(bLow, bHigh, b, 32)
			case halves:
				w.LDPdpost(bLow, bHigh, b, 16)
				w.widen(kernel.DType, bLow, bLow)
				w.widen(kernel.DType, bHigh, bHigh)
			case matrix:
				w.LDP(bLow, bHigh, b, 16*j)
			}
			for r := range acc {
				multiply(acc[r][j], bLow, a(r), i)
				multiply(acc[r][j+1], bHigh, a(r), i)
			}
		}
		if from == matrix {
			w.ADD(b, b, ld)
		}
	}

	signed := func() {
		if from != fours {
			return
		}
		w.LDR(bLow, signs, 0)
		for r := range acc {
			w.EOR(a(r), a(r), bLow)
		}
	}

	const unroll = 4
	w.SUBSI(k, k, unroll)
	w.BLT("tail")
	w.loop("loop", w.BGE, func() {
		for r := range acc {
			w.LDRpost(a(r), row(r), 4*unroll)
		}
		signed()
		for u := range unroll {
			one(u)
		}
		w.SUBSI(k, k, unroll)
	})
	inner := w.hot
	w.mark("tail")
	w.ADDSI(k, k, unroll)
	w.BEQ("store")
	w.loop("last", w.BNE, func() {
		for r := range acc {
			w.LDRs(a(r), row(r), 4)
		}
		signed()
		one(0)
		w.SUBSI(k, k, 1)
	})
	w.hot = inner

	w.mark("store")
	if from != matrix {
		w.setArg("pf", pf)
	}
	shift := 2
	if from == fours {
		w.epilogue(acc, b)
		shift = 0
	}
	w.result(acc, func(low, high V, off int) { w.STP(low, high, c, off) })
	w.nextTile(mr, shift)
}

// nextTile ends a tile: it advances A and C, which points to the tile's last row, to the rows below and jumps to label tile, or
// returns after the last tile. An element of A has 1 << shift bytes.
func (w *writer) nextTile(mr, shift int) {
	const x, ld = R(10), R(11)
	w.ADD(c, c, ldc)
	w.setArg("c", c)
	w.arg("a", x)
	if w.arg("lda", ld); shift > 0 {
		w.LSL(ld, ld, shift)
	}
	for range mr {
		w.ADD(x, x, ld)
	}
	w.setArg("a", x)
	w.arg("tiles", x)
	w.SUBSI(x, x, 1)
	w.setArg("tiles", x)
	w.BNE("tile")
	w.RET()
}

// start initialises the sums: with C if the argument acc is not 0, otherwise with zeros, plus the bias if biased.
func (w *writer) start(acc []vecs, biased bool) {
	w.CBZ(w.arg("acc", 13), "zero")
	w.result(acc, func(low, high V, off int) { w.LDP(low, high, c, off) })
	w.B("bias")
	w.mark("zero")
	zero(w, acc)
	w.mark("bias")
	if biased {
		w.bias(acc, "main")
	}
	w.mark("main")
}

func zero(w *writer, acc []vecs) {
	for _, v := range acc {
		v.each(func(j int) { w.ZERO(v[j]) })
	}
}

// bias writes code that adds the bias to every row. If the argument bias is nil, that code jumps to label none.
func (w *writer) bias(acc []vecs, none string) {
	p := w.arg("bias", 13)
	w.CBZ(p, none)
	b := w.hold("bias", regs(0, 4))
	w.LDP(b[0], b[1], p, 0)
	w.LDP(b[2], b[3], p, 32)
	for _, v := range acc {
		v.each(func(j int) { w.FADD(v[j], v[j], b[j]) })
	}
}

// Registers for the result of a tile: the address of the current row of C, and the bytes from row to row.
const c, ldc = R(8), R(9)

// result calls f for both halves of each row of C, to write a load or a store: low and high are registers of acc, off is
// the offset in bytes from register c.
func (w *writer) result(acc []vecs, f func(low, high V, off int)) {
	w.arg("c", c)
	w.floats("ldc", ldc)
	for r, v := range acc {
		f(v[0], v[1], 0)
		f(v[2], v[3], 32)
		if r < len(acc)-1 {
			w.ADD(c, c, ldc)
		}
	}
}

// peakFMA writes a loop of rounds of twelve multiply-adds in registers. Rounds alternate between two sets of sums, enough to hide
// the latency on CPUs that start four at once.
func peakFMA(w *writer, _ asm.Kernel) {
	n := w.arg("n", 0)
	acc := w.hold("sums", regs(8, 24))
	w.holds("zeros", V(0))
	w.ZERO(0)
	acc.each(func(i int) { w.ZERO(acc[i]) })
	w.loop("loop", w.BNE, func() {
		acc[:12].each(func(i int) { w.FMLAlane(acc[i], 0, 0, 0) })
		w.SUBSI(n, n, 1)
		w.BEQ("return")
		acc[12:].each(func(i int) { w.FMLAlane(acc[12+i], 0, 0, 0) })
		w.SUBSI(n, n, 1)
	})
	w.mark("return")
	w.RET()
}
