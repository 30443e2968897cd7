package amd64

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpLayerNorm] = layerNorm
	generators[asm.OpGelu] = gelu
	generators[asm.OpGeluTanh] = sigmoidGelu
	generators[asm.OpQuickGelu] = sigmoidGelu
	generators[asm.OpAdd] = combine
	generators[asm.OpMul] = combine
}

// block is the number of floats that kernels of rows take at a time: four vectors, or two wide ones. The rest of a row takes
// masked vectors. So element i is added in lane i%32, whatever the length of the row: all levels add in the same order.
const block = 32

// row writes loops over the blocks of a row: 32 floats each, and masked vectors for the rest.
type row struct {
	vector
	w      *writer
	chains int                 // vectors in a block
	n      reg.GPVirtual       // floats in whole blocks
	rest   reg.GPVirtual       // floats after them, 0..31
	mask   reg.GPVirtual       // address of the four masks of the rest
	keep   []reg.OpmaskVirtual // the masks of the rest, if vectors are wide
	at     reg.GPVirtual       // floats of the row that are done
}

// newRow splits the argument n, the length of a row, into whole blocks and a rest.
func newRow(w *writer, k asm.Kernel) *row {
	v := w.vector(k.ISA)
	r := &row{vector: v, w: w, chains: 4 * block / v.bytes, n: w.arg("n"), rest: w.GP64(), mask: w.GP64(), at: w.GP64()}
	w.holds("floats after whole blocks", r.rest)
	w.holds("masks of the rest", r.mask)
	w.holds("floats done in the row", r.at)
	w.MOVQ(r.n, r.rest)
	w.ANDQ(operand.Imm(block-1), r.rest)
	w.SUBQ(r.rest, r.n)
	if v.wide() {
		table := make([]uint32, block)
		for i := range table {
			table[i] = 1<<i - 1
		}
		w.LEAQ(w.data("keep", table...), r.mask)
		for i := range r.chains {
			r.keep = append(r.keep, w.K())
			w.KMOVW(operand.Mem{Base: r.mask, Index: r.rest, Scale: 4, Disp: 2 * i}, r.keep[i])
		}
		return r
	}
	// Vector i of the rest has lanes l with 8i+l < rest: their masks are 32 words from table + 4*(32-rest) on.
	o := w.GP64()
	w.LEAQ(w.masks(), r.mask)
	w.MOVQ(r.rest, o)
	w.NEGQ(o)
	w.LEAQ(operand.Mem{Base: r.mask, Index: o, Scale: 4, Disp: 4 * block}, r.mask)
	return r
}

// masks returns a table of 32 words with all bits set, then 32 words of zeros.
func (w *writer) masks() operand.Mem {
	table := make([]uint32, 2*block)
	for i := range block {
		table[i] = math.MaxUint32
	}
	return w.data("masks", table...)
}

// each writes a loop over the row: it calls f to write the code for a whole block of n vectors, and again for the rest, with
// masks. If vectors are wide, the code has a case for a rest that fits one vector.
func (r *row) each(f func(n int, masked bool)) {
	w := r.w
	test, loop, done := w.label("test"), w.label("loop"), w.label("done")
	w.XORQ(r.at, r.at)
	w.JMP(operand.LabelRef(test))
	w.Label(loop)
	f(r.chains, false)
	w.ADDQ(operand.Imm(block), r.at)
	w.Label(test)
	w.CMPQ(r.at, r.n)
	w.JLT(operand.LabelRef(loop))
	w.TESTQ(r.rest, r.rest)
	w.JZ(operand.LabelRef(done))
	if r.wide() {
		both := w.label("both")
		w.CMPQ(r.rest, operand.Imm(16))
		w.JGT(operand.LabelRef(both))
		f(1, true)
		w.JMP(operand.LabelRef(done))
		w.Label(both)
	}
	f(r.chains, true)
	w.Label(done)
}

// mem returns the memory operand of vector i of the current block in the row at p.
func (r *row) mem(p reg.Register, i int) operand.Mem {
	return operand.Mem{Base: p, Index: r.at, Scale: 4, Disp: r.bytes * i}
}

func (r *row) maskMem(i int) operand.Mem { return operand.Mem{Base: r.mask, Disp: 32 * i} }

// load writes code that loads the current block of the row at p into v. If masked, floats past the row are not read, and
// their lanes become zero.
func (r *row) load(p reg.Register, v vecs, masked bool) {
	w := r.w
	v.each(func(i int) {
		switch {
		case !masked:
			w.VMOVUPS(r.mem(p, i), v[i])
		case r.wide():
			w.VMOVUPS_Z(r.mem(p, i), r.keep[i], v[i])
		default:
			w.VMOVUPS(r.maskMem(i), v[i])
			w.VMASKMOVPS(r.mem(p, i), v[i], v[i])
		}
	})
}

// clip writes code that sets the lanes of v past the end of the row to zero; v is the row's last block.
func (r *row) clip(v vecs) {
	v.each(func(i int) {
		if r.wide() {
			r.w.VMOVAPS_Z(v[i], r.keep[i], v[i])
		} else {
			r.w.VANDPS(r.maskMem(i), v[i], v[i])
		}
	})
}

// store writes code that stores v as the current block of the row at p. If masked, it stores only the floats inside the
// row. Masked stores are slow in AVX2, so there only the vector that contains the end of the row is masked. The mask takes
// another register.
func (r *row) store(p reg.Register, v vecs, masked bool) {
	w := r.w
	if !masked {
		v.each(func(i int) { w.VMOVUPS(v[i], r.mem(p, i)) })
		return
	}
	if r.wide() {
		v.each(func(i int) { w.VMOVUPS(v[i], r.keep[i], r.mem(p, i)) })
		return
	}
	done := w.label("stored")
	cut := make([]string, len(v))
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

// spread returns a new register with lane 0 of v in all lanes.
func (r *row) spread(v reg.VecVirtual) reg.VecVirtual {
	all := r.new()
	r.w.VBROADCASTSS(v.AsX(), all)
	return all
}

// sum adds up the 32 lanes of v, partial sums of a row, into lane 0 of the register that it returns. It clobbers v.
func (w *writer) sum(v vecs) reg.VecVirtual {
	v = w.halves(v)
	w.VADDPS(v[1], v[0], v[0])
	w.VADDPS(v[3], v[2], v[2])
	w.VADDPS(v[2], v[0], v[0])
	w.reduce(v[0], func(a, b, c operand.Op) { w.VADDPS(a, b, c) })
	return v[0]
}

// forRows writes a loop over the rows: f writes the code for one row, after which each pointer advances by its stride.
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

// layerNorm writes layer normalisation in two passes: the mean of a row, then its variance around the mean.
func layerNorm(w *writer, k asm.Kernel) {
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	gain, bias := w.arg("gain"), w.arg("bias")
	count := w.YMM()
	w.VXORPS(count, count, count)
	w.VCVTSI2SSQ(w.arg("n"), count.AsX(), count.AsX())
	eps, _ := w.Param("eps").Resolve()
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		mean, scale := r.moments(src, count, eps.Addr, func(vecs, bool) {})
		norm := func(affine bool) {
			r.each(func(n int, masked bool) {
				x := r.normed(src, mean, scale, n, masked)
				if affine {
					r.affine(x, gain, bias, masked)
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

// moments returns registers with the mean of the row at src and with 1/sqrt(variance+eps), in all lanes. see may add code
// for each block that is read for the variance.
func (r *row) moments(src reg.Register, count reg.VecVirtual, eps operand.Op, see func(x vecs, masked bool)) (mean, scale reg.VecVirtual) {
	w := r.w
	s := w.hold("partial sums", r.zeros(r.chains))
	r.each(func(n int, masked bool) {
		if !masked {
			s[:n].each(func(i int) { w.VADDPS(r.mem(src, i), s[i], s[i]) })
			return
		}
		x := r.some(n)
		r.load(src, x, true)
		x.each(func(i int) { w.VADDPS(x[i], s[i], s[i]) })
	})
	m := w.sum(s)
	w.VDIVSS(count.AsX(), m.AsX(), m.AsX())
	mean = r.spread(m)
	w.holds("mean", mean)

	q := w.hold("partial sums of squares", r.zeros(r.chains))
	r.each(func(n int, masked bool) {
		x := r.some(n)
		r.load(src, x, masked)
		see(x, masked)
		x.each(func(i int) { w.VSUBPS(mean, x[i], x[i]) })
		if masked {
			r.clip(x)
		}
		x.each(func(i int) { w.VFMADD231PS(x[i], x[i], q[i]) })
	})
	d := w.sum(q)
	w.VDIVSS(count.AsX(), d.AsX(), d.AsX())
	w.VADDSS(eps, d.AsX(), d.AsX())
	w.VSQRTSS(d.AsX(), d.AsX(), d.AsX())
	one := w.YMM()
	w.VMOVUPS(w.f32("one", 1), one)
	w.VDIVSS(d.AsX(), one.AsX(), d.AsX())
	scale = r.spread(d)
	w.holds("1/sqrt(variance+eps)", scale)
	return mean, scale
}

// normed returns registers with (x - mean) * scale, for the current block x of the row at src.
func (r *row) normed(src reg.Register, mean, scale reg.VecVirtual, n int, masked bool) vecs {
	x := r.w.hold("the block", r.some(n))
	r.load(src, x, masked)
	x.each(func(i int) { r.w.VSUBPS(mean, x[i], x[i]) })
	x.each(func(i int) { r.w.VMULPS(scale, x[i], x[i]) })
	return x
}

// affine writes x = x*gain + bias for the current block x; gain and bias are addresses of vectors as long as a row.
func (r *row) affine(x vecs, gain, bias reg.Register, masked bool) {
	g, b := r.w.hold("gain", r.some(len(x))), r.w.hold("bias", r.some(len(x)))
	r.load(gain, g, masked)
	r.load(bias, b, masked)
	x.each(func(i int) { r.w.VFMADD213PS(b[i], g[i], x[i]) })
}

// gelu writes max(x,0) - |x|/2 * erfc(|x|/sqrt2), with erfc(u/sqrt2) = 2^(u*P(u)) and u at most 6. MINPS and
// MAXPS return the second operand if one is a NaN: the order of operands here lets a NaN through.
func gelu(w *writer, k asm.Kernel) {
	v := w.vector(k.ISA)
	abs, top := w.lanes(v, "abs", 0x7fffffff), w.num(v, "six", 6)
	half, cs := w.num(v, "half", 0.5), w.coefs(v, "gelu", asm.GeluCoef())
	exp2 := newExp2(w, v)
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		r.each(func(n int, masked bool) {
			u, q, zero := w.hold("u = |x|", r.some(n)), w.hold("u*P(u)", r.some(n)), r.new()
			r.load(src, u, masked)
			u.each(func(i int) { r.and(abs, u[i], u[i]) })
			u.each(func(i int) { w.VMINPS(top, u[i], u[i]) })
			last := len(cs) - 1
			q.each(func(i int) { w.VMOVUPS(cs[last], q[i]) })
			w.horner(q, u, cs[:last])
			q.each(func(i int) { w.VMULPS(u[i], q[i], q[i]) })
			e := exp2(q)
			// x is read again, so that it needs no registers in between.
			x := w.hold("x", r.some(n))
			u = w.hold("u/2", r.some(n))
			r.load(src, x, masked)
			r.zero(zero)
			u.each(func(i int) { r.and(abs, x[i], u[i]) })
			u.each(func(i int) { w.VMINPS(top, u[i], u[i]) })
			u.each(func(i int) { w.VMULPS(half, u[i], u[i]) })
			x.each(func(i int) { w.VMAXPS(x[i], zero, x[i]) })
			x.each(func(i int) { w.VFNMADD231PS(e[i], u[i], x[i]) })
			r.store(dst, x, masked)
		})
	})
}

// sigmoidGelu writes x/(1+2^y) with y = x*P(x^2), for the ops of asm.SigmoidGelu. MINPS and MAXPS return the second operand if
// one is a NaN: the order of operands here lets a NaN in x through.
func sigmoidGelu(w *writer, k asm.Kernel) {
	v := w.vector(k.ISA)
	coef, least := asm.SigmoidGelu(k.Op)
	cs, one, bottom := w.coefs(v, string(k.Op), coef), w.num(v, "one", 1), w.num(v, "exp2min", -125)
	low := v.new()
	w.holds("the least x", low)
	w.VBROADCASTSS(w.f32(string(k.Op)+"low", least), low)
	exp2 := newExp2(w, v)
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		r.each(func(n int, masked bool) {
			x, y := w.hold("x", r.some(n)), w.hold("y", r.some(n))
			r.load(src, x, masked)
			x.each(func(i int) { w.VMAXPS(x[i], low, x[i]) })
			last := len(cs) - 1
			y.each(func(i int) { w.VMOVUPS(cs[last], y[i]) })
			if last > 0 {
				square := w.hold("x^2", r.some(n))
				square.each(func(i int) { w.VMULPS(x[i], x[i], square[i]) })
				w.horner(y, square, cs[:last])
			}
			y.each(func(i int) { w.VMULPS(x[i], y[i], y[i]) })
			y.each(func(i int) { w.VMAXPS(bottom, y[i], y[i]) })
			e := exp2(y)
			e.each(func(i int) { w.VADDPS(one, e[i], e[i]) })
			// x is read again, so that it needs no registers in between.
			x = w.hold("x", r.some(n))
			r.load(src, x, masked)
			x.each(func(i int) { w.VMAXPS(x[i], low, x[i]) })
			x.each(func(i int) { w.VDIVPS(e[i], x[i], x[i]) })
			r.store(dst, x, masked)
		})
	})
}

// combine writes dst += src, or dst *= src for k.Op asm.OpMul, for each row.
func combine(w *writer, k asm.Kernel) {
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.floats("ldd"), w.floats("lds")
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		r.each(func(n int, masked bool) {
			x, y := w.hold("block of dst", r.some(n)), w.hold("block of src", r.some(n))
			r.load(dst, x, masked)
			r.load(src, y, masked)
			x.each(func(i int) {
				if k.Op == asm.OpMul {
					w.VMULPS(y[i], x[i], x[i])
				} else {
					w.VADDPS(y[i], x[i], x[i])
				}
			})
			r.store(dst, x, masked)
		})
	})
}
