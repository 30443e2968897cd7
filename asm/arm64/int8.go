package arm64

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpGemmI8] = gemmI8
	generators[asm.OpGemmEights] = eights
	generators[asm.OpRegroup] = regroup
	generators[asm.OpQuant] = quant
	generators[asm.OpNormQuant] = normQuant
}

// zeroPoint loads the address of 16 bytes of 128, the zero point of quantised activations. An exclusive or with 128
// subtracts it: the uint8 x becomes the int8 x-128. Loading the bytes costs less than a move into all lanes, which uses the
// pipes that multiply.
func (w *writer) zeroPoint(d R) R {
	return w.words("zeroPoint128", d, 0x80808080, 0x80808080, 0x80808080, 0x80808080)
}

// gemmI8 writes a tile of int8 products. It subtracts the zero point of A before it multiplies, so it does not use the
// compensation in the panels.
func gemmI8(w *writer, k asm.Kernel) {
	if k.ISA == asm.NEONDot {
		tile(w, k, fours)
		return
	}
	pairs(w, k.MR)
}

// pairs writes the tile for CPUs without dot products. It adds products of two groups of four in 16 bits, which hold 2*128*127,
// and pairs of these sums in 32.
func pairs(w *writer, mr int) {
	const k, b, pf, step = R(0), R(3), R(4), R(5)
	const zeroPoint, group = V(24), 4 * asm.Panel
	row := func(r int) R { return R(1 + r) }
	a := func(r, g int) V { return V(2*r + g) }
	bv, t := w.hold("four columns of B, two groups", regs(4, 2)), w.hold("products", regs(6, 2))
	w.hold("four elements of A in all lanes, two groups per row", regs(0, 2*mr))
	w.hold("C, row after row, two lanes for each column", regs(8, 8*mr))
	w.holds("128 in all lanes", zeroPoint)
	for r := range mr {
		w.holds(fmt.Sprintf("row %d of A", r), row(r))
	}
	acc := make([]vecs, mr)
	w.mark("tile")
	for r := range acc {
		acc[r] = regs(8+V(8*r), 8)
		acc[r].each(func(j int) { w.ZERO(acc[r][j]) })
	}
	w.LDR(zeroPoint, w.zeroPoint(k), 0)
	w.arg("k", k)
	w.arg("a", row(0))
	if mr > 1 {
		w.arg("lda", row(1))
		w.ADD(row(1), row(0), row(1))
	}
	w.arg("b", b)
	w.arg("pf", pf)
	w.arg("pfstep", step)
	// steps writes n groups of four k, where n is 1 or 2.
	steps := func(n int) {
		for g := range n {
			for r := range acc {
				w.LD1Rpost(a(r, g), row(r))
				w.EOR(a(r, g), a(r, g), zeroPoint)
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
	w.setArg("pf", pf)
	for r, v := range acc {
		acc[r] = vecs{v[0], v[2], v[4], v[6]}
		acc[r].each(func(j int) { w.ADDPint(acc[r][j], v[2*j], v[2*j+1]) })
	}
	w.epilogue(acc, b)
	w.result(acc, func(low, high V, off int) { w.STP(low, high, c, off) })
	w.nextTile(mr, 0)
}

// eights writes the tile for CPUs that multiply 2x8 bytes by 8x2. A takes part without its zero point subtracted, for which
// the panel's compensation makes up. Of an odd number of rows the last is multiplied beside itself or zeros.
func eights(w *writer, kernel asm.Kernel) {
	mr := kernel.MR
	const k, b, pf, step = R(0), R(7), R(10), R(11)
	const second = V(6) // the second row of a pair, before the two become operands
	row := func(r int) R { return R(1 + r) }
	a := func(p, half int) V { return V(2*p + half) }
	bv, compensation := w.hold("two columns of B each, eight elements", regs(6, 2)), w.hold("compensations", regs(0, 4))
	blocks := make([]vecs, (mr+1)/2)
	for p := range blocks {
		blocks[p] = regs(8+V(8*p), 8)
		w.hold("two rows of A, eight elements, then the next eight", regs(a(p, 0), 2))
	}
	w.hold("C, blocks of 2x2, pair of rows after pair", slices.Concat(blocks...))
	for r := range mr {
		w.holds(fmt.Sprintf("row %d of A", r), row(r))
	}
	w.mark("tile")
	zero(w, blocks)
	w.arg("k", k)
	w.arg("a", row(0))
	w.arg("lda", pf)
	for r := 1; r < mr; r++ {
		w.ADD(row(r), row(r-1), pf)
	}
	w.arg("b", b)
	w.arg("pf", pf)
	w.arg("pfstep", step)

	// load writes the load of n bytes of each row by f, which advances the row. The operands of the first eight bytes follow, and
	// those of the next if n is 16.
	load := func(f func(d V, at R, n int), n int) {
		for p := range blocks {
			low, high, other := a(p, 0), a(p, 1), a(p, 0)
			f(low, row(2*p), n)
			if 2*p+1 < mr {
				other = second
				f(other, row(2*p+1), n)
			}
			if n == 16 {
				w.ZIP2(high, low, other)
			}
			w.ZIP1(low, low, other)
		}
	}
	// multiply writes the products of eight elements, which are groups groups of four.
	multiply := func(half, groups int) {
		for range groups {
			w.PRFM(pf, 0)
			w.ADD(pf, pf, step)
		}
		for j := 0; j < 8; j += 2 {
			w.LDPpost(bv[0], bv[1], b, 32)
			for p, block := range blocks {
				w.USMMLA(block[j], a(p, half), bv[0])
				w.USMMLA(block[j+1], a(p, half), bv[1])
			}
		}
	}
	w.SUBSI(k, k, 4)
	w.BLT("tail")
	w.loop("loop", w.BGE, func() {
		load(w.LDRpost, 16)
		multiply(0, 2)
		multiply(1, 2)
		w.SUBSI(k, k, 4)
	})
	w.mark("tail")
	w.ADDSI(k, k, 2)
	w.BLT("last")
	load(w.LDRdpost, 8)
	multiply(0, 2)
	w.SUBSI(k, k, 2)
	w.mark("last")
	w.ADDSI(k, k, 2)
	w.BEQ("store")
	load(w.LDRs, 4)
	multiply(0, 1)

	w.mark("store")
	w.setArg("pf", pf)
	w.LDP(compensation[0], compensation[1], b, 64)
	w.LDP(compensation[2], compensation[3], b, 96)
	free := bv[1]
	acc := make([]vecs, mr)
	for p, block := range blocks {
		for j := range compensation {
			left, right := block[2*j], block[2*j+1]
			w.ZIP1(free, left, right)
			w.ADDint(free, free, compensation[j])
			acc[2*p] = append(acc[2*p], free)
			if free = left; 2*p+1 < mr {
				w.ZIP2(right, left, right)
				w.ADDint(right, right, compensation[j])
				acc[2*p+1] = append(acc[2*p+1], right)
			}
		}
	}
	w.epilogue(acc, b)
	w.result(acc, func(low, high V, off int) { w.STP(low, high, c, off) })
	w.nextTile(mr, 0)
}

// regroup writes the conversion of a panel to groups of eight.
func regroup(w *writer, _ asm.Kernel) {
	const group = 4 * asm.Panel // bytes
	k, dst, src := w.arg("k", 0), w.arg("dst", 1), w.arg("src", 2)
	even, odd, out := w.hold("a group of four, or part of the tail", regs(0, 4)), w.hold("the next group, or zeros", regs(4, 4)), w.hold("the group of eight", regs(16, 8))
	read := func(v vecs, off int) {
		w.LDP(v[0], v[1], src, off)
		w.LDP(v[2], v[3], src, off+32)
	}
	zip := func() {
		even.each(func(j int) {
			w.ZIP1s(out[2*j], even[j], odd[j])
			w.ZIP2s(out[2*j+1], even[j], odd[j])
		})
		for j := 0; j < len(out); j += 2 {
			w.STP(out[j], out[j+1], dst, 16*j)
		}
		w.ADDI(dst, dst, 2*group)
	}
	w.SUBSI(k, k, 2)
	w.BLT("odd")
	w.loop("loop", w.BGE, func() {
		read(even, 0)
		read(odd, group)
		zip()
		w.ADDI(src, src, 2*group)
		w.SUBSI(k, k, 2)
	})
	w.mark("odd")
	w.ADDSI(k, k, 2)
	w.BEQ("copy")
	read(even, 0)
	odd.each(func(j int) { w.ZERO(odd[j]) })
	zip()
	w.ADDI(src, src, group)
	w.mark("copy")
	for off := 0; off < 3*group; off += group {
		read(even, off)
		w.STP(even[0], even[1], dst, off)
		w.STP(even[2], even[3], dst, off+32)
	}
	w.RET()
}

// epilogue converts sums to floats, and advances the arguments scale and midpoint. b is the address of the panel's tail.
func (w *writer) epilogue(acc []vecs, b R) {
	const group = 4 * asm.Panel // bytes of each part of the tail
	colScale, s, z, t := w.hold("scales of the columns", regs(0, 4)), V(4), V(5), V(6)
	w.holds("scale and midpoint of a row", s, z)
	scale, midpoint := w.arg("scale", 10), w.arg("midpoint", 11)
	w.LDP(colScale[0], colScale[1], b, 0)
	w.LDP(colScale[2], colScale[3], b, 32)
	for _, y := range acc {
		w.LD1Rpost(s, scale)
		w.LD1Rpost(z, midpoint)
		y.each(func(j int) { w.SCVTF(y[j], y[j]) })
		y.each(func(j int) { w.FMUL(y[j], y[j], s) })
		y.each(func(j int) { w.FMUL(y[j], y[j], colScale[j]) })
		y.each(func(j int) {
			w.LDR(t, b, 2*group+16*j)
			w.FMUL(t, t, z)
			w.FADD(y[j], y[j], t)
		})
	}
	w.setArg("scale", scale)
	w.setArg("midpoint", midpoint)
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

// rounding writes the quantisation of rows.
type rounding struct {
	row
	twoTerm   bool // the residual is rounded too
	x, hi, lo vecs
	dst, src  R
	stride    []R
	at        R // the block's src
}

func newRounding(w *writer, k asm.Kernel) *rounding {
	q := &rounding{twoTerm: k.DType == "i8x2", x: regs(0, chains), hi: regs(16, 4), lo: regs(20, 4), at: 9}
	w.hold("the block", q.x)
	w.hold("largest values, then half of the rounded block", q.hi)
	w.hold("smallest values, then the other half", q.lo)
	w.holds("the row's first value, then its midpoint", V(28))
	w.holds("127/m", V(29))
	w.holds("128 in all lanes", V(30))
	q.dst, q.src = w.arg("dst", 1), w.arg("src", 2)
	ldd, lds := w.arg("ldd", 3), w.floats("lds", 4)
	w.arg("scale", 5)
	w.arg("midpoint", 6)
	w.MOVI(7, 4)
	q.stride = []R{ldd, lds, 7, 7}
	w.vectors("quant", 10, 0.5, 1e-30, 127, 254)
	w.zeroPoint(11)
	w.LDR(30, 11, 0)
	q.row = newRow(w)
	return q
}

// forRows writes a loop over the rows: it sets the extremes to the row's first value, then f writes the code for the rest
// of the row.
func (q *rounding) forRows(f func()) {
	q.w.forRows([]R{q.dst, q.src, 5, 6}, q.stride, func() {
		q.w.LD1R(28, q.src)
		for _, v := range append(q.hi, q.lo...) {
			q.w.MOV(v, 28)
		}
		f()
	})
}

// see writes code that updates the extremes of the row, q.hi and q.lo, with the block x. If masked, it first sets the lanes
// of x past the row to the row's first value, which does not change the extremes.
func (q *rounding) see(x vecs, masked bool) {
	if masked {
		q.replace(x, func(int) V { return 28 })
	}
	x.each(func(i int) { q.w.FMAX(q.hi[i%4], q.hi[i%4], x[i]) })
	x.each(func(i int) { q.w.FMIN(q.lo[i%4], q.lo[i%4], x[i]) })
}

// extremes writes code that finds the largest and the smallest value of all blocks given to see. Each is in lane 0 of the
// register that is returned.
func (q *rounding) extremes() (hi, lo V) {
	w := q.w
	for n := 2; n > 0; n /= 2 {
		for i := range n {
			w.FMAX(q.hi[i], q.hi[i], q.hi[i+n])
			w.FMIN(q.lo[i], q.lo[i], q.lo[i+n])
		}
	}
	w.FMAXV(q.hi[0], q.hi[0])
	w.FMINV(q.lo[0], q.lo[0])
	return q.hi[0], q.lo[0]
}

// finish quantises and stores a row whose extremes are lo and hi, with its scale and midpoint. load writes the load of a block into
// q.x. For i8x2 finish also stores the residuals, ldd/2 bytes after the values.
func (q *rounding) finish(hi, lo V, load func(masked bool)) {
	w, x := q.w, q.x
	const atDst, consts, scale, midpoint, ldd, atResidual = R(8), R(10), R(5), R(6), R(3), R(12)
	const z, inv, zeroPoint, steps = V(28), V(29), V(30), V(15)
	const m, small, spare, half, least, most = V(8), V(9), V(10), V(11), V(12), V(13)
	w.LDR(half, consts, 0)
	w.LDR(least, consts, 16)
	w.LDR(most, consts, 32)
	w.FADD(z, hi, lo)
	w.FSUB(m, hi, lo)
	w.FMUL(z, z, half)
	w.FMUL(m, m, half)
	w.FCMGT(small, least, m) // a NaN is not
	w.FDIVs(inv, most, m)
	w.BIC(inv, inv, small)
	w.BIC(m, m, small)
	w.FDIVs(spare, m, most)
	for _, p := range []struct {
		v  V
		at R
	}{{spare, scale}, {z, midpoint}} {
		w.MOVR(rowSpare, p.at)
		w.STRs(p.v, rowSpare, 0)
	}
	w.DUP(inv, inv, 0)
	w.DUP(z, z, 0)
	w.MOVR(atDst, q.dst)
	whole, back := regs(16, chains), regs(8, 4)
	if q.twoTerm {
		w.LDR(steps, consts, 48)
		w.LSR(atResidual, ldd, 1)
		w.ADD(atResidual, atResidual, q.dst)
	}
	// store writes code that packs a block of 32-bit integers to 8 bits and stores it at address at. It clobbers x.
	store := func(x vecs, at R) {
		x[:4].each(func(i int) { w.UZPh(x[i], x[2*i], x[2*i+1]) })
		x[:2].each(func(i int) { w.UZPb(x[i], x[2*i], x[2*i+1]) })
		x[:2].each(func(i int) { w.EOR(x[i], x[i], zeroPoint) })
		w.STP(x[0], x[1], at, 0)
		w.ADDI(at, at, block)
	}
	q.each([]R{q.src}, []R{q.at}, func(masked bool) {
		load(masked)
		x.each(func(i int) { w.FSUB(x[i], x[i], z) })
		if masked {
			q.and(x)
		}
		x.each(func(i int) { w.FMUL(x[i], x[i], inv) })
		if q.twoTerm {
			x.each(func(i int) { w.FCVTNS(whole[i], x[i]) })
			for i := 0; i < chains; i += len(back) {
				some := x[i : i+len(back)]
				back.each(func(j int) { w.SCVTF(back[j], whole[i+j]) })
				back.each(func(j int) { w.FSUB(some[j], some[j], back[j]) })
				back.each(func(j int) { w.FMUL(some[j], some[j], steps) })
			}
			store(whole, atDst)
		}
		x.each(func(i int) { w.FCVTNS(x[i], x[i]) })
		if q.twoTerm {
			store(x, atResidual)
		} else {
			store(x, atDst)
		}
	})
}

// quant writes the quantisation of rows. Sums of x*0 are NaN if an x is not finite.
func quant(w *writer, k asm.Kernel) {
	q := newRounding(w, k)
	const none = V(14)
	nan := w.hold("sums of x*0", regs(8, 4))
	w.ZERO(none)
	q.forRows(func() {
		nan.each(func(i int) { w.ZERO(nan[i]) })
		q.each([]R{q.src}, []R{q.at}, func(masked bool) {
			q.load(q.x, q.at, masked)
			q.see(q.x, masked)
			q.x.each(func(i int) { w.FMLA(nan[i%4], q.x[i], none) })
		})
		hi, lo := q.extremes()
		w.FADD(nan[0], nan[0], nan[2])
		w.FADD(nan[1], nan[1], nan[3])
		w.FADD(hi, hi, w.total(nan[0], nan[1]))
		q.finish(hi, lo, func(masked bool) { q.load(q.x, q.at, masked) })
	})
}

// normQuant writes the quantisation of normalised rows. Normalisation is monotonic, so the extremes of the result are those of
// the row, normalised.
func normQuant(w *writer, k asm.Kernel) {
	q := newRounding(w, k)
	w.count()
	q.forRows(func() {
		mean, unit := q.moments(q.src, q.at, q.see)
		hi, lo := q.extremes()
		w.normed(vecs{hi, lo}, mean, unit)
		q.finish(hi, lo, func(masked bool) {
			q.load(q.x, q.at, masked)
			w.normed(q.x, mean, unit)
		})
	})
}
