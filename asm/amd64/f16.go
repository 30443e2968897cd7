package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpGemmNarrow] = gemmNarrow
	generators[asm.OpConvert] = convert
}

// ahead is the distance, in bytes, at which convert prefetches. Panels are contiguous, so the end of one prefetches the start of
// the next.
const ahead = 1024

// widen writes the load of a vector of 16-bit floats and its conversion to float32; dtype is f16 or bf16.
func (w *writer) widen(dtype string, from operand.Mem, to reg.VecVirtual) {
	if dtype == "f16" {
		w.VCVTPH2PS(from, to)
		return
	}
	w.VPMOVZXWD(from, to)
	w.VPSLLD(operand.Imm(16), to, to)
}

// gemmNarrow writes a tile for panels of 16-bit weights, which are converted to float32 as they are loaded. The sums have the
// bits of gemm on converted panels.
func gemmNarrow(w *writer, k asm.Kernel) {
	const line = 2 * asm.Panel // bytes of a row of a panel
	s := w.newSums(k)
	v, acc := s.v, s.rows
	w.Label("tile")
	s.start(true)

	steps, b := w.arg("k"), w.arg("b")
	a, as := w.rows(w.arg("a"), w.floats("lda"), k.MR)
	pf, pfstep := w.arg("pf"), w.arg("pfstep")
	var next reg.Register
	if k.NR > asm.Panel {
		next = w.halfwords("bstride")
	}
	bv, x := w.hold("a row of B, as float32", v.some(s.n)), v.new()
	w.holds("an element of A in all lanes", x)
	panel := func(m operand.Mem, p int) operand.Mem {
		if p > 0 {
			m.Index, m.Scale = next, uint8(p)
		}
		return m
	}
	step := func(u int) {
		bv.each(func(j int) {
			at := v.bytes / 2 * j
			w.widen(k.DType, panel(operand.Mem{Base: b, Disp: u*line + at%line}, at/line), bv[j])
		})
		if u%2 == 0 {
			for p := range k.NR / asm.Panel {
				w.PREFETCHT0(panel(operand.Mem{Base: pf}, p))
			}
			w.ADDQ(pfstep, pf)
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
		w.ADDQ(operand.I32(int32(n*line)), b)
	}

	s.loop(4, true, steps, step, advance)
	s.store()
	w.nextTile(k, 4, pf)
}

// convert writes the conversion of n 16-bit floats, f16 or bf16, to float32: 32 at a time, then the rest one by one.
func convert(w *writer, k asm.Kernel) {
	n, dst, src := w.arg("n"), w.arg("dst"), w.arg("src")
	v := w.hold("values", w.ymms(4))
	const many = 32
	w.SUBQ(operand.Imm(many), n)
	w.JL(operand.LabelRef("tail"))
	w.Label("loop")
	w.PREFETCHT0(operand.Mem{Base: src, Disp: ahead})
	v.each(func(i int) { w.widen(k.DType, operand.Mem{Base: src, Disp: 16 * i}, v[i]) })
	v.each(func(i int) { w.VMOVUPS(v[i], operand.Mem{Base: dst, Disp: 32 * i}) })
	w.ADDQ(operand.Imm(2*many), src)
	w.ADDQ(operand.I32(4*many), dst)
	w.SUBQ(operand.Imm(many), n)
	w.JGE(operand.LabelRef("loop"))
	w.Label("tail")
	w.ADDQ(operand.Imm(many), n)
	w.JZ(operand.LabelRef("done"))
	w.Label("last")
	one := w.GP32()
	w.MOVWLZX(operand.Mem{Base: src}, one)
	if k.DType == "f16" {
		x := w.XMM()
		w.VMOVD(one, x)
		w.VCVTPH2PS(x, x)
		w.VMOVSS(x, operand.Mem{Base: dst})
	} else {
		w.SHLL(operand.Imm(16), one)
		w.MOVL(one, operand.Mem{Base: dst})
	}
	w.ADDQ(operand.Imm(2), src)
	w.ADDQ(operand.Imm(4), dst)
	w.DECQ(n)
	w.JNZ(operand.LabelRef("last"))
	w.Label("done")
	w.ret()
}
