package codegen

import (
	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/ir"
)

// costOf returns the cost of a function as polynomials of the text length: FLOPs have degree
// two, bytes degree one, so the costs at three lengths determine both.
func costOf(p *ir.Program, f *ir.Func) exec.Cost {
	var at [3]ir.Cost
	for i := range at {
		at[i] = ir.FuncCost(p, f, 1+i)
	}
	var c exec.Cost
	square := (at[2].FLOPs - 2*at[1].FLOPs + at[0].FLOPs) / 2
	slope := at[1].FLOPs - at[0].FLOPs - 3*square
	c.FLOPs = [3]int64{at[0].FLOPs - slope - square, slope, square}

	c.Row = at[1].WeightBytes - at[0].WeightBytes
	c.Weight = at[0].WeightBytes - c.Row
	for _, v := range append(f.Params[:len(f.Params):len(f.Params)], f.Results...) {
		size := int64(v.Type.DType.Size())
		one, two := size*v.Type.Elements(1), size*v.Type.Elements(2)
		c.Row += two - one
		c.Seq += one - (two - one)
	}
	return c
}

// cost emits the Cost of the function.
func (e *entry) cost() jen.Code {
	c := costOf(e.g.p, e.f)
	flops := jen.Index(jen.Lit(3)).Int64().Values(jen.Lit(int(c.FLOPs[0])), jen.Lit(int(c.FLOPs[1])), jen.Lit(int(c.FLOPs[2])))
	return jen.Qual(execPath, "Cost").Values(fields(
		field{"FLOPs", flops}, field{"Weight", int(c.Weight)}, field{"Seq", int(c.Seq)}, field{"Row", int(c.Row)})...)
}
