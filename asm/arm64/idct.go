package arm64

import "github.com/multiway-go/multiway/asm"

func init() { generators[asm.OpIDCT] = idct }

// Registers that idct and idctPass use, beside those of the block.
const (
	idctHalf   = V(12) // half of the divisor of a pass, for rounding
	idctFree   = V(13)
	idctFirst  = V(14) // the first eight factors
	idctSecond = V(15) // the others
)

// idctFactors holds the factors of the inverse cosine transform, with 13 fractional bits, eight for each of two registers.
// The last four are padding.
var idctFactors = []int16{
	asm.IDCT0541 + asm.IDCT0765, asm.IDCT0541, asm.IDCT0541 - asm.IDCT1847, asm.IDCT1175 - asm.IDCT1961, asm.IDCT1175, asm.IDCT1175 - asm.IDCT0390, -asm.IDCT0899, -asm.IDCT2562,
	asm.IDCT0298 - asm.IDCT0899, asm.IDCT2053 - asm.IDCT2562, asm.IDCT3072 - asm.IDCT2562, asm.IDCT1501 - asm.IDCT0899, 0, 0, 0, 0,
}

// idct writes the transform of a block's columns, a transposition, the transform of its rows, and the transposition back.
func idct(w *writer, _ asm.Kernel) {
	t, q := w.hold("the rows, or the columns after a transposition, as int16", regs(0, 8)), w.hold("quant", regs(16, 8))
	w.arg("block", 0)
	w.arg("quant", 1)
	for i := 0; i < 8; i += 2 {
		w.LDP(t[i], t[i+1], 0, 16*i)
		w.LDP(q[i], q[i+1], 1, 16*i)
	}
	var words []uint32
	for i := 0; i < len(idctFactors); i += 2 {
		words = append(words, uint32(uint16(idctFactors[i]))|uint32(uint16(idctFactors[i+1]))<<16)
	}
	w.words("idct", 2, append(words, 1<<10, 1<<10, 1<<10, 1<<10, 1<<17, 1<<17, 1<<17, 1<<17, 0x80808080, 0x80808080, 0x80808080, 0x80808080)...)
	w.LDP(idctFirst, idctSecond, 2, 0)
	below, turned := V(8), V(9)
	w.ORR(below, t[1], t[2])
	for _, v := range t[3:] {
		w.ORR(below, below, v)
	}
	w.EXT(turned, below, below, 8)
	w.ORR(below, below, turned)
	w.FMOV(3, below)
	t.each(func(i int) { w.MULh(t[i], t[i], q[i]) })
	alike, rows := w.label("alike"), w.label("rows")
	w.CBZ(3, alike)
	w.LDR(idctHalf, 2, 32)
	w.idctPass(t, func(d, low, high V) { w.SQSHRN11(d, low); w.SQSHRN11high(d, high) })
	w.B(rows)
	w.mark(alike)
	w.SHLh(t[0], t[0], 2)
	for _, v := range t[1:] {
		w.MOV(v, t[0])
	}
	w.mark(rows)
	w.transpose(t)
	w.LDR(idctHalf, 2, 48)
	w.idctPass(t, func(d, low, high V) { w.UZP2h(d, low, high); w.SSHR2h(d, d) }) // 16 and 2 bits
	w.transpose(t)

	w.arg("dst", 0)
	w.arg("stride", 1)
	center := V(8)
	w.LDR(center, 2, 64)
	t.each(func(i int) { w.SQXTNb(t[i], t[i]) })
	t.each(func(i int) { w.EOR(t[i], t[i], center) })
	for _, v := range t {
		w.STRdpost(v, 0, 0)
		w.ADD(0, 0, 1)
	}
	w.RET()
}

// idctPass transforms t. drop writes the shift of a row of results, two vectors of int32, to one of int16. Results i and 7-i, for
// i < 4, are even[i]+odd[3-i] and even[i]-odd[3-i].
//
//	V8-V11   t[0]+t[4], t[0]-t[4], t[3]+t[7] and t[1]+t[5]
//	V16-V23  even of the low four columns and of the high four; then results
//	V24-V31  odd, likewise; then results
func (w *writer) idctPass(t vecs, drop func(d, low, high V)) {
	v04, d04, v73, v51 := V(8), V(9), V(10), V(11)
	w.ADDh(v04, t[0], t[4])
	w.SUBh(d04, t[0], t[4])
	w.ADDh(v73, t[3], t[7])
	w.ADDh(v51, t[1], t[5])
	free := idctFree
	// factor returns the register and the lane that hold f, one of idctFactors.
	factor := func(f int16) (V, int) {
		for i, v := range idctFactors {
			if v == f {
				return idctFirst + V(i/8), i % 8
			}
		}
		panic("arm64: no such factor of idct")
	}
	var results [2][8]V
	for half := range 2 {
		start := func(d, n V, f int16) {
			m, i := factor(f)
			if half == 0 {
				w.SMULLlane(d, n, m, i)
			} else {
				w.SMULL2lane(d, n, m, i)
			}
		}
		add := func(d, n V, f int16) {
			m, i := factor(f)
			if half == 0 {
				w.SMLALlane(d, n, m, i)
			} else {
				w.SMLAL2lane(d, n, m, i)
			}
		}
		even, odd := regs(V(16+4*half), 4), regs(V(24+4*half), 4)
		for i, v := range []V{v04, d04} {
			if half == 0 {
				w.SSHLL(even[i], v, 13)
			} else {
				w.SSHLL2(even[i], v, 13)
			}
		}
		start(even[3], t[2], asm.IDCT0541+asm.IDCT0765)
		start(even[2], t[2], asm.IDCT0541)
		add(even[3], t[6], asm.IDCT0541)
		add(even[2], t[6], asm.IDCT0541-asm.IDCT1847)
		start(odd[0], v73, asm.IDCT1175-asm.IDCT1961)
		start(odd[1], v73, asm.IDCT1175)
		add(odd[0], v51, asm.IDCT1175)
		add(odd[1], v51, asm.IDCT1175-asm.IDCT0390)
		w.MOV(odd[2], odd[0])
		w.MOV(odd[3], odd[1])
		add(odd[0], t[7], asm.IDCT0298-asm.IDCT0899)
		add(odd[1], t[5], asm.IDCT2053-asm.IDCT2562)
		add(odd[2], t[3], asm.IDCT3072-asm.IDCT2562)
		add(odd[3], t[1], asm.IDCT1501-asm.IDCT0899)
		add(odd[0], t[1], -asm.IDCT0899)
		add(odd[1], t[3], -asm.IDCT2562)
		add(odd[2], t[5], -asm.IDCT2562)
		add(odd[3], t[7], -asm.IDCT0899)
		for _, v := range even[:2] {
			w.ADDint(v, v, idctHalf)
		}
		// butterfly computes a+b into the free register, which it returns, and a-b into b. Register a becomes the free one.
		butterfly := func(a, b V) V {
			sum := free
			w.ADDint(sum, a, b)
			w.SUBint(b, a, b)
			free = a
			return sum
		}
		even[0] = butterfly(even[0], even[3])
		even[1] = butterfly(even[1], even[2])
		for i, v := range even {
			results[half][7-i] = odd[3-i]
			results[half][i] = butterfly(v, odd[3-i])
		}
	}
	for i := range 8 {
		drop(t[i], results[0][i], results[1][i])
	}
}

// transpose transposes an 8x8 block of 16-bit elements in place; t[i] is row i. It clobbers V16 to V31.
func (w *writer) transpose(t vecs) {
	pairs, quads := regs(16, 8), regs(24, 8)
	for i := 0; i < 8; i += 2 {
		w.TRN1h(pairs[i], t[i], t[i+1])
		w.TRN2h(pairs[i+1], t[i], t[i+1])
	}
	for i := 0; i < 8; i += 4 {
		for j := range 2 {
			w.TRN1(quads[i+j], pairs[i+j], pairs[i+j+2])
			w.TRN2(quads[i+j+2], pairs[i+j], pairs[i+j+2])
		}
	}
	for i := range 4 {
		w.ZIP1(t[i], quads[i], quads[i+4])
		w.ZIP2(t[i+4], quads[i], quads[i+4])
	}
}
