package codegen

import (
	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/ir"
)

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
