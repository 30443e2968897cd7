package codegen

import "github.com/dave/jennifer/jen"

var classification = taskAPI{name: "classification", labels: "Labels", of: "image", write: func(g *generator, f *jen.File, t Task) {
	fn := g.find(t.Name, "image")
	if fn == nil {
		return
	}
	g.rowMethods(f, fn, "Logits", "LogitsOf", "the class logits")
	names := g.labels(f, t, "the class names")
	top := func(recv, call string) {
		f.Comment("Classify returns the k most probable classes of a picture, best first; k <= 0 means all.")
		f.Func().Params(jen.Id(recv).Op("*").Id(call)).Id("Classify").Params(jen.Id("img").Qual("image", "Image"), jen.Id("k").Int()).
			Params(jen.Index().Qual(taskPath, "Label"), jen.Error()).Block(
			jen.List(jen.Id("logits"), jen.Err()).Op(":=").Id(recv).Dot("Logits").Call(jen.Id("img")),
			jen.If(jen.Err().Op("!=").Nil()).Block(jen.Return(jen.Nil(), jen.Err())),
			jen.Return(jen.Qual(taskPath, "Top").Call(jen.Id("logits"), names, jen.Id("k")), jen.Nil()),
		)
	}
	top("s", "Session")
	top("m", "Model")
}}
