package passes

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// Store rounds to 16 bits what Options.Precision says: of the matrices of linears and the
// tables of lookups.
//
//	weight @l0.ffn.vision.fc1.w f32[8,4]
//
// becomes, at precision bf16,
//
//	weight @l0.ffn.vision.fc1.w bf16[8,4]
//
// A value that is rounded goes to the nearest, ties to even; one that a checkpoint
// stores in that type is kept bit for bit. Arithmetic stays in float32, but for matrices
// of bf16dot, by which only rows that are rounded to bf16 too are multiplied. A weight keeps
// its name, for all functions at once. Biases, norms and tables of positions stay float32:
// they are small, and their rounding would be felt in every row. So do matrices of an odd
// number of columns, whose panels would not be aligned.
var Store = &Pass{
	Name:    "store",
	Needs:   []*Property{Routed},
	Numeric: Reduced,
	Run: func(p *ir.Program, o Options) error {
		table := map[*ir.Weight]bool{}
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if v.Op == ir.OpLookup {
					table[p.Field(v.Bundle, "w")] = true
				}
			}
		}
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if v.Op != ir.OpLookup && v.Op != ir.OpLinear {
					continue
				}
				w := p.Field(v.Bundle, "w")
				if w == nil || w.Type.DType != ir.F32 || w.Type.Cols()%2 != 0 {
					continue
				}
				switch to := o.Precision.Of(w.Name).DType; {
				case to == ir.BF16Dot && table[w]:
					narrow(w, ir.BF16) // no lookup reads pairs
				case to.Size() == 2:
					narrow(w, to)
				}
			}
		}
		return nil
	},
}

// narrow declares w in the type and rounds it when it is loaded.
func narrow(w *ir.Weight, to ir.DType) {
	w.Type.DType = to
	from := w.Load
	if from == nil {
		return
	}
	w.Load = func() ([]float32, error) {
		f, err := from()
		if err != nil {
			return nil, err
		}
		if i := ir.Round(f, to); i >= 0 {
			return nil, fmt.Errorf("element %d is %v, which does not fit %v; use bf16 or f32", i, f[i], to)
		}
		return f, nil
	}
}

// Narrowed returns w as Store or Quantise leave it where it is to be stored in the type: it
// loads rounded values. The weight itself and what it loads stay as they are.
func Narrowed(w *ir.Weight, to ir.DType) *ir.Weight {
	r := *w
	if from := w.Load; from != nil {
		r.Load = func() ([]float32, error) {
			f, err := from()
			return slices.Clone(f), err
		}
	}
	if to.Bytes() {
		toBytes(&r, to)
	} else {
		narrow(&r, to)
	}
	return &r
}
