package rt

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The kernels of these tests: the meaning of each type, written as plainly as
// possible. Padding columns that a kernel may write are filled with NaN, so that
// a step that reads them shows.

func naiveGemm(mr, nr int) Gemm {
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

func naiveGemmV(mr, nr int) GemmV {
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

func naiveLayerNorm(rows int, dst *float32, ldd int, src *float32, lds int, n int, g *float32, b *float32, eps float32) {
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

func gelu64(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }

func naiveGelu(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		for i := range n {
			*at(dst, r*ldd+i) = float32(gelu64(float64(*at(src, r*lds+i))))
		}
	}
}

func naivePackK(rows int, dst *float32, src *float32, lds int, k int) {
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

func gemms(mr, nr int) []Gemm {
	g := make([]Gemm, mr+1)
	for i := 1; i <= mr; i++ {
		g[i] = naiveGemm(i, nr)
	}
	return g
}

// naive returns a whole table with tiles of mr x nr. A kernel that no step of these tests calls is not written.
func naive(level string, mr, nr int) *Kernels {
	k := &Kernels{Level: level, MR: mr, NR: nr, Gemm: gemms(mr, nr), Softmax: naiveSoftmax, ScaleRows: naiveScaleRows,
		LayerNorm: naiveLayerNorm, Gelu: naiveGelu, PackK: naivePackK, Add: naiveAdd}
	k.Gemm16 = k.Gemm
	if nr != 16 {
		k.Gemm16 = gemms(6, 16)
	}
	gemmVs := func(nr int) []GemmV {
		g := make([]GemmV, 7)
		for i := 1; i <= 6; i++ {
			g[i] = naiveGemmV(i, nr)
		}
		return g
	}
	k.VNR, k.GemmV16 = 16, gemmVs(16)
	if nr != 16 {
		k.VNR = 32
	}
	k.GemmV = gemmVs(k.VNR)
	for field, f := range reflect.ValueOf(k).Elem().Fields() {
		if f.Kind() == reflect.Func && f.IsNil() {
			f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value { panic("no plain " + field.Name) }))
		}
	}
	return k
}

func TestResolve(t *testing.T) {
	low := naive("generic", 4, 16)
	high := &Kernels{Level: "avx512", MR: 8, NR: 48, Gemm: gemms(8, 48), Gemm16: gemms(8, 16), Gelu: naiveGelu}
	k, info, err := resolve([]*Kernels{low, high})
	if err != nil {
		t.Fatal(err)
	}
	if k.NR != 48 || k.Level != "avx512" || len(k.GemmV) != 7 {
		t.Errorf("NR %d level %s gemmv %d", k.NR, k.Level, len(k.GemmV))
	}
	names := ""
	for _, i := range info[:8] {
		names += i.Kernel + " "
	}
	want := "gemm_f32_8x48_avx512 gemmv_f32_6x16_generic softmax_f32_generic scalerows_f32_generic layernorm_f32_generic gelu_f32_avx512 packk_f32_generic add_f32_generic "
	if names != want {
		t.Errorf("kernels\n%s, want\n%s", names, want)
	}

	// Plain Go tiles for 16-bit weights give way to vector tiles after widening.
	bf16s(low, 4, 16)
	if k, info, err = resolve([]*Kernels{low, high}); err != nil || k.BF16.Gemm != nil || k.BF16.Expand == nil || info[len(info)-2] != (KernelInfo{"wgemm_bf16", "gemm_f32_8x48_avx512"}) {
		t.Errorf("bf16: %v %v %v", k.BF16.Gemm, info, err)
	}
	if k, _, err = resolve([]*Kernels{low}); err != nil || len(k.BF16.Gemm) != 5 || !k.BF16.Once {
		t.Errorf("bf16 at generic: %d tiles, %v", len(k.BF16.Gemm), err)
	}

	// Wide tiles keep the narrow ones of the level below for the last panels.
	mid := &Kernels{Level: "avx2"}
	bf16s(mid, 6, 16)
	bf16s(high, 8, 48)
	high.BF16.Gemm16 = nil
	if k, info, err = resolve([]*Kernels{low, mid, high}); err != nil || k.BF16.Once || len(k.BF16.Gemm) != 9 || len(k.BF16.Gemm16) != 7 || info[len(info)-2] != (KernelInfo{"wgemm_bf16", "wgemm_bf16_8x48_avx512"}) {
		t.Errorf("bf16 at avx512: %d and %d tiles, %v, %v", len(k.BF16.Gemm), len(k.BF16.Gemm16), info, err)
	}

	dots(low, 4, 16)
	dots(mid, 6, 16)
	dots(high, 8, 48)
	mid.Dot.Round, high.Dot.Gemm16, high.Dot.Round = nil, nil, nil
	if k, info, err = resolve([]*Kernels{low, mid, high}); err != nil || len(k.Dot.Gemm) != 9 || len(k.Dot.Gemm16) != 7 || k.Dot.Round == nil {
		t.Errorf("bf16dot: %d and %d tiles, %v", len(k.Dot.Gemm), len(k.Dot.Gemm16), err)
	}
	if want := []KernelInfo{{"dgemm_bf16dot", "dgemm_bf16dot_8x48_avx512"}, {"round_bf16dot", "round_bf16dot_generic"}}; !slices.Equal(info[len(info)-2:], want) {
		t.Errorf("bf16dot: %v, want %v at the end", info, want)
	}

	low.PackK = nil
	if _, _, err := resolve([]*Kernels{low}); err == nil || !strings.Contains(err.Error(), "no packk kernel") {
		t.Errorf("missing kernel: %v", err)
	}
	low.VNR = 24
	if _, _, err := resolve([]*Kernels{low}); err == nil || !strings.Contains(err.Error(), "gemmv_f32 tiles of 24 columns") {
		t.Errorf("bad gemmv tiles: %v", err)
	}
	low.Gemm = low.Gemm[:3]
	if _, _, err := resolve([]*Kernels{low}); err == nil || !strings.Contains(err.Error(), "do not fit together") {
		t.Errorf("bad tiles: %v", err)
	}
}
