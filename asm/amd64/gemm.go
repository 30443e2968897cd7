package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

// gemm writes a tile that reads B from panels [k][16].
func gemm(w *writer, k asm.Kernel) { tile(w, k, true) }

// gemmV writes a tile that reads B where it lies, row-major.
func gemmV(w *writer, k asm.Kernel) { tile(w, k, false) }

// tile writes C[MR][NR] = start + A[MR][K]*B[K][NR]. Every element of C is summed alone and in the order of k, so its bits
// depend neither on MR and NR nor on the width of a vector.
//
//	acc[r][j]  row r of C, vector j
//	b[j]       row k of B, vector j; a panel is one vector of 16 floats or two of 8
//	x          A[r][k] in all lanes
func tile(w *writer, k asm.Kernel, panel bool) {
	v := w.vector(k.ISA)
	n := k.NR * 4 / v.bytes
	acc := make([]vecs, k.MR)
	for r := range acc {
		acc[r] = v.some(n)
	}
	each := func(f func(r, j int)) {
		for r := range acc {
			acc[r].each(func(j int) { f(r, j) })
		}
	}
	c := func() func(r, disp int) operand.Mem {
		at, _ := w.rows(w.arg("c"), w.floats("ldc"), k.MR)
		return at
	}

	flag := w.arg("acc")
	w.TESTQ(flag, flag)
	w.JZ(operand.LabelRef("zero"))
	at := c()
	each(func(r, j int) { w.VMOVUPS(at(r, v.bytes*j), acc[r][j]) })
	w.JMP(operand.LabelRef("bias"))
	w.Label("zero")
	each(func(r, j int) { v.zero(acc[r][j]) })
	w.Label("bias")
	if panel {
		bias := w.arg("bias")
		w.TESTQ(bias, bias)
		w.JZ(operand.LabelRef("main"))
		each(func(r, j int) { w.VADDPS(operand.Mem{Base: bias, Disp: v.bytes * j}, acc[r][j], acc[r][j]) })
	}
	w.Label("main")
	if panel {
		// The rows of C below are most likely those of the next tile, and not in the first-level cache.
		ldc := w.floats("ldc")
		below, _ := w.rows(w.arg("c"), ldc, k.MR)
		p := w.GP64()
		w.LEAQ(below(k.MR-1, 0), p)
		w.ADDQ(ldc, p)
		below, _ = w.rows(p, ldc, k.MR)
		for r := range k.MR {
			for j := 0; j < 4*k.NR; j += 4 * asm.Panel {
				w.PREFETCHT0(below(r, j))
			}
		}
	}

	steps, b := w.arg("k"), w.arg("b")
	a, as := w.rows(w.arg("a"), w.floats("lda"), k.MR)
	var ldb, pf, pfstep, next reg.Register
	if panel {
		pf, pfstep = w.arg("pf"), w.arg("pfstep")
	} else {
		ldb = w.floats("ldb")
	}
	const line = 4 * asm.Panel
	if panel && k.NR > asm.Panel {
		next = w.floats("bstride")
	}
	bv, x := v.some(n), v.new()
	// row is vector j of row u of B, counted from b.
	row := func(u, j int) operand.Mem {
		if !panel {
			return operand.Mem{Base: b, Disp: v.bytes * j}
		}
		m := operand.Mem{Base: b, Disp: u*line + v.bytes*j%line}
		if p := v.bytes * j / line; p > 0 {
			m.Index, m.Scale = next, uint8(p)
		}
		return m
	}
	step := func(u int) {
		bv.each(func(j int) { w.VMOVUPS(row(u, j), bv[j]) })
		if panel {
			w.PREFETCHT0(operand.Mem{Base: pf})
			for p := 1; p < k.NR/asm.Panel; p++ {
				w.PREFETCHT0(operand.Mem{Base: pf, Index: next, Scale: uint8(p)})
			}
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
	w.SUBQ(operand.Imm(unroll), steps)
	w.JL(operand.LabelRef("tail"))
	w.Label("loop")
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	w.SUBQ(operand.Imm(unroll), steps)
	w.JGE(operand.LabelRef("loop"))
	w.Label("tail")
	w.ADDQ(operand.Imm(unroll), steps)
	w.JZ(operand.LabelRef("store"))
	w.Label("last")
	step(0)
	advance(1)
	w.DECQ(steps)
	w.JNZ(operand.LabelRef("last"))

	w.Label("store")
	at = c()
	each(func(r, j int) { w.VMOVUPS(acc[r][j], at(r, v.bytes*j)) })
	w.ret()
}

// peakFMA writes independent multiply-adds, enough to hide their latency and nothing but registers.
func peakFMA(w *writer, k asm.Kernel) {
	n, v := w.arg("n"), w.vector(k.ISA)
	x, acc := v.new(), v.some(12)
	v.zero(x)
	acc.each(func(i int) { v.zero(acc[i]) })
	w.Label("loop")
	acc.each(func(i int) { w.VFMADD231PS(x, x, acc[i]) })
	w.DECQ(n)
	w.JNZ(operand.LabelRef("loop"))
	w.ret()
}
