package golden_test

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir"
)

// TestSameBitsOfTiles checks that tiles of any number of rows, and of any ISA but generic, give the same bits, whether k is split
// into blocks or not, so that callers can choose tiles and blocks freely.
func TestSameBitsOfTiles(t *testing.T) {
	const depth, split, n = 100, 37, asm.Panel
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(rng.NormFloat64())
		}
		return s
	}
	most := 16
	a, bias := random(most*depth), random(n)
	b := random(depth*n + 64)[:depth*n]
	ir.Round(b, ir.BF16) // so that 16-bit tiles see the same values
	type result struct {
		name string
		c    []float32
	}
	first := map[string]result{}
	for _, k := range asm.Catalogue {
		compiled, lacks, _ := usable(k)
		if k.Op != asm.OpGemm && k.Op != asm.OpGemmNN && k.Op != asm.OpGemmNarrow || lacks != "" {
			continue
		}
		var narrow []uint8
		size := 0
		if k.Op == asm.OpGemmNarrow {
			size = dtypeOf(k).Size()
			narrow = make([]uint8, size*len(b))
			for i := range b {
				dtypeOf(k).Put(narrow[size*i:], b[i])
			}
		}
		for _, blocks := range [][]int{{depth}, {split, depth - split}} {
			out := make([]float32, (most/k.MR+1)*k.MR*k.NR)
			rows := most / k.MR * k.MR
			for r := 0; r < rows; r += k.MR {
				k0 := 0
				for i, kb := range blocks {
					acc, start := min(i, 1), &bias[0]
					if i > 0 {
						start = nil
					}
					switch f := compiled.Func.(type) {
					case kernel.Gemm:
						f(1, kb, &a[r*depth+k0], depth, &b[k0*n], len(b), &out[r*n], n, start, acc, nil, 0)
					case kernel.GemmNarrow:
						f(1, kb, &a[r*depth+k0], depth, &narrow[size*k0*n], len(b), &out[r*n], n, start, acc, nil, 0)
					case kernel.GemmNN:
						f(1, kb, &a[r*depth+k0], depth, &b[k0*n], n, &out[r*n], n, acc)
					}
					k0 += kb
				}
			}
			out = out[:rows*n]
			class := k.Family()
			if k.Op == asm.OpGemmNarrow {
				class = asm.Kernel{Op: asm.OpGemm, DType: "f32"}.Family()
			}
			if k.ISA == asm.Generic {
				class += "_generic"
			}
			got := result{fmt.Sprintf("%s with blocks %v", k.Name(), blocks), out}
			want, ok := first[class]
			if !ok {
				first[class] = got
				continue
			}
			for i := range min(len(out), len(want.c)) {
				if math.Float32bits(out[i]) != math.Float32bits(want.c[i]) {
					t.Fatalf("%s: [%d][%d] = %v, but %s has %v", got.name, i/n, i%n, out[i], want.name, want.c[i])
				}
			}
		}
	}
}

// TestSameBitsOfCPUs checks that an op's assembly kernels give the same bits on every CPU. Twins compute in float64 without fused
// multiply-add, so their bits differ unless an element is rounded at most once.
func TestSameBitsOfCPUs(t *testing.T) {
	const rows, n, ld = 6, 197, 208
	for _, k := range asm.Catalogue {
		op := testers[k.Op]
		compiled, lacks, _ := usable(k)
		if lacks != "" || k.ISA == asm.Generic && !op.once || k.Op.Row().Tiled && k.MR != rows || k.NR > asm.Panel {
			continue
		}
		rng := rand.New(rand.NewPCG(7, 8))
		in, out := make([]float32, 32*ld), make([]float32, 32*ld)
		for i := range in {
			in[i] = rng.Float32()*8 - 4
		}
		copy(out, in[16*ld:])
		switch f := compiled.Func.(type) {
		case kernel.Gemm:
			f(1, n, &in[0], ld, &in[8*ld], 0, &out[0], ld, &in[31*ld], 1, nil, 0)
		case kernel.GemmNN:
			f(1, 20, &in[0], ld, &in[8*ld], ld, &out[0], ld, 1)
		case kernel.Softmax:
			f(rows, &out[0], ld, n, &out[16*ld])
		case kernel.ScaleRows:
			f(rows, &out[0], ld, &in[0], ld, n, &in[8*ld])
		case kernel.LayerNorm:
			f(rows, &out[0], ld, &in[0], ld, n, &in[8*ld], &in[9*ld], 1e-5)
		case kernel.Gelu: // add too
			f(rows, &out[0], ld, &in[0], ld, n)
		case kernel.PackKeys:
			f(rows, &out[0], &in[0], ld, 64)
		default:
			continue
		}
		h := fnv.New64a()
		for _, v := range out {
			h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
		}
		if got := h.Sum64(); got != op.sum {
			t.Errorf("%s: sum %#x, want %#x", k.Name(), got, op.sum)
		}
	}
}
