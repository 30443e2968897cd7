package kernel_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
)

func TestResolve(t *testing.T) {
	low := kerneltest.Naive("generic", 4, 16)
	high := &kernel.Table{Level: "avx512", MR: 8, NR: 48, Gemm: kerneltest.Gemms(8, 48), Gemm16: kerneltest.Gemms(8, 16), Gelu: kerneltest.NaiveGelu(kerneltest.Gelu64)}
	k, info, err := kernel.Resolve([]*kernel.Table{low, high})
	if err != nil {
		t.Fatal(err)
	}
	if k.NR != 48 || k.Level != "avx512" || len(k.GemmNN) != 7 {
		t.Errorf("NR %d level %s gemm_nn %d", k.NR, k.Level, len(k.GemmNN))
	}
	for _, want := range []kernel.Info{{Op: "gemm", Kernel: "gemm_f32_8x48_avx512"}, {Op: "gemm_nn", Kernel: "gemm_nn_f32_6x16_generic"}, {Op: "gelu", Kernel: "gelu_f32_avx512"}, {Op: "add", Kernel: "add_f32_generic"}} {
		if !slices.Contains(info, want) {
			t.Errorf("kernels %v, want %v among them", info, want)
		}
	}

	// A level without tiles for 16-bit weights converts them for its float32 tiles.
	kerneltest.BF16s(low, 4, 16)
	if k, info, err = kernel.Resolve([]*kernel.Table{low, high}); err != nil || k.Widens("bf16").Gemm != nil || k.Widens("bf16").Convert == nil || info[len(info)-2] != (kernel.Info{Op: "gemm_f32xbf16", Kernel: "gemm_f32_8x48_avx512"}) {
		t.Errorf("bf16: %v %v %v", k.Widens("bf16").Gemm, info, err)
	}
	if k, _, err = kernel.Resolve([]*kernel.Table{low}); err != nil || len(k.Widens("bf16").Gemm) != 5 || !k.Widens("bf16").Preconvert {
		t.Errorf("bf16 at generic: %d tiles, %v", len(k.Widens("bf16").Gemm), err)
	}

	// Wide tiles use the 16-wide tiles of the level below for the last panels.
	mid := &kernel.Table{Level: "avx2"}
	kerneltest.BF16s(mid, 6, 16)
	kerneltest.BF16s(high, 8, 48)
	high.Widens("bf16").Gemm16 = nil
	if k, info, err = kernel.Resolve([]*kernel.Table{low, mid, high}); err != nil || k.Widens("bf16").Preconvert || len(k.Widens("bf16").Gemm) != 9 || len(k.Widens("bf16").Gemm16) != 7 || info[len(info)-2] != (kernel.Info{Op: "gemm_f32xbf16", Kernel: "gemm_f32xbf16_8x48_avx512"}) {
		t.Errorf("bf16 at avx512: %d and %d tiles, %v, %v", len(k.Widens("bf16").Gemm), len(k.Widens("bf16").Gemm16), info, err)
	}

	kerneltest.Dots(low, 4, 16)
	kerneltest.Dots(mid, 6, 16)
	kerneltest.Dots(high, 8, 48)
	mid.Dot.Round, high.Dot.Gemm16, high.Dot.Round = nil, nil, nil
	if k, info, err = kernel.Resolve([]*kernel.Table{low, mid, high}); err != nil || len(k.Dot.Gemm) != 9 || len(k.Dot.Gemm16) != 7 || k.Dot.Round == nil {
		t.Errorf("bf16dot: %d and %d tiles, %v", len(k.Dot.Gemm), len(k.Dot.Gemm16), err)
	}
	if want := []kernel.Info{{Op: "gemm_bf16dot", Kernel: "gemm_bf16dot_8x48_avx512"}, {Op: "round_bf16dot", Kernel: "round_bf16dot_generic"}}; !slices.Equal(info[len(info)-2:], want) {
		t.Errorf("bf16dot: %v, want %v at the end", info, want)
	}

	low.PackKeys = nil
	if _, _, err := kernel.Resolve([]*kernel.Table{low}); err == nil || !strings.Contains(err.Error(), "no pack_keys kernel") {
		t.Errorf("missing kernel: %v", err)
	}
	low.NNNR = 24
	if _, _, err := kernel.Resolve([]*kernel.Table{low}); err == nil || !strings.Contains(err.Error(), "gemm_nn_f32 tiles of 24 columns") {
		t.Errorf("bad gemm_nn tiles: %v", err)
	}
	low.Gemm = low.Gemm[:3]
	if _, _, err := kernel.Resolve([]*kernel.Table{low}); err == nil || !strings.Contains(err.Error(), "do not fit together") {
		t.Errorf("bad tiles: %v", err)
	}
}
