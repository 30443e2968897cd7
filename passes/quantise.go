package passes

import (
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Quantise stores as bytes what Options.Precision says: of the matrices of linears,
// those in fused ops included, and of the tables of lookups.
//
//	weight @l0.ffn.v~f.fc1.w f32[8,4]
//
// becomes
//
//	weight @l0.ffn.v~f.fc1.w i8[8,4]
//
// A row, which is an output channel or a token, is a scale times integers of at most
// asm.MaxByte. Kernels and interpreter round the rows of what is multiplied to bytes too,
// each with a scale and an offset of its own; by a matrix of i8x2 they multiply what that takes
// away too, rounded likewise. Norms, softmax, attention scores and
// residuals stay in float32, and so does a matrix that is a table too.
var Quantise = &Pass{
	Name:    "quantise",
	Needs:   []*Property{Fused},
	Numeric: Reduced,
	Run: func(p *ir.Program, o Options) error {
		if !o.Precision.Bytes() {
			return nil
		}
		matrix, table := map[*ir.Weight]bool{}, map[*ir.Weight]bool{}
		to := func(w *ir.Weight) ir.DType { return o.Precision.Of(w.Name).DType }
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				for _, x := range wants(p, f, v) {
					if x.w.Type.DType == ir.F32 && to(x.w).Bytes() {
						matrix[x.w] = matrix[x.w] || x.product()
						table[x.w] = table[x.w] || x.table()
					}
				}
			}
		}
		for _, w := range p.Weights {
			switch {
			case matrix[w] == table[w]:
			case table[w]:
				toBytes(w, ir.I8) // no lookup multiplies
			default:
				toBytes(w, to(w))
			}
		}
		return nil
	},
}

// toBytes declares w as bytes of the type and rounds it when it is loaded.
func toBytes(w *ir.Weight, to ir.DType) {
	w.Type.DType = to
	from, k := w.Load, w.Type.Cols()
	if from == nil {
		return
	}
	w.Load = func() ([]float32, error) {
		f, err := from()
		if err != nil {
			return nil, err
		}
		for row := range slices.Chunk(f, k) {
			scale := asm.ByteScale(row)
			for i, v := range row {
				row[i] = float32(asm.ToByte(v, scale)) * scale
			}
		}
		return f, nil
	}
}
