package amd64

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

// A row is taken 32 floats at a time, four vectors side by side, and what is left by four masked vectors. So element i is
// summed in lane i%32, whatever the length of the row: the order of a row's sum is part of what kernels of all levels keep.
const (
	chains = 4
	block  = 8 * chains
)

// row says how to walk the rows of one or two matrices.
type row struct {
	w    *writer
	n    reg.GPVirtual // floats in whole blocks
	rest reg.GPVirtual // floats after them, 0..31
	mask reg.GPVirtual // address of the four masks of the rest
	at   reg.GPVirtual // floats done in the row at hand
}

// newRow splits the argument n.
func newRow(w *writer) *row {
	r := &row{w: w, n: w.arg("n"), rest: w.GP64(), mask: w.GP64(), at: w.GP64()}
	w.MOVQ(r.n, r.rest)
	w.ANDQ(operand.Imm(block-1), r.rest)
	w.SUBQ(r.rest, r.n)
	// Vector i of the rest keeps lanes l with 8i+l < rest: 32 words from table + 4*(32-rest).
	o := w.GP64()
	w.LEAQ(w.masks(), r.mask)
	w.MOVQ(r.rest, o)
	w.NEGQ(o)
	w.LEAQ(operand.Mem{Base: r.mask, Index: o, Scale: 4, Disp: 4 * block}, r.mask)
	return r
}

// masks is a table of 32 words of ones, then 32 of zeros.
func (w *writer) masks() operand.Mem {
	table := make([]uint32, 2*block)
	for i := range block {
		table[i] = math.MaxUint32
	}
	return w.data("masks", table...)
}

// each calls f to write the code of a whole block, and again for the masked one. In between the code loops over the row.
func (r *row) each(f func(masked bool)) {
	w := r.w
	test, loop, done := w.label("test"), w.label("loop"), w.label("done")
	w.XORQ(r.at, r.at)
	w.JMP(operand.LabelRef(test))
	w.Label(loop)
	f(false)
	w.ADDQ(operand.Imm(block), r.at)
	w.Label(test)
	w.CMPQ(r.at, r.n)
	w.JLT(operand.LabelRef(loop))
	w.TESTQ(r.rest, r.rest)
	w.JZ(operand.LabelRef(done))
	f(true)
	w.Label(done)
}

// mem is vector i of the block at hand in the row at p.
func (r *row) mem(p reg.Register, i int) operand.Mem {
	return operand.Mem{Base: p, Index: r.at, Scale: 4, Disp: 32 * i}
}

func (r *row) maskMem(i int) operand.Mem { return operand.Mem{Base: r.mask, Disp: 32 * i} }

// load reads the block at hand; lanes past the row are zero and not read.
func (r *row) load(p reg.Register, v vecs, masked bool) {
	v.each(func(i int) {
		if masked {
			r.w.VMOVUPS(r.maskMem(i), v[i])
			r.w.VMASKMOVPS(r.mem(p, i), v[i], v[i])
		} else {
			r.w.VMOVUPS(r.mem(p, i), v[i])
		}
	})
}

// and clears the lanes past the row.
func (r *row) and(v vecs) {
	v.each(func(i int) { r.w.VANDPS(r.maskMem(i), v[i], v[i]) })
}

// store writes the block at hand and nothing past the row. Masked stores are slow, so only the vector that the row's end
// cuts is stored so. One vector is lost to the mask.
func (r *row) store(p reg.Register, v vecs, masked bool) {
	w := r.w
	if !masked {
		v.each(func(i int) { w.VMOVUPS(v[i], r.mem(p, i)) })
		return
	}
	done := w.label("stored")
	var cut [chains]string
	for i := range v {
		cut[i] = w.label("cut")
		w.CMPQ(r.rest, operand.Imm(uint64(8*(i+1))))
		w.JLT(operand.LabelRef(cut[i]))
		w.VMOVUPS(v[i], r.mem(p, i))
	}
	w.JMP(operand.LabelRef(done)) // not taken: rest < 32
	for i := range v {
		w.Label(cut[i])
		m := w.YMM()
		w.VMOVUPS(r.maskMem(i), m)
		w.VMASKMOVPS(v[i], m, r.mem(p, i))
		w.JMP(operand.LabelRef(done))
	}
	w.Label(done)
}

// sum adds four vectors of partial sums up; the sum is in lane 0 of the first.
func (w *writer) sum(v vecs) reg.VecVirtual {
	w.VADDPS(v[1], v[0], v[0])
	w.VADDPS(v[3], v[2], v[2])
	w.VADDPS(v[2], v[0], v[0])
	w.reduce(v[0], func(a, b, c operand.Op) { w.VADDPS(a, b, c) })
	return v[0]
}

// forRows calls f to write the code of one row; the code loops over the rows and moves each pointer by its stride.
func (w *writer) forRows(ptr, stride []reg.GPVirtual, f func()) {
	rows := w.arg("rows")
	w.TESTQ(rows, rows)
	w.JLE(operand.LabelRef("return"))
	w.Label("row")
	f()
	for i := range ptr {
		w.ADDQ(stride[i], ptr[i])
	}
	w.DECQ(rows)
	w.JNZ(operand.LabelRef("row"))
	w.Label("return")
	w.ret()
}

// layerNorm writes two-pass layer normalisation.
func layerNorm(w *writer, _ asm.Kernel) {
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	gain, bias := w.arg("gain"), w.arg("bias")
	count := w.YMM()
	w.VXORPS(count, count, count)
	w.VCVTSI2SSQ(w.arg("n"), count.AsX(), count.AsX())
	eps, _ := w.Param("eps").Resolve()
	r := newRow(w)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		s := w.zeros(chains)
		r.each(func(masked bool) {
			if !masked {
				s.each(func(i int) { w.VADDPS(r.mem(src, i), s[i], s[i]) })
				return
			}
			x := w.ymms(chains)
			r.load(src, x, true)
			s.each(func(i int) { w.VADDPS(x[i], s[i], s[i]) })
		})
		mean := w.sum(s)
		w.VDIVSS(count.AsX(), mean.AsX(), mean.AsX())
		w.VBROADCASTSS(mean.AsX(), mean)

		q := w.zeros(chains)
		r.each(func(masked bool) {
			x := w.ymms(chains)
			r.load(src, x, masked)
			x.each(func(i int) { w.VSUBPS(mean, x[i], x[i]) })
			if masked {
				r.and(x)
			}
			x.each(func(i int) { w.VFMADD231PS(x[i], x[i], q[i]) })
		})
		scale := w.sum(q)
		w.VDIVSS(count.AsX(), scale.AsX(), scale.AsX())
		w.VADDSS(eps.Addr, scale.AsX(), scale.AsX())
		w.VSQRTSS(scale.AsX(), scale.AsX(), scale.AsX())
		one := w.YMM()
		w.VMOVUPS(w.f32("one", 1), one)
		w.VDIVSS(scale.AsX(), one.AsX(), scale.AsX())
		w.VBROADCASTSS(scale.AsX(), scale)

		norm := func(affine bool) {
			r.each(func(masked bool) {
				x := w.ymms(chains)
				r.load(src, x, masked)
				x.each(func(i int) { w.VSUBPS(mean, x[i], x[i]) })
				x.each(func(i int) { w.VMULPS(scale, x[i], x[i]) })
				if affine {
					g, b := w.ymms(chains), w.ymms(chains)
					r.load(gain, g, masked)
					r.load(bias, b, masked)
					x.each(func(i int) { w.VFMADD213PS(b[i], g[i], x[i]) })
				}
				r.store(dst, x, masked)
			})
		}
		w.TESTQ(gain, gain)
		w.JZ(operand.LabelRef("bare"))
		norm(true)
		w.JMP(operand.LabelRef("next"))
		w.Label("bare")
		norm(false)
		w.Label("next")
	})
}

// gelu writes max(x,0) - |x|/2 * erfc(|x|/sqrt2), with erfc(u/sqrt2) = 2^(u*P(u)) and u at most 6. Of min and max, the
// CPU returns the second operand if one is not a number: the order of operands here lets a NaN through.
func gelu(w *writer, _ asm.Kernel) {
	abs, top := w.words("abs", 0x7fffffff), w.f32("six", 6)
	half, cs := w.f32("half", 0.5), w.coefs("gelu", asm.GeluCoef())
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	r := newRow(w)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		r.each(func(masked bool) {
			u, q, zero := w.ymms(chains), w.ymms(chains), w.YMM()
			r.load(src, u, masked)
			u.each(func(i int) { w.VANDPS(abs, u[i], u[i]) })
			u.each(func(i int) { w.VMINPS(top, u[i], u[i]) })
			last := len(cs) - 1
			q.each(func(i int) { w.VMOVUPS(cs[last], q[i]) })
			w.horner(q, u, cs[:last])
			q.each(func(i int) { w.VMULPS(u[i], q[i], q[i]) })
			e := w.exp2(q)
			// x is read again: it need not stay in registers meanwhile.
			x := w.ymms(chains)
			u = w.ymms(chains)
			r.load(src, x, masked)
			w.VXORPS(zero, zero, zero)
			u.each(func(i int) { w.VANDPS(abs, x[i], u[i]) })
			u.each(func(i int) { w.VMINPS(top, u[i], u[i]) })
			u.each(func(i int) { w.VMULPS(half, u[i], u[i]) })
			x.each(func(i int) { w.VMAXPS(x[i], zero, x[i]) })
			x.each(func(i int) { w.VFNMADD231PS(e[i], u[i], x[i]) })
			r.store(dst, x, masked)
		})
	})
}

// add writes dst += src.
func add(w *writer, _ asm.Kernel) {
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	r := newRow(w)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		r.each(func(masked bool) {
			x, y := w.ymms(chains), w.ymms(chains)
			r.load(dst, x, masked)
			r.load(src, y, masked)
			x.each(func(i int) { w.VADDPS(y[i], x[i], x[i]) })
			r.store(dst, x, masked)
		})
	})
}
