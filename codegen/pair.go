package codegen

import (
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

// pair returns the task's function of a picture and a text, nil if there is none.
func (g *generator) pair(task string) *ir.Func {
	for _, f := range g.p.Funcs {
		image, text := false, false
		for _, p := range f.Params {
			image = image || p.Name == "image"
			text = text || p.Type.DType == ir.I32
		}
		if image && text && len(f.Params) == 2 && strings.HasSuffix(f.Name, "_"+task) {
			return f
		}
	}
	return nil
}

var (
	picture  = jen.Qual("image", "Image")
	pictures = jen.Index().Add(picture)
	vector   = jen.Index().Float32()
	vectors  = jen.Index().Index().Float32()
)

// methodOn begins a method of Session or Model.
func methodOn(f *jen.File, recv, typ, name string) *jen.Statement {
	return f.Func().Params(jen.Id(recv).Op("*").Id(typ)).Id(name)
}

// answer writes the methods of task vqa.
func (g *generator) answer(f *jen.File, t Task, fn *ir.Func) {
	names := g.labels(f, t, "the answers to choose from")
	id := jen.Op("&").Id(g.funcName(fn))
	for _, on := range []struct{ recv, typ, run, valid string }{
		{"s", "Session", "PairRows", ", valid until the session's next call"},
		{"m", "Model", "Pairs", ""},
	} {
		f.Commentf("AnswerLogits returns the logits of the %d answers to a question about a picture%s.", fn.Results[0].Type.Cols(), on.valid)
		methodOn(f, on.recv, on.typ, "AnswerLogits").Params(jen.Id("img").Add(picture), jen.Id("question").String()).Params(vector, jen.Error()).Block(
			jen.Return(jen.Qual(taskPath, "One").Call(jen.Id(on.recv).Dot("AnswerLogitsOf").Call(
				jen.Add(pictures).Values(jen.Id("img")), jen.Index().String().Values(jen.Id("question"))))),
		)
		f.Commentf("AnswerLogitsOf returns the logits for each question and its picture%s.", on.valid)
		rows := jen.Id(on.recv)
		if on.typ == "Model" {
			rows = rows.Dot("Model")
		}
		methodOn(f, on.recv, on.typ, "AnswerLogitsOf").Params(jen.Id("imgs").Add(pictures), jen.Id("questions").Index().String()).Params(vectors, jen.Error()).Block(
			jen.Return(rows.Dot(on.run).Call(id, jen.Lit(0), jen.Id("imgs"), jen.Id("questions"))),
		)
		f.Comment("Answer returns the k most probable answers to a question about a picture, best first; k <= 0 means all.")
		methodOn(f, on.recv, on.typ, "Answer").Params(jen.Id("img").Add(picture), jen.Id("question").String(), jen.Id("k").Int()).
			Params(jen.Index().Qual(taskPath, "Label"), jen.Error()).Block(
			jen.List(jen.Id("logits"), jen.Err()).Op(":=").Id(on.recv).Dot("AnswerLogits").Call(jen.Id("img"), jen.Id("question")),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Return(jen.Qual(taskPath, "Top").Call(jen.Id("logits"), names, jen.Id("k")), jen.Nil()),
		)
	}
}

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

// cosine writes Match of task retrieval, for packages that have no better one.
func (g *generator) cosine(f *jen.File, image, text *ir.Func) {
	f.Var().Id("embedders").Op("=").Qual(taskPath, "Embedders").Values(jen.Dict{
		jen.Id("Image"): jen.Op("&").Id(g.funcName(image)),
		jen.Id("Text"):  jen.Op("&").Id(g.funcName(text)),
	})
	for _, on := range []struct{ recv, typ string }{{"s", "Session"}, {"m", "Model"}} {
		f.Comment("Match returns the cosine of a picture's embedding and a text's: how well they fit, from -1 to 1.")
		methodOn(f, on.recv, on.typ, "Match").Params(jen.Id("img").Add(picture), jen.Id("text").String()).Params(jen.Float32(), jen.Error()).Block(
			jen.Return(jen.Id(on.recv).Dot("Cosine").Call(jen.Op("&").Id("embedders"), jen.Id("img"), jen.Id("text"))),
		)
	}
}

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
