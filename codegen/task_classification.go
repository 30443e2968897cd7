package codegen

import (
	"fmt"

	"github.com/dave/jennifer/jen"
)

var classification = taskAPI{name: "classification", labels: "Labels", of: "image", write: func(g *generator, f *jen.File, t Task) {
	fn := g.find(t.Name, "image")
	if fn == nil {
		return
	}
	names := g.labels(f, t, "the class names")
	call := beneath("Images", g.ref(fn))
	method{
		one: "ClassifyImage", many: "ClassifyImages", of: ofImage, result: labels, call: call, names: names,
		doc: "returns all classes of a picture, the most probable first.",
		all: "is ClassifyImage for several pictures.",
	}.write(f)
	method{
		one: "LogitsOfImage", many: "LogitsOfImages", of: ofImage, result: vector, call: call,
		doc: fmt.Sprintf("returns the %d class logits of a picture.", fn.Results[0].Type.Cols()),
		all: "is LogitsOfImage for several pictures.",
	}.write(f)
}, example: func(g *generator, t Task) *shown {
	fn := g.find(t.Name, "image")
	if !g.methodsOf(fn) {
		return nil
	}
	return show("classes", "ClassifyImage", aPicture).printsLen(fn.Results[0].Type.Cols(), "classes, the most probable first")
}}
