package codegen

import "github.com/dave/jennifer/jen"

var vqa = taskAPI{name: "vqa", labels: "Answers", of: "pair", write: func(g *generator, f *jen.File, t Task) {
	fn := g.find(t.Name, "pair")
	if fn == nil {
		return
	}
	names := g.labels(f, t, "the answers to choose from")
	id := g.ref(fn)
	for _, on := range []struct{ recv, typ, valid string }{
		{"s", "Session", ", valid until the session's next call"},
		{"m", "Model", ""},
	} {
		f.Commentf("AnswerLogits returns the logits of the %d answers to a question about a picture%s.", fn.Results[0].Type.Cols(), on.valid)
		methodOn(f, on.recv, on.typ, "AnswerLogits").Params(jen.Id("img").Add(picture), jen.Id("question").String()).Params(vector, jen.Error()).Block(
			jen.Return(jen.Qual(taskPath, "One").Call(jen.Id(on.recv).Dot("AnswerLogitsOf").Call(
				jen.Add(pictures).Values(jen.Id("img")), jen.Index().String().Values(jen.Id("question"))))),
		)
		f.Commentf("AnswerLogitsOf returns the logits for each question and its picture%s.", on.valid)
		rows := jen.Id(on.recv).Dot(on.recv)
		methodOn(f, on.recv, on.typ, "AnswerLogitsOf").Params(jen.Id("imgs").Add(pictures), jen.Id("questions").Index().String()).Params(vectors, jen.Error()).Block(
			jen.Return(rows.Dot("Pairs").Call(id, jen.Id("imgs"), jen.Id("questions"))),
		)
		f.Comment("Answer returns the k most probable answers to a question about a picture, best first; k <= 0 means all.")
		methodOn(f, on.recv, on.typ, "Answer").Params(jen.Id("img").Add(picture), jen.Id("question").String(), jen.Id("k").Int()).
			Params(jen.Index().Qual(taskPath, "Label"), jen.Error()).Block(
			jen.List(jen.Id("logits"), jen.Err()).Op(":=").Id(on.recv).Dot("AnswerLogits").Call(jen.Id("img"), jen.Id("question")),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Return(jen.Qual(taskPath, "Top").Call(jen.Id("logits"), names, jen.Id("k")), jen.Nil()),
		)
	}
}}
