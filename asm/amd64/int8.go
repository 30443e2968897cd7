package amd64

import (
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpGemmI8] = gemmI8
	generators[asm.OpGemmI7] = gemmI7
	generators[asm.OpQuant] = quant
	generators[asm.OpGemmI16] = gemmI16
	generators[asm.OpQuantI16] = quant
	generators[asm.OpNormQuant] = normQuant
	generators[asm.OpNormQuantI16] = normQuant
	generators[asm.OpWiden] = widen
	generators[asm.OpRowCompensation] = rowCompensation
}

// gemmI8 writes a tile of int8 products; each 32-bit sum takes four products a step. A is uint8 with zero point 128, B is
// int8. VNNI, of AVX-512 or VEX-encoded, has an instruction that multiplies uint8 by int8, so sums start from the compensation in
// the panel, which takes off the zero point. AVX2 adds pairs of products in 16 bits, which do not hold 2*255*127: it subtracts
// the zero point from A, multiplies |A| by B with the sign of A, and starts sums from 0. All kernels are exact.
func gemmI8(w *writer, k asm.Kernel) {
	v, vnni := w.vector(k.ISA), k.ISA != asm.AVX2
	n := k.NR * 4 / v.bytes
	acc := make([]vecs, k.MR)
	for r := range acc {
		acc[r] = v.some(n)
	}
	w.hold("C, row after row", slices.Concat(acc...))
	w.Label("tile")
	steps, b := w.arg("k"), w.arg("b")
	var next reg.Register
	if k.NR > asm.Panel {
		next = w.arg("bstride")
	}
	panel := func(base reg.Register, disp, p int) operand.Mem {
		m := operand.Mem{Base: base, Disp: disp}
		if p > 0 {
			m.Index, m.Scale = next, uint8(p)
		}
		return m
	}
	part := func(base reg.Register, disp, j int) operand.Mem {
		return panel(base, disp+v.bytes*j%int8Group, v.bytes*j/int8Group)
	}
	if vnni {
		w.compensation(acc, steps, b, part)
	} else {
		for r := range acc {
			acc[r].each(func(j int) { v.zero(acc[r][j]) })
		}
	}

	a, as := w.rows(w.arg("a"), w.arg("lda"), k.MR)
	pf, pfstep := w.arg("pf"), w.arg("pfstep")
	bv, x := w.hold("four rows of B", v.some(n)), v.new()
	w.holds("four elements of A in all lanes, then a factor of the row", x)
	var t, ones, size reg.VecVirtual
	if !vnni {
		t, ones, size = v.new(), v.new(), v.new()
		w.holds("products", t)
		w.holds("16-bit ones", ones)
		w.holds("absolute values of the elements of A", size)
		w.VMOVUPS(w.words("ones16", 1<<16|1), ones)
	}
	step := func() {
		bv.each(func(j int) { w.VMOVUPS(part(b, 0, j), bv[j]) })
		// Prefetch B into the second-level cache: a line that is in the first-level cache alone would be evicted before its
		// use.
		for p := range k.NR / asm.Panel {
			w.PREFETCHT1(panel(pf, 0, p))
		}
		w.ADDQ(pfstep, pf)
		for r := range acc {
			w.VPBROADCASTD(a(r, 0), x)
			if !vnni {
				w.VPXOR(w.words("signs8", 0x80808080), x, x)
				w.VPABSB(x, size)
			}
			acc[r].each(func(j int) {
				switch {
				case v.wide():
					w.VPDPBUSD(bv[j], x, acc[r][j])
				case vnni:
					w.VPDPBUSD_VEX(bv[j], x, acc[r][j])
				default:
					w.VPSIGNB(x, bv[j], t)
					w.VPMADDUBSW(t, size, t)
					w.VPMADDWD(ones, t, t)
					w.VPADDD(t, acc[r][j], acc[r][j])
				}
			})
		}
		for _, p := range as {
			w.ADDQ(operand.Imm(4), p)
		}
		w.ADDQ(operand.Imm(int8Group), b)
	}
	// The tile of C is most likely not in a near cache. Each of the first steps prefetches one of its rows: prefetches of all
	// rows at once would delay loads of B, which miss the first-level cache too.
	c, ldc, left := w.arg("c"), w.floats("ldc"), w.GP64()
	w.MOVQ(operand.I32(int32(k.MR)), left)
	w.Label("first")
	step()
	for j := 0; j < 4*k.NR; j += 4 * asm.Panel {
		w.PREFETCHT0(operand.Mem{Base: c, Disp: j})
	}
	w.ADDQ(ldc, c)
	w.DECQ(steps)
	w.JZ(operand.LabelRef("done"))
	w.DECQ(left)
	w.JNZ(operand.LabelRef("first"))
	w.Label("loop")
	step()
	w.DECQ(steps)
	w.JNZ(operand.LabelRef("loop"))
	w.Label("done")

	w.toFloats(acc, 0, func(disp, j int) operand.Mem { return part(b, disp, j) }, x, bv)
	w.nextTile(k, 1, pf, "scale", "midpoint")
}

// int8Group is the size, in bytes, of a group of four k in an int8 panel, and of each part of the panel's tail.
const int8Group = 4 * asm.Panel

// compensation writes the start of sums from the compensation in the panel at b, whose groups steps counts. part returns the
// address of vector j of the part of a panel at byte disp.
func (w *writer) compensation(acc []vecs, steps, b reg.Register, part func(base reg.Register, disp, j int) operand.Mem) {
	at := w.GP64()
	w.MOVQ(steps, at)
	w.SHLQ(operand.Imm(6), at)
	w.ADDQ(b, at)
	acc[0].each(func(j int) { w.VMOVUPS(part(at, int8Group, j), acc[0][j]) })
	for _, sums := range acc[1:] {
		sums.each(func(j int) { w.VMOVAPS(acc[0][j], sums[j]) })
	}
}

// gemmI7 writes a tile of int8 products whose weights are small enough that four products fit 16 bits: those of two groups are
// added there, and only then in 32.
func gemmI7(w *writer, k asm.Kernel) {
	acc := make([]vecs, k.MR)
	for r := range acc {
		acc[r] = w.ymms(2)
	}
	w.hold("C, row after row", slices.Concat(acc...))
	w.Label("tile")
	part := func(base reg.Register, disp, j int) operand.Mem { return operand.Mem{Base: base, Disp: disp + 32*j} }
	steps, b := w.arg("k"), w.arg("b")
	w.compensation(acc, steps, b, part)
	a, as := w.rows(w.arg("a"), w.arg("lda"), k.MR)
	pf, pfstep := w.arg("pf"), w.arg("pfstep")
	first, second, x, y, s, t := w.ymms(2), w.ymms(2), w.YMM(), w.YMM(), w.YMM(), w.YMM()
	w.hold("a group of B", first)
	w.hold("the next group", second)
	w.holds("the elements of A for the first group in all lanes, then a factor of the row", x)
	w.holds("the elements of A for the second group", y)
	w.holds("products", s, t)
	// step writes the products of one or two groups of B.
	step := func(groups int) {
		for g, bv := range []vecs{first, second}[:groups] {
			bv.each(func(j int) { w.VMOVUPS(part(b, int8Group*g, j), bv[j]) })
			w.PREFETCHT1(operand.Mem{Base: pf})
			w.ADDQ(pfstep, pf)
		}
		for r := range acc {
			for g, v := range []reg.VecVirtual{x, y}[:groups] {
				w.VPBROADCASTD(a(r, 4*g), v)
			}
			acc[r].each(func(j int) {
				w.VPMADDUBSW(first[j], x, s)
				if groups == 2 {
					w.VPMADDUBSW(second[j], y, t)
					w.VPADDW(t, s, s)
				}
				w.VPMADDWD(w.words("ones16", 1<<16|1), s, s)
				w.VPADDD(s, acc[r][j], acc[r][j])
			})
		}
		for _, p := range as {
			w.ADDQ(operand.Imm(uint64(4*groups)), p)
		}
		w.ADDQ(operand.U32(uint32(int8Group*groups)), b)
	}
	// Each of the first steps prefetches a row of the tile of C, as in gemm_i8.
	c, ldc, left := w.arg("c"), w.floats("ldc"), w.GP64()
	w.MOVQ(operand.I32(int32(k.MR)), left)
	w.SUBQ(operand.Imm(2), steps)
	w.JL(operand.LabelRef("last"))
	w.Label("first")
	step(2)
	w.PREFETCHT0(operand.Mem{Base: c})
	w.ADDQ(ldc, c)
	w.SUBQ(operand.Imm(2), steps)
	w.JL(operand.LabelRef("last"))
	w.DECQ(left)
	w.JNZ(operand.LabelRef("first"))
	w.Label("loop")
	step(2)
	w.SUBQ(operand.Imm(2), steps)
	w.JGE(operand.LabelRef("loop"))
	w.Label("last") // steps is -1 if a group is left, otherwise -2
	w.INCQ(steps)
	w.JNZ(operand.LabelRef("done"))
	step(1)
	w.Label("done")
	w.toFloats(acc, 0, func(disp, j int) operand.Mem { return part(b, disp, j) }, x, first)
	w.nextTile(k, 1, pf, "scale", "midpoint")
}

// prefetchC writes prefetches of the tile of C, which most likely is in no near cache; it arrives while the sums are
// computed.
func (w *writer) prefetchC(k asm.Kernel) {
	c, _ := w.rows(w.arg("c"), w.floats("ldc"), k.MR)
	for r := range k.MR {
		for j := 0; j < 4*k.NR; j += 4 * asm.Panel {
			w.PREFETCHT0(c(r, j))
		}
	}
}

// toFloats converts a tile of sums to floats and stores them from byte disp of C's rows on. tail returns the address of vector j
// of the part that starts at bytes into a panel's tail. It clobbers x and t, which has as many vectors as a row.
func (w *writer) toFloats(sums []vecs, disp int, tail func(at, j int) operand.Mem, x reg.VecVirtual, t vecs) {
	const colScale, colSum = 0, 4 * asm.Panel * 2
	scale, midpoint := w.arg("scale"), w.arg("midpoint")
	bias, flag := w.arg("bias"), w.arg("acc")
	c, _ := w.rows(w.arg("c"), w.floats("ldc"), len(sums))
	size := int(x.Size())
	each := func(f func(r, j int)) {
		for r := range sums {
			sums[r].each(func(j int) { f(r, j) })
		}
	}
	for r, y := range sums {
		w.VBROADCASTSS(operand.Mem{Base: scale, Disp: 4 * r}, x)
		y.each(func(j int) { w.VCVTDQ2PS(y[j], y[j]) })
		y.each(func(j int) { w.VMULPS(x, y[j], y[j]) })
		y.each(func(j int) { w.VMULPS(tail(colScale, j), y[j], y[j]) })
		w.VBROADCASTSS(operand.Mem{Base: midpoint, Disp: 4 * r}, x)
		y.each(func(j int) { w.VMULPS(tail(colSum, j), x, t[j]) })
		y.each(func(j int) { w.VADDPS(t[j], y[j], y[j]) })
	}
	plain, alone := w.label("plain"), w.label("alone")
	w.TESTQ(bias, bias)
	w.JZ(operand.LabelRef(plain))
	each(func(r, j int) { w.VADDPS(operand.Mem{Base: bias, Disp: disp + size*j}, sums[r][j], sums[r][j]) })
	w.Label(plain)
	w.TESTQ(flag, flag)
	w.JZ(operand.LabelRef(alone))
	each(func(r, j int) { w.VADDPS(c(r, disp+size*j), sums[r][j], sums[r][j]) })
	w.Label(alone)
	each(func(r, j int) { w.VMOVUPS(sums[r][j], c(r, disp+size*j)) })
}

// gemmI16 writes a tile of int16 products, added in pairs to 32-bit sums, with the inner product of S. Winograd (1968): each
// multiplication stands for two products, at the price of additions, which more of a CPU's units can do.
func gemmI16(w *writer, k asm.Kernel) {
	const group, tail = 8 * asm.Panel, 4 * asm.Panel // bytes of a group of a panel, and of each part of its tail
	w.Label("tile")
	steps, b := w.arg("k"), w.arg("b")
	at := w.GP64()
	w.MOVQ(steps, at)
	w.SHLQ(operand.Imm(7), at)
	w.ADDQ(b, at)
	acc := make([]vecs, k.MR)
	for r := range acc {
		acc[r] = w.ymms(2)
		acc[r].each(func(j int) {
			if r == 0 {
				w.VMOVUPS(operand.Mem{Base: at, Disp: tail + 32*j}, acc[r][j])
			} else {
				w.VMOVAPS(acc[0][j], acc[r][j])
			}
		})
	}
	w.hold("C, row after row", slices.Concat(acc...))
	w.prefetchC(k)
	a, as := w.rows(w.arg("a"), w.arg("lda"), k.MR)
	pf, pfstep := w.arg("pf"), w.arg("pfstep")
	first, others, x, y, s, t := w.ymms(2), w.ymms(2), w.YMM(), w.YMM(), w.YMM(), w.YMM()
	w.hold("the first two rows of a group of B", first)
	w.hold("the other two rows of B", others)
	w.holds("the first two elements of A in all lanes", x)
	w.holds("the other two elements of A", y)
	w.holds("sums", s, t)
	w.Label("loop")
	w.PREFETCHT0(operand.Mem{Base: pf})
	w.ADDQ(pfstep, pf)
	first.each(func(j int) { w.VMOVUPS(operand.Mem{Base: b, Disp: 32 * j}, first[j]) })
	others.each(func(j int) { w.VMOVUPS(operand.Mem{Base: b, Disp: group/2 + 32*j}, others[j]) })
	for r := range acc {
		w.VPBROADCASTD(a(r, 0), x)
		w.VPBROADCASTD(a(r, 4), y)
		w.VPADDW(others[0], x, s)
		w.VPADDW(first[0], y, t)
		w.VPADDW(others[1], x, x)
		w.VPADDW(first[1], y, y)
		w.VPMADDWD(s, t, s)
		w.VPMADDWD(x, y, x)
		w.VPADDD(s, acc[r][0], acc[r][0])
		w.VPADDD(x, acc[r][1], acc[r][1])
	}
	for _, p := range as {
		w.ADDQ(operand.Imm(8), p)
	}
	w.ADDQ(operand.U32(group), b)
	w.DECQ(steps)
	w.JNZ(operand.LabelRef("loop"))
	for r := range acc {
		w.VPBROADCASTD(a(r, 0), x)
		acc[r].each(func(j int) { w.VPADDD(x, acc[r][j], acc[r][j]) })
	}
	w.toFloats(acc, 0, func(at, j int) operand.Mem { return operand.Mem{Base: b, Disp: at + 32*j} }, x, first)
	w.nextTile(k, 1, pf, "scale", "midpoint")
}

// widen writes the conversion of a panel of gemm_i8 to a panel of gemm_i16, which has int16 values.
func widen(w *writer, _ asm.Kernel) {
	steps, dst, src := w.arg("k"), w.arg("dst"), w.arg("src")
	at := func(base reg.Register, i int) operand.Mem { return operand.Mem{Base: base, Disp: 32 * i} }
	compensation := w.hold("compensation of the columns", w.ymms(2))
	compensation.each(func(j int) { w.VPXOR(compensation[j], compensation[j], compensation[j]) })
	w.Label("loop")
	for half := range 2 { // of the columns
		x := w.ymms(2)
		first, others := w.YMM(), w.YMM()
		w.holds("the first two values of a group", first)
		w.holds("the other two", others)
		x.each(func(i int) { w.VPMOVSXBW(operand.Mem{Base: src, Disp: 32*half + 16*i}, x[i]) })
		for i, v := range []reg.VecVirtual{first, others} {
			// VSHUFPS gives columns 0, 1, 4, 5, 2, 3, 6 and 7, which VPERMQ puts in order.
			w.VSHUFPS(operand.U8(0x88+0x55*i), x[1], x[0], v)
			w.VPERMQ(operand.Imm(0xd8), v, v)
			w.VMOVUPS(v, at(dst, half+2*i))
		}
		w.VPMADDWD(first, others, first)
		w.VPSUBD(first, compensation[half], compensation[half])
	}
	w.ADDQ(operand.Imm(4*asm.Panel), src)
	w.ADDQ(operand.U32(8*asm.Panel), dst)
	w.DECQ(steps)
	w.JNZ(operand.LabelRef("loop"))
	tail := w.ymms(6)
	tail.each(func(i int) {
		if i/2 == 1 {
			w.VMOVUPS(compensation[i%2], at(dst, i))
			return
		}
		w.VMOVUPS(at(src, i), tail[i])
		w.VMOVUPS(tail[i], at(dst, i))
	})
	w.ret()
}

// rowCompensation writes the compensation of each row of A, for gemm_i16: it takes four groups of four values at a time,
// then the rest one by one.
func rowCompensation(w *writer, _ asm.Kernel) {
	rows, a, lda := w.arg("rows"), w.arg("a"), w.arg("lda")
	w.Label("row")
	steps, p := w.arg("k"), w.GP64()
	w.MOVQ(a, p)
	sum, x, y := w.YMM(), w.YMM(), w.YMM()
	w.holds("sums", sum)
	w.holds("a row's groups", x)
	w.VPXOR(sum, sum, sum)
	// The shift moves the upper two of a group's four values to the lower two's place, and zeros to theirs, so that each
	// product is added once.
	add := func(x, y, sum reg.Register) {
		w.VPSRLQ(operand.Imm(32), x, y)
		w.VPMADDWD(x, y, y)
		w.VPSUBD(y, sum, sum)
	}
	w.SUBQ(operand.Imm(4), steps)
	w.JL(operand.LabelRef("tail"))
	w.Label("loop")
	w.VMOVDQU(operand.Mem{Base: p}, x)
	add(x, y, sum)
	w.ADDQ(operand.Imm(32), p)
	w.SUBQ(operand.Imm(4), steps)
	w.JGE(operand.LabelRef("loop"))
	w.Label("tail")
	half := w.XMM()
	w.VEXTRACTI128(operand.Imm(1), sum, half)
	w.VPADDD(half, sum.AsX(), sum.AsX())
	w.ADDQ(operand.Imm(4), steps)
	w.JZ(operand.LabelRef("store"))
	w.Label("last")
	w.VMOVQ(operand.Mem{Base: p}, x.AsX())
	add(x.AsX(), y.AsX(), sum.AsX())
	w.ADDQ(operand.Imm(8), p)
	w.DECQ(steps)
	w.JNZ(operand.LabelRef("last"))
	w.Label("store")
	w.VPSHUFD(operand.Imm(0xee), sum.AsX(), half)
	w.VPADDD(half, sum.AsX(), sum.AsX())
	w.VMOVD(sum.AsX(), operand.Mem{Base: p})
	w.ADDQ(lda, a)
	w.DECQ(rows)
	w.JNZ(operand.LabelRef("row"))
	w.ret()
}

// quant writes the quantisation of float32 rows to integers, with a scale and a midpoint for each row.
func quant(w *writer, k asm.Kernel) {
	dst, src, scale, midpoint := w.arg("dst"), w.arg("src"), w.arg("scale"), w.arg("midpoint")
	ldd, lds, four := w.arg("ldd"), w.floats("lds"), w.GP64()
	w.MOVQ(operand.U32(4), four)
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src, scale, midpoint}, []reg.GPVirtual{ldd, lds, four, four}, func() {
		none, nan := w.YMM(), w.hold("sums of x*0", r.zeros(2))
		w.VXORPS(none, none, none)
		below := w.GP64() // the next row
		w.LEAQ(operand.Mem{Base: src, Index: lds, Scale: 1}, below)
		e := r.newExtremes(src)
		r.each(func(n int, masked bool) {
			x := r.some(n)
			r.load(src, x, masked)
			e.see(x, masked)
			x.each(func(i int) { w.VFMADD231PS(none, x[i], nan[i%2]) }) // NaN if x is not finite
		})
		hi, lo := e.both()
		w.VADDPS(nan[1], nan[0], nan[0])
		w.reduce(nan[0], func(a, b, c operand.Op) { w.VADDPS(a, b, c) })
		w.VADDSS(nan[0].AsX(), hi.AsX(), hi.AsX())
		z, inv := r.midpoint(hi, lo, scale, midpoint)
		r.round(k, dst, ldd, z, inv, func(n int, masked bool) vecs {
			r.prefetch(below, masked)
			x := r.some(n)
			r.load(src, x, masked)
			return x
		})
	})
}

// normQuant writes the quantisation of normalised rows. Normalisation is monotonic, so the extremes of the result are those of
// the row, normalised.
func normQuant(w *writer, k asm.Kernel) {
	dst, src, scale, midpoint := w.arg("dst"), w.arg("src"), w.arg("scale"), w.arg("midpoint")
	ldd, lds, four := w.arg("ldd"), w.floats("lds"), w.GP64()
	w.MOVQ(operand.U32(4), four)
	count := w.YMM()
	w.VXORPS(count, count, count)
	w.VCVTSI2SSQ(w.arg("n"), count.AsX(), count.AsX())
	eps, _ := w.Param("eps").Resolve()
	r := newRow(w, k)
	w.forRows([]reg.GPVirtual{dst, src, scale, midpoint}, []reg.GPVirtual{ldd, lds, four, four}, func() {
		below := w.GP64() // the next row
		w.LEAQ(operand.Mem{Base: src, Index: lds, Scale: 1}, below)
		e := r.newExtremes(src)
		mean, unit := r.moments(src, count, eps.Addr, e.see)
		hi, lo := e.both()
		for _, v := range []reg.VecVirtual{hi, lo} {
			w.VSUBSS(mean.AsX(), v.AsX(), v.AsX())
			w.VMULSS(unit.AsX(), v.AsX(), v.AsX())
		}
		z, inv := r.midpoint(hi, lo, scale, midpoint)
		r.round(k, dst, ldd, z, inv, func(n int, masked bool) vecs {
			r.prefetch(below, masked)
			return r.normed(src, mean, unit, n, masked)
		})
	})
}

// extremes writes code that finds the largest and the smallest value of a row.
type extremes struct {
	r      *row
	first  reg.VecVirtual // the row's first value in all lanes
	hi, lo vecs
}

func (r *row) newExtremes(src reg.Register) *extremes {
	w := r.w
	e := &extremes{r, w.YMM(), w.hold("largest values", w.ymms(2)), w.hold("smallest values", w.ymms(2))}
	w.holds("the row's first value", e.first)
	w.VBROADCASTSS(operand.Mem{Base: src}, e.first)
	e.hi.each(func(i int) { w.VMOVAPS(e.first, e.hi[i]) })
	e.lo.each(func(i int) { w.VMOVAPS(e.first, e.lo[i]) })
	return e
}

// see writes code that updates the extremes with the block x. If masked, lanes past the row count as the row's first value.
func (e *extremes) see(x vecs, masked bool) {
	w := e.r.w
	y := x
	if masked {
		y = w.ymms(1)
	}
	x.each(func(i int) {
		v := x[i]
		if masked {
			v = y[0]
			w.VMOVUPS(e.r.maskMem(i), v)
			w.VBLENDVPS(v, x[i], e.first, v)
		}
		w.VMAXPS(v, e.hi[i%2], e.hi[i%2])
		w.VMINPS(v, e.lo[i%2], e.lo[i%2])
	})
}

// both writes code that finds the largest and the smallest value of all blocks given to see. Each is in lane 0 of the
// register that is returned.
func (e *extremes) both() (hi, lo reg.VecVirtual) {
	w := e.r.w
	w.VMAXPS(e.hi[1], e.hi[0], e.hi[0])
	w.VMINPS(e.lo[1], e.lo[0], e.lo[0])
	w.reduce(e.hi[0], func(a, b, c operand.Op) { w.VMAXPS(a, b, c) })
	w.reduce(e.lo[0], func(a, b, c operand.Op) { w.VMINPS(a, b, c) })
	return e.hi[0], e.lo[0]
}

// midpoint writes code that computes and stores the scale and the midpoint of a row whose extremes are in lane 0 of hi and
// lo. It returns the midpoint and 1/scale in all lanes.
func (r *row) midpoint(hi, lo reg.VecVirtual, scale, midpoint reg.Register) (z, inv reg.VecVirtual) {
	w := r.w
	m, mask := w.YMM(), w.YMM()
	z, inv = w.YMM(), w.YMM()
	w.holds("midpoint of the row", z)
	w.holds("127/m", inv)
	half, small, most := w.f32("half", 0.5), w.f32("small", 1e-30), w.f32("most", 127)
	w.VADDSS(lo.AsX(), hi.AsX(), z.AsX())
	w.VMULSS(half, z.AsX(), z.AsX())
	w.VSUBSS(lo.AsX(), hi.AsX(), m.AsX())
	w.VMULSS(half, m.AsX(), m.AsX())
	w.VCMPSS(operand.Imm(5), small, m.AsX(), mask.AsX()) // not less: a NaN stays one
	w.VMOVSS(most, inv.AsX())
	w.VDIVSS(m.AsX(), inv.AsX(), inv.AsX())
	w.VANDPS(mask.AsX(), m.AsX(), m.AsX())
	w.VANDPS(mask.AsX(), inv.AsX(), inv.AsX())
	w.VDIVSS(most, m.AsX(), m.AsX())
	w.VMOVSS(m.AsX(), operand.Mem{Base: scale})
	w.VMOVSS(z.AsX(), operand.Mem{Base: midpoint})
	w.VBROADCASTSS(inv.AsX(), inv)
	w.VBROADCASTSS(z.AsX(), z)
	return z, inv
}

// prefetch writes prefetches of the block at the current offset in the row at p; none if the block is masked.
func (r *row) prefetch(p reg.Register, masked bool) {
	for i := 0; i < 4*block && !masked; i += 64 {
		r.w.PREFETCHT0(operand.Mem{Base: p, Index: r.at, Scale: 4, Disp: i})
	}
}

// round writes code that quantises and stores a row, whose blocks load returns as registers. For i8x2 it also stores the
// residuals: ldd/2 bytes after the values or, for 16-bit results, as one number with them.
func (r *row) round(k asm.Kernel, dst, ldd reg.Register, z, inv reg.VecVirtual, load func(n int, masked bool) vecs) {
	w := r.w
	wide := k.Op == asm.OpQuantI16 || k.Op == asm.OpNormQuantI16
	order, zeroPoint := w.YMM(), w.YMM()
	if !wide {
		w.VMOVDQU(w.data("order", 0, 4, 1, 5, 2, 6, 3, 7), order)
		w.VMOVDQU(w.words("signs8", 0x80808080), zeroPoint)
	}
	// store writes code that packs a block of 32-bit integers, to 16 or 8 bits, and stores it at the current offset in dst.
	// It clobbers x.
	store := func(x vecs, dst reg.Register) {
		w.VPACKSSDW(x[1], x[0], x[0])
		w.VPACKSSDW(x[3], x[2], x[2])
		if wide {
			for i := 0; i < 4; i += 2 {
				w.VPERMQ(operand.Imm(0xd8), x[i], x[i])
				w.VMOVDQU(x[i], operand.Mem{Base: dst, Index: r.at, Scale: 2, Disp: 16 * i})
			}
			return
		}
		w.VPACKSSWB(x[2], x[0], x[0])
		w.VPERMD(x[0], order, x[0])
		w.VPXOR(zeroPoint, x[0], x[0])
		w.VMOVDQU(x[0], operand.Mem{Base: dst, Index: r.at, Scale: 1})
	}
	const steps = 254 // of the residual, per step of the value
	twoTerm := k.DType == "i8x2"
	residual := w.GP64()
	if twoTerm && !wide {
		w.MOVQ(ldd, residual)
		w.SHRQ(operand.Imm(1), residual)
		w.ADDQ(dst, residual)
	}
	r.each(func(n int, masked bool) {
		x := w.hold("the block", load(n, masked))
		x.each(func(i int) { w.VSUBPS(z, x[i], x[i]) })
		if masked {
			r.clip(x)
		}
		x.each(func(i int) { w.VMULPS(inv, x[i], x[i]) })
		if !twoTerm {
			x.each(func(i int) { w.VCVTPS2DQ(x[i], x[i]) })
			store(x, dst)
			return
		}
		q, t := r.some(n), w.YMM()
		x.each(func(i int) {
			w.VCVTPS2DQ(x[i], q[i])
			w.VCVTDQ2PS(q[i], t)
			w.VSUBPS(t, x[i], x[i])
			w.VMULPS(w.f32("steps", steps), x[i], x[i])
			w.VCVTPS2DQ(x[i], x[i])
		})
		if wide {
			for i := 0; i < 4; i += 2 {
				w.VPACKSSDW(q[i+1], q[i], q[i])
				w.VPACKSSDW(x[i+1], x[i], x[i])
				w.VPMULLW(w.words("steps16", steps<<16|steps), q[i], q[i])
				w.VPADDW(x[i], q[i], q[i])
				w.VPERMQ(operand.Imm(0xd8), q[i], q[i])
				w.VMOVDQU(q[i], operand.Mem{Base: dst, Index: r.at, Scale: 2, Disp: 16 * i})
			}
			return
		}
		store(q, dst)
		store(x, residual)
	})
}
