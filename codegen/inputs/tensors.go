package inputs

import (
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/ir"
)

// Tensors returns a sequence as inputs of a function in the interpreter, and its text
// length.
func Tensors(f *ir.Func, s rt.Seq) (in map[string]*ir.Tensor, t int) {
	in, t = map[string]*ir.Tensor{}, max(1, len(s.IDs))
	floats := s.Image
	for _, v := range f.Params {
		x := &ir.Tensor{Shape: v.Type.At(t)}
		if v.Type.DType == ir.I32 {
			x.IDs = s.IDs
		} else {
			n := min(int(v.Type.Elements(t)), len(floats)) // the interpreter reports missing elements
			x.F = make([]float64, n)
			for i, y := range floats[:n] {
				x.F[i] = float64(y)
			}
			floats = floats[n:]
		}
		in[v.Name] = x
	}
	return in, t
}
