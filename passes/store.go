package passes

import (
	"fmt"

	"github.com/multiway-go/multiway/ir"
)

// Store rounds the weights that are worth it to 16 bits, if Options.Precision says so:
// the matrices of linears and the tables of lookups.
//
//	weight @l0.ffn.vision.fc1.w f32[8,4]
//
// becomes, at precision bf16,
//
//	weight @l0.ffn.vision.fc1.w bf16[8,4]
//
// A value that is rounded goes to the nearest, ties to even; one that a checkpoint
// stores in that type is kept bit for bit. Arithmetic stays in float32. A weight keeps
// its name, for all functions at once. Biases, norms and tables of positions stay
// float32: they are small, and their rounding would be felt in every row. So do matrices
// of an odd number of columns, whose panels would not be aligned.
var Store = &Pass{
	Name:    "store",
	Needs:   []*Property{Routed},
	Numeric: Reduced,
	Run: func(p *ir.Program, o Options) error {
		to, err := o.stored()
		if err != nil || to == ir.F32 {
			return err
		}
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if v.Op != ir.OpLookup && (v.Op != ir.OpLinear || o.Precision == Int8) {
					continue
				}
				if w := p.Field(v.Bundle, "w"); w != nil && w.Type.DType == ir.F32 && w.Type.Cols()%2 == 0 {
					narrow(w, to)
				}
			}
		}
		return nil
	},
}

// Int8 is the precision at which Quantise does its work. Tables are bf16 then.
const Int8 = "int8"

// stored is the type that weights are stored in by Store.
func (o Options) stored() (ir.DType, error) {
	switch o.Precision {
	case "", "f32":
		return ir.F32, nil
	case "f16":
		return ir.F16, nil
	case "bf16", Int8:
		return ir.BF16, nil
	}
	return 0, fmt.Errorf("precision %q: want f32, f16, bf16 or int8", o.Precision)
}

// narrow declares w in the type and rounds it when it is loaded.
func narrow(w *ir.Weight, to ir.DType) {
	w.Type.DType = to
	from, name := w.Load, w.Name
	if from == nil {
		return
	}
	w.Load = func() ([]float32, error) {
		f, err := from()
		if err != nil {
			return nil, err
		}
		if i := ir.Round(f, to); i >= 0 {
			return nil, fmt.Errorf("weight @%s: element %d is %v, which does not fit %v; use bf16 or f32", name, i, f[i], to)
		}
		return f, nil
	}
}
