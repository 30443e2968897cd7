package passes

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// Narrow stores the matrices of linears, in fused ops too, and the tables of lookups in the
// formats of Options.Precision.
//
//	weight @language.embed.tok.w f32[9,4]
//	weight @l0.ffn.v~f.fc1.w f32[8,4]
//
// becomes, with bf16 for tables and int8 for matrices,
//
//	weight @language.embed.tok.w bf16[9,4]
//	weight @l0.ffn.v~f.fc1.w i8[8,4]
//
// Each number is rounded to the nearest of the type, ties to even. An int8 weight has a scale
// per row, which is an output channel or a token. For some
// types kernels and interpreter also round the rows that the matrix is multiplied by. A weight
// keeps its name and is changed for all functions at once. Biases, norms, position tables,
// softmax, attention scores and residuals stay in float32, and so does a weight that is both
// an int8 matrix and a table, which no kernel can read.
var Narrow = &Pass{
	Name:    "narrow",
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

// narrowed returns the types of the weights that are not stored in float32.
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

// foldable returns a function that reports whether passes may change the weights of a value. All must be float32, and none
// may be due to be stored in bf16 or another unscaled type that checkpoints have: such weights stay as in the checkpoint, bit
// for bit.
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

// narrow changes the element type of w. Its elements are rounded to that type when they are loaded.
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
			q := make([]int8, k)
			for row := range slices.Chunk(f, k) {
				scale := asm.ToInt8(q, row, to.Small())
				for i, v := range q {
					row[i] = float32(v) * scale
				}
			}
		} else if i := ir.Round(f, to); i >= 0 {
			return nil, fmt.Errorf("element %d is %v, which %v cannot hold; use bf16 or f32", i, f[i], to)
		}
		return f, nil
	}
}

// Narrowed returns a copy of w as Narrow stores it in the type: it loads rounded numbers. w
// itself is not changed.
func Narrowed(w *ir.Weight, to ir.DType) *ir.Weight {
	r := *w
	narrow(&r, to)
	return &r
}
