package arm64

import "github.com/multiway-go/multiway/asm"

func init() { generators[asm.OpIDCTHalf] = idctToHalf }

// idctHalfFactors holds the factors of the transform to a half, with 13 fractional bits, eight for each of two registers. The last
// six are padding.
var idctHalfFactors = []int16{
	asm.IDCT2562, asm.IDCT0899, -asm.IDCT0601, -asm.IDCT0509, asm.IDCT1061, -asm.IDCT2172, asm.IDCT1451, -asm.IDCT0211,
	asm.IDCT1847, -asm.IDCT0765, 0, 0, 0, 0, 0, 0,
}

// idctToHalf writes the transform of a block's columns to four rows, a transposition, the transform of these rows to four columns,
// and the transposition back.
func idctToHalf(w *writer, _ asm.Kernel) {
	t, q := w.hold("the rows, or the columns after a transposition, as int16", regs(0, 8)), w.hold("quant", regs(16, 8))
	w.arg("block", 0)
	w.arg("quant", 1)
	for i := 0; i < 8; i += 2 {
		w.LDP(t[i], t[i+1], 0, 16*i)
		w.LDP(q[i], q[i+1], 1, 16*i)
	}
	var words []uint32
	for i := 0; i < len(idctHalfFactors); i += 2 {
		words = append(words, uint32(uint16(idctHalfFactors[i]))|uint32(uint16(idctHalfFactors[i+1]))<<16)
	}
	w.words("idctHalf", 2, append(words, 1<<11, 1<<11, 1<<11, 1<<11, 1<<18, 1<<18, 1<<18, 1<<18, 0x80808080, 0x80808080, 0x80808080, 0x80808080)...)
	w.LDP(idctFirst, idctSecond, 2, 0)
	below, turned := V(8), V(9)
	w.ORR(below, t[1], t[2])
	for _, i := range []int{3, 5, 6, 7} {
		w.ORR(below, below, t[i])
	}
	w.EXT(turned, below, below, 8)
	w.ORR(below, below, turned)
	w.FMOV(3, below)
	t.each(func(i int) { w.MULh(t[i], t[i], q[i]) })
	alike, rows := w.label("alike"), w.label("rows")
	w.CBZ(3, alike)
	w.LDR(idctHalf, 2, 32)
	low, high := w.idctHalfPass(t, false), w.idctHalfPass(t, true)
	for i := range low {
		w.SQSHRN12(t[i], low[i])
		w.SQSHRN12high(t[i], high[i])
	}
	w.B(rows)
	w.mark(alike)
	w.SHLh(t[0], t[0], 2)
	for _, v := range t[1:4] {
		w.MOV(v, t[0])
	}
	w.mark(rows)
	w.transpose(t)
	w.LDR(idctHalf, 2, 48)
	columns := w.idctHalfPass(t, false)
	for i, v := range columns { // by 16 and 3 bits
		w.UZP2h(t[i], v, v)
		w.SSHR3h(t[i], t[i])
	}
	w.transpose(t)

	w.arg("dst", 0)
	w.arg("stride", 1)
	center := V(8)
	w.LDR(center, 2, 64)
	t[:4].each(func(i int) { w.SQXTNb(t[i], t[i]) })
	t[:4].each(func(i int) { w.EOR(t[i], t[i], center) })
	for _, v := range t[:4] {
		w.STRs(v, 0, 0)
		w.ADD(0, 0, 1)
	}
	w.RET()
}

// idctHalfPass returns the transform of the low four columns of t, or of the high four, to four rows of int32 before the shift. It
// clobbers V16 to V23, or V24 to V31, which hold the results.
func (w *writer) idctHalfPass(t vecs, high bool) vecs {
	first := V(16)
	start, add, shift := w.SMULLlane, w.SMLALlane, w.SSHLL
	if high {
		first, start, add, shift = 24, w.SMULL2lane, w.SMLAL2lane, w.SSHLL2
	}
	r := regs(first, 8)
	even, a, odd, sums := r[0], r[1], r[2:4], r[4:6]
	shift(even, t[0], 14)
	start(a, t[2], idctSecond, 0)
	add(a, t[6], idctSecond, 1)
	odd.each(func(i int) { start(odd[i], t[1], idctFirst, 4*i) })
	w.ADDint(even, even, idctHalf)
	for j, v := range []V{t[3], t[5], t[7]} {
		odd.each(func(i int) { add(odd[i], v, idctFirst, 4*i+j+1) })
	}
	w.ADDint(sums[0], even, a)
	w.SUBint(sums[1], even, a)
	w.ADDint(r[0], sums[0], odd[0])
	w.SUBint(r[1], sums[0], odd[0])
	w.ADDint(r[6], sums[1], odd[1])
	w.SUBint(r[7], sums[1], odd[1])
	return vecs{r[0], r[6], r[7], r[1]}
}
