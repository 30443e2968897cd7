package passes

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// Narrow stores as Options.Precision says: the matrices of linears, those in fused ops
// included, and the tables of lookups.
//
//	weight @language.embed.tok.w f32[9,4]
//	weight @l0.ffn.v~f.fc1.w f32[8,4]
//
// becomes, with bf16 for tables and int8 for matrices,
//
//	weight @language.embed.tok.w bf16[9,4]
//	weight @l0.ffn.v~f.fc1.w i8[8,4]
//
// A value goes to the nearest of the type, ties to even. Of bytes a row, which is an output
// channel or a token, is a scale times integers of at most asm.MaxByte. Kernels and
// interpreter round the rows of what is multiplied too, where the type's row says so.
// A weight keeps its name, for all functions at once. Biases, norms, tables of positions,
// softmax, attention scores and residuals stay in float32, and so does what a product could
// not read: a matrix of bytes that is a table too.
var Narrow = &Pass{
	Name:    "narrow",
	Needs:   []*Property{Fused},
	Numeric: Reduced,
	Run: func(p *ir.Program, o Options) error {
		to := narrowed(p, o.Precision)
		for _, w := range p.Weights {
			if d, ok := to[w]; ok {
				narrow(w, d)
			}
		}
		return nil
	},
}

// narrowed returns the types of the weights that are stored in another than float32.
func narrowed(p *ir.Program, m precision.Map) map[*ir.Weight]ir.DType {
	to := map[*ir.Weight]ir.DType{}
	if m.Exact() {
		return to
	}
	matrix, table := map[*ir.Weight]bool{}, map[*ir.Weight]bool{}
	for _, f := range p.Funcs {
		for _, v := range f.Values {
			for _, x := range wants(p, f, v) {
				matrix[x.w] = matrix[x.w] || x.product()
				table[x.w] = table[x.w] || x.table()
			}
		}
	}
	for _, w := range p.Weights {
		if w.Type.DType != ir.F32 || !matrix[w] && !table[w] {
			continue
		}
		d := m.Of(w.Name).DType
		if matrix[w] && table[w] && d.Scaled() {
			continue
		}
		if table[w] {
			d = d.Table()
		}
		if d != ir.F32 {
			to[w] = d
		}
	}
	return to
}

// foldable returns what says of a value whether its weights may be changed: they are float32, and not to be stored in a type
// of which a checkpoint's values are kept bit for bit.
func foldable(p *ir.Program, m precision.Map) func(v *ir.Value) bool {
	to := narrowed(p, m)
	return func(v *ir.Value) bool {
		return !slices.ContainsFunc(v.Op.Fields, func(f ir.Field) bool {
			w := p.Field(v.Bundle, f.Name)
			if w == nil {
				return false
			}
			d, ok := to[w]
			return w.Type.DType != ir.F32 || ok && !d.Scaled()
		})
	}
}

// narrow declares w in the type and rounds it when it is loaded.
func narrow(w *ir.Weight, to ir.DType) {
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
		if to.Scaled() {
			for row := range slices.Chunk(f, k) {
				scale := asm.ByteScale(row)
				for i, v := range row {
					row[i] = float32(asm.ToByte(v, scale)) * scale
				}
			}
		} else if i := ir.Round(f, to); i >= 0 {
			return nil, fmt.Errorf("element %d is %v, which does not fit %v; use bf16 or f32", i, f[i], to)
		}
		return f, nil
	}
}

// Narrowed returns w as Narrow leaves it where it is to be stored in the type: it loads
// rounded values. The weight itself and what it loads stay as they are.
func Narrowed(w *ir.Weight, to ir.DType) *ir.Weight {
	r := *w
	if from := w.Load; from != nil {
		r.Load = func() ([]float32, error) {
			f, err := from()
			return slices.Clone(f), err
		}
	}
	narrow(&r, to)
	return &r
}
