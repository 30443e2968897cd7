package passes

import (
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// Prune removes the values that no result needs, then the weights that no value uses.
// Weights marked keep stay.
//
//	q = linear x, @q : f32[3,4]
//	k = linear x, @k : f32[3,4]
//	return q
//
// becomes
//
//	q = linear x, @q : f32[3,4]
//	return q
//
// and @k.w, @k.b are gone.
var Prune = &Pass{
	Name:    "prune",
	Numeric: Exact,
	Run: func(p *ir.Program, _ Options) error {
		prune(p)
		return nil
	},
}

// prune is also the last step of passes that leave unused values or weights.
func prune(p *ir.Program) {
	for _, f := range p.Funcs {
		live := map[*ir.Value]bool{}
		for _, r := range f.Results {
			live[r] = true
		}
		for _, v := range slices.Backward(f.Values) {
			if live[v] {
				for _, a := range v.Args {
					live[a] = true
				}
			}
		}
		f.Values = slices.DeleteFunc(f.Values, func(v *ir.Value) bool { return !live[v] })
	}
	used := map[*ir.Weight]bool{}
	for _, f := range p.Funcs {
		for _, v := range f.Values {
			for _, w := range p.Used(f, v) {
				used[w] = true
			}
		}
	}
	p.SetWeights(slices.DeleteFunc(p.Weights, func(w *ir.Weight) bool { return !w.Export && !used[w] }))
}
