// Package checkpointtest makes checkpoints for tests of their readers.
//
// Imports: ir and ir/checkpoint.
package checkpointtest

import (
	"testing"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

// Changed returns the seeded checkpoint of a program in which change replaces each value of a tensor's row and column.
func Changed(t testing.TB, p *ir.Program, seed uint64, change func(name string, row, col int, x float32) float32) checkpoint.Source {
	t.Helper()
	src, err := checkpoint.SeededFor(p, seed)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, info := range src.Tensors() {
		x, err := checkpoint.Load(src, info.Name)
		if err != nil {
			t.Fatal(err)
		}
		cols := 1
		if n := len(info.Shape); n > 0 {
			cols = info.Shape[n-1]
		}
		for i := range x {
			x[i] = change(info.Name, i/cols, i%cols, x[i])
		}
		tensors = append(tensors, checkpoint.Tensor{Name: info.Name, DType: checkpoint.F32, Shape: info.Shape, Floats: x})
	}
	changed, err := checkpoint.Memory("changed", tensors)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}
