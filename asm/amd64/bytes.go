package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

// qgemm writes a tile of products of bytes, four at a time to a 32-bit sum. AVX2 has no such instruction: it adds pairs of
// products in 16 bits, and pairs of those in 32. 16 bits hold 2*127*128 but not 2*255*127, so A loses its 128 and gives its
// signs to B. The sums, which then start from 0, are exact either way.
//
//	acc[r][j]  row r of C, vector j
//	b[j]       four rows of B, vector j; a panel is one vector of 64 bytes or two of 32
//	x          four bytes of A[r] in all lanes
//	size       their absolute values
func qgemm(w *writer, k asm.Kernel) {
	wide := k.ISA == asm.AVX512VNNI
	v := w.vector(k.ISA)
	const group = 4 * asm.Panel // bytes of a group of a panel, and of its starts
	n := k.NR * 4 / v.bytes
	acc := make([]vecs, k.MR)
	for r := range acc {
		acc[r] = v.some(n)
	}
	steps, b := w.arg("k"), w.arg("b")
	var next reg.Register
	if k.NR > asm.Panel {
		next = w.arg("bstride")
	}
	load := func(m operand.Mem, to reg.VecVirtual) {
		if wide {
			w.VMOVDQU32(m, to)
		} else {
			w.VMOVDQU(m, to)
		}
	}
	part := func(base reg.Register, disp, j int) operand.Mem {
		m := operand.Mem{Base: base, Disp: disp + v.bytes*j%group}
		if p := v.bytes * j / group; p > 0 {
			m.Index, m.Scale = next, uint8(p)
		}
		return m
	}
	if wide {
		start := w.GP64()
		w.MOVQ(steps, start)
		w.SHLQ(operand.Imm(6), start)
		w.ADDQ(b, start)
		acc[0].each(func(j int) { load(part(start, group, j), acc[0][j]) })
		for r := 1; r < k.MR; r++ {
			acc[r].each(func(j int) { w.VMOVDQA32(acc[0][j], acc[r][j]) })
		}
	} else {
		for r := range acc {
			acc[r].each(func(j int) { w.VPXOR(acc[r][j], acc[r][j], acc[r][j]) })
		}
	}

	a, as := w.rows(w.arg("a"), w.arg("lda"), k.MR)
	bv, x := v.some(n), v.new()
	var t, ones, size reg.VecVirtual
	if !wide {
		t, ones, size = v.new(), v.new(), v.new()
		w.VMOVDQU(w.words("ones16", 1<<16|1), ones)
	}
	w.Label("loop")
	bv.each(func(j int) { load(part(b, 0, j), bv[j]) })
	for p := range k.NR / asm.Panel {
		m := operand.Mem{Base: b, Disp: ahead}
		if p > 0 {
			m.Index, m.Scale = next, uint8(p)
		}
		w.PREFETCHT0(m)
	}
	for r := range acc {
		w.VPBROADCASTD(a(r, 0), x)
		if !wide {
			w.VPXOR(w.words("signs8", 0x80808080), x, x)
			w.VPABSB(x, size)
		}
		acc[r].each(func(j int) {
			if wide {
				w.VPDPBUSD(bv[j], x, acc[r][j])
				return
			}
			w.VPSIGNB(x, bv[j], t)
			w.VPMADDUBSW(t, size, t)
			w.VPMADDWD(ones, t, t)
			w.VPADDD(t, acc[r][j], acc[r][j])
		})
	}
	for _, p := range as {
		w.ADDQ(operand.Imm(4), p)
	}
	w.ADDQ(operand.Imm(group), b)
	w.DECQ(steps)
	w.JNZ(operand.LabelRef("loop"))

	c, _ := w.rows(w.arg("c"), w.floats("ldc"), k.MR)
	for r := range acc {
		acc[r].each(func(j int) {
			if wide {
				w.VMOVDQU32(acc[r][j], c(r, v.bytes*j))
			} else {
				w.VMOVDQU(acc[r][j], c(r, v.bytes*j))
			}
		})
	}
	w.ret()
}

// quant writes the rounding of rows to bytes.
func quant(w *writer, k asm.Kernel) {
	dst, src, scale, zero := w.arg("dst"), w.arg("src"), w.arg("scale"), w.arg("zero")
	ldd, lds, four := w.arg("ldd"), w.floats("lds"), w.GP64()
	w.MOVQ(operand.U32(4), four)
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src, scale, zero}, []reg.GPVirtual{ldd, lds, four, four}, func() {
		const pairs = 2 // of vectors in a block, so that all sums and extremes stay in registers
		first, none := w.YMM(), w.YMM()
		w.VBROADCASTSS(operand.Mem{Base: src}, first)
		w.VXORPS(none, none, none)
		hi, lo, nan := w.ymms(pairs), w.ymms(pairs), r.zeros(pairs)
		hi.each(func(i int) { w.VMOVAPS(first, hi[i]) })
		lo.each(func(i int) { w.VMOVAPS(first, lo[i]) })
		r.each(func(n int, masked bool) {
			x := r.some(n)
			r.load(src, x, masked)
			if masked { // lanes past the row repeat its first value
				x.each(func(i int) {
					m := w.YMM()
					w.VMOVUPS(r.maskMem(i), m)
					w.VBLENDVPS(m, x[i], first, x[i])
				})
			}
			x.each(func(i int) { w.VMAXPS(x[i], hi[i%pairs], hi[i%pairs]) })
			x.each(func(i int) { w.VMINPS(x[i], lo[i%pairs], lo[i%pairs]) })
			x.each(func(i int) { w.VFMADD231PS(none, x[i], nan[i%pairs]) }) // NaN if x is not finite
		})
		w.VMAXPS(hi[1], hi[0], hi[0])
		w.VMINPS(lo[1], lo[0], lo[0])
		w.VADDPS(nan[1], nan[0], nan[0])
		w.reduce(hi[0], func(a, b, c operand.Op) { w.VMAXPS(a, b, c) })
		w.reduce(lo[0], func(a, b, c operand.Op) { w.VMINPS(a, b, c) })
		w.reduce(nan[0], func(a, b, c operand.Op) { w.VADDPS(a, b, c) })
		h, l, z, m, mask, inv := hi[0].AsX(), lo[0].AsX(), w.YMM(), w.YMM(), w.YMM(), w.YMM()
		half, small, most := w.f32("half", 0.5), w.f32("small", 1e-30), w.f32("most", 127)
		w.VADDSS(l, h, z.AsX())
		w.VMULSS(half, z.AsX(), z.AsX())
		w.VADDSS(nan[0].AsX(), z.AsX(), z.AsX())
		w.VSUBSS(l, h, m.AsX())
		w.VMULSS(half, m.AsX(), m.AsX())
		w.VADDSS(nan[0].AsX(), m.AsX(), m.AsX())
		w.VCMPSS(operand.Imm(5), small, m.AsX(), mask.AsX()) // not less: a NaN stays one
		w.VMOVSS(most, inv.AsX())
		w.VDIVSS(m.AsX(), inv.AsX(), inv.AsX())
		w.VANDPS(mask.AsX(), m.AsX(), m.AsX())
		w.VANDPS(mask.AsX(), inv.AsX(), inv.AsX())
		w.VDIVSS(most, m.AsX(), m.AsX())
		w.VMOVSS(m.AsX(), operand.Mem{Base: scale})
		w.VMOVSS(z.AsX(), operand.Mem{Base: zero})
		w.VBROADCASTSS(inv.AsX(), inv)
		w.VBROADCASTSS(z.AsX(), z)
		order, sign := w.YMM(), w.YMM()
		w.VMOVDQU(w.data("order", 0, 4, 1, 5, 2, 6, 3, 7), order)
		w.VMOVDQU(w.words("signs8", 0x80808080), sign)
		r.each(func(n int, masked bool) {
			x := r.some(n)
			r.load(src, x, masked)
			x.each(func(i int) { w.VSUBPS(z, x[i], x[i]) })
			if masked {
				r.clip(x)
			}
			x.each(func(i int) { w.VMULPS(inv, x[i], x[i]) })
			x.each(func(i int) { w.VCVTPS2DQ(x[i], x[i]) })
			w.VPACKSSDW(x[1], x[0], x[0])
			w.VPACKSSDW(x[3], x[2], x[2])
			w.VPACKSSWB(x[2], x[0], x[0])
			w.VPERMD(x[0], order, x[0])
			w.VPXOR(sign, x[0], x[0])
			w.VMOVDQU(x[0], operand.Mem{Base: dst, Index: r.at, Scale: 1})
		})
	})
}

// dequant writes the way from 32-bit sums back to floats, one row of 16 at a time.
func dequant(w *writer, _ asm.Kernel) {
	c, sums, row, zero := w.arg("c"), w.arg("sums"), w.arg("row"), w.arg("zero")
	ldc, lds, four := w.floats("ldc"), w.floats("lds"), w.GP64()
	column, shift, bias, acc := w.arg("column"), w.arg("shift"), w.arg("bias"), w.arg("acc")
	w.MOVQ(operand.U32(4), four)
	scale, shifts := w.ymms(2), w.ymms(2)
	scale.each(func(i int) { w.VMOVUPS(operand.Mem{Base: column, Disp: 32 * i}, scale[i]) })
	shifts.each(func(i int) { w.VMOVUPS(operand.Mem{Base: shift, Disp: 32 * i}, shifts[i]) })
	w.forRows([]reg.GPVirtual{c, sums, row, zero}, []reg.GPVirtual{ldc, lds, four, four}, func() {
		y, t, s, z := w.ymms(2), w.ymms(2), w.YMM(), w.YMM()
		w.VBROADCASTSS(operand.Mem{Base: row}, s)
		w.VBROADCASTSS(operand.Mem{Base: zero}, z)
		y.each(func(i int) { w.VCVTDQ2PS(operand.Mem{Base: sums, Disp: 32 * i}, y[i]) })
		y.each(func(i int) { w.VMULPS(s, y[i], y[i]) })
		t.each(func(i int) { w.VMULPS(z, shifts[i], t[i]) })
		y.each(func(i int) { w.VMULPS(scale[i], y[i], y[i]) })
		y.each(func(i int) { w.VADDPS(t[i], y[i], y[i]) })
		plain, alone := w.label("plain"), w.label("alone")
		w.TESTQ(bias, bias)
		w.JZ(operand.LabelRef(plain))
		y.each(func(i int) { w.VADDPS(operand.Mem{Base: bias, Disp: 32 * i}, y[i], y[i]) })
		w.Label(plain)
		w.TESTQ(acc, acc)
		w.JZ(operand.LabelRef(alone))
		y.each(func(i int) { w.VADDPS(operand.Mem{Base: c, Disp: 32 * i}, y[i], y[i]) })
		w.Label(alone)
		y.each(func(i int) { w.VMOVUPS(y[i], operand.Mem{Base: c, Disp: 32 * i}) })
	})
}
