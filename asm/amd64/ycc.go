package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpPairs], generators[asm.OpSpread], generators[asm.OpYCC] = pairs, spread, ycc
}

// pairs writes a loop over eight elements: bytes of a and b become the low and the high half of a word.
func pairs(w *writer, _ asm.Kernel) {
	n, dst := w.arg("n"), w.arg("dst")
	a, b, fara, farb := w.arg("a"), w.arg("b"), w.arg("fara"), w.arg("farb")
	x, y := w.YMM(), w.YMM()
	load := func(low, high reg.Register, to reg.VecVirtual) {
		w.VPMOVZXBD(operand.Mem{Base: low}, to)
		w.VPMOVZXBD(operand.Mem{Base: high}, y)
		w.VPSLLD(operand.Imm(16), y, y)
		w.VPADDD(y, to, to)
	}
	turn := func(label string, far bool) {
		w.Label(label)
		load(a, b, x)
		if far {
			z := w.YMM()
			w.VPADDD(x, x, z)
			w.VPADDD(z, x, x)
			load(fara, farb, z)
			w.VPADDD(z, x, x)
			w.ADDQ(operand.Imm(8), fara)
			w.ADDQ(operand.Imm(8), farb)
		}
		w.VMOVDQU(x, operand.Mem{Base: dst})
		w.ADDQ(operand.Imm(8), a)
		w.ADDQ(operand.Imm(8), b)
		w.ADDQ(operand.Imm(32), dst)
		w.SUBQ(operand.Imm(8), n)
		w.JNZ(operand.LabelRef(label))
		w.ret()
	}
	w.TESTQ(fara, fara)
	w.JNZ(operand.LabelRef("both"))
	turn("near", false)
	turn("both", true)
}

// spread writes a loop over eight elements, each with the one after it.
func spread(w *writer, _ asm.Kernel) {
	n, dst, src := w.arg("n"), w.arg("dst"), w.arg("src")
	add := func(name string) reg.VecVirtual {
		v := w.YMM()
		w.VPBROADCASTW(w.slot(name), v)
		return v
	}
	right, left := add("right"), add("left")
	shift := w.XMM()
	w.VMOVQ(w.slot("shift"), shift)
	a, b, p, q := w.YMM(), w.YMM(), w.YMM(), w.YMM()
	three := func(of, other, round, to reg.VecVirtual) {
		w.VPADDW(of, of, to)
		w.VPADDW(of, to, to)
		w.VPADDW(other, to, to)
		w.VPADDW(round, to, to)
		w.VPSRLW(shift, to, to)
	}
	w.Label("loop")
	w.VMOVDQU(operand.Mem{Base: src}, a)
	w.VMOVDQU(operand.Mem{Base: src, Disp: 4}, b)
	three(a, b, right, p)
	three(b, a, left, q)
	w.VPUNPCKLDQ(q, p, a)
	w.VPUNPCKHDQ(q, p, b)
	w.VPERM2I128(operand.Imm(0x20), b, a, p)
	w.VPERM2I128(operand.Imm(0x31), b, a, q)
	w.VMOVDQU(p, operand.Mem{Base: dst})
	w.VMOVDQU(q, operand.Mem{Base: dst, Disp: 32})
	w.ADDQ(operand.Imm(32), src)
	w.ADDQ(operand.Imm(64), dst)
	w.SUBQ(operand.Imm(8), n)
	w.JNZ(operand.LabelRef("loop"))
	w.ret()
}

// ycc writes the conversion from YCbCr to RGB. Factors that need more than 16 bits are split: 91881 is 1<<16 + 26345, 46802 is
// 1<<16 - 18734, 116130 is 2<<16 - 14942.
func ycc(w *writer, _ asm.Kernel) {
	n, dst, luma, chroma := w.arg("n"), w.arg("dst"), w.arg("luma"), w.arg("chroma")
	factors := func(name string, cb, cr int16) operand.Mem {
		return w.words(name, uint32(uint16(cb))|uint32(uint16(cr))<<16)
	}
	most, zero := w.YMM(), w.YMM()
	w.VMOVDQU(w.words("ycc_most", 255), most)
	w.VPXOR(zero, zero, zero)
	half := w.words("ycc_half", 1<<15)
	c, cb, cr, l := w.YMM(), w.YMM(), w.YMM(), w.YMM()
	rgb := w.ymms(3)
	w.Label("loop")
	w.VMOVDQU(operand.Mem{Base: chroma}, c)
	w.VPSUBW(w.words("ycc_zero", 0x00800080), c, c)
	w.VPMOVZXBD(operand.Mem{Base: luma}, l)
	w.VPSRAD(operand.Imm(16), c, cr)
	w.VPSLLD(operand.Imm(16), c, cb)
	w.VPSRAD(operand.Imm(16), cb, cb)
	for i, f := range []operand.Mem{factors("ycc_red", 0, 26345), factors("ycc_green", -22554, 18734), factors("ycc_blue", -14942, 0)} {
		w.VPMADDWD(f, c, rgb[i])
		w.VPADDD(half, rgb[i], rgb[i])
		w.VPSRAD(operand.Imm(16), rgb[i], rgb[i])
		w.VPADDD(l, rgb[i], rgb[i])
	}
	w.VPADDD(cr, rgb[0], rgb[0])
	w.VPSUBD(cr, rgb[1], rgb[1])
	w.VPADDD(cb, cb, cb)
	w.VPADDD(cb, rgb[2], rgb[2])
	rgb.each(func(i int) {
		w.VPMAXSD(zero, rgb[i], rgb[i])
		w.VPMINSD(most, rgb[i], rgb[i])
	})
	w.VPSLLD(operand.Imm(8), rgb[1], rgb[1])
	w.VPSLLD(operand.Imm(16), rgb[2], rgb[2])
	w.VPOR(rgb[1], rgb[0], rgb[0])
	w.VPOR(rgb[2], rgb[0], rgb[0])
	w.VPSHUFB(w.data("ycc_three", 0x04020100, 0x09080605, 0x0e0d0c0a, 0x80808080, 0x04020100, 0x09080605, 0x0e0d0c0a, 0x80808080), rgb[0], rgb[0])
	high := w.XMM()
	w.VEXTRACTI128(operand.Imm(1), rgb[0], high)
	w.VMOVDQU(rgb[0].AsX(), operand.Mem{Base: dst})
	w.VMOVDQU(high, operand.Mem{Base: dst, Disp: 12})
	w.ADDQ(operand.Imm(8), luma)
	w.ADDQ(operand.Imm(32), chroma)
	w.ADDQ(operand.Imm(24), dst)
	w.SUBQ(operand.Imm(8), n)
	w.JNZ(operand.LabelRef("loop"))
	w.ret()
}
