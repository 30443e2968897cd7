package asm_test

import (
	"fmt"

	"github.com/multiway-go/multiway/asm"
)

// Two heads of three rows each become two panels, one per head.
func ExampleHeads() {
	const k, heads, d = 2, 2, 3
	w := []float32{
		10, 11, // head 0
		20, 21,
		30, 31,
		40, 41, // head 1
		50, 51,
		60, 61,
	}
	l := asm.Heads(k, 1, heads, d)
	if err := l.Check(heads * d); err != nil {
		fmt.Println(err)
		return
	}
	packed := make([]float32, l.Floats())
	l.Pack(packed, w)
	for p := range l.Panels() {
		for row := range k {
			fmt.Println("panel", p, "k", row, packed[l.Offset(p, row):][:asm.Panel])
		}
	}
	// Output:
	// panel 0 k 0 [10 20 30 0 0 0 0 0 0 0 0 0 0 0 0 0]
	// panel 0 k 1 [11 21 31 0 0 0 0 0 0 0 0 0 0 0 0 0]
	// panel 1 k 0 [40 50 60 0 0 0 0 0 0 0 0 0 0 0 0 0]
	// panel 1 k 1 [41 51 61 0 0 0 0 0 0 0 0 0 0 0 0 0]
}

// The kernels that a machine with AVX2 runs for matrix products, one for each number of rows of a tile.
func ExampleBest() {
	for _, k := range asm.Best("gemm_f32", asm.AVX2) {
		fmt.Println(k.Name())
	}
	// Output:
	// gemm_f32_1x16_avx2
	// gemm_f32_2x16_avx2
	// gemm_f32_3x16_avx2
	// gemm_f32_4x16_avx2
	// gemm_f32_5x16_avx2
	// gemm_f32_6x16_avx2
}
