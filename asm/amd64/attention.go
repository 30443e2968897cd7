package amd64

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpSoftmax] = softmax
	generators[asm.OpScaleRows] = scaleRows
	generators[asm.OpPackKeys] = packKeys
}

// newExp2 writes the loads of constants and returns a function that writes 2^y for -126 < y < 128: y is split into the
// nearest integer, which is added to the exponent, and a fraction, which goes into a polynomial. The code clobbers y. A NaN
// stays a NaN.
func newExp2(w *writer, v vector) func(y vecs) vecs {
	cs := append([]operand.Op{w.num(v, "one", 1)}, w.coefs(v, "exp", asm.Exp2Coef())...)
	last := len(cs) - 1
	return func(y vecs) vecs {
		n, p := w.hold("integers of exp2", v.some(len(y))), w.hold("powers", v.some(len(y)))
		y.each(func(i int) {
			if v.wide() {
				w.VRNDSCALEPS(operand.Imm(8), y[i], n[i])
			} else {
				w.VROUNDPS(operand.Imm(8), y[i], n[i]) // to nearest even, no exception
			}
		})
		y.each(func(i int) { w.VSUBPS(n[i], y[i], y[i]) })
		if v.wide() {
			y.each(func(i int) { w.VMOVAPS(cs[last], p[i]) })
			w.horner(p, y, cs[:last])
			y.each(func(i int) { w.VSCALEFPS(n[i], p[i], p[i]) })
			return p
		}
		y.each(func(i int) { w.VMOVUPS(cs[last], p[i]) })
		w.horner(p, y, cs[:last])
		y.each(func(i int) { w.VCVTPS2DQ(n[i], n[i]) })
		y.each(func(i int) { w.VPSLLD(operand.Imm(23), n[i], n[i]) })
		y.each(func(i int) { w.VPADDD(n[i], p[i], p[i]) })
		return p
	}
}

// softmax writes, for each row: find the maximum m; replace each x by 2^(x-m) and sum these powers; store 1/sum.
func softmax(w *writer, k asm.Kernel) {
	x, ld := w.arg("x"), w.floats("ld")
	inv, word := w.arg("inv"), w.GP64()
	w.MOVQ(operand.U32(4), word)
	r := newRow(w, k)
	low := r.new()
	w.VBROADCASTSS(w.f32("exp2min", -125), low)
	exp2 := newExp2(w, r.vector)
	w.forRows([]reg.GPVirtual{x, inv}, []reg.GPVirtual{ld, word}, func() {
		m := w.hold("maxima", r.some(r.chains))
		m.each(func(i int) { w.VBROADCASTSS(w.f32("neginf", math.Inf(-1)), m[i]) })
		r.each(func(n int, masked bool) {
			m[:n].each(func(i int) {
				switch {
				case !masked:
					w.VMAXPS(r.mem(x, i), m[i], m[i])
				case r.wide():
					w.VMAXPS(r.mem(x, i), m[i], r.keep[i], m[i])
				default:
					// Rows of x have room for whole panels of 16 floats, while a block has 32: a load of the whole block
					// could leave the buffer.
					v, keep := w.YMM(), w.YMM()
					w.VMOVUPS(r.maskMem(i), keep)
					w.VMASKMOVPS(r.mem(x, i), keep, v)
					w.VBLENDVPS(keep, v, m[i], v)
					w.VMAXPS(v, m[i], m[i])
				}
			})
		})
		max := func(a, b, c operand.Op) { w.VMAXPS(a, b, c) }
		m = w.halves(m)
		max(m[1], m[0], m[0])
		max(m[3], m[2], m[2])
		max(m[2], m[0], m[0])
		w.reduce(m[0], max)
		top := r.spread(m[0])

		w.holds("the maximum", top)
		sum := w.YMM()
		w.holds("sums of the powers", sum)
		w.VXORPS(sum, sum, sum)
		r.each(func(n int, masked bool) {
			y := w.hold("the block", r.some(n))
			r.load(x, y, masked)
			y.each(func(i int) { w.VSUBPS(top, y[i], y[i]) })
			y.each(func(i int) { w.VMAXPS(y[i], low, y[i]) }) // a NaN in y stays
			e := exp2(y)
			if masked {
				r.clip(e)
			}
			switch {
			case !masked || r.wide():
				r.store(x, e, false)
			default:
				w.VMOVUPS(e[0], r.mem(x, 0))
				w.VMOVUPS(e[1], r.mem(x, 1))
				w.CMPQ(r.rest, operand.Imm(asm.Panel))
				w.JLE(operand.LabelRef("narrow"))
				w.VMOVUPS(e[2], r.mem(x, 2))
				w.VMOVUPS(e[3], r.mem(x, 3))
				w.Label("narrow")
			}
			e = w.halves(e)
			for i := 0; i < len(e); i += 2 {
				w.VADDPS(e[i+1], e[i], e[i])
			}
			if len(e) > 2 {
				w.VADDPS(e[2], e[0], e[0])
			}
			w.VADDPS(e[0], sum, sum)
		})
		w.reduce(sum, func(a, b, c operand.Op) { w.VADDPS(a, b, c) })
		one := w.YMM()
		w.VMOVUPS(w.f32("one", 1), one)
		w.VDIVSS(sum.AsX(), one.AsX(), one.AsX())
		w.VMOVSS(one.AsX(), operand.Mem{Base: inv})
	})
}

// scaleRows writes dst = src*s for each row, where s has one factor for each row.
func scaleRows(w *writer, k asm.Kernel) {
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	s, word := w.arg("s"), w.GP64()
	w.MOVQ(operand.U32(4), word)
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src, s}, []reg.GPVirtual{ldd, lds, word}, func() {
		scale := r.new()
		w.VBROADCASTSS(operand.Mem{Base: s}, scale)
		w.holds("the factor", scale)
		r.each(func(n int, masked bool) {
			x := w.hold("the block", r.some(n))
			r.load(src, x, masked)
			x.each(func(i int) { w.VMULPS(scale, x[i], x[i]) })
			r.store(dst, x, masked)
		})
	})
}

// packKeys writes the transposition of up to 16 rows into a panel [k][16], eight rows and eight k at a time.
func packKeys(w *writer, _ asm.Kernel) {
	for half := range 2 {
		packHalf(w, half)
	}
	w.ret()
}

// packHalf transposes rows from 8*half on into the panel's columns from 8*half on. Where src has fewer rows, it reads an
// earlier row again and clears the columns with a mask.
func packHalf(w *writer, half int) {
	src, lds := w.arg("src"), w.floats("lds")
	dst, k := w.arg("dst"), w.arg("k")
	rows, zero := w.arg("rows"), w.GP64()
	var row [8]reg.Register
	row[0] = src
	if half > 0 {
		w.SUBQ(operand.Imm(uint64(8*half)), rows)
		w.MOVQ(lds, zero)
		w.SHLQ(operand.Imm(3), zero)
		w.ADDQ(src, zero)
		w.TESTQ(rows, rows)
		w.CMOVQGT(zero, src)
		w.ADDQ(operand.Imm(uint64(32*half)), dst)
	}
	for i := 1; i < 8; i++ {
		row[i] = w.GP64()
		w.holds(fmt.Sprintf("row %d", 8*half+i), row[i])
		w.XORQ(zero, zero)
		w.CMPQ(rows, operand.Imm(uint64(i)))
		w.CMOVQGT(lds, zero)
		w.LEAQ(operand.Mem{Base: row[i-1], Index: zero, Scale: 1}, row[i])
	}

	// keep has ones in the lanes l < rows. The table has 32 words of ones, then 32 of zeros.
	limit, keep := w.GP64(), w.YMM()
	w.holds("mask of the rows that exist", keep)
	table := w.masks()
	w.XORQ(zero, zero)
	w.TESTQ(rows, rows)
	w.CMOVQLT(zero, rows)
	w.MOVQ(operand.U32(8), limit)
	w.CMPQ(rows, limit)
	w.CMOVQGT(limit, rows)
	w.NEGQ(rows)
	w.LEAQ(table, limit)
	w.VMOVUPS(operand.Mem{Base: limit, Index: rows, Scale: 4, Disp: 4 * block}, keep)

	o := w.GP64()
	w.XORQ(o, o)
	loop, tail, done := w.label("loop"), w.label("tail"), w.label("done")
	w.SUBQ(operand.Imm(8), k)
	w.JL(operand.LabelRef(tail))
	w.Label(loop)
	t := transpose8(w, keep, func(i int, v reg.VecVirtual) {
		w.VMOVUPS(operand.Mem{Base: row[i], Index: o, Scale: 1}, v)
	})
	for i, v := range t {
		w.VMOVUPS(v, operand.Mem{Base: dst, Disp: 4 * asm.Panel * i})
	}
	w.ADDQ(operand.Imm(32), o)
	w.ADDQ(operand.I32(8*4*asm.Panel), dst)
	w.SUBQ(operand.Imm(8), k)
	w.JGE(operand.LabelRef(loop))

	w.Label(tail)
	w.ADDQ(operand.Imm(8), k)
	w.JZ(operand.LabelRef(done))
	w.MOVQ(k, rows)
	w.NEGQ(rows)
	t = transpose8(w, keep, func(i int, v reg.VecVirtual) {
		w.VMOVUPS(operand.Mem{Base: limit, Index: rows, Scale: 4, Disp: 4 * block}, v)
		w.VMASKMOVPS(operand.Mem{Base: row[i], Index: o, Scale: 1}, v, v)
	})
	for i, v := range t[:7] {
		w.VMOVUPS(v, operand.Mem{Base: dst, Disp: 4 * asm.Panel * i})
		w.CMPQ(k, operand.Imm(uint64(i+1)))
		w.JEQ(operand.LabelRef(done))
	}
	w.Label(done)
}

// transpose8 returns the columns of an 8x8 block of float32, each ANDed with keep. load(i, v) writes the load of row i into
// v.
func transpose8(w *writer, keep reg.VecVirtual, load func(i int, v reg.VecVirtual)) (cols vecs) {
	// Rows i and i+4 share a vector, so that every later shuffle stays within its half: first columns 0 to 3, then 4 to 7.
	var q [2]vecs
	for i := range 4 {
		a, b, lo, hi := w.YMM(), w.YMM(), w.YMM(), w.YMM()
		w.holds(fmt.Sprintf("columns of rows %d and %d", i, i+4), lo, hi)
		load(i, a)
		load(i+4, b)
		w.VINSERTF128(operand.Imm(1), b.AsX(), a, lo)
		w.VPERM2F128(operand.Imm(0x31), b, a, hi)
		q[0], q[1] = append(q[0], lo), append(q[1], hi)
	}
	for _, q := range q {
		t, c := w.ymms(4), w.ymms(4)
		w.VUNPCKLPS(q[1], q[0], t[0])
		w.VUNPCKHPS(q[1], q[0], t[1])
		w.VUNPCKLPS(q[3], q[2], t[2])
		w.VUNPCKHPS(q[3], q[2], t[3])
		w.VSHUFPS(operand.Imm(0x44), t[2], t[0], c[0])
		w.VSHUFPS(operand.Imm(0xee), t[2], t[0], c[1])
		w.VSHUFPS(operand.Imm(0x44), t[3], t[1], c[2])
		w.VSHUFPS(operand.Imm(0xee), t[3], t[1], c[3])
		c.each(func(i int) { w.VANDPS(keep, c[i], c[i]) })
		cols = append(cols, c...)
	}
	return cols
}
