package codegen

import (
	"fmt"

	"github.com/dave/jennifer/jen"
)

var vqa = taskAPI{name: "vqa", labels: "Answers", of: "pair", write: func(g *generator, f *jen.File, t Task) {
	fn := g.find(t.Name, "pair")
	if fn == nil {
		return
	}
	names := g.labels(f, t, "the answers to choose from")
	call := beneath("Pairs", g.ref(fn))
	method{
		one: "AnswerQuestion", many: "AnswerQuestions", of: ofQuestion, result: labels, call: call, names: names,
		doc: "returns all answers to a question about a picture, the most probable first.",
		all: "is AnswerQuestion for several pictures, each with its question.",
	}.write(f)
	method{
		one: "LogitsOfQuestion", many: "LogitsOfQuestions", of: ofQuestion, result: vector, call: call,
		doc: fmt.Sprintf("returns the logits of the %d answers to a question about a picture.", fn.Results[0].Type.Cols()),
		all: "is LogitsOfQuestion for several pictures, each with its question.",
	}.write(f)
}, example: func(g *generator, t Task) *shown {
	fn := g.find(t.Name, "pair")
	if !g.methodsOf(fn) {
		return nil
	}
	return show("answers", "AnswerQuestion", aPicture, jen.Lit("what is it?")).printsLen(fn.Results[0].Type.Cols(), "answers, the most probable first")
}}
