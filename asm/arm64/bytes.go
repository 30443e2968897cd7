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
