package arm64

import "github.com/multiway-go/multiway/asm"

// offset loads the address of 16 bytes of 128, which activations are stored with: flipping that bit takes it off. Loading
// them again costs less than a move into all bytes, which shares pipes with products.
func (w *writer) offset(d R) R {
	return w.words("offset128", d, 0x80808080, 0x80808080, 0x80808080, 0x80808080)
}

// qgemm writes a tile of products of bytes. Both operands are signed here, so that the starts of the sums, which undo the
// offset of unsigned ones, are not needed.
func qgemm(w *writer, k asm.Kernel) {
	if k.ISA == asm.NEONDot {
		tile(w, k, fours)
		return
	}
	pairs(w, k.MR)
}

// pairs writes the tile for CPUs without dot products: products of two groups are added up in 16 bits, which hold
// 2*128*127, and neighbours among those in 32.
//
//	V0..V3     four bytes of A in all lanes: row r, group g in V(2r+g)
//	V4, V5     four columns of B, two groups
//	V6, V7     products
//	V8..V23    acc[r][0..7], row r of C: two lanes for each column
//	V24        128 in all lanes
//	R0         groups of k
//	R1, R2     rows of A at k
//	R3         B at k
//	R4, R5     what to prefetch, its step
func pairs(w *writer, mr int) {
	const k, b, pf, step = R(0), R(3), R(4), R(5)
	const offset, group = V(24), 4 * asm.Panel
	row := func(r int) R { return R(1 + r) }
	a := func(r, g int) V { return V(2*r + g) }
	bv, t := regs(4, 2), regs(6, 2)
	acc := make([]vecs, mr)
	for r := range acc {
		acc[r] = regs(8+V(8*r), 8)
		acc[r].each(func(j int) { w.ZERO(acc[r][j]) })
	}
	w.LDR(offset, w.offset(k), 0)
	w.arg("k", k)
	w.arg("a", row(0))
	if mr > 1 {
		w.arg("lda", row(1))
		w.ADD(row(1), row(0), row(1))
	}
	w.arg("b", b)
	w.arg("pf", pf)
	w.arg("pfstep", step)
	// steps writes n steps of k, one or two.
	steps := func(n int) {
		for g := range n {
			for r := range acc {
				w.LD1Rpost(a(r, g), row(r))
				w.EOR(a(r, g), a(r, g), offset)
			}
			w.PRFM(pf, 0)
			w.ADD(pf, pf, step)
		}
		for j := range 4 {
			for g := range n {
				w.LDR(bv[g], b, 16*j+group*g)
			}
			for r := range acc {
				w.SMULL(t[0], bv[0], a(r, 0))
				w.SMULL2(t[1], bv[0], a(r, 0))
				if n == 2 {
					w.SMLAL(t[0], bv[1], a(r, 1))
					w.SMLAL2(t[1], bv[1], a(r, 1))
				}
				t.each(func(i int) { w.SADALP(acc[r][2*j+i], t[i]) })
			}
		}
		w.ADDI(b, b, group*n)
	}
	w.SUBSI(k, k, 2)
	w.BLT("tail")
	w.loop("loop", w.BGE, func() {
		steps(2)
		w.SUBSI(k, k, 2)
	})
	w.mark("tail")
	w.ADDSI(k, k, 2)
	w.BEQ("store")
	steps(1)
	w.mark("store")
	for r, v := range acc {
		acc[r] = vecs{v[0], v[2], v[4], v[6]}
		acc[r].each(func(j int) { w.ADDPint(acc[r][j], v[2*j], v[2*j+1]) })
	}
	w.epilogue(acc, b)
	w.result(acc, func(low, high V, off int) { w.STP(low, high, c, off) })
	w.RET()
}

// epilogue takes sums to floats; b is at the tail of the panel.
//
//	V0..V3    scales of the columns, then bias
//	V4, V5    scale and zero of a row, then C
//	V6        zero*shift
//	R10, R11  scale, zero
func (w *writer) epilogue(acc []vecs, b R) {
	const group = 4 * asm.Panel // bytes of each part of the tail
	column, s, z, t := regs(0, 4), V(4), V(5), V(6)
	scale, zero := w.arg("scale", 10), w.arg("zero", 11)
	w.LDP(column[0], column[1], b, 0)
	w.LDP(column[2], column[3], b, 32)
	for _, y := range acc {
		w.LD1Rpost(s, scale)
		w.LD1Rpost(z, zero)
		y.each(func(j int) { w.SCVTF(y[j], y[j]) })
		y.each(func(j int) { w.FMUL(y[j], y[j], s) })
		y.each(func(j int) { w.FMUL(y[j], y[j], column[j]) })
		y.each(func(j int) {
			w.LDR(t, b, 2*group+16*j)
			w.FMUL(t, t, z)
			w.FADD(y[j], y[j], t)
		})
	}
	w.bias(acc, "plain")
	w.mark("plain")
	w.CBZ(w.arg("acc", 10), "alone")
	w.result(acc, func(low, high V, off int) {
		w.LDP(s, z, c, off)
		w.FADD(low, low, s)
		w.FADD(high, high, z)
	})
	w.mark("alone")
}

// quant writes the rounding of rows to bytes, from the middle of their values. x*0 is NaN where x is not finite.
//
//	V0..V7    the block
//	V8..V11   largest values, then the offset
//	V12..V15  least values
//	V16..V19  sums of x*0
//	V20, V21  the row's first value, then its middle; 0
//	V22       127/m
//	V23..V25  m, whether it is too small, spare
//	V26..V28  1/2, 1e-30, 127
//	R1, R2    dst, src
//	R3, R4    their strides
//	R5..R7    scale, zero, the size of a float
//	R8, R9    the block's dst and src
//	R10       constants
func quant(w *writer, _ asm.Kernel) {
	dst, src := w.arg("dst", 1), w.arg("src", 2)
	ldd, lds := w.arg("ldd", 3), w.floats("lds", 4)
	scale, zero, word := w.arg("scale", 5), w.arg("zero", 6), R(7)
	const atDst, atSrc, consts = R(8), R(9), R(10)
	const middle, none, inv, m, small, spare, half, least, most = V(20), V(21), V(22), V(23), V(24), V(25), V(26), V(27), V(28)
	const offset = V(8)
	x, hi, lo, nan := regs(0, chains), regs(8, 4), regs(12, 4), regs(16, 4)
	w.MOVI(word, 4)
	w.vectors("quant", consts, 0.5, 1e-30, 127)
	w.LDR(half, consts, 0)
	w.LDR(least, consts, 16)
	w.LDR(most, consts, 32)
	w.ZERO(none)
	w.offset(consts)
	r := newRow(w)
	w.forRows([]R{dst, src, scale, zero}, []R{ldd, lds, word, word}, func() {
		w.LD1R(middle, src)
		hi.each(func(i int) { w.MOV(hi[i], middle) })
		lo.each(func(i int) { w.MOV(lo[i], middle) })
		nan.each(func(i int) { w.ZERO(nan[i]) })
		r.each([]R{src}, []R{atSrc}, func(masked bool) {
			r.load(x, atSrc, masked)
			if masked { // lanes past the row repeat its first value
				r.replace(x, func(int) V { return middle })
			}
			x.each(func(i int) { w.FMAX(hi[i%4], hi[i%4], x[i]) })
			x.each(func(i int) { w.FMIN(lo[i%4], lo[i%4], x[i]) })
			x.each(func(i int) { w.FMLA(nan[i%4], x[i], none) })
		})
		for n := 2; n > 0; n /= 2 {
			for i := range n {
				w.FMAX(hi[i], hi[i], hi[i+n])
				w.FMIN(lo[i], lo[i], lo[i+n])
			}
		}
		w.FMAXV(hi[0], hi[0])
		w.FMINV(lo[0], lo[0])
		w.FADD(nan[0], nan[0], nan[2])
		w.FADD(nan[1], nan[1], nan[3])
		w.total(nan[0], nan[1])
		w.FADD(middle, hi[0], lo[0])
		w.FSUB(m, hi[0], lo[0])
		for _, v := range []V{middle, m} {
			w.FMUL(v, v, half)
			w.FADD(v, v, nan[0])
		}
		w.FCMGT(small, least, m) // a NaN is not
		w.FDIVs(inv, most, m)
		w.BIC(inv, inv, small)
		w.BIC(m, m, small)
		w.FDIVs(spare, m, most)
		for _, p := range []struct {
			v  V
			at R
		}{{spare, scale}, {middle, zero}} {
			w.MOVR(rowSpare, p.at)
			w.STRs(p.v, rowSpare, 0)
		}
		w.DUP(inv, inv, 0)
		w.DUP(middle, middle, 0)
		w.LDR(offset, consts, 0)
		w.MOVR(atDst, dst)
		r.each([]R{src}, []R{atSrc}, func(masked bool) {
			r.load(x, atSrc, masked)
			x.each(func(i int) { w.FSUB(x[i], x[i], middle) })
			if masked {
				r.and(x)
			}
			x.each(func(i int) { w.FMUL(x[i], x[i], inv) })
			x.each(func(i int) { w.FCVTNS(x[i], x[i]) })
			x[:4].each(func(i int) { w.UZPh(x[i], x[2*i], x[2*i+1]) })
			x[:2].each(func(i int) { w.UZPb(x[i], x[2*i], x[2*i+1]) })
			x[:2].each(func(i int) { w.EOR(x[i], x[i], offset) })
			w.STP(x[0], x[1], atDst, 0)
			w.ADDI(atDst, atDst, block)
		})
	})
}
