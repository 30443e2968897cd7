package codegen

import "github.com/dave/jennifer/jen"

var itm = taskAPI{name: "itm", write: func(g *generator, f *jen.File, t Task) {
	fn := g.find(t.Name, "pair")
	if fn == nil {
		return
	}
	id := g.ref(fn)
	for _, on := range []struct{ recv, typ string }{{"s", "Session"}, {"m", "Model"}} {
		rows := jen.Id(on.recv).Dot(on.recv)
		f.Comment("MatchProbability returns the probability that a text describes a picture, from 0 to 1.")
		methodOn(f, on.recv, on.typ, "MatchProbability").Params(jen.Id("img").Add(picture), jen.Id("text").String()).Params(jen.Float32(), jen.Error()).Block(
			jen.List(jen.Id("logits"), jen.Err()).Op(":=").Qual(taskPath, "One").Call(rows.Dot("Pairs").Call(
				id, jen.Add(pictures).Values(jen.Id("img")), jen.Index().String().Values(jen.Id("text")))),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Lit(0), jen.Err())),
			jen.Return(jen.Qual(taskPath, "Prob").Call(jen.Id("logits"), jen.Lit(1)), jen.Nil()),
		)
	}
}}
