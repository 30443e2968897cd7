package codegen

import (
	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

// reason writes the methods of task nlvr2, whose pictures may be of different functions.
func (g *generator) reason(f *jen.File, fn *ir.Func) {
	second := fn
	if x := g.p.Func(fn.Name + "_second"); x != nil {
		second = x
	}
	f.Var().Id("reasoning").Op("=").Qual(taskPath, "Reasoning").Values(jen.Dict{
		jen.Id("First"):  jen.Op("&").Id(g.funcName(fn)),
		jen.Id("Second"): jen.Op("&").Id(g.funcName(second)),
		jen.Id("Head"):   jen.Op("&").Id(g.funcName(g.p.Func("reason_head"))),
	})
	params := []jen.Code{jen.List(jen.Id("a"), jen.Id("b")).Add(picture), jen.Id("statement").String()}
	args := []jen.Code{jen.Op("&").Id("reasoning"), jen.Id("a"), jen.Id("b"), jen.Id("statement")}
	for _, on := range []struct{ recv, typ string }{{"s", "Session"}, {"m", "Model"}} {
		f.Comment("Reason returns the probability that a statement is true of the pictures a and b.")
		methodOn(f, on.recv, on.typ, "Reason").Params(params...).Params(jen.Float32(), jen.Error()).Block(
			jen.List(jen.Id("logits"), jen.Err()).Op(":=").Id(on.recv).Dot(on.typ).Dot("Reason").Call(args...),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Lit(0), jen.Err())),
			jen.Return(jen.Qual(taskPath, "Prob").Call(jen.Id("logits"), jen.Lit(1)), jen.Nil()),
		)
	}
}
