package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

// gemm writes a tile that reads B from a panel [k][16].
func gemm(w *writer, k asm.Kernel) { tile(w, k.MR, true) }

// gemmV writes a tile that reads B where it lies, row-major.
func gemmV(w *writer, k asm.Kernel) { tile(w, k.MR, false) }

// tile writes C[mr][16] = start + A[mr][K]*B[K][16]. Every element of C is summed alone and in the order of k, so its bits
// do not depend on mr.
//
//	acc[r][0..1]  row r of C
//	b[0..1]       row k of B
//	x             A[r][k] in all lanes
func tile(w *writer, mr int, panel bool) {
	acc := make([]vecs, mr)
	for r := range acc {
		acc[r] = w.ymms(2)
	}
	each := func(f func(r, j int)) {
		for r := range acc {
			acc[r].each(func(j int) { f(r, j) })
		}
	}
	c := func() func(r, disp int) operand.Mem {
		at, _ := w.rows(w.arg("c"), w.floats("ldc"), mr)
		return at
	}

	flag := w.arg("acc")
	w.TESTQ(flag, flag)
	w.JZ(operand.LabelRef("zero"))
	at := c()
	each(func(r, j int) { w.VMOVUPS(at(r, 32*j), acc[r][j]) })
	w.JMP(operand.LabelRef("bias"))
	w.Label("zero")
	each(func(r, j int) { w.VXORPS(acc[r][j], acc[r][j], acc[r][j]) })
	w.Label("bias")
	if panel {
		bias := w.arg("bias")
		w.TESTQ(bias, bias)
		w.JZ(operand.LabelRef("main"))
		each(func(r, j int) { w.VADDPS(operand.Mem{Base: bias, Disp: 32 * j}, acc[r][j], acc[r][j]) })
	}
	w.Label("main")

	k, b := w.arg("k"), w.arg("b")
	a, as := w.rows(w.arg("a"), w.floats("lda"), mr)
	var ldb, pf, pfstep reg.Register
	if panel {
		pf, pfstep = w.arg("pf"), w.arg("pfstep")
	} else {
		ldb = w.floats("ldb")
	}
	bv, x := w.ymms(2), w.YMM()
	const line = 4 * asm.Panel
	step := func(u int) {
		disp := 0
		if panel {
			disp = u * line
		}
		bv.each(func(j int) { w.VMOVUPS(operand.Mem{Base: b, Disp: disp + 32*j}, bv[j]) })
		if panel {
			w.PREFETCHT0(operand.Mem{Base: pf})
			w.ADDQ(pfstep, pf)
		} else {
			w.ADDQ(ldb, b)
		}
		for r := range acc {
			w.VBROADCASTSS(a(r, 4*u), x)
			acc[r].each(func(j int) { w.VFMADD231PS(bv[j], x, acc[r][j]) })
		}
	}
	advance := func(n int) {
		for _, p := range as {
			w.ADDQ(operand.Imm(uint64(4*n)), p)
		}
		if panel {
			w.ADDQ(operand.I32(int32(n*line)), b)
		}
	}

	const unroll = 4
	w.SUBQ(operand.Imm(unroll), k)
	w.JL(operand.LabelRef("tail"))
	w.Label("loop")
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	w.SUBQ(operand.Imm(unroll), k)
	w.JGE(operand.LabelRef("loop"))
	w.Label("tail")
	w.ADDQ(operand.Imm(unroll), k)
	w.JZ(operand.LabelRef("store"))
	w.Label("last")
	step(0)
	advance(1)
	w.DECQ(k)
	w.JNZ(operand.LabelRef("last"))

	w.Label("store")
	at = c()
	each(func(r, j int) { w.VMOVUPS(acc[r][j], at(r, 32*j)) })
	w.ret()
}

// peakFMA writes twelve independent multiply-adds a round: enough to hide their latency, nothing but registers.
func peakFMA(w *writer, _ asm.Kernel) {
	n := w.arg("n")
	x, acc := w.zeros(1)[0], w.zeros(12)
	w.Label("loop")
	acc.each(func(i int) { w.VFMADD231PS(x, x, acc[i]) })
	w.DECQ(n)
	w.JNZ(operand.LabelRef("loop"))
	w.ret()
}
