package codegen

import "github.com/dave/jennifer/jen"

var itm = taskAPI{name: "itm", write: func(g *generator, f *jen.File, t Task) {
	if fn := g.find(t.Name, "pair"); fn != nil {
		method{
			one: "MatchProbability", many: "MatchProbabilities", of: ofPair, result: jen.Float32(),
			doc:  "returns the probability that a text describes a picture, from 0 to 1.",
			all:  "is MatchProbability for several pictures, each with its text.",
			call: beneath("Probabilities", g.ref(fn)),
		}.write(f)
	}
}, example: func(g *generator, t Task) *shown {
	if !g.methodsOf(g.find(t.Name, "pair")) {
		return nil
	}
	return show("match", "MatchProbability", aPicture, jen.Lit("a photo")).prints("true", jen.Id("match").Op(">=").Lit(0).Op("&&").Id("match").Op("<=").Lit(1))
}}
