package codegen

import (
	"cmp"

	"github.com/dave/jennifer/jen"
)

// nlvr2 judges two pictures, which may be of different functions.
var nlvr2 = taskAPI{name: "nlvr2", idents: []string{"reasoning"}, write: func(g *generator, f *jen.File, t Task) {
	first, head := g.find(t.Name, "pair"), g.find(t.Name, "head")
	if first == nil || head == nil {
		return
	}
	second := cmp.Or(g.find(t.Name, "second"), first)
	f.Var().Id("reasoning").Op("=").Qual(taskPath, "Reasoning").Values(jen.Dict{
		jen.Id("First"):  g.ref(first),
		jen.Id("Second"): g.ref(second),
		jen.Id("Head"):   g.ref(head),
	})
	params := []jen.Code{jen.List(jen.Id("a"), jen.Id("b")).Add(picture), jen.Id("statement").String()}
	args := []jen.Code{jen.Op("&").Id("reasoning"), jen.Id("a"), jen.Id("b"), jen.Id("statement")}
	for _, on := range []struct{ recv, typ string }{{"s", "Session"}, {"m", "Model"}} {
		f.Comment("Reason returns the probability that a statement is true of the pictures a and b, from 0 to 1.")
		methodOn(f, on.recv, on.typ, "Reason").Params(params...).Params(jen.Float32(), jen.Error()).Block(
			jen.List(jen.Id("logits"), jen.Err()).Op(":=").Id(on.recv).Dot(on.recv).Dot("ReasonLogits").Call(args...),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Lit(0), jen.Err())),
			jen.Return(jen.Qual(taskPath, "Prob").Call(jen.Id("logits"), jen.Lit(1)), jen.Nil()),
		)
	}
}}
