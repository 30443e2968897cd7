package amd64

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpGemm] = gemm
	generators[asm.OpGemmNN] = gemmNN
	generators[asm.OpPeakFMA] = peakFMA
}

// gemm writes a tile that reads B from panels [k][16].
func gemm(w *writer, k asm.Kernel) { tile(w, k, true) }

// gemmNN writes a tile that reads a row-major B.
func gemmNN(w *writer, k asm.Kernel) { tile(w, k, false) }

// tile writes C[MR][NR] = start + A[MR][K]*B[K][NR]. Every element of C is one sum in the order of k, so its bits depend neither
// on MR and NR nor on the width of vectors.
func tile(w *writer, k asm.Kernel, panel bool) {
	s := w.newSums(k)
	v, acc := s.v, s.rows
	w.Label("tile")
	s.start(panel)
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
	bv, x := w.hold("a row of B", v.some(s.n)), v.new()
	w.holds("an element of A in all lanes", x)
	// row returns the memory operand of vector j of row u of B; row 0 is the one at address b.
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

	s.loop(4, panel, steps, step, advance)
	s.store()
	w.nextTile(k, 4, pf)
}

// sums are the registers that accumulate a tile of C: rows[r][j] is vector j of the n vectors of row r.
type sums struct {
	w    *writer
	v    vector
	n    int
	rows []vecs
}

func (w *writer) newSums(k asm.Kernel) *sums {
	s := &sums{w: w, v: w.vector(k.ISA), rows: make([]vecs, k.MR)}
	s.n = k.NR * 4 / s.v.bytes
	for r := range s.rows {
		s.rows[r] = s.v.some(s.n)
	}
	w.hold("C, row after row", slices.Concat(s.rows...))
	return s
}

func (s *sums) each(f func(acc reg.VecVirtual, r, disp int)) {
	for r, row := range s.rows {
		row.each(func(j int) { f(row[j], r, s.v.bytes*j) })
	}
}

// c returns a function that returns the memory operand for the byte at offset disp in row r of C.
func (s *sums) c() func(r, disp int) operand.Mem {
	at, _ := s.w.rows(s.w.arg("c"), s.w.floats("ldc"), len(s.rows))
	return at
}

// start initialises the sums: with C if the argument acc is not 0, otherwise with zeros, plus the bias if biased.
func (s *sums) start(biased bool) {
	w := s.w
	flag := w.arg("acc")
	w.TESTQ(flag, flag)
	w.JZ(operand.LabelRef("zero"))
	at := s.c()
	s.each(func(acc reg.VecVirtual, r, disp int) { w.VMOVUPS(at(r, disp), acc) })
	w.JMP(operand.LabelRef("bias"))
	w.Label("zero")
	s.each(func(acc reg.VecVirtual, _, _ int) { s.v.zero(acc) })
	w.Label("bias")
	if biased {
		bias := w.arg("bias")
		w.TESTQ(bias, bias)
		w.JZ(operand.LabelRef("main"))
		s.each(func(acc reg.VecVirtual, _, disp int) { w.VADDPS(operand.Mem{Base: bias, Disp: disp}, acc, acc) })
	}
	w.Label("main")
}

// loop writes the loop over k, unrolled turn times. step(u) writes step u after the current one, advance(n) moves on by n
// steps. If below, each of the first steps also prefetches one row of C below the tile, which most likely is the next
// tile's and in no near cache; prefetches of all these rows at once would delay loads that miss the first-level cache.
func (s *sums) loop(turn int, below bool, steps reg.Register, step, advance func(n int)) {
	w, many := s.w, operand.Imm(uint64(turn))
	if below {
		c, ldc, left := w.arg("c"), w.floats("ldc"), w.GP64()
		w.IMUL3Q(operand.Imm(uint64(len(s.rows))), ldc, left)
		w.ADDQ(left, c)
		w.MOVQ(operand.I32(int32(len(s.rows))), left)
		w.Label("first")
		step(0)
		for j := 0; j < s.n*s.v.bytes; j += 4 * asm.Panel {
			w.PREFETCHT0(operand.Mem{Base: c, Disp: j})
		}
		w.ADDQ(ldc, c)
		advance(1)
		w.DECQ(steps)
		w.JZ(operand.LabelRef("store"))
		w.DECQ(left)
		w.JNZ(operand.LabelRef("first"))
	}
	w.SUBQ(many, steps)
	w.JL(operand.LabelRef("tail"))
	w.Label("loop")
	for u := range turn {
		step(u)
	}
	advance(turn)
	w.SUBQ(many, steps)
	w.JGE(operand.LabelRef("loop"))
	w.Label("tail")
	w.ADDQ(many, steps)
	w.JZ(operand.LabelRef("store"))
	if turn == 2 { // one is left
		step(0)
		return
	}
	w.Label("last")
	step(0)
	advance(1)
	w.DECQ(steps)
	w.JNZ(operand.LabelRef("last"))
}

// store writes the stores of the sums to C.
func (s *sums) store() {
	s.w.Label("store")
	at := s.c()
	s.each(func(acc reg.VecVirtual, r, disp int) { s.w.VMOVUPS(acc, at(r, disp)) })
}

// peakFMA writes a loop that measures the peak rate of multiply-adds: only instructions on registers, and enough
// independent ones to hide their latency.
func peakFMA(w *writer, k asm.Kernel) {
	n, v := w.arg("n"), w.vector(k.ISA)
	x, acc := v.new(), w.hold("sums", v.some(12))
	w.holds("zeros", x)
	v.zero(x)
	acc.each(func(i int) { v.zero(acc[i]) })
	w.Label("loop")
	acc.each(func(i int) { w.VFMADD231PS(x, x, acc[i]) })
	w.DECQ(n)
	w.JNZ(operand.LabelRef("loop"))
	w.ret()
}
