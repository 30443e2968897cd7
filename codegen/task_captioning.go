package codegen

import "github.com/dave/jennifer/jen"

var captioning = taskAPI{
	name:   "captioning",
	idents: []string{"captions"},
	input: func(g *generator, t Task, d jen.Dict) {
		if g.captions(t) {
			d[jen.Id("Captions")] = jen.Op("&").Id("captions")
		}
	},
	write: func(g *generator, f *jen.File, t Task) {
		if g.captions(t) {
			g.caption(f, t)
		}
	},
}

// captions reports whether the package writes captions.
func (g *generator) captions(t Task) bool {
	return g.find(t.Name, "begin") != nil && g.find(t.Name, "step") != nil && g.opt.Pixels != nil
}

// caption writes the methods that caption a picture.
func (g *generator) caption(f *jen.File, t Task) {
	d := jen.Dict{
		jen.Id("Image"):  g.ref(g.find(t.Name, "begin")),
		jen.Id("Step"):   g.ref(g.find(t.Name, "step")),
		jen.Id("MaxNew"): jen.Lit(t.MaxNew),
	}
	if t.Ban != nil {
		d[jen.Id("Ban")] = jen.Index().Qual(captionPath, "IDs").ValuesFunc(func(v *jen.Group) {
			for _, b := range t.Ban {
				v.Values(jen.Dict{jen.Id("From"): jen.Lit(int(b.From)), jen.Id("To"): jen.Lit(int(b.To))})
			}
		})
	}
	f.Comment("captions are the rules of the model's captions.")
	f.Var().Id("captions").Op("=").Qual(taskPath, "Captions").Values(d)
	img := jen.Id("img").Qual("image", "Image")
	for _, r := range []struct{ recv, typ string }{{"s", "Session"}, {"m", "Model"}} {
		f.Comment("Caption says what is in a picture, taking the likeliest word each time.")
		f.Func().Params(jen.Id(r.recv).Op("*").Id(r.typ)).Id("Caption").Params(img.Clone()).Params(jen.Qual(taskPath, "Caption"), jen.Error()).Block(
			jen.Return(jen.Id(r.recv).Dot(r.recv).Dot("Caption").Call(jen.Op("&").Id("captions"), jen.Id("img"), jen.Qual(taskPath, "CaptionOptions").Values())),
		)
		f.Comment("CaptionWith is Caption with options, such as beams.")
		f.Func().Params(jen.Id(r.recv).Op("*").Id(r.typ)).Id("CaptionWith").Params(img.Clone(), jen.Id("o").Qual(taskPath, "CaptionOptions")).Params(jen.Qual(taskPath, "Caption"), jen.Error()).Block(
			jen.Return(jen.Id(r.recv).Dot(r.recv).Dot("Caption").Call(jen.Op("&").Id("captions"), jen.Id("img"), jen.Id("o"))),
		)
	}
}
