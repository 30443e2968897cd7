package arm64

import "github.com/multiway-go/multiway/asm"

func init() { generators[asm.OpHorizontal], generators[asm.OpVertical] = horizontal, vertical }

// horizontal writes a loop over outputs and in it one over groups of four pixels. Of a group, each vector has two pixels, one in
// each half, as 16-bit numbers.
func horizontal(w *writer, _ asm.Kernel) {
	n, dst, src, starts, weights := w.arg("n", 0), w.arg("dst", 1), w.arg("src", 2), w.arg("starts", 3), w.arg("weights", 4)
	const left, at, table = R(5), R(6), R(7)
	const group, start, half = V(0), V(1), V(2)
	first, pixels := w.hold("places of two pixels in a group", regs(4, 2)), w.hold("two pixels", regs(6, 2))
	high, low := w.hold("high sums", regs(16, 2)), w.hold("low sums", regs(18, 2))
	w.holds("weights of a group", group)
	w.words("horizontal_places", table,
		0xff01ff00, 0xffffff02, 0xff04ff03, 0xffffff05,
		0xff07ff06, 0xffffff08, 0xff0aff09, 0xffffff0b,
		1<<21, 1<<21, 1<<21, 1<<21)
	w.LDP(first[0], first[1], table, 0)
	w.LDR(half, table, 32)
	w.mark("output")
	w.LDRs(start, starts, 4)
	w.FMOV(at, start)
	w.LSL(left, at, 1)
	w.ADD(at, at, left)
	w.ADD(at, at, src)
	w.arg("groups", left)
	high.each(func(i int) { w.ZERO(high[i]) })
	w.MOV(low[0], half)
	w.ZERO(low[1])
	w.loop("group", w.BNE, func() {
		w.LDRpost(pixels[1], at, 12)
		w.LDRpost(group, weights, 16)
		w.TBL(pixels[0], pixels[1], first[0])
		w.TBL(pixels[1], pixels[1], first[1])
		pixels.each(func(i int) {
			w.SMLALlane(high[i], pixels[i], group, 2*i)
			w.SMLALlane(low[i], pixels[i], group, 4+2*i)
			w.SMLAL2lane(high[i], pixels[i], group, 2*i+1)
			w.SMLAL2lane(low[i], pixels[i], group, 4+2*i+1)
		})
		w.SUBSI(left, left, 1)
	})
	w.ADDint(high[0], high[0], high[1])
	w.ADDint(low[0], low[0], low[1])
	w.bytes(vecs{high[0]}, vecs{low[0]})
	w.STRs(high[0], dst, 3)
	w.SUBSI(n, n, 1)
	w.BNE("output")
	w.RET()
}

// vertical writes a loop over sixteen columns and in it one over groups of four rows.
func vertical(w *writer, _ asm.Kernel) {
	n, dst, src, stride := w.arg("n", 0), w.arg("dst", 1), w.arg("src", 2), w.arg("stride", 3)
	const weights, left, at, table = R(4), R(5), R(6), R(7)
	const group, half = V(0), V(1)
	row := w.hold("sixteen columns", regs(2, 2))
	high, low := w.hold("high sums", regs(16, 4)), w.hold("low sums", regs(20, 4))
	w.holds("weights of a group", group)
	w.words("vertical_half", table, 1<<21, 1<<21, 1<<21, 1<<21)
	w.LDR(half, table, 0)
	w.mark("columns")
	w.MOVR(at, src)
	w.arg("groups", left)
	w.arg("weights", weights)
	high.each(func(i int) {
		w.ZERO(high[i])
		w.MOV(low[i], half)
	})
	w.loop("group", w.BNE, func() {
		w.LDRpost(group, weights, 16)
		for j := range 4 {
			w.LDR(row[1], at, 0)
			w.ADD(at, at, stride)
			w.UXTLb(row[0], row[1])
			w.UXTL2b(row[1], row[1])
			row.each(func(i int) {
				w.SMLALlane(high[2*i], row[i], group, j)
				w.SMLAL2lane(high[2*i+1], row[i], group, j)
				w.SMLALlane(low[2*i], row[i], group, 4+j)
				w.SMLAL2lane(low[2*i+1], row[i], group, 4+j)
			})
		}
		w.SUBSI(left, left, 1)
	})
	w.bytes(high, low)
	w.STR(high[0], dst, 0)
	w.ADDI(dst, dst, 16)
	w.ADDI(src, src, 16)
	w.SUBSI(n, n, 16)
	w.BNE("columns")
	w.RET()
}

// bytes writes the conversion of four sums, or of sixteen in four vectors, to bytes in high[0]. The shift by 22 bits is one by 16
// and one by 6, each with saturation.
func (w *writer) bytes(high, low vecs) {
	high.each(func(i int) {
		w.SHL(high[i], high[i], 8)
		w.ADDint(high[i], high[i], low[i])
	})
	for i := 0; i < len(high); i += 2 {
		w.SQSHRUN16(low[i], high[i])
		if len(high) > 1 {
			w.SQSHRUN16high(low[i], high[i+1])
		}
	}
	w.UQSHRN6(high[0], low[0])
	if len(high) > 2 {
		w.UQSHRN6high(high[0], low[2])
	}
}
