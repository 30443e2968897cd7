package passes

import (
	"fmt"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Select names the kernel family of every op: what computes it, whatever the CPU.
//
//	y = ffn x, @l0.ffn.v~f {eps=1e-05 sub=1e-05} : f32[3,4]
//
// becomes
//
//	y = ffn x, @l0.ffn.v~f {eps=1e-05 sub=1e-05 kernel=gemm_f32} : f32[3,4]
//
// The family is the one that does most of the work; the others an op needs are
// checked to be in the catalogue too. Ops that only move data have the family go.
var Select = &Pass{
	Name:    "select",
	Needs:   []*Property{Fused},
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

// Fused programs have, for every op that is no view, a family of kernels.
var Fused = &Property{
	Name: "fused",
	Check: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if !v.Op.View && v.Op.Kernels == nil {
					return fmt.Errorf("%s: no kernels compute %s", where(f, v), v.Op.Name)
				}
			}
		}
		return nil
	},
}

// Selected programs name the right family on every op.
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

// familyOf returns the kernel family of v: for products that of the type their first
// matrix is stored in. Only matrices of linears and tables of lookups may be stored in
// another type than float32; no kernel reads another weight so.
func familyOf(p *ir.Program, f *ir.Func, v *ir.Value) (string, error) {
	stored := ir.F32
	for _, x := range wants(p, f, v) {
		d := x.w.Type.DType
		switch {
		case d == ir.F32 || x.table() && d.Table() == d && d.Gemm() != "":
		case !x.product():
			return "", fmt.Errorf("@%s is stored as %v, and no kernel reads that; lower the model with float32 weights", x.w.Name, d)
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
