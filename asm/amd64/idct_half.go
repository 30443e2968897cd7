package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() { generators[asm.OpIDCTHalf] = idctHalf }

// idctHalf writes the transform of a block's columns to four rows, and of these rows to four columns.
func idctHalf(w *writer, _ asm.Kernel) {
	block, quant := w.arg("block"), w.arg("quant")
	below := w.YMM()
	w.VBROADCASTI128(operand.Mem{Base: block, Disp: 16 * 1}, below)
	for _, i := range []int{2, 5, 6} { // and the row after it
		w.VPOR(operand.Mem{Base: block, Disp: 16 * i}, below, below)
	}
	two := w.ymms(4) // rows 2i and 2i+1
	two.each(func(i int) { w.VMOVDQU(operand.Mem{Base: block, Disp: 32 * i}, two[i]) })
	two.each(func(i int) { w.VPMULLW(operand.Mem{Base: quant, Disp: 32 * i}, two[i], two[i]) })
	packed := w.ymms(2) // rows 0 and 1, 2 and 3: columns 0 to 3 of both in the low lane, 4 to 7 in the high one
	w.VPTEST(below, below)
	w.JNZ(operand.LabelRef("columns"))
	for _, p := range packed {
		w.VPSLLW(operand.Imm(2), two[0], p)
		w.VPERMQ(operand.Imm(0x50), p, p)
	}
	w.JMP(operand.LabelRef("rows"))

	w.Label("columns")
	even, odd := w.ymms(2), w.ymms(2)
	low, high := w.ymms(2), w.ymms(2)
	for i, unpack := range []func(...operand.Op){w.VPUNPCKLWD, w.VPUNPCKHWD} {
		unpack(two[1], two[0], low[i])
		unpack(two[3], two[2], high[i])
	}
	first, second := w.idctHalfSums(low[0], high[0]), w.idctHalfSums(low[1], high[1])
	for i := range even {
		w.VPERM2I128(operand.Imm(0x20), second[i], first[i], even[i])
		w.VPERM2I128(operand.Imm(0x31), second[i], first[i], odd[i])
	}
	half := w.words("half12", 1<<11)
	even.each(func(i int) { w.VPADDD(half, even[i], even[i]) })
	rows := w.ymms(4)
	for i := range even {
		w.VPADDD(odd[i], even[i], rows[i])
		w.VPSUBD(odd[i], even[i], rows[3-i])
	}
	rows.each(func(i int) { w.VPSRAD(operand.Imm(12), rows[i], rows[i]) })
	packed.each(func(i int) { w.VPACKSSDW(rows[2*i+1], rows[2*i], packed[i]) })

	w.Label("rows")
	// In each lane: elements 1 and 3 of a row, of the next one, and elements 0 and 2 of both.
	pairs := w.data("pairs", 0x07060302, 0x0f0e0b0a, 0x05040100, 0x0d0c0908, 0x07060302, 0x0f0e0b0a, 0x05040100, 0x0d0c0908)
	packed.each(func(i int) { w.VPSHUFB(pairs, packed[i], packed[i]) })
	evens, odds := w.YMM(), w.YMM()
	w.VPUNPCKHQDQ(packed[1], packed[0], evens)
	w.VPUNPCKLQDQ(packed[1], packed[0], odds)
	w.VPERM2I128(operand.Imm(0x20), odds, evens, packed[0])
	w.VPERM2I128(operand.Imm(0x31), odds, evens, packed[1])
	sums := w.idctHalfSums(packed[0], packed[1])
	e, o := w.YMM(), w.YMM()
	w.VPERM2I128(operand.Imm(0x20), sums[1], sums[0], e)
	w.VPERM2I128(operand.Imm(0x31), sums[1], sums[0], o)
	w.VPADDD(w.words("half19", 1<<18), e, e)
	columns := w.ymms(2) // 0 and 1; 3 and 2
	w.VPADDD(o, e, columns[0])
	w.VPSUBD(o, e, columns[1])
	columns.each(func(i int) { w.VPSRAD(operand.Imm(19), columns[i], columns[i]) })
	w.VPACKSSDW(columns[1], columns[0], e)
	w.VPACKSSWB(e, e, e)
	x, y := e.AsX(), w.XMM()
	w.VEXTRACTI128(operand.Imm(1), e, y)
	w.VPUNPCKLQDQ(y, x, x) // columns 0, 3, 1 and 2
	w.VPADDB(w.words("center", 0x80808080), x, x)
	w.VPSHUFB(w.data("turn", 0x040c0800, 0x050d0901, 0x060e0a02, 0x070f0b03), x, x)

	to, _ := w.rows(w.arg("dst"), w.arg("stride"), 4)
	w.VMOVD(x, to(0, 0))
	for i := 1; i < 4; i++ {
		w.VPEXTRD(operand.Imm(uint64(i)), x, to(i, 0))
	}
	w.ret()
}

// idctHalfSums returns two vectors, before the shift: results i and 3-i of the transform are even[i]+odd[i] and even[i]-odd[i],
// where vector i has even[i] in its low lane and odd[i] in the high one. In low, the lanes hold pairs of elements 0 and 2, and of
// 1 and 3; in high, of 4 and 6, and of 5 and 7.
func (w *writer) idctHalfSums(low, high reg.VecVirtual) vecs {
	lanes := func(name string, a, b, c, d int16) operand.Mem {
		even, odd := uint32(uint16(a))|uint32(uint16(b))<<16, uint32(uint16(c))|uint32(uint16(d))<<16
		return w.data(name, even, even, even, even, odd, odd, odd, odd)
	}
	sums, rest := w.ymms(2), w.ymms(2)
	w.VPMADDWD(lanes("low0", 1<<14, asm.IDCT1847, asm.IDCT2562, asm.IDCT0899), low, sums[0])
	w.VPMADDWD(lanes("low1", 1<<14, -asm.IDCT1847, asm.IDCT1061, -asm.IDCT2172), low, sums[1])
	w.VPMADDWD(lanes("high0", 0, -asm.IDCT0765, -asm.IDCT0601, -asm.IDCT0509), high, rest[0])
	w.VPMADDWD(lanes("high1", 0, asm.IDCT0765, asm.IDCT1451, -asm.IDCT0211), high, rest[1])
	sums.each(func(i int) { w.VPADDD(rest[i], sums[i], sums[i]) })
	return sums
}
