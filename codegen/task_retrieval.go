package codegen

import (
	"cmp"
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

var retrieval = taskAPI{name: "retrieval", idents: []string{"Dim", "embedders"}, write: func(g *generator, f *jen.File, t Task) {
	if fn := cmp.Or(g.find(t.Name, "image"), g.find(t.Name, "text")); fn != nil {
		f.Comment("Dim is how many values an embedding has.")
		f.Const().Id("Dim").Op("=").Lit(fn.Results[0].Type.Cols())
	}
	g.embedMethods(f, t, "", "the unit embedding")
	image, text := g.find(t.Name, "image"), g.find(t.Name, "text")
	if image != nil && text != nil && g.opt.Pixels != nil {
		g.similarity(f, image, text)
	}
	g.logitScale(f, t, "", "logit_scale")
}, example: func(g *generator, t Task) *shown {
	if fn := g.find(t.Name, "image"); g.methodsOf(fn) {
		return show("vector", "EmbedImage", jen.Id("pic")).printsLen(fn.Results[0].Type.Cols(), "values")
	}
	if fn := g.find(t.Name, "text"); g.methodsOf(fn) {
		return show("vector", "EmbedText", jen.Lit("a photo")).printsLen(fn.Results[0].Type.Cols(), "values")
	}
	return nil
}}

// retrievalVL is the second contrastive branch of VLMo.
var retrievalVL = taskAPI{name: "retrieval_vl", write: func(g *generator, f *jen.File, t Task) {
	g.embedMethods(f, t, "VL", "the unit embedding of the second contrastive branch")
	g.logitScale(f, t, "VL", "logit_vl_scale")
}}

// embedMethods emits the methods that embed pictures and texts.
func (g *generator) embedMethods(f *jen.File, t Task, branch, what string) {
	if fn := g.find(t.Name, "image"); fn != nil {
		method{
			one: "EmbedImage" + branch, many: "EmbedImages" + branch, of: ofImage, result: vector,
			doc:  fmt.Sprintf("returns %s of a picture, %d values.", what, fn.Results[0].Type.Cols()),
			all:  "is EmbedImage" + branch + " for several pictures.",
			call: beneath("Images", g.ref(fn)),
		}.write(f)
	}
	if fn := g.find(t.Name, "text"); fn != nil {
		method{
			one: "EmbedText" + branch, many: "EmbedTexts" + branch, of: ofText, result: vector,
			doc:  fmt.Sprintf("returns %s of a text, %d values.", what, fn.Results[0].Type.Cols()),
			all:  "is EmbedText" + branch + " for several texts.",
			call: beneath("Texts", g.ref(fn)),
		}.write(f)
	}
}

// logitScale emits the method that returns exp of the weight that the reference implementation calls key.
func (g *generator) logitScale(f *jen.File, t Task, branch, key string) {
	w := g.p.Weight(t.Name + ".logit_scale")
	if w == nil || w.Offset < 0 {
		return
	}
	name := "LogitScale" + branch
	f.Commentf("%s returns what cosines are multiplied by in the model's logits, exp(%s).", name, key)
	methodOn(f, "m", "Model", name).Params().Float64().Block(
		jen.Return(jen.Qual("math", "Exp").Call(jen.Float64().Call(jen.Id("m").Dot("m").Dot("Scalar").Call(jen.Lit(w.Name))))),
	)
}

// similarity emits the methods that return the cosine of a picture's embedding and a text's.
func (g *generator) similarity(f *jen.File, image, text *ir.Func) {
	f.Var().Id("embedders").Op("=").Qual(taskPath, "Embedders").Values(jen.Dict{
		jen.Id("Image"): g.ref(image),
		jen.Id("Text"):  g.ref(text),
	})
	method{
		one: "Similarity", many: "Similarities", of: ofPair, result: jen.Float32(),
		doc:  "returns the cosine of a picture's embedding and a text's, from -1 to 1.",
		all:  "is Similarity for several pictures, each with its text.",
		call: beneath("Similarities", jen.Op("&").Id("embedders")),
	}.write(f)
}
