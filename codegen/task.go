package codegen

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"
	"github.com/multiway-go/multiway/ir"
)

// method is one task method of the generated API: on a Session it returns memory
// that the next call reuses, on a Model memory of the caller's own.
type method struct {
	task, entry string
	name, many  string // for one and for several inputs
	of          string // what it returns, for the comment
}

// methods is the task API, in the order it is written. A method is there if its
// function is.
var methods = []method{
	{"retrieval", "vision", "EmbedImage", "EmbedImages", "the unit embedding"},
	{"retrieval", "language", "EmbedText", "EmbedTexts", "the unit embedding"},
	{"retrieval_vl", "vision", "EmbedImageVL", "EmbedImagesVL", "the unit embedding of the second contrastive branch"},
	{"retrieval_vl", "language", "EmbedTextVL", "EmbedTextsVL", "the unit embedding of the second contrastive branch"},
	{"classification", "vision", "Logits", "LogitsOf", "the class logits"},
}

// task writes the methods of one task on Session and Model.
func (g *generator) task(f *jen.File, t Task) error {
	for _, m := range methods {
		fn := g.p.Func(m.entry + "_" + t.Name)
		if m.task != t.Name || fn == nil {
			continue
		}
		id := g.funcName(fn)
		run, rows, one, typ, noun := "Images", "ImageRows", "img", jen.Qual("image", "Image"), "picture"
		if m.entry == "language" {
			run, rows, one, typ, noun = "Texts", "TextRows", "text", jen.String(), "text"
		}
		f.Commentf("%s returns %s of a %s, %d values, valid until the session's next call.", m.name, m.of, noun, fn.Results[0].Type.Cols())
		f.Func().Params(jen.Id("s").Op("*").Id("Session")).Id(m.name).Params(jen.Id(one).Add(typ)).Params(jen.Index().Float32(), jen.Error()).Block(
			jen.Return(jen.Qual(taskPath, "One").Call(jen.Id("s").Dot(rows).Call(jen.Op("&").Id(id), jen.Lit(0), jen.Id(one)))),
		)
		f.Comment(lines(fmt.Sprintf("%s returns %s of each %s, in one packed batch; where only some have\nnone, the error is a *rt.BatchError and their rows are nil.", m.many, m.of, noun)))
		f.Func().Params(jen.Id("s").Op("*").Id("Session")).Id(m.many).Params(jen.Id(one+"s").Index().Add(typ)).Params(jen.Index().Index().Float32(), jen.Error()).Block(
			jen.Return(jen.Id("s").Dot(rows).Call(jen.Op("&").Id(id), jen.Lit(0), jen.Id(one+"s").Op("..."))),
		)
		f.Commentf("%s returns %s of a %s.", m.name, m.of, noun)
		f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id(m.name).Params(jen.Id(one).Add(typ)).Params(jen.Index().Float32(), jen.Error()).Block(
			jen.Return(jen.Qual(taskPath, "One").Call(jen.Id("m").Dot(m.many).Call(jen.Index().Add(typ).Values(jen.Id(one))))),
		)
		f.Comment(lines(fmt.Sprintf("%s returns %s of each %s; where only some have none, the error is a\n*rt.BatchError and their rows are nil.", m.many, m.of, noun)))
		f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id(m.many).Params(jen.Id(one+"s").Index().Add(typ)).Params(jen.Index().Index().Float32(), jen.Error()).Block(
			jen.Return(jen.Id("m").Dot("Model").Dot(run).Call(jen.Op("&").Id(id), jen.Lit(0), jen.Id(one+"s"))),
		)
	}
	switch fn := g.pair(t.Name); {
	case g.captions(t):
		g.caption(f, t)
	case t.Name == "classification" && g.p.Func("vision_classification") != nil:
		g.classify(f, t)
	case t.Name == "vqa" && fn != nil:
		g.answer(f, t, fn)
	case t.Name == "itm" && fn != nil:
		g.match(f, fn)
	case t.Name == "nlvr2" && fn != nil && g.p.Func("reason_head") != nil:
		g.reason(f, fn)
	case t.Name == "retrieval" && g.pair("itm") == nil:
		if image, text := g.p.Func("vision_retrieval"), g.p.Func("language_retrieval"); image != nil && text != nil && g.opt.Pixels != nil {
			g.cosine(f, image, text)
		}
	}
	if w := g.p.Weight(t.Name + ".logit_scale"); w != nil && w.Offset >= 0 {
		name, key := "LogitScale", "logit_scale"
		if t.Name == "retrieval_vl" {
			name, key = "LogitScaleVL", "logit_vl_scale"
		}
		f.Commentf("%s returns what cosines are multiplied by in the model's logits, exp(%s).", name, key)
		f.Func().Params(jen.Id("m").Op("*").Id("Model")).Id(name).Params().Float64().Block(
			jen.Return(jen.Qual("math", "Exp").Call(jen.Float64().Call(jen.Id("m").Dot("Scalar").Call(jen.Lit(w.Name))))),
		)
	}
	return nil
}

// labelsOf is what a task's list of labels is called, in the package and in its input.
var labelsOf = map[string]string{"classification": "Labels", "vqa": "Answers"}

// labels writes the list of a task's labels, if it has any, and returns its name, or nil.
func (g *generator) labels(f *jen.File, t Task, what string) jen.Code {
	if len(t.Labels) == 0 {
		return jen.Nil()
	}
	name := labelsOf[t.Name]
	f.Commentf("%s are %s, in the order of the logits.", name, what)
	f.Var().Id(name).Op("=").Index().String().ValuesFunc(func(v *jen.Group) {
		for _, l := range t.Labels {
			v.Line().Lit(l)
		}
		v.Line()
	})
	return jen.Id(name)
}

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
