package kerneltest

import (
	"math"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// The kernels for tests compute the definitions of the kernel types as plainly as possible.

func naiveGemm(mr, nr int) kernel.Gemm {
	return func(tiles, k int, a *float32, lda int, b *float32, bstride int, c *float32, ldc int, bias *float32, acc int, pf *float32, pfstep int) {
		if *pf != *pf { // the first prefetch lies inside the panels
			panic("prefetch of a NaN")
		}
		for r := range tiles * mr {
			for j := range nr {
				sum := float32(0)
				if acc != 0 {
					sum = *at(c, r*ldc+j)
				}
				if bias != nil {
					sum += *at(bias, j)
				}
				for i := range k {
					sum += *at(a, r*lda+i) * *at(b, j/16*bstride+i*16+j%16)
				}
				*at(c, r*ldc+j) = sum
			}
		}
	}
}

func naiveGemmNN(mr, nr int) kernel.GemmNN {
	return func(tiles, k int, a *float32, lda int, b *float32, ldb int, c *float32, ldc int, acc int) {
		for r := range tiles * mr {
			for j := range nr {
				sum := float32(0)
				if acc != 0 {
					sum = *at(c, r*ldc+j)
				}
				for i := range k {
					sum += *at(a, r*lda+i) * *at(b, i*ldb+j)
				}
				*at(c, r*ldc+j) = sum
			}
		}
	}
}

func naiveSoftmax(rows int, x *float32, ld int, n int, inv *float32) {
	for r := range rows {
		row := floats(at(x, r*ld), ceil16(n))
		top := row[0]
		for _, v := range row[:n] {
			top = max(top, v)
		}
		sum := 0.0
		for i := range row {
			if i >= n {
				row[i] = 0
				continue
			}
			row[i] = float32(math.Exp2(float64(row[i] - top)))
			sum += float64(row[i])
		}
		*at(inv, r) = float32(1 / sum)
	}
}

func naiveScaleRows(rows int, dst *float32, ldd int, src *float32, lds int, n int, s *float32) {
	for r := range rows {
		for i := range n {
			*at(dst, r*ldd+i) = *at(src, r*lds+i) * *at(s, r)
		}
	}
}

func NaiveLayerNorm(rows int, dst *float32, ldd int, src *float32, lds int, n int, g *float32, b *float32, eps float32) {
	for r := range rows {
		in := floats(at(src, r*lds), n)
		mean, variance := 0.0, 0.0
		for _, v := range in {
			mean += float64(v) / float64(n)
		}
		for _, v := range in {
			variance += (float64(v) - mean) * (float64(v) - mean) / float64(n)
		}
		for i, v := range in {
			y := (float64(v) - mean) / math.Sqrt(variance+float64(eps))
			if g != nil {
				y = y*float64(*at(g, i)) + float64(*at(b, i))
			}
			*at(dst, r*ldd+i) = float32(y)
		}
	}
}

func Gelu64(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }

func GeluTanh64(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func QuickGelu64(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }

// NaiveGelu returns a kernel that applies an activation.
func NaiveGelu(of func(x float64) float64) kernel.Gelu {
	return func(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
		for r := range rows {
			for i := range n {
				*at(dst, r*ldd+i) = float32(of(float64(*at(src, r*lds+i))))
			}
		}
	}
}

func naivePackKeys(rows int, dst *float32, src *float32, lds int, k int) {
	for kk := range k {
		for r := range 16 {
			v := float32(0)
			if r < rows {
				v = *at(src, r*lds+kk)
			}
			*at(dst, kk*16+r) = v
		}
	}
}

func naiveAdd(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		for i := range n {
			*at(dst, r*ldd+i) += *at(src, r*lds+i)
		}
	}
}

func naiveMul(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		for i := range n {
			*at(dst, r*ldd+i) *= *at(src, r*lds+i)
		}
	}
}

func Gemms(mr, nr int) []kernel.Gemm {
	g := make([]kernel.Gemm, mr+1)
	for i := 1; i <= mr; i++ {
		g[i] = naiveGemm(i, nr)
	}
	return g
}

// Naive returns a complete table with tiles of mr x nr. Kernels that the tests do not need panic.
func Naive(level string, mr, nr int) *kernel.Table {
	k := &kernel.Table{Level: level, MR: mr, NR: nr, Gemm: Gemms(mr, nr), Softmax: naiveSoftmax, ScaleRows: naiveScaleRows,
		LayerNorm: NaiveLayerNorm, Gelu: NaiveGelu(Gelu64), GeluTanh: NaiveGelu(GeluTanh64), QuickGelu: NaiveGelu(QuickGelu64), PackKeys: naivePackKeys, Add: naiveAdd, Mul: naiveMul}
	k.Gemm16 = k.Gemm
	if nr != 16 {
		k.Gemm16 = Gemms(6, 16)
	}
	gemmNNs := func(nr int) []kernel.GemmNN {
		g := make([]kernel.GemmNN, 7)
		for i := 1; i <= 6; i++ {
			g[i] = naiveGemmNN(i, nr)
		}
		return g
	}
	k.NNNR, k.GemmNN16 = 16, gemmNNs(16)
	if nr != 16 {
		k.NNNR = 32
	}
	k.GemmNN = gemmNNs(k.NNNR)
	for field, f := range reflect.ValueOf(k).Elem().Fields() {
		if f.Kind() == reflect.Func && f.IsNil() {
			f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value { panic("no plain " + field.Name) }))
		}
	}
	return k
}

// BF16s adds kernels for bf16 weights to a table, with tiles of up to mr rows and nr columns.
func BF16s(k *kernel.Table, mr, nr int) {
	widen := func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
	w := kernel.Widening{Type: "bf16", NR: nr, Convert: func(n int, dst *float32, src *uint8) {
		for i := range n {
			*at(dst, i) = widen(*Half((*float32)(unsafe.Pointer(src)), i))
		}
	}}
	tiles := func(nr int) []kernel.GemmNarrow {
		fs := make([]kernel.GemmNarrow, mr+1)
		for i := 1; i <= mr; i++ {
			fs[i] = func(tiles, n int, a *float32, lda int, b *uint8, bstride int, c *float32, ldc int, bias *float32, acc int, pf *uint8, pfstep int) {
				prefetched.Add(uint32(*pf)) // the first prefetch lies inside the weights
				panels := make([]float32, nr*n)
				for p := range nr / 16 {
					w.Convert(16*n, &panels[16*n*p], (*uint8)(unsafe.Add(unsafe.Pointer(b), 2*p*bstride)))
				}
				naiveGemm(i, nr)(tiles, n, a, lda, &panels[0], 16*n, c, ldc, bias, acc, &panels[0], 0)
			}
		}
		return fs
	}
	w.Gemm, w.Gemm16 = tiles(nr), tiles(16)
	k.Widening = []kernel.Widening{w}
}

// prefetched stores the values at prefetch addresses, so that reading them is not optimised away.
var prefetched atomic.Uint32

// Dots adds kernels for products of bf16 by bf16 to a table, with tiles of up to mr rows and nr
// columns.
func Dots(k *kernel.Table, mr, nr int) {
	tiles := func(nr int) []kernel.GemmBF16 {
		fs := make([]kernel.GemmBF16, mr+1)
		for i := 1; i <= mr; i++ {
			fs[i] = func(tiles, n int, a *uint16, lda int, b *uint16, bstride int, c *float32, ldc int, bias *float32, acc int, pf *uint16, pfstep int) {
				prefetched.Add(uint32(*pf)) // the first prefetch lies inside the weights
				widen := func(p *uint16, i int) float32 {
					return math.Float32frombits(uint32(*Half((*float32)(unsafe.Pointer(p)), i)) << 16)
				}
				rows, panels := make([]float32, tiles*i*2*n), make([]float32, nr*2*n)
				for j := range rows {
					rows[j] = widen(a, j/(2*n)*lda+j%(2*n))
				}
				for j := range panels { // [panel][k][16] from [panel][k/2][16][2]
					p, rest := j/(32*n), j%(32*n)
					panels[j] = widen(b, p*bstride+rest/32*32+rest%16*2+rest%32/16)
				}
				naiveGemm(i, nr)(tiles, 2*n, &rows[0], 2*n, &panels[0], 32*n, c, ldc, bias, acc, &panels[0], 0)
			}
		}
		return fs
	}
	k.Dot = kernel.Dot{NR: nr, Gemm: tiles(nr), Gemm16: tiles(16), Round: func(rows int, dst *uint16, ldd int, src *float32, lds int, n int) {
		for r := range rows {
			for i := range (n + 31) / 32 * 32 {
				h := Half((*float32)(unsafe.Pointer(dst)), r*ldd+i)
				if *h = 0; i < n {
					*h = uint16(math.Float32bits(*at(src, r*lds+i)) >> 16)
				}
			}
		}
	}}
}

// at returns the address i floats after p.
func at(p *float32, i int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), i*4)) }

// Half returns the address of 16-bit value i after p.
func Half(p *float32, i int) *uint16 { return (*uint16)(unsafe.Add(unsafe.Pointer(p), 2*i)) }

func floats(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

func ceil16(n int) int { return (n + 15) &^ 15 }
