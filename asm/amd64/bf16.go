package amd64

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/multiway-go/multiway/asm"
)

func init() {
	generators[asm.OpGemmBF16] = gemmBF16
	generators[asm.OpRound] = round
}

// gemmBF16 writes a tile of products of bfloat16. AVX512_BF16 has an instruction that adds two products to each lane, the
// second and then the first, each rounded as it is added. On lower levels, the halves of each pair are converted to float32 and
// fused multiply-adds in that order give the same bits, since the products are exact.
func gemmBF16(w *writer, k asm.Kernel) {
	const line = 4 * asm.Panel // bytes of a step in a panel
	s := w.newSums(k)
	v, acc := s.v, s.rows
	w.Label("tile")
	s.start(true)

	steps, b := w.arg("k"), w.arg("b")
	a, as := w.rows(w.arg("a"), w.halfwords("lda"), k.MR)
	pf, pfstep := w.arg("pf"), w.arg("pfstep")
	var next reg.Register
	if k.NR > asm.Panel {
		next = w.halfwords("bstride")
	}
	panel := func(m operand.Mem, p int) operand.Mem {
		if p > 0 {
			m.Index, m.Scale = next, uint8(p)
		}
		return m
	}
	row := func(u, j int) operand.Mem {
		at := v.bytes * j
		return panel(operand.Mem{Base: b, Disp: u*line + at%line}, at/line)
	}
	bv, x := w.hold("pairs of rows of B, or one row as float32", v.some(s.n)), v.new()
	w.holds("a pair of elements of A, or one as float32, in all lanes", x)
	products := func(u int) {
		bv.each(func(j int) { w.VMOVUPS(row(u, j), bv[j]) })
		for r := range acc {
			w.VPBROADCASTD(a(r, 4*u), x)
			acc[r].each(func(j int) { w.VDPBF16PS(bv[j], x, acc[r][j]) })
		}
	}
	if k.ISA != asm.AVX512BF16 {
		second := w.lanes(v, "second", 0xffff0000)
		halves := []func(x reg.VecVirtual){
			func(x reg.VecVirtual) { v.and(second, x, x) },
			func(x reg.VecVirtual) { w.VPSLLD(operand.Imm(16), x, x) },
		}
		products = func(u int) {
			for _, widen := range halves {
				bv.each(func(j int) {
					w.VMOVUPS(row(u, j), bv[j])
					widen(bv[j])
				})
				for r := range acc {
					w.VPBROADCASTD(a(r, 4*u), x)
					widen(x)
					acc[r].each(func(j int) { w.VFMADD231PS(bv[j], x, acc[r][j]) })
				}
			}
		}
	}
	step := func(u int) {
		for p := range k.NR / asm.Panel {
			w.PREFETCHT0(panel(operand.Mem{Base: pf}, p))
		}
		w.ADDQ(pfstep, pf)
		products(u)
	}
	advance := func(n int) {
		for _, p := range as {
			w.ADDQ(operand.Imm(uint64(4*n)), p)
		}
		w.ADDQ(operand.I32(int32(n*line)), b)
	}

	s.loop(2, true, steps, step, advance)
	s.store()
	w.nextTile(k, 2, pf)
}

// round writes the rounding of rows to bfloat16, ties to even: it adds 0x7fff plus the last bit that remains and keeps the
// upper 16 bits.
func round(w *writer, k asm.Kernel) {
	dst, src := w.arg("dst"), w.arg("src")
	ldd, lds := w.halfwords("ldd"), w.floats("lds")
	r := newRow(w, k)
	one, half, quiet := w.words("unit", 1), w.words("belowHalf", 0x7fff), w.words("quiet", 0x40)
	w.forRows([]reg.GPVirtual{dst, src}, []reg.GPVirtual{ldd, lds}, func() {
		r.each(func(n int, masked bool) {
			x := w.hold("the block", w.ymms(n))
			r.load(src, x, masked)
			up, t := w.YMM(), w.YMM()
			w.holds("the rounded bits", up)
			w.holds("what a NaN becomes", t)
			x.each(func(i int) {
				w.VCMPPS(operand.Imm(3), x[i], x[i], t) // unordered: NaNs
				w.VPAND(quiet, t, t)
				w.VPSRLD(operand.Imm(16), x[i], up)
				w.VPOR(up, t, t) // what a NaN becomes
				w.VPAND(one, up, up)
				w.VPADDD(half, up, up)
				w.VPADDD(x[i], up, up)
				w.VPSRLD(operand.Imm(16), up, up)
				w.VCMPPS(operand.Imm(3), x[i], x[i], x[i])
				w.VPBLENDVB(x[i], t, up, x[i])
			})
			for i := 0; i < n; i += 2 {
				w.VPACKUSDW(x[i+1], x[i], x[i])
				w.VPERMQ(operand.Imm(0xd8), x[i], x[i])
				w.VMOVDQU(x[i], operand.Mem{Base: dst, Index: r.at, Scale: 2, Disp: 16 * i})
			}
		})
	})
}
