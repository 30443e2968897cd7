package codegen

import (
	"cmp"

	"github.com/dave/jennifer/jen"
)

// nlvr2 is the API of NLVR2: whether a sentence about two pictures is true.
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
	statement := input{
		params: []jen.Code{jen.List(jen.Id("a"), jen.Id("b")).Add(picture), jen.Id("statement").String()}, typ: jen.Qual(taskPath, "Statement"),
		value: jen.Values(fields(field{"A", jen.Id("a")}, field{"B", jen.Id("b")}, field{"Text", jen.Id("statement")})...), list: "statements",
	}
	method{
		one: "TruthProbability", many: "TruthProbabilities", of: statement, result: jen.Float32(),
		doc:  "returns the probability that a statement is true of the pictures a and b, from 0 to 1.",
		all:  "is TruthProbability for several statements, each with its pictures.",
		call: beneath("Truths", jen.Op("&").Id("reasoning")),
	}.write(f)
}, example: func(g *generator, t Task) *shown {
	if !g.methodsOf(g.find(t.Name, "pair")) || g.find(t.Name, "head") == nil {
		return nil
	}
	return show("truth", "TruthProbability", aPicture, aPicture, jen.Lit("they are the same")).prints("true", jen.Id("truth").Op(">=").Lit(0).Op("&&").Id("truth").Op("<=").Lit(1))
}}
