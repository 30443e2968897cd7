package amd64

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() { generators[asm.OpIDCT] = idct }

// idct writes the transform of a block's columns, a transposition, the transform of its rows, and the transposition back.
//
//	t[i]       rows i and i+4 of the block, or columns i and i+4, 16 bits an element
//	packed[j]  rows of results, 16 bits an element: 0 and 2, 1 and 3, 4 and 6, 5 and 7, half of each in each lane
func idct(w *writer, _ asm.Kernel) {
	block, quant := w.arg("block"), w.arg("quant")
	t, packed, q := w.ymms(4), w.ymms(4), w.YMM()
	load := func(base reg.Register, i int, to operand.Op) {
		w.VBROADCASTI128(operand.Mem{Base: base, Disp: 16 * i}, to)
		w.VINSERTI128(operand.Imm(1), operand.Mem{Base: base, Disp: 16 * (i + 4)}, to, to)
	}
	t.each(func(i int) {
		load(block, i, t[i])
		load(quant, i, q)
		w.VPMULLW(q, t[i], t[i])
	})
	below := w.YMM()
	w.VBROADCASTI128(operand.Mem{Base: block, Disp: 16 * 7}, below)
	for i := 1; i < 7; i += 2 {
		w.VPOR(operand.Mem{Base: block, Disp: 16 * i}, below, below)
	}
	w.VPTEST(below, below)
	w.JNZ(operand.LabelRef("columns"))
	w.VPSLLW(operand.Imm(2), t[0], t[0])
	for _, p := range packed {
		w.VPERMQ(operand.Imm(0x50), t[0], p)
	}
	w.JMP(operand.LabelRef("rows"))

	w.Label("columns")
	w.idctPass(t, packed, 11)
	w.Label("rows")
	w.transpose(packed, t)
	w.idctPass(t, packed, 18)
	w.transpose(packed, t)

	to, _ := w.rows(w.arg("dst"), w.arg("stride"), 8)
	center := w.words("center", 0x80808080)
	for i := 0; i < 4; i += 2 {
		x := t[i]
		w.VPACKSSWB(t[i+1], x, x)
		w.VPADDB(center, x, x)
		high := w.XMM()
		w.VEXTRACTI128(operand.Imm(1), x, high)
		for up, x := range []reg.Register{x.AsX(), high} {
			w.VMOVQ(x, to(i+4*up, 0))
			w.VMOVHPS(x, to(i+4*up+1, 0))
		}
	}
	w.ret()
}

// idctPass writes the transform of t into packed: the results shifted right by drop bits and saturated to 16 bits. It clobbers t.
// Results i and 7-i are even[i]+odd[3-i] and even[i]-odd[3-i].
func (w *writer) idctPass(t, packed vecs, drop int) {
	turned, v04, v73, v51 := w.YMM(), w.YMM(), w.YMM(), w.YMM()
	even, odd := w.ymms(4), w.ymms(4)

	half := w.words(fmt.Sprintf("half%d", drop), 1<<(drop-1))
	wide := func(from, to reg.VecVirtual) {
		w.VPMOVSXWD(from.AsX(), to)
		w.VPSLLD(operand.Imm(13), to, to)
		w.VPADDD(half, to, to)
	}
	w.VPERMQ(operand.Imm(0x4e), t[0], turned)
	w.VPADDW(turned, t[0], v04)
	wide(v04, even[0])
	w.VPSUBW(turned, t[0], v04)
	wide(v04, even[1])

	interleave := w.data("interleave", slices.Repeat([]uint32{0x09080100, 0x0b0a0302, 0x0d0c0504, 0x0f0e0706}, 2)...)
	pairs := func(v reg.VecVirtual) { // an element of the low lane and one of the high lane
		w.VPERMQ(operand.Imm(0xd8), v, v)
		w.VPSHUFB(interleave, v, v)
	}
	times := func(name string, first, second int16, pairs, sum reg.VecVirtual) {
		w.VPMADDWD(w.words(name, uint32(uint16(first))|uint32(uint16(second))<<16), pairs, sum)
	}
	pairs(t[2])
	times("e3", asm.IDCT0541+asm.IDCT0765, asm.IDCT0541, t[2], even[3])
	times("e2", asm.IDCT0541, asm.IDCT0541-asm.IDCT1847, t[2], even[2])
	for i := range 2 {
		sum := w.YMM()
		w.VPADDD(even[3-i], even[i], sum)
		w.VPSUBD(even[3-i], even[i], even[3-i])
		even[i] = sum
	}

	w.VPERMQ(operand.Imm(0x4e), t[3], turned)
	w.VPADDW(turned, t[3], v73)
	w.VPERMQ(operand.Imm(0x4e), t[1], turned)
	w.VPADDW(turned, t[1], v51)
	both := func(low, high, to reg.VecVirtual) { w.VPBLENDD(operand.Imm(0xf0), high, low, to) } // a lane of each
	both(v73, v51, v73)
	both(t[1], t[3], v51)
	both(t[3], t[1], t[3])
	v17, v35 := v51, t[3]
	pairs(v73)
	pairs(v17)
	pairs(v35)
	times("o0", -asm.IDCT0899, asm.IDCT0298-asm.IDCT0899, v17, odd[0])
	times("o1", -asm.IDCT2562, asm.IDCT2053-asm.IDCT2562, v35, odd[1])
	times("o2", asm.IDCT3072-asm.IDCT2562, -asm.IDCT2562, v35, odd[2])
	times("o3", asm.IDCT1501-asm.IDCT0899, -asm.IDCT0899, v17, odd[3])
	z := v35
	times("z3", asm.IDCT1175-asm.IDCT1961, asm.IDCT1175, v73, z)
	w.VPADDD(z, odd[0], odd[0])
	w.VPADDD(z, odd[2], odd[2])
	times("z4", asm.IDCT1175, asm.IDCT1175-asm.IDCT0390, v73, z)
	w.VPADDD(z, odd[1], odd[1])
	w.VPADDD(z, odd[3], odd[3])

	var rows [8]reg.VecVirtual
	for i, e := range even {
		o, sum := odd[3-i], w.YMM()
		w.VPADDD(o, e, sum)
		w.VPSUBD(o, e, e)
		w.VPSRAD(operand.Imm(uint64(drop)), sum, sum)
		w.VPSRAD(operand.Imm(uint64(drop)), e, e)
		rows[i], rows[7-i] = sum, e
	}
	packed.each(func(j int) {
		i := j%2 + 4*(j/2)
		w.VPACKSSDW(rows[i+2], rows[i], packed[j])
	})
}

// transpose transposes packed into t and clobbers packed.
func (w *writer) transpose(packed, t vecs) {
	var quads [2]vecs // of four rows: columns 0 and 1, columns 2 and 3, of each lane
	for i := range quads {
		p := packed[2*i:][:2]
		q := w.ymms(2)
		w.VPUNPCKLWD(p[1], p[0], q[0])
		w.VPUNPCKHWD(p[1], p[0], q[1])
		w.VPUNPCKLDQ(q[1], q[0], p[0])
		w.VPUNPCKHDQ(q[1], q[0], p[1])
		quads[i] = p
	}
	for i := range 2 {
		w.VPUNPCKLQDQ(quads[1][i], quads[0][i], t[2*i])
		w.VPUNPCKHQDQ(quads[1][i], quads[0][i], t[2*i+1])
	}
}
