package arm64

import (
	"math"

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

// Kernels of rows take a block of 32 floats at a time. The rest of a row is a block whose missing lanes are zero. So element i is
// added in lane i%32, whatever the length of the row: all levels add in the same order.
const (
	chains = 8          // vectors of a block
	block  = 4 * chains // floats
)

// Registers that the code of row uses, beside those of its callers.
const (
	rowBlocks = R(19) // whole blocks of a row
	rowRest   = R(20) // floats after them, 0..31
	rowFours  = R(21) // bytes in whole vectors of the rest
	rowOdd    = R(22) // floats after the whole vectors, 0..3
	rowMask   = R(23) // address of the eight masks of the rest
	rowLeft   = R(24) // blocks to go in the current row
	rowSpare  = R(25)
	rowCut    = V(31) // the vector that the end of the row falls into
)

// row writes loops over the blocks of a row: 32 floats each, and a masked block for the rest.
type row struct{ w *writer }

// newRow splits the argument n, the length of a row, into whole blocks and a rest.
func newRow(w *writer) row {
	w.holds("n, then whole blocks of a row", rowBlocks)
	w.holds("floats after the blocks", rowRest)
	w.holds("bytes in whole vectors of the rest", rowFours)
	w.holds("floats after the whole vectors", rowOdd)
	w.holds("address of the masks of the rest", rowMask)
	w.holds("blocks to go", rowLeft)
	w.holds("spare", rowSpare)
	w.holds("the vector that the end of the row falls into", rowCut)
	w.arg("n", rowBlocks)
	w.LSR(rowSpare, rowBlocks, 5)
	w.LSL(rowLeft, rowSpare, 5)
	w.SUB(rowRest, rowBlocks, rowLeft)
	w.MOVR(rowBlocks, rowSpare)
	w.LSR(rowFours, rowRest, 2)
	w.LSL(rowFours, rowFours, 2)
	w.SUB(rowOdd, rowRest, rowFours)
	w.LSL(rowFours, rowFours, 2)
	// Vector i of the rest has lanes l with 4i+l < rest: their masks are 32 words from table + 4*(32-rest) on.
	w.masks(rowMask)
	w.ADDI(rowMask, rowMask, 4*block)
	w.LSL(rowSpare, rowRest, 2)
	w.SUB(rowMask, rowMask, rowSpare)
	return row{w}
}

// masks loads the address of a table of 32 words with all bits set, then 32 words of zeros.
func (w *writer) masks(d R) R {
	table := make([]uint32, 2*block)
	for i := range block {
		table[i] = math.MaxUint32
	}
	return w.words("masks", d, table...)
}

// each writes a loop over the row: it calls f to write the code for a whole block, and again for the rest, masked. at are the
// registers for the addresses of the current block in the rows that begin at from.
func (r row) each(from, at []R, f func(masked bool)) {
	w := r.w
	loop, rest, done := w.label("loop"), w.label("rest"), w.label("done")
	for i := range from {
		w.MOVR(at[i], from[i])
	}
	w.MOVR(rowLeft, rowBlocks)
	w.CBZ(rowBlocks, rest)
	w.loop(loop, w.BNE, func() {
		f(false)
		for _, p := range at {
			w.ADDI(p, p, 4*block)
		}
		w.SUBSI(rowLeft, rowLeft, 1)
	})
	w.mark(rest)
	w.CBZ(rowRest, done)
	f(true)
	w.mark(done)
}

// load writes code that loads the block at address p into v. If masked, floats past the row are not read, and their lanes
// become zero.
func (r row) load(v vecs, p R, masked bool) {
	w := r.w
	if !masked {
		for i := 0; i < len(v); i += 2 {
			w.LDP(v[i], v[i+1], p, 16*i)
		}
		return
	}
	// The vector that contains the end of the row is put together in rowCut from its one to three floats inside the row; a
	// load of the whole vector would read past the row. The vectors before it are loaded whole.
	got, done := w.label("got"), w.label("loaded")
	w.ADD(rowSpare, p, rowFours)
	w.ZERO(rowCut)
	w.CBZ(rowOdd, got)
	w.LDRs(rowCut, rowSpare, 4)
	w.CMPI(rowOdd, 2)
	w.BLT(got)
	w.LD1(rowCut, 1, rowSpare)
	w.BEQ(got)
	w.LD1(rowCut, 2, rowSpare)
	w.mark(got)
	v.each(func(i int) { w.ZERO(v[i]) })
	r.cut(v, func(i int) { w.LDR(v[i], p, 16*i) }, func(i int) { w.MOV(v[i], rowCut) }, done)
}

// cut writes code that branches by the length of the rest: it runs the code of whole(i) for each vector i that lies inside
// the row, then the code of end(i) for the one that contains the row's end, and continues at label done.
func (r row) cut(v vecs, whole, end func(i int), done string) {
	w := r.w
	var cut [chains]string
	for i := range v[1:] {
		cut[i] = w.label("cut")
		w.CMPI(rowRest, 4*(i+1))
		w.BLT(cut[i])
		whole(i)
	}
	end(chains - 1)
	w.B(done)
	for i := range v[1:] {
		w.mark(cut[i])
		end(i)
		if i < chains-2 {
			w.B(done)
		}
	}
	w.mark(done)
}

// and writes code that sets the lanes of v past the end of the row to zero; v is the row's last block. It clobbers rowCut.
func (r row) and(v vecs) {
	v.each(func(i int) {
		r.w.LDR(rowCut, rowMask, 16*i)
		r.w.AND(v[i], v[i], rowCut)
	})
}

// replace writes code that sets the lanes of v past the end of the row to those of by(i), for vector i of v; v is the row's
// last block. It clobbers rowCut.
func (r row) replace(v vecs, by func(i int) V) {
	v.each(func(i int) {
		r.w.LDR(rowCut, rowMask, 16*i)
		r.w.BIF(v[i], by(i), rowCut)
	})
}

// store writes code that stores the block v at address p. If masked, it stores only the floats inside the row.
func (r row) store(v vecs, p R, masked bool) {
	w := r.w
	if !masked {
		for i := 0; i < len(v); i += 2 {
			w.STP(v[i], v[i+1], p, 16*i)
		}
		return
	}
	done := w.label("stored")
	r.cut(v, func(i int) { w.STR(v[i], p, 16*i) }, func(i int) { w.MOV(rowCut, v[i]) }, w.label("end"))
	w.CBZ(rowOdd, done)
	w.ADD(rowSpare, p, rowFours)
	w.STRs(rowCut, rowSpare, 4)
	w.CMPI(rowOdd, 2)
	w.BLT(done)
	w.ST1(rowCut, 1, rowSpare)
	w.BEQ(done)
	w.ST1(rowCut, 2, rowSpare)
	w.mark(done)
}

// quarters adds up eight vectors into v[0] and v[1]. It adds in the order of the AVX2 kernels, whose four vectors have
// v[2i] and v[2i+1] as halves, so sums have the same bits.
func (w *writer) quarters(v vecs) {
	for _, p := range [][2]int{{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}} {
		w.FADD(v[p[0]], v[p[0]], v[p[1]])
	}
}

// total adds up the eight lanes of v and u into lane 0 of v, which it returns. It clobbers u.
func (w *writer) total(v, u V) V {
	w.FADD(v, v, u)
	w.EXT(u, v, v, 8)
	w.FADD(v, v, u)
	w.FADDP(v, v, v)
	return v
}

// sum adds up the 32 lanes of v, partial sums of a row, into lane 0 of v[0], which it returns. It clobbers v.
func (w *writer) sum(v vecs) V {
	w.quarters(v)
	return w.total(v[0], v[1])
}

// forRows writes a loop over the rows, counted in R0: f writes the code for one row, after which each pointer advances by its
// stride.
func (w *writer) forRows(ptr, stride []R, f func()) {
	rows := w.arg("rows", 0)
	w.CMPI(rows, 0)
	w.BLE("return")
	w.mark("row")
	f()
	for i := range ptr {
		w.ADD(ptr[i], ptr[i], stride[i])
	}
	w.SUBSI(rows, rows, 1)
	w.BNE("row")
	w.mark("return")
	w.RET()
}

// matrices writes the loads of the arguments dst and src into R1 and R2, and of their leading dimensions, in bytes, into R3
// and R4.
func (w *writer) matrices() (dst, src, ldd, lds R) {
	return w.arg("dst", 1), w.arg("src", 2), w.floats("ldd", 3), w.floats("lds", 4)
}

// moments computes the mean of the row at src and 1/sqrt(variance+eps), in all lanes. see, if not nil, may add code for each
// block of the first pass, and clobber the block.
func (r row) moments(src, at R, see func(x vecs, masked bool)) (mean, unit V) {
	w := r.w
	const count, eps = V(26), V(27)
	mean, unit = 24, 25
	x, s := w.hold("the block", regs(0, chains)), w.hold("partial sums", regs(8, chains))
	w.holds("mean", mean)
	w.holds("1/sqrt(variance+eps)", unit)
	w.holds("n", count)
	w.holds("eps", eps)
	s.each(func(i int) { w.ZERO(s[i]) })
	r.each([]R{src}, []R{at}, func(masked bool) {
		r.load(x, at, masked)
		s.each(func(i int) { w.FADD(s[i], s[i], x[i]) })
		if see != nil {
			see(x, masked)
		}
	})
	w.FDIVs(mean, w.sum(s), count)
	w.DUP(mean, mean, 0)

	s.each(func(i int) { w.ZERO(s[i]) })
	r.each([]R{src}, []R{at}, func(masked bool) {
		r.load(x, at, masked)
		x.each(func(i int) { w.FSUB(x[i], x[i], mean) })
		if masked {
			r.and(x)
		}
		s.each(func(i int) { w.FMLA(s[i], x[i], x[i]) })
	})
	w.FDIVs(unit, w.sum(s), count)
	w.FADDs(unit, unit, eps)
	w.FSQRTs(unit, unit)
	w.vectors("one", rowSpare, 1)
	w.LDR(s[0], rowSpare, 0)
	w.FDIVs(unit, s[0], unit)
	w.DUP(unit, unit, 0)
	return mean, unit
}

// count writes the loads of the arguments that the code of moments reads: n, as a float, and eps.
func (w *writer) count() {
	w.arg("n", rowSpare)
	w.SCVTFs(26, rowSpare)
	w.single("eps", 27)
}

// normed writes x = (x - mean) * unit for a block x, where unit is 1/sqrt(variance+eps).
func (w *writer) normed(x vecs, mean, unit V) {
	x.each(func(i int) { w.FSUB(x[i], x[i], mean) })
	x.each(func(i int) { w.FMUL(x[i], x[i], unit) })
}

// layerNorm writes layer normalisation in two passes: the mean of a row, then its variance around the mean.
func layerNorm(w *writer, _ asm.Kernel) {
	dst, src, ldd, lds := w.matrices()
	gain, bias := w.arg("gain", 5), w.arg("bias", 6)
	const atDst, atSrc, atGain, atBias = R(7), R(8), R(9), R(10)
	x, g, b := w.hold("the block", regs(0, chains)), w.hold("gain", regs(8, chains)), w.hold("bias", regs(16, chains))
	r := newRow(w)
	w.count()
	w.forRows([]R{dst, src}, []R{ldd, lds}, func() {
		mean, unit := r.moments(src, atSrc, nil)
		w.CBZ(gain, "bare")
		r.each([]R{dst, src, gain, bias}, []R{atDst, atSrc, atGain, atBias}, func(masked bool) {
			r.load(x, atSrc, masked)
			r.load(g, atGain, masked)
			r.load(b, atBias, masked)
			w.normed(x, mean, unit)
			x.each(func(i int) { w.FMLA(b[i], x[i], g[i]) })
			r.store(b, atDst, masked)
		})
		w.B("next")
		w.mark("bare")
		r.each([]R{dst, src}, []R{atDst, atSrc}, func(masked bool) {
			r.load(x, atSrc, masked)
			w.normed(x, mean, unit)
			r.store(x, atDst, masked)
		})
		w.mark("next")
	})
}

// gelu writes max(x,0) - |x|/2 * erfc(|x|/sqrt2), with erfc(u/sqrt2) = 2^(u*P(u)) and u at most 6.
func gelu(w *writer, _ asm.Kernel) {
	dst, src, ldd, lds := w.matrices()
	const atDst, atSrc, coefs, exps = R(5), R(6), R(7), R(8)
	const top, half, zero = V(26), V(27), V(28)
	w.hold("u = |x|, then integers of exp2, then x", regs(0, chains))
	w.hold("P(u), then u*P(u), then u", regs(8, chains))
	w.hold("2^(u*P(u))", regs(17, chains+1))
	w.holds("6", top)
	w.holds("1/2", half)
	w.holds("0", zero)
	w.holds("coefficients of P", coefs)
	w.holds("coefficients of exp2", exps)
	cs := asm.GeluCoef()
	w.vectors("gelu", coefs, append(cs, 6, 0.5)...)
	w.LDR(top, coefs, 16*len(cs))
	w.LDR(half, coefs, 16*(len(cs)+1))
	w.ZERO(zero)
	w.exp2Coefs(exps)
	r := newRow(w)
	w.forRows([]R{dst, src}, []R{ldd, lds}, func() {
		r.each([]R{dst, src}, []R{atDst, atSrc}, func(masked bool) {
			u := regs(0, chains)
			r.load(u, atSrc, masked)
			u.each(func(i int) { w.FABS(u[i], u[i]) })
			u.each(func(i int) { w.FMIN(u[i], u[i], top) })
			q := w.horner(regs(8, chains+1), u, coefs, len(cs))
			q.each(func(i int) { w.FMUL(q[i], q[i], u[i]) })
			e := w.exp2(q, u, regs(17, chains+1), exps)
			// x is read again, so that it needs no registers in between.
			x, u := regs(0, chains), regs(8, chains)
			r.load(x, atSrc, masked)
			u.each(func(i int) { w.FABS(u[i], x[i]) })
			u.each(func(i int) { w.FMIN(u[i], u[i], top) })
			u.each(func(i int) { w.FMUL(u[i], u[i], half) })
			x.each(func(i int) { w.FMAX(x[i], x[i], zero) })
			x.each(func(i int) { w.FMLS(x[i], u[i], e[i]) })
			r.store(x, atDst, masked)
		})
	})
}

// sigmoidGelu writes x/(1+2^y) with y = x*P(x^2), for the ops of asm.SigmoidGelu.
func sigmoidGelu(w *writer, k asm.Kernel) {
	dst, src, ldd, lds := w.matrices()
	const atDst, atSrc, coefs, exps = R(5), R(6), R(7), R(8)
	const low, bottom, one = V(26), V(27), V(28)
	w.hold("x, then integers of exp2, then x", regs(0, chains))
	w.hold("P(x^2), then y", regs(8, chains+1))
	w.hold("x^2, then 2^y", regs(17, chains+1))
	w.holds("the least x", low)
	w.holds("-125", bottom)
	w.holds("1", one)
	w.holds("coefficients of P", coefs)
	w.holds("coefficients of exp2", exps)
	cs, least := asm.SigmoidGelu(k.Op)
	w.vectors(string(k.Op), coefs, append(cs, least, -125, 1)...)
	w.LDR(low, coefs, 16*len(cs))
	w.LDR(bottom, coefs, 16*(len(cs)+1))
	w.LDR(one, coefs, 16*(len(cs)+2))
	w.exp2Coefs(exps)
	r := newRow(w)
	w.forRows([]R{dst, src}, []R{ldd, lds}, func() {
		r.each([]R{dst, src}, []R{atDst, atSrc}, func(masked bool) {
			x, square := regs(0, chains), regs(17, chains)
			r.load(x, atSrc, masked)
			x.each(func(i int) { w.FMAX(x[i], x[i], low) })
			if len(cs) > 1 {
				square.each(func(i int) { w.FMUL(square[i], x[i], x[i]) })
			}
			y := w.horner(regs(8, chains+1), square, coefs, len(cs))
			y.each(func(i int) { w.FMUL(y[i], y[i], x[i]) })
			y.each(func(i int) { w.FMAX(y[i], y[i], bottom) })
			e := w.exp2(y, x, regs(17, chains+1), exps)
			e.each(func(i int) { w.FADD(e[i], e[i], one) })
			// x is read again, so that it needs no registers in between.
			r.load(x, atSrc, masked)
			x.each(func(i int) { w.FMAX(x[i], x[i], low) })
			x.each(func(i int) { w.FDIV(x[i], x[i], e[i]) })
			r.store(x, atDst, masked)
		})
	})
}

// combine writes dst += src, or dst *= src for k.Op asm.OpMul, for each row.
func combine(w *writer, k asm.Kernel) {
	dst, src, ldd, lds := w.matrices()
	const atDst, atSrc = R(5), R(6)
	x, y := w.hold("dst", regs(0, chains)), w.hold("src", regs(8, chains))
	r := newRow(w)
	w.forRows([]R{dst, src}, []R{ldd, lds}, func() {
		r.each([]R{dst, src}, []R{atDst, atSrc}, func(masked bool) {
			r.load(x, atDst, masked)
			r.load(y, atSrc, masked)
			x.each(func(i int) {
				if k.Op == asm.OpMul {
					w.FMUL(x[i], x[i], y[i])
				} else {
					w.FADD(x[i], x[i], y[i])
				}
			})
			r.store(x, atDst, masked)
		})
	})
}
