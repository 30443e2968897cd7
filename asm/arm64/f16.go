package arm64

import "github.com/multiway-go/multiway/asm"

func init() { generators[asm.OpConvert] = convert }

// ahead is the distance, in bytes, at which convert prefetches. Panels are contiguous, so the end of one prefetches the start of
// the next.
const ahead = 1024

// widen writes the conversion of four 16-bit floats, the low half of n, to float32 in d; dtype is f16 or bf16.
func (w *writer) widen(dtype string, d, n V) {
	if dtype == "f16" {
		w.FCVTL(d, n)
	} else {
		w.SHLL(d, n)
	}
}

// widenHigh writes the conversion of four 16-bit floats, the high half of n, to float32 in d; dtype is f16 or bf16.
func (w *writer) widenHigh(dtype string, d, n V) {
	if dtype == "f16" {
		w.FCVTL2(d, n)
	} else {
		w.SHLL2(d, n)
	}
}

// convert writes the conversion of n 16-bit floats, f16 or bf16, to float32: 32 at a time, then the rest one by one.
func convert(w *writer, k asm.Kernel) {
	n, dst, src := w.arg("n", 0), w.arg("dst", 1), w.arg("src", 2)
	v, wide := w.hold("32 values", regs(0, 4)), w.hold("the values as float32", regs(4, 8))
	const many = 32
	w.SUBSI(n, n, many)
	w.BLT("tail")
	w.loop("loop", w.BGE, func() {
		w.PRFM(src, ahead)
		w.LDPpost(v[0], v[1], src, 32)
		w.LDPpost(v[2], v[3], src, 32)
		v.each(func(i int) {
			w.widen(k.DType, wide[2*i], v[i])
			w.widenHigh(k.DType, wide[2*i+1], v[i])
		})
		v.each(func(i int) { w.STP(wide[2*i], wide[2*i+1], dst, 32*i) })
		w.ADDI(dst, dst, 4*many)
		w.SUBSI(n, n, many)
	})
	inner := w.hot
	w.mark("tail")
	w.ADDSI(n, n, many)
	w.BEQ("done")
	w.loop("last", w.BNE, func() {
		w.LDRh(v[0], src, 2)
		w.widen(k.DType, v[0], v[0])
		w.STRs(v[0], dst, 4)
		w.SUBSI(n, n, 1)
	})
	w.hot = inner
	w.mark("done")
	w.RET()
}
