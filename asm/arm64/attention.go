package arm64

import (
	"math"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpSoftmax] = softmax
	generators[asm.OpScaleRows] = scaleRows
	generators[asm.OpPackKeys] = packKeys
}

// horner computes c0 + x*(c1 + x*(...)) for each vector of x; the n coefficients, in all lanes of a vector each, are at
// address coefs. free has one register more than x: each step writes to the register that the previous step has just freed.
// The results are in the registers of free that are returned.
func (w *writer) horner(free, x vecs, coefs R, n int) vecs {
	p, spare := free[:len(x):len(x)], free[len(x)]
	p.each(func(i int) { w.LDR(p[i], coefs, 16*(n-1)) })
	for c := n - 2; c >= 0; c-- {
		next := make(vecs, len(p))
		p.each(func(i int) {
			w.LDR(spare, coefs, 16*c)
			w.FMLA(spare, p[i], x[i])
			next[i], spare = spare, p[i]
		})
		p = next
	}
	return p
}

// exp2Coefs writes the load of the address of the coefficients that exp2 uses into d.
func (w *writer) exp2Coefs(d R) R {
	return w.vectors("exp", d, append([]float64{1}, asm.Exp2Coef()...)...)
}

// exp2 computes 2^y for -126 < y < 128: y is split into the nearest integer, which goes into the exponent, and a fraction,
// which goes into a polynomial. n is as many free registers as y has, free one more. It clobbers y. A NaN stays a NaN.
func (w *writer) exp2(y, n, free vecs, coefs R) vecs {
	y.each(func(i int) { w.FRINTN(n[i], y[i]) })
	y.each(func(i int) { w.FSUB(y[i], y[i], n[i]) })
	p := w.horner(free, y, coefs, 1+len(asm.Exp2Coef()))
	y.each(func(i int) { w.FCVTNS(n[i], n[i]) })
	y.each(func(i int) { w.SHL(n[i], n[i], 23) })
	y.each(func(i int) { w.ADDint(p[i], p[i], n[i]) })
	return p
}

// softmax writes, for each row: find the maximum m; replace each x by 2^(x-m) and sum these powers; store 1/sum.
func softmax(w *writer, _ asm.Kernel) {
	x, ld := w.arg("x", 1), w.floats("ld", 2)
	inv, word := w.arg("inv", 3), R(4)
	const at, limits, exps = R(5), R(6), R(7)
	const top, low = V(27), V(28)
	v, m, sum := w.hold("the block", regs(0, chains)), w.hold("maxima, then integers of exp2", regs(8, chains)), w.hold("sums of the powers", regs(25, 2))
	w.hold("powers", regs(16, chains+1))
	w.holds("the maximum", top)
	w.holds("-125", low)
	w.MOVI(word, 4)
	w.vectors("softmax", limits, -125, math.Inf(-1), 1)
	w.LDR(low, limits, 0)
	w.exp2Coefs(exps)
	r := newRow(w)
	w.forRows([]R{x, inv}, []R{ld, word}, func() {
		m.each(func(i int) { w.LDR(m[i], limits, 16) })
		r.each([]R{x}, []R{at}, func(masked bool) {
			r.load(v, at, masked)
			if masked {
				r.replace(v, func(i int) V { return m[i] })
			}
			m.each(func(i int) { w.FMAX(m[i], m[i], v[i]) })
		})
		for n := chains / 2; n > 0; n /= 2 {
			m[:n].each(func(i int) { w.FMAX(m[i], m[i], m[i+n]) })
		}
		w.FMAXV(top, m[0])
		w.DUP(top, top, 0)

		sum.each(func(i int) { w.ZERO(sum[i]) })
		r.each([]R{x}, []R{at}, func(masked bool) {
			r.load(v, at, masked)
			v.each(func(i int) { w.FSUB(v[i], v[i], top) })
			v.each(func(i int) { w.FMAX(v[i], v[i], low) })
			e := w.exp2(v, regs(8, chains), regs(16, chains+1), exps)
			if !masked {
				r.store(e, at, false)
			} else {
				// Rows of x have room for whole panels of 16 floats, while a block has 32: a store of the whole block could
				// leave the buffer.
				r.and(e)
				w.STP(e[0], e[1], at, 0)
				w.STP(e[2], e[3], at, 32)
				w.CMPI(rowRest, asm.Panel)
				w.BLE("narrow")
				w.STP(e[4], e[5], at, 64)
				w.STP(e[6], e[7], at, 96)
				w.mark("narrow")
			}
			w.quarters(e)
			w.FADD(sum[0], sum[0], e[0])
			w.FADD(sum[1], sum[1], e[1])
		})
		total := w.total(sum[0], sum[1])
		w.LDR(v[0], limits, 32)
		w.FDIVs(v[0], v[0], total)
		w.MOVR(rowSpare, inv)
		w.STRs(v[0], rowSpare, 0)
	})
}

// scaleRows writes dst = src*s for each row, where s has one factor for each row.
func scaleRows(w *writer, _ asm.Kernel) {
	dst, src, ldd, lds := w.matrices()
	s, word := w.arg("s", 5), R(6)
	const atDst, atSrc, scale = R(7), R(8), V(8)
	x := w.hold("the block", regs(0, chains))
	w.holds("the factor", scale)
	w.MOVI(word, 4)
	r := newRow(w)
	w.forRows([]R{dst, src, s}, []R{ldd, lds, word}, func() {
		w.LD1R(scale, s)
		r.each([]R{dst, src}, []R{atDst, atSrc}, func(masked bool) {
			r.load(x, atSrc, masked)
			x.each(func(i int) { w.FMUL(x[i], x[i], scale) })
			r.store(x, atDst, masked)
		})
	})
}

// packKeys writes the transposition of up to 16 rows into a panel [k][16], four rows and four k at a time. Where src has
// fewer rows, it reads an earlier row again and clears the columns with a mask.
func packKeys(w *writer, _ asm.Kernel) {
	rows, src, lds := w.arg("rows", 0), w.arg("src", 9), w.floats("lds", 10)
	dst, k := w.arg("dst", 7), w.arg("k", 8)
	const at, left, fours, masks, zero, spare = R(5), R(6), R(11), R(12), R(13), R(14)
	row := []R{1, 2, 3, 4}
	v, half := w.hold("four rows, then columns", regs(0, 4)), w.hold("half transposed", regs(4, 4))
	const keep = V(8)
	w.holds("mask of the rows that exist", keep)
	w.holds("rows at k", row[0], row[1], row[2], row[3])
	w.holds("dst at k", at)
	w.holds("k left", left)
	w.holds("fours of rows to go", fours)
	w.MOVI(zero, 0)
	w.MOVI(fours, 4)
	w.masks(masks)
	w.ADDI(masks, masks, 4*block)
	w.mark("rows4")
	// The table has 32 words of ones, then 32 of zeros. The mask begins as many words before the zeros as there are rows, at most 4.
	w.MOVI(spare, 4)
	w.CMPI(rows, 4)
	w.CSELLT(spare, rows, spare)
	w.CMPI(rows, 0)
	w.CSELLT(spare, zero, spare)
	w.LSL(spare, spare, 2)
	w.SUB(spare, masks, spare)
	w.LDR(keep, spare, 0)
	w.MOVR(row[0], src)
	for i := 1; i < 4; i++ {
		w.CMPI(rows, i)
		w.CSELGT(spare, lds, zero)
		w.ADD(row[i], row[i-1], spare)
	}
	// If there are more than four rows left, src moves to the next four; otherwise it stays, so that no row past the last
	// is read.
	w.CMPI(rows, 4)
	w.ADD(spare, row[3], lds)
	w.CSELGT(src, spare, src)

	w.MOVR(at, dst)
	w.SUBSI(left, k, 4)
	w.BLT("tail")
	w.loop("loop", w.BGE, func() {
		for i := range v {
			w.LDRpost(v[i], row[i], 16)
		}
		w.TRN1(half[0], v[0], v[1])
		w.TRN2(half[1], v[0], v[1])
		w.TRN1(half[2], v[2], v[3])
		w.TRN2(half[3], v[2], v[3])
		w.ZIP1(v[0], half[0], half[2])
		w.ZIP1(v[1], half[1], half[3])
		w.ZIP2(v[2], half[0], half[2])
		w.ZIP2(v[3], half[1], half[3])
		for i := range v {
			w.AND(v[i], v[i], keep)
			w.STR(v[i], at, 4*asm.Panel*i)
		}
		w.ADDI(at, at, 4*4*asm.Panel)
		w.SUBSI(left, left, 4)
	})
	w.mark("tail")
	w.ADDSI(left, left, 4)
	w.BEQ("next")
	w.mark("one")
	w.LDRs(v[0], row[0], 4)
	for i := 1; i < 4; i++ {
		w.LD1(v[0], i, row[i])
	}
	w.AND(v[0], v[0], keep)
	w.STR(v[0], at, 0)
	w.ADDI(at, at, 4*asm.Panel)
	w.SUBSI(left, left, 1)
	w.BNE("one")
	w.mark("next")
	w.ADDI(dst, dst, 16)
	w.SUBSI(rows, rows, 4)
	w.SUBSI(fours, fours, 1)
	w.BNE("rows4")
	w.RET()
}
