package golden_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// peak measures the multiply-add peak of this core, in GFLOP/s: the best of several runs of the peak kernels.
func peak() float64 {
	best := 0.0
	for _, k := range asm.Catalogue {
		compiled, lacks, _ := usable(k)
		if k.Op != asm.OpPeakFMA || lacks != "" {
			continue
		}
		l, _ := k.ISA.Level()
		const rounds = 200_000
		for range 20 {
			start := time.Now()
			compiled.Func.(func(int))(rounds)
			best = max(best, float64(rounds*12*2*l.Vector)/float64(time.Since(start).Nanoseconds()))
		}
	}
	return best
}

// BenchmarkKernels times every kernel at the shapes of BEiT-3 base. For products it reports GFLOP/s and the percentage of
// this core's multiply-add ceiling; for the others ns for each element.
func BenchmarkKernels(b *testing.B) {
	ceiling := peak()
	rng := rand.New(rand.NewPCG(5, 6))
	const rows, d, ld, hidden = 197, 768, 784, 3072
	src, dst := make([]float32, 200*(hidden+16)), make([]float32, 200*(hidden+16))
	for i := range src {
		src[i] = float32(rng.NormFloat64())
	}
	work := src[:len(src):len(src)]
	flops := func(b *testing.B, n int) {
		g := float64(n) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
		b.ReportMetric(g, "GFLOP/s")
		if ceiling > 0 {
			b.ReportMetric(100*g/ceiling, "%peak")
		}
	}
	elems := func(b *testing.B, n int) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/elem")
	}
	for _, k := range asm.Catalogue {
		b.Run(k.Name(), func(b *testing.B) {
			compiled, lacks, why := usable(k)
			if lacks != "" {
				b.Skip(why)
			}
			switch f := compiled.Func.(type) {
			case kernel.Gemm: // one tile, everything in cache
				for b.Loop() {
					f(1, d, &work[0], ld, &work[8*ld], d*asm.Panel, &dst[0], ld, &work[0], 0, &work[8*ld+128], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case kernel.GemmNN: // a tile of one head's P*V
				for b.Loop() {
					f(1, rows, &work[0], 208, &work[8*ld], 3*d, &dst[0], ld, 0)
				}
				flops(b, 2*rows*k.MR*k.NR)
			case kernel.Softmax: // a block of 24 queries
				for b.Loop() {
					copy(dst, work[:24*208])
					f(24, &dst[0], 208, rows, &dst[24*208])
				}
				elems(b, 24*rows)
			case kernel.ScaleRows:
				for b.Loop() {
					f(24, &dst[0], ld, &work[0], 64, 64, &work[0])
				}
				elems(b, 24*64)
			case kernel.LayerNorm:
				for b.Loop() {
					f(rows, &dst[0], ld, &work[0], ld, d, nil, nil, 1e-5)
				}
				elems(b, rows*d)
			case kernel.Gelu:
				if k.Op == asm.OpAdd || k.Op == asm.OpMul {
					for b.Loop() {
						f(rows, &dst[0], ld, &work[0], ld, d)
					}
					elems(b, rows*d)
					return
				}
				for b.Loop() {
					f(rows, &dst[0], hidden+16, &work[0], hidden+16, hidden)
				}
				elems(b, rows*hidden)
			case kernel.PackKeys:
				for b.Loop() {
					for r := 0; r < rows; r += asm.Panel {
						f(min(asm.Panel, rows-r), &dst[r*64], &work[r*ld], ld, 64)
					}
				}
				elems(b, rows*64)
			case kernel.GemmNarrow: // one tile, everything in cache
				panels := make([]uint8, dtypeOf(k).Size()*k.NR*d)
				for b.Loop() {
					f(1, d, &work[0], ld, &panels[0], d*asm.Panel, &dst[0], ld, &work[0], 0, &panels[512], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case kernel.Convert:
				panel := make([]uint8, dtypeOf(k).Size()*(d*asm.Panel+1024))
				for b.Loop() {
					f(d*asm.Panel, &dst[0], &panel[0])
				}
				elems(b, d*asm.Panel)
			case kernel.GemmBF16: // one tile, everything in cache
				rows, panels := make([]uint16, k.MR*(d+32)), make([]uint16, k.NR*d)
				for b.Loop() {
					f(1, d/2, &rows[0], d+32, &panels[0], d*asm.Panel, &dst[0], ld, &work[0], 0, &panels[256], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case kernel.Round:
				halves := make([]uint16, rows*(d+32))
				for b.Loop() {
					f(rows, &halves[0], d+32, &work[0], ld, d)
				}
				elems(b, rows*d)
			case kernel.GemmI8: // one tile, everything in cache
				panels := make([]int8, sizeOf(k)*k.NR/asm.Panel*(d*asm.Panel+192)+1024)
				bytes := make([]uint8, 16*2*(d+64))
				for b.Loop() {
					f(1, d/4, &bytes[0], 2*(d+64), &panels[0], d*asm.Panel+192, &dst[0], ld, &work[0], &work[0], &work[0], 1, &panels[0], 64)
				}
				flops(b, 2*d*k.MR*k.NR)
			case kernel.Repack:
				panels := make([]int8, 3*(d*asm.Panel+192))
				for b.Loop() {
					f(d/4, &panels[0], &panels[2*(d*asm.Panel+192)])
				}
				elems(b, d*asm.Panel)
			case kernel.RowCompensation:
				bytes := make([]uint8, rows*2*(d+64))
				for b.Loop() {
					f(rows, d/4, &bytes[0], 2*(d+64))
				}
				elems(b, rows*d)
			case kernel.Quant:
				bytes := make([]uint8, rows*2*(d+64))
				for b.Loop() {
					f(rows, &bytes[0], 2*(d+64), &work[0], ld, d, &dst[0], &dst[rows])
				}
				elems(b, rows*d)
			case kernel.LayerNormQuant:
				bytes := make([]uint8, rows*2*(d+64))
				for b.Loop() {
					f(rows, &bytes[0], 2*(d+64), &work[0], ld, d, 1e-5, &dst[0], &dst[rows])
				}
				elems(b, rows*d)
			case pairsFunc:
				samples, sums := make([]uint8, 4*d), make([]uint32, d)
				for b.Loop() {
					f(d, &sums[0], &samples[0], &samples[d], &samples[2*d], &samples[3*d])
				}
				elems(b, d)
			case spreadFunc:
				sums, spread := make([]uint32, d+1), make([]uint32, 2*d)
				for b.Loop() {
					f(d, &spread[0], &sums[0], 7, 8, 4)
				}
				elems(b, d)
			case yccFunc:
				samples, chroma, rgb := make([]uint8, d), make([]uint32, d), make([]uint8, 3*d+4)
				for b.Loop() {
					f(d, &rgb[0], &samples[0], &chroma[0])
				}
				elems(b, d)
			case horizontalFunc:
				const groups = 4
				pixels, row := make([]uint8, 3*(d+4*groups)+4), make([]uint8, 3*d+1)
				starts, weights := make([]int32, d), make([]int16, 8*groups*d)
				for i := range starts {
					starts[i] = int32(i)
				}
				for b.Loop() {
					f(d, &row[0], &pixels[0], &starts[0], groups, &weights[0])
				}
				elems(b, 3*d)
			case verticalFunc:
				const groups = 4
				rows, row, weights := make([]uint8, 4*groups*d), make([]uint8, d), make([]int16, 8*groups)
				for b.Loop() {
					f(d, &row[0], &rows[0], d, groups, &weights[0])
				}
				elems(b, d)
			case idctFunc:
				var block [64]int16
				var quant [64]uint16
				for i := range block {
					block[i], quant[i] = int16(rng.IntN(15)-7), uint16(1+rng.IntN(9))
				}
				var samples [64]uint8
				for b.Loop() {
					f(&samples[0], 8, &block[0], &quant[0])
				}
				elems(b, len(block))
			case func(int):
				for b.Loop() {
					f(1000)
				}
				l, _ := k.ISA.Level()
				flops(b, 1000*12*2*l.Vector)
			default:
				b.Fatalf("no benchmark for a %T", f)
			}
		})
	}
}

// BenchmarkGemm times whole products with the loops of codegen/rt: blocks of k, then panels, then row tiles of equal height.
func BenchmarkGemm(b *testing.B) {
	ceiling := peak()
	for _, l := range asm.Levels {
		tiles := asm.Find("gemm_f32", l.ISA)
		if len(tiles) == 0 {
			continue
		}
		var fs []kernel.Gemm
		for _, k := range tiles {
			if compiled, lacks, _ := usable(k); lacks == "" {
				fs = append(fs, compiled.Func.(kernel.Gemm))
			}
		}
		for _, s := range [][3]int{{197, 768, 768}, {197, 768, 3072}, {197, 3072, 768}, {64, 768, 3072}, {16, 768, 3072}, {1, 768, 3072}} {
			m, k, n := s[0], s[1], s[2]
			b.Run(fmt.Sprintf("%s/%dx%dx%d", l.ISA, m, k, n), func(b *testing.B) {
				if len(fs) < len(tiles) {
					b.Skip("not on this CPU or not in this build")
				}
				lda, ldc := k+16, n+16
				x, w, c, bias := make([]float32, m*lda), make([]float32, k*n), make([]float32, m*ldc), make([]float32, n)
				for i := range x {
					x[i] = float32(i%13) - 6
				}
				for i := range w {
					w[i] = float32(i%11) - 5
				}
				for b.Loop() {
					product(fs, m, k, n, x, lda, w, c, ldc, bias)
				}
				g := float64(2*m*k*n) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
				b.ReportMetric(g, "GFLOP/s")
				if ceiling > 0 {
					b.ReportMetric(100*g/ceiling, "%peak")
				}
			})
		}
	}
}

// product computes c = x*w + bias for one panel width of columns at a time.
func product(fs []kernel.Gemm, m, k, n int, x []float32, lda int, w, c []float32, ldc int, bias []float32) {
	const block = 768
	for k0 := 0; k0 < k; k0 += block {
		kb := min(block, k-k0)
		for p := range n / asm.Panel {
			b := &w[p*k*asm.Panel+k0*asm.Panel]
			start, acc := &bias[p*asm.Panel], 0
			if k0 > 0 {
				start, acc = nil, 1
			}
			count := (m + len(fs) - 1) / len(fs)
			lines := kb
			for t := range count {
				r0, r1 := t*m/count, (t+1)*m/count
				// The tiles of this panel prefetch the next panel or, for few rows, the rest of their own.
				pf, step := &w[min(p*k*asm.Panel+k0*asm.Panel+128, len(w)-1)], 64
				if m >= 16 {
					pf = &w[min((p+1)*k*asm.Panel+k0*asm.Panel+t*lines/count*asm.Panel, len(w)-1)]
					step = 64 / count
				}
				fs[r1-r0-1](1, kb, &x[r0*lda+k0], lda, b, k*asm.Panel, &c[r0*ldc+p*asm.Panel], ldc, start, acc, pf, step)
			}
		}
	}
}
