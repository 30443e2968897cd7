package exec

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
)

// layout is the order of the values in panels of int8 products.
type layout string

const (
	fours  layout = "[k/4][16][4]"
	eights layout = "[k/8][16][8]"
	int16s layout = "[k/2][16][2] of int16"
)

// i8s returns kernels for int8 products, with tiles of up to mr rows and nr columns (16 of other layouts than fours),
// written plainly by the comments of their types.
func i8s(mr, nr int, of layout) kernel.Int8 {
	size, wide := 1, of == int16s
	if wide {
		size = 2
	}
	if of != fours {
		nr = 16
	}
	// room returns the bytes of a panel of k groups of four, without its tail.
	room := func(k int) int {
		if of == eights {
			k += k % 2
		}
		return size * 64 * k
	}
	// value returns the value in row i and column j of a panel.
	value := func(panel []int8, i, j int) int32 {
		switch of {
		case int16s:
			return int32(unsafe.Slice((*int16)(unsafe.Pointer(&panel[0])), len(panel)/2)[i/2*32+j*2+i%2])
		case eights:
			return int32(panel[i/8*128+j*8+i%8])
		}
		return int32(panel[i/4*64+j*4+i%4])
	}
	gemms := func(nr int) []kernel.GemmI8 {
		g := make([]kernel.GemmI8, mr+1)
		for m := 1; m <= mr; m++ {
			g[m] = func(tiles, k int, a *uint8, lda int, b *int8, bstride int, c *float32, ldc int, scale *float32, midpoint *float32, bias *float32, acc int, pf *int8, _ int) {
				_ = *pf // the first prefetch lies inside the panels
				for r := range tiles * m {
					for j := range nr {
						panel := unsafe.Slice((*int8)(unsafe.Add(unsafe.Pointer(b), j/16*bstride)), room(k)+panelTail)
						tail := func(i int) unsafe.Pointer { return unsafe.Pointer(&panel[room(k)+64*i+j%16*4]) }
						sum := *(*int32)(tail(1))
						row := unsafe.Add(unsafe.Pointer(a), r*lda)
						if wide {
							sum += *(*int32)(unsafe.Add(row, 8*k))
							x := unsafe.Slice((*int16)(row), 4*k)
							for i := range 2 * k {
								i += i / 2 * 2 // of a group's elements the first two have one two after them
								sum += (int32(x[i]) + value(panel, i+2, j%16)) * (int32(x[i+2]) + value(panel, i, j%16))
							}
						} else {
							for i, x := range unsafe.Slice((*uint8)(row), 4*k) {
								sum += int32(x) * value(panel, i, j%16)
							}
						}
						y := float32(sum)**at(scale, r)**(*float32)(tail(0)) + *at(midpoint, r)**(*float32)(tail(2))
						if bias != nil {
							y += *at(bias, j)
						}
						if acc != 0 {
							y += *at(c, r*ldc+j)
						}
						*at(c, r*ldc+j) = y
					}
				}
			}
		}
		return g
	}
	round := func(twoTerm bool, rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, midpoint *float32) {
		for r := range rows {
			lo, hi := math.Inf(1), math.Inf(-1)
			for i := range n {
				lo, hi = min(lo, float64(*at(src, r*lds+i))), max(hi, float64(*at(src, r*lds+i)))
			}
			z, m := (hi+lo)/2, (hi-lo)/2
			*at(scale, r), *at(midpoint, r) = float32(m/127), float32(z)
			for i := range (n + 31) / 32 * 32 {
				v := 0.0
				if i < n {
					v = (float64(*at(src, r*lds+i)) - z) / max(m, 1e-30) * 127
				}
				whole := math.RoundToEven(v)
				residual := math.RoundToEven((v - whole) * residualSteps)
				to := unsafe.Add(unsafe.Pointer(dst), r*ldd+size*i)
				switch {
				case wide && twoTerm:
					*(*int16)(to) = int16(whole*residualSteps + residual)
				case wide:
					*(*int16)(to) = int16(whole)
				default:
					*(*uint8)(to) = uint8(128 + int(whole))
				}
				if twoTerm && !wide {
					*(*uint8)(unsafe.Add(to, ldd/2)) = uint8(128 + int(residual))
				}
			}
		}
	}
	rounding := func(twoTerm bool) (kernel.Quant, kernel.LayerNormQuant) {
		quant := func(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, midpoint *float32) {
			round(twoTerm, rows, dst, ldd, src, lds, n, scale, midpoint)
		}
		return quant, func(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, midpoint *float32) {
			norm := make([]float32, rows*n)
			kerneltest.NaiveLayerNorm(rows, &norm[0], n, src, lds, n, nil, nil, eps)
			quant(rows, dst, ldd, &norm[0], n, n, scale, midpoint)
		}
	}
	i := kernel.Int8{NR: nr, Gemm: gemms(nr), Gemm16: gemms(16)}
	i.Quant, i.NormQuant = rounding(false)
	i.QuantI8X2, i.NormQuantI8X2 = rounding(true)
	switch of {
	case eights:
		i.Repack = func(k int, dst *int8, src *int8) {
			from, to := unsafe.Slice(src, 64*k+panelTail), unsafe.Slice(dst, room(k)+panelTail)
			for i := range 4 * k {
				for j := range 16 {
					to[i/8*128+j*8+i%8] = from[i/4*64+j*4+i%4]
				}
			}
			copy(to[room(k):], from[64*k:])
		}
	case int16s:
		i.Repack = func(k int, dst *int8, src *int8) {
			from, to := unsafe.Slice(src, 64*k+panelTail), unsafe.Slice(dst, 2*64*k+panelTail)
			for i := range 4 * k {
				for j := range 16 {
					binary.NativeEndian.PutUint16(unsafe.Slice((*byte)(unsafe.Pointer(&to[i/2*64+j*4+i%2*2])), 2), uint16(from[i/4*64+j*4+i%4]))
				}
			}
			copy(to[2*64*k:], from[64*k:])
			for j := range 16 {
				compensation := int32(0)
				for i := range 2 * k {
					i += i / 2 * 2
					compensation -= value(to, i, j) * value(to, i+2, j)
				}
				*(*int32)(unsafe.Pointer(&to[2*64*k+64+4*j])) = compensation
			}
		}
		i.Compensate = func(rows, k int, a *uint8, lda int) {
			for r := range rows {
				row, compensation := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(a), r*lda)), 4*k+2), int32(0)
				for i := range 2 * k {
					i += i / 2 * 2
					compensation -= int32(row[i]) * int32(row[i+2])
				}
				*(*int32)(unsafe.Pointer(&row[4*k])) = compensation
			}
		}
	}
	return i
}

// An int8 product equals the product of the quantised rows and weights.
func TestInt8Linear(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		k.I8 = i8s(3, max(16, k.NR-16), fours)
		if of := map[int]layout{2: eights, 4: int16s}[threads]; of != "" {
			many := i8s(4, 16, of)
			k.I8.Many = &many
		}
		type shape struct {
			m, k, n int
			d       blob.DType
		}
		var shapes []shape
		for _, d := range []blob.DType{blob.I8, blob.I8X2} {
			for _, s := range [][3]int{{1, 1, 1}, {2, 7, 33}, {3, 8, 100}, {25, 64, 160}, {405, 6, 20}, {2, 2000, 40}, {2, 512, 16}, {10, 1100, 36}, {0, 4, 4}} {
				shapes = append(shapes, shape{s[0], s[1], s[2], d})
			}
		}
		for _, s := range shapes {
			w := newWorld(t, k, threads)
			groups, panels := (s.k+3)/4, ceil16(s.n)/16
			stride := 64*groups + panelTail
			data := make([]byte, panels*stride)
			m, b := mat64(s.k, s.n), make([]float64, s.n)
			for j := range s.n {
				panel, scale, sum := data[j/16*stride:], float32(1+w.rng.Float64())/64, 0
				for i := range s.k {
					q := w.rng.IntN(255) - 127
					sum += q
					panel[i/4*64+j%16*4+i%4] = byte(q)
					m[i][j] = float64(q) * float64(scale)
				}
				binary.NativeEndian.PutUint32(panel[64*groups+j%16*4:], math.Float32bits(scale))
				binary.NativeEndian.PutUint32(panel[64*groups+64+j%16*4:], uint32(-128*sum))
				binary.NativeEndian.PutUint32(panel[64*groups+128+j%16*4:], math.Float32bits(float32(sum)*scale))
			}
			words := make([]float32, len(data)/4)
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(data)), data)
			bias := w.vals(s.n)
			for j, v := range bias {
				b[j] = float64(v)
			}
			l := Linear{W: w.put(words), Bias: w.put(bias), K: s.k, N: s.n, DType: s.d}
			src, dst, res := w.mat(s.m, s.k, true), w.mat(s.m, s.n, false), w.mat(s.m, s.n, true)
			rounded := f64(src)
			for _, row := range rounded {
				lo, hi := slices.Min(row), slices.Max(row)
				z, m := (hi+lo)/2, max((hi-lo)/2, 1e-30)
				for i, v := range row {
					steps := (v - z) / m * 127
					whole := math.RoundToEven(steps)
					if s.d == blob.I8X2 {
						whole += math.RoundToEven((steps-whole)*residualSteps) / residualSteps
					}
					row[i] = whole*m/127 + z
				}
			}
			if s.m == 0 {
				w.Linear(dst, src, &l)
				continue
			}
			raw := w.mat(s.m, s.k, false)
			w.Copy(raw, src)
			want := mul64(rounded, m, b)
			w.Linear(dst, src, &l)
			near(t, fmt.Sprint("linear ", s), dst, want)
			w.AttnOut(dst, src, res, Mat{}, nil, &l)
			near(t, fmt.Sprint("with residual ", s), dst, add64(f64(res), want))
			w.LayerNorm(src, src, &Norm{G: -1, B: -1, N: s.k, Eps: 1e-5})
			w.Linear(dst, src, &l)
			want = f64(dst)
			w.AttnOut(dst, raw, res, w.mat(max(1, s.m/2), s.k, false), &Norm{G: -1, B: -1, N: s.k, Eps: 1e-5}, &l)
			near(t, fmt.Sprint("with norm ", s), dst, add64(f64(res), want))
		}
	})
}
