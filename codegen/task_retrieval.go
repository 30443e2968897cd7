package codegen

import (
	"cmp"

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
}}

// retrievalVL is the second contrastive branch of VLMo.
var retrievalVL = taskAPI{name: "retrieval_vl", write: func(g *generator, f *jen.File, t Task) {
	g.embedMethods(f, t, "VL", "the unit embedding of the second contrastive branch")
	g.logitScale(f, t, "VL", "logit_vl_scale")
}}

// embedMethods writes the methods that embed pictures and texts.
func (g *generator) embedMethods(f *jen.File, t Task, branch, what string) {
	for _, m := range []struct{ kind, one, many string }{{"image", "EmbedImage", "EmbedImages"}, {"text", "EmbedText", "EmbedTexts"}} {
		if fn := g.find(t.Name, m.kind); fn != nil {
			g.rowMethods(f, fn, m.one+branch, m.many+branch, what)
		}
	}
}

// logitScale writes the method that returns exp of the weight that the official code calls key.
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

// similarity writes the methods that return the cosine of a picture's embedding and a text's.
func (g *generator) similarity(f *jen.File, image, text *ir.Func) {
	f.Var().Id("embedders").Op("=").Qual(taskPath, "Embedders").Values(jen.Dict{
		jen.Id("Image"): g.ref(image),
		jen.Id("Text"):  g.ref(text),
	})
	for _, on := range []struct{ recv, typ string }{{"s", "Session"}, {"m", "Model"}} {
		f.Comment("Similarity returns the cosine of a picture's embedding and a text's, from -1 to 1.")
		methodOn(f, on.recv, on.typ, "Similarity").Params(jen.Id("img").Add(picture), jen.Id("text").String()).Params(jen.Float32(), jen.Error()).Block(
			jen.Return(jen.Id(on.recv).Dot(on.recv).Dot("Similarity").Call(jen.Op("&").Id("embedders"), jen.Id("img"), jen.Id("text"))),
		)
	}
}
