package passes

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Select gives every op its kernel family: the kernels for all CPUs that compute it.
//
//	y = ffn x, @l0.ffn.v~f {eps=1e-05 sub=1e-05} : f32[3,4]
//
// becomes
//
//	y = ffn x, @l0.ffn.v~f {eps=1e-05 sub=1e-05 kernel=gemm_f32} : f32[3,4]
//
// If an op needs several families, the attribute names the one that does most of the work.
// Select checks that asm's catalogue has all of them. Ops that only move data have the family go.
var Select = &Pass{
	Name:    "select",
	Sets:    []*Property{Selected},
	Numeric: Exact,
	Run: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if v.Op.View {
					continue
				}
				family, err := familyOf(p, f, v)
				if err != nil {
					return fmt.Errorf("%s: %w", where(f, v), err)
				}
				v.Attrs = v.Op.Sort(v.Attrs.With(ir.SymbolAttr("kernel", family)))
			}
		}
		return nil
	},
}

// Selected is the property that the attribute kernel of every op names the right family.
var Selected = &Property{
	Name: "selected",
	Check: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				want := ""
				if !v.Op.View {
					var err error
					if want, err = familyOf(p, f, v); err != nil {
						return fmt.Errorf("%s: %w", where(f, v), err)
					}
				}
				if got := v.Attrs.Symbol("kernel"); got != want {
					return fmt.Errorf("%s: kernel is %q, want %q", where(f, v), got, want)
				}
			}
		}
		return nil
	},
}

// familyOf returns the kernel family of v. A product's family depends on the type of its first
// matrix. It is an error if a weight has another type than float32 and is neither the matrix
// of a linear nor the table of a lookup, or if asm has no kernel of a name in Kernels of v's op.
func familyOf(p *ir.Program, f *ir.Func, v *ir.Value) (string, error) {
	if v.Op.Kernels == nil {
		return "", fmt.Errorf("the row of %s in ir has no Kernels", v.Op.Name)
	}
	stored := ir.F32
	for _, x := range wants(p, f, v) {
		d := x.w.Type.DType
		switch {
		case d == ir.F32 || x.table() && d.Table() == d && d.Gemm() != "":
		case !x.product():
			return "", fmt.Errorf("@%s is stored as %v, which no kernel reads; lower the model with float32 weights", x.w.Name, d)
		case d.Rounds() || stored == ir.F32:
			stored = d
		}
	}
	kernels := v.Kernels()
	if kernels[0] == ir.PlainGo {
		return ir.PlainGo, nil
	}
	first := ""
	for i, name := range kernels {
		op := asm.Op(name)
		if !slices.ContainsFunc(asm.Ops, func(r asm.OpRow) bool { return r.Op == op }) {
			return "", fmt.Errorf("%s is computed by kernels of op %q, which has no row in asm.Ops", v.Op.Name, name)
		}
		family := asm.Kernel{Op: op, DType: op.Row().DTypes[0]}.Family()
		if op == asm.OpGemm && i == 0 {
			family = stored.Gemm()
		}
		if len(asm.Find(family, asm.Generic)) == 0 {
			return "", fmt.Errorf("the catalogue has no kernel %s", family)
		}
		if i == 0 {
			first = family
		}
	}
	return first, nil
}
