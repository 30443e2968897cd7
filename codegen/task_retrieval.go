package codegen

import (
	"cmp"
	"fmt"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

var retrieval = taskAPI{name: "retrieval", idents: []string{"Dim", "embedders"}, input: func(g *generator, t Task, d jen.Dict) {
	scale, bias := g.scalar(t, "logit_scale"), g.scalar(t, "logit_bias")
	if scale == nil {
		return
	}
	values := []field{{"Scale", scale.Name}}
	if bias != nil {
		values = append(values, field{"Bias", bias.Name})
	}
	d[jen.Id("Score")] = jen.Op("&").Qual(taskPath, "Score").Values(fields(append(values, field{"Each", t.Each})...)...)
}, write: func(g *generator, f *jen.File, t Task) {
	if fn := cmp.Or(g.find(t.Name, "image"), g.find(t.Name, "text")); fn != nil {
		f.Comment("Dim is how many values an embedding has.")
		f.Const().Id("Dim").Op("=").Lit(fn.Results[0].Type.Cols())
	}
	g.embedMethods(f, t, "", "the unit embedding")
	image, text := g.find(t.Name, "image"), g.find(t.Name, "text")
	if image != nil && text != nil && g.opt.Pixels != nil {
		g.similarity(f, t, image, text)
	}
	g.logitScale(f, t, "", "logit_scale")
	if w := g.scalar(t, "logit_bias"); w != nil {
		f.Comment("LogitBias returns what is added to scaled cosines in the model's logits.")
		methodOn(f, "m", "Model", "LogitBias").Params().Float64().Block(jen.Return(scalarOf(w)))
	}
}, example: func(g *generator, t Task) *shown {
	if fn := g.find(t.Name, "image"); g.methodsOf(fn) {
		return show("vector", "EmbedImage", aPicture).printsLen(fn.Results[0].Type.Cols(), "values")
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
	w := g.scalar(t, "logit_scale")
	if w == nil {
		return
	}
	name := "LogitScale" + branch
	f.Commentf("%s returns what cosines are multiplied by in the model's logits, exp(%s).", name, key)
	methodOn(f, "m", "Model", name).Params().Float64().Block(
		jen.Return(jen.Qual("math", "Exp").Call(scalarOf(w))),
	)
}

// scalar returns a task's weight of one value that the package has, or nil.
func (g *generator) scalar(t Task, name string) *ir.Weight {
	w := g.p.Weight(t.Name + "." + name)
	if w == nil || w.Offset < 0 {
		return nil
	}
	return w
}

// scalarOf emits the value of a weight, in a method of Model.
func scalarOf(w *ir.Weight) jen.Code {
	return jen.Float64().Call(jen.Id("m").Dot("m").Dot("Scalar").Call(jen.Lit(w.Name)))
}

// similarity emits the methods that compare a picture's embedding and a text's, or texts'.
func (g *generator) similarity(f *jen.File, t Task, image, text *ir.Func) {
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
	if g.scalar(t, "logit_scale") == nil {
		return
	}
	kind := "the softmax of their logits"
	if t.Each {
		kind = "of each class for itself"
		method{
			one: "MatchProbability", many: "MatchProbabilities", of: ofPair, result: jen.Float32(),
			doc:  "returns the probability that a text is a picture's, from 0 to 1, whatever other texts there are.",
			all:  "is MatchProbability for several pictures, each with its text.",
			call: beneath("Matches", jen.Op("&").Id("embedders")),
		}.write(f)
	}
	if g.opt.Tokenizer == nil {
		return
	}
	classes := jen.Op("*").Qual(taskPath, "Classes")
	f.Comment(lines("NewClasses returns classes by their names, such as \"cat\", for ClassifyImageWith. Each has the mean of the unit embeddings of\nits prompts, which are computed once: the templates, such as \"a drawing of a {}\", with the name in place of {}. Without\ntemplates it is task.Template."))
	methodOn(f, "m", "Model", "NewClasses").Params(ctxParam, jen.Id("names").Index().String(), jen.Id("templates").Op("...").String()).Params(classes.Clone(), jen.Error()).Block(
		jen.Return(jen.Id("m").Dot("m").Dot("Classes").Call(ctx, g.ref(text), jen.Id("names"), jen.Id("templates"))),
	)
	method{
		one: "ClassifyImageWith", many: "ClassifyImagesWith", of: ofImage, options: classes, result: labels,
		doc:  "returns all classes of o, the most probable of a picture first. Probabilities are " + kind + ".",
		all:  "is ClassifyImageWith for several pictures.",
		call: beneath("Tops", g.ref(image), jen.Id("o")),
	}.write(f)
}
