package codegen

import (
	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

// match writes the methods of task itm.
func (g *generator) match(f *jen.File, fn *ir.Func) {
	id := jen.Op("&").Id(g.funcName(fn))
	for _, on := range []struct{ recv, typ, run string }{{"s", "Session", "PairRows"}, {"m", "Model", "Pairs"}} {
		rows := jen.Id(on.recv)
		if on.typ == "Model" {
			rows = rows.Dot("Model")
		}
		f.Comment("Match returns the probability that a text describes a picture.")
		methodOn(f, on.recv, on.typ, "Match").Params(jen.Id("img").Add(picture), jen.Id("text").String()).Params(jen.Float32(), jen.Error()).Block(
			jen.List(jen.Id("logits"), jen.Err()).Op(":=").Qual(taskPath, "One").Call(rows.Dot(on.run).Call(
				id, jen.Lit(0), jen.Add(pictures).Values(jen.Id("img")), jen.Index().String().Values(jen.Id("text")))),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Lit(0), jen.Err())),
			jen.Return(jen.Qual(taskPath, "Prob").Call(jen.Id("logits"), jen.Lit(1)), jen.Nil()),
		)
	}
}
