package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() { generators[asm.OpHorizontal], generators[asm.OpVertical] = horizontal, vertical }

// horizontal writes a loop over outputs and in it one over groups of four pixels. Of a group, the low lane of a vector has the
// first two pixels, with the same channel of both side by side, and the high lane the others.
func horizontal(w *writer, _ asm.Kernel) {
	n, dst, src, starts, weights := w.arg("n"), w.arg("dst"), w.arg("src"), w.arg("starts"), w.arg("weights")
	table := func(name string, words ...uint32) reg.VecVirtual {
		v := w.YMM()
		w.VMOVDQU(w.data(name, words...), v)
		return v
	}
	channels := table("horizontal_channels", 0x80038000, 0x80048001, 0x80058002, 0x80808080, 0x80098006, 0x800a8007, 0x800b8008, 0x80808080)
	highs := table("horizontal_highs", 0x03020100, 0x03020100, 0x03020100, 0x03020100, 0x07060504, 0x07060504, 0x07060504, 0x07060504)
	lows := table("horizontal_lows", 0x0b0a0908, 0x0b0a0908, 0x0b0a0908, 0x0b0a0908, 0x0f0e0d0c, 0x0f0e0d0c, 0x0f0e0d0c, 0x0f0e0d0c)
	half := w.words("resize_half", 1<<21)
	high, low, p, h, l := w.YMM(), w.YMM(), w.YMM(), w.YMM(), w.YMM()
	at, groups := w.GP64(), w.GP64()
	w.holds("high sums", high)
	w.holds("low sums", low)

	w.Label("output")
	w.MOVLQSX(operand.Mem{Base: starts}, at)
	w.LEAQ(operand.Mem{Base: at, Index: at, Scale: 2}, at)
	w.ADDQ(src, at)
	w.MOVQ(w.slot("groups"), groups)
	w.VPXOR(high, high, high)
	w.VMOVDQU(half, low.AsX())
	w.Label("group")
	w.VBROADCASTI128(operand.Mem{Base: at}, p)
	w.VPSHUFB(channels, p, p)
	w.VBROADCASTI128(operand.Mem{Base: weights}, l)
	w.VPSHUFB(highs, l, h)
	w.VPSHUFB(lows, l, l)
	w.VPMADDWD(p, h, h)
	w.VPMADDWD(p, l, l)
	w.VPADDD(h, high, high)
	w.VPADDD(l, low, low)
	w.ADDQ(operand.Imm(12), at)
	w.ADDQ(operand.Imm(16), weights)
	w.DECQ(groups)
	w.JNZ(operand.LabelRef("group"))
	w.VPSLLD(operand.Imm(8), high, high)
	w.VPADDD(high, low, low)
	w.VEXTRACTI128(operand.Imm(1), low, high.AsX())
	sum := low.AsX()
	w.VPADDD(high.AsX(), sum, sum)
	w.VPSRAD(operand.Imm(22), sum, sum)
	w.VPACKUSDW(sum, sum, sum)
	w.VPACKUSWB(sum, sum, sum)
	w.VMOVD(sum, operand.Mem{Base: dst})
	w.ADDQ(operand.Imm(3), dst)
	w.ADDQ(operand.Imm(4), starts)
	w.DECQ(n)
	w.JNZ(operand.LabelRef("output"))
	w.ret()
}

// vertical writes a loop over sixteen columns and in it one over groups of four rows. Columns 0 to 3 and 8 to 11 share a
// vector, and the others one.
func vertical(w *writer, _ asm.Kernel) {
	n, dst, src, stride := w.arg("n"), w.arg("dst"), w.arg("src"), w.arg("stride")
	half := w.words("resize_half", 1<<21)
	high, low := w.hold("high sums", w.ymms(2)), w.hold("low sums", w.ymms(2))
	rows, h, l := w.ymms(2), w.YMM(), w.YMM()
	top, groups, weights, three := w.GP64(), w.GP64(), w.GP64(), w.GP64()
	w.LEAQ(operand.Mem{Base: stride, Index: stride, Scale: 2}, three)
	four := []operand.Mem{{Base: top}, {Base: top, Index: stride, Scale: 1}, {Base: top, Index: stride, Scale: 2}, {Base: top, Index: three, Scale: 1}}

	w.Label("columns")
	w.MOVQ(src, top)
	w.MOVQ(w.slot("groups"), groups)
	w.MOVQ(w.slot("weights"), weights)
	high.each(func(i int) {
		w.VPXOR(high[i], high[i], high[i])
		w.VMOVDQU(half, low[i])
	})
	w.Label("group")
	for pair := range 2 {
		w.VPMOVZXBW(four[2*pair], h)
		w.VPMOVZXBW(four[2*pair+1], l)
		w.VPUNPCKLWD(l, h, rows[0])
		w.VPUNPCKHWD(l, h, rows[1])
		w.VPBROADCASTD(operand.Mem{Base: weights, Disp: 4 * pair}, h)
		w.VPBROADCASTD(operand.Mem{Base: weights, Disp: 8 + 4*pair}, l)
		products := w.YMM()
		rows.each(func(i int) {
			w.VPMADDWD(rows[i], h, products)
			w.VPADDD(products, high[i], high[i])
			w.VPMADDWD(rows[i], l, products)
			w.VPADDD(products, low[i], low[i])
		})
	}
	w.LEAQ(operand.Mem{Base: top, Index: stride, Scale: 4}, top)
	w.ADDQ(operand.Imm(16), weights)
	w.DECQ(groups)
	w.JNZ(operand.LabelRef("group"))
	high.each(func(i int) {
		w.VPSLLD(operand.Imm(8), high[i], high[i])
		w.VPADDD(high[i], low[i], low[i])
		w.VPSRAD(operand.Imm(22), low[i], low[i])
	})
	w.VPACKUSDW(low[1], low[0], low[0])
	w.VPACKUSWB(low[0], low[0], low[0])
	w.VPERMQ(operand.Imm(0x08), low[0], low[0])
	w.VMOVDQU(low[0].AsX(), operand.Mem{Base: dst})
	w.ADDQ(operand.Imm(16), src)
	w.ADDQ(operand.Imm(16), dst)
	w.SUBQ(operand.Imm(16), n)
	w.JNZ(operand.LabelRef("columns"))
	w.ret()
}
