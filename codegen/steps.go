package codegen

import (
	"fmt"
	"slices"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// steps has functions that emit the runtime call of ops without a Step in ir's op table. A view
// has a nil function: it needs no call, only its address.
var steps = map[*ir.Op]func(e *entry, v *ir.Value) (jen.Code, error){
	ir.OpConcat: nil,
	ir.OpRows:   nil,

	ir.OpEmbedPatches:   embedPatches,
	ir.OpEmbedRows:      embedRows,
	ir.OpEmbed:          embedText,
	ir.OpQKV:            qkv,
	ir.OpSelfAttention:  attention("SelfAttention"),
	ir.OpCrossAttention: attention("CrossAttention"),
	ir.OpFFN:            ffn,

	ir.OpConst: func(e *entry, v *ir.Value) (jen.Code, error) {
		w, err := e.g.need(v.Bundle + ".w")
		if err != nil {
			return nil, err
		}
		return e.call("Const", v, jen.Lit(int(w.Offset))), nil
	},
	ir.OpAddRow: func(e *entry, v *ir.Value) (jen.Code, error) {
		w, err := e.g.need(v.Bundle + ".w")
		if err != nil {
			return nil, err
		}
		return e.call("AddRow", v, e.mat(v.Args[0]), jen.Lit(int(w.Offset)+v.Attrs.Int("row", 0)*w.Type.Cols()*w.Type.DType.Size())), nil
	},
	ir.OpSelect: func(e *entry, v *ir.Value) (jen.Code, error) {
		return e.call("Select", v, e.mat(v.Args[0]), e.g.sections(e.sections[v.Args[0]]), sectionOf(v.Attrs.Dim("row"))), nil
	},
	ir.OpStore: storeState,
}

// stepOf returns the function that emits values of an op, nil for a view. ok is false if the op can only run inside a fused op.
func stepOf(op *ir.Op) (step func(e *entry, v *ir.Value) (jen.Code, error), ok bool) {
	if op.Step.Method != "" {
		return (*entry).step, true
	}
	step, ok = steps[op]
	return step, ok
}

// step emits the call of the runtime that computes v, with the arguments that its op's Step lists.
func (e *entry) step(v *ir.Value) (jen.Code, error) {
	var descs []jen.Code
	for _, p := range v.Op.Step.Parts {
		name := v.Bundle
		if p.Name != "" {
			name += "." + p.Name
		}
		var d jen.Code
		var err error
		switch p.Kind {
		case ir.PartLinear:
			d, err = e.g.linear(name, name)
		case ir.PartNorm:
			var n int
			if n, err = e.g.normColumns(v, p); err == nil {
				d, err = e.g.optionalNorm(v, name, n, p.Eps)
			}
		case ir.PartWeight:
			_, err = e.g.need(name)
			d = jen.Lit(e.g.offset(name))
		case ir.PartAttr:
			if v.Op.Spec(p.Name).Kind == ir.Int {
				d = jen.Lit(v.Attrs.Int(p.Name, 0))
			} else {
				d = jen.Lit(v.Attrs.Float(p.Name, 0))
			}
		case ir.PartAct:
			act, given := activation(v)
			if !given {
				continue
			}
			d = act
		case ir.PartSections:
			d = e.g.sections(e.sections[v.Args[0]])
		}
		if err != nil {
			return nil, err
		}
		descs = append(descs, d)
	}
	return e.work(v.Op.Step.Method, v, descs...), nil
}

// storeState emits the call that appends rows to a state: its first rows in a function without
// states, else the row of one token.
func storeState(e *entry, v *ir.Value) (jen.Code, error) {
	x, n := v.Args[0], v.Attrs.Int("rows", 0)
	method := "StoreToken"
	switch whole := x.Type.Rows() == ir.C(n); {
	case len(e.f.States()) == 0 && whole:
		method = "StoreFixed"
	case len(e.f.States()) == 0 || n != 1:
		return nil, fmt.Errorf("the runtime stores all rows where a state begins, then one row per token; got %d of %v", n, x.Type.Rows())
	}
	return jen.Id("e").Dot(method).Call(e.mat(x), jen.Lit(v.Attrs.Int("slot", 0))), nil
}

// activation emits package exec's constant of the activation that v's attribute act names; given is false without the attribute.
func activation(v *ir.Value) (act jen.Code, given bool) {
	a, given := v.Attrs.Get("act")
	return jen.Qual(execPath, goName(a.Symbol, true)), given
}

// call emits e.Method(dst, args...), with nil for an absent argument.
func (e *entry) call(method string, v *ir.Value, args ...jen.Code) jen.Code {
	args = append([]jen.Code{e.mat(v)}, args...)
	for i, a := range args {
		if a == nil {
			args[i] = jen.Nil()
		}
	}
	return jen.Id("e").Dot(method).Call(args...)
}

// work emits a call with v's matrices and scratch before the descriptors descs.
func (e *entry) work(method string, v *ir.Value, descs ...jen.Code) jen.Code {
	var args []jen.Code
	for _, a := range v.Args {
		if a.Packed() {
			args = append(args, e.mat(a))
		}
	}
	return e.call(method, v, slices.Concat(args, e.scratch(v), descs)...)
}

func embedPatches(e *entry, v *ir.Value) (jen.Code, error) {
	d, err := e.g.patches(v, e.input(v.Args[0]), v.Attrs.Int("patch", 1))
	return e.work("EmbedPatches", v, d), err
}

func embedRows(e *entry, v *ir.Value) (jen.Code, error) {
	if secs := e.sections[v.Args[0]]; len(secs) != 1 {
		return nil, fmt.Errorf("%s has sections of %v rows, and the runtime embeds rows of one section", v.Args[0].Name, secs)
	}
	proj, err := e.g.linear(v.Bundle+".proj", v.Bundle+".proj")
	return e.work("EmbedRows", v, proj, jen.Lit(e.g.offset(v.Bundle+".cls.w")), jen.Lit(e.g.offset(v.Bundle+".pos.w"))), err
}

func embedText(e *entry, v *ir.Value) (jen.Code, error) {
	d, err := e.g.embed(v.Bundle, v.Attrs.Dim("pos"))
	return e.call("EmbedText", v, d), err
}

func qkv(e *entry, v *ir.Value) (jen.Code, error) {
	n, err := e.g.optionalNorm(v, v.Bundle+".ln", v.Args[0].Type.Cols(), "eps")
	if err != nil {
		return nil, err
	}
	l, err := e.g.projections(v)
	return e.work("QKV", v, n, l), err
}

func attention(method string) func(e *entry, v *ir.Value) (jen.Code, error) {
	return func(e *entry, v *ir.Value) (jen.Code, error) {
		heads := v.Attrs.Int("heads", 1)
		d := v.Type.Cols() / heads
		keys := v.Args[len(v.Args)-1]
		var args, slot []jen.Code
		for _, a := range v.Args {
			if a.State {
				slot = append(slot, jen.Lit(slices.Index(e.f.States(), a)))
				continue
			}
			args = append(args, e.mat(a))
		}
		list := []field{{"Heads", heads}, {"D", d}, {"DP", asm.Ceil(d)}, {"Scale", v.Attrs.Float("scale", 0)}, {"Base2", v.Attrs.Int("base", 0) == 2}}
		name := "attention"
		if v.Bundle != "" {
			name += "." + v.Bundle
			place := v.Attrs.Dim("at")
			if place.T {
				return nil, fmt.Errorf("the first query has position %s, want a constant", place)
			}
			list = append(list, field{"Bias", e.g.relBias(v.Bundle, keys.Type.Rows(), heads)}, field{"At", place.C})
		}
		if prefix, ok := v.Attrs.Get("prefix"); ok {
			name += ".prefix"
			mask := fields(field{"Prefix", sectionOf(prefix.Dim)}, field{"At", sectionOf(v.Attrs.Dim("at"))})
			list = append(list, field{"Mask", jen.Op("&").Qual(execPath, "Mask").Values(mask...)})
		}
		desc := e.g.describe("Attention", name, fields(list...))
		method, secs := method, []jen.Code{e.g.sections(e.sections[keys])}
		if queries := v.Args[0]; v.Op == ir.OpCrossAttention {
			switch {
			case len(slot) == 1 && len(args) == 2 && v.Args[1].State:
				method = "StateAttention"
			case slot != nil || len(args) != 2:
				return nil, fmt.Errorf("keys and values are joined from %d values; want one value, or a state and one value", len(v.Args)-1)
			case v.Args[0].Type.Rows() != ir.C(1):
				method = "QueryAttention"
			}
			if method != "CrossAttention" {
				secs = append([]jen.Code{e.g.sections(e.sections[queries])}, secs...)
			}
		}
		return e.call(method, v, slices.Concat(args, []jen.Code{desc}, secs, slot)...), nil
	}
}

func ffn(e *entry, v *ir.Value) (jen.Code, error) {
	d, err := e.g.ffn(v)
	if err != nil {
		return nil, err
	}
	if e.g.gated(v) {
		return e.work("GatedFFN", v, d), nil
	}
	return e.work("FFN", v, d), nil
}
