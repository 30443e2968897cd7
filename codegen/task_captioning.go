package codegen

import (
	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/codegen/rt/token"
)

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
	example: func(g *generator, t Task) *shown {
		tok, err := token.Open(g.opt.Tokenizer, g.opt.Form)
		if _, spells := tok.(interface{ Decode([]int32) string }); err != nil || !spells || !g.captions(t) {
			return nil
		}
		return show("caption", "Caption", aPicture).prints("true", jen.Len(jen.Id("caption").Dot("IDs")).Op(">").Lit(1))
	},
}

// captions reports whether the package can write captions.
func (g *generator) captions(t Task) bool {
	return g.find(t.Name, "begin") != nil && g.find(t.Name, "step") != nil && g.opt.Pixels != nil
}

// caption emits the methods that caption a picture.
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
	options := jen.Qual(taskPath, "CaptionOptions")
	m := method{
		one: "Caption", many: "Captions", of: ofImage, result: jen.Qual(taskPath, "Caption"),
		doc: "says in words what is in a picture, taking the likeliest word each time.",
		all: "is Caption for several pictures, whose words are computed together.",
	}
	m.call = beneath("Captions", jen.Op("&").Id("captions"), options.Clone().Values())
	m.write(f)
	m.one, m.many, m.options = "CaptionWith", "CaptionsWith", options
	m.doc, m.all = "is Caption with options, such as beams.", "is Captions with options, such as beams."
	m.call = beneath("Captions", jen.Op("&").Id("captions"), jen.Id("o"))
	m.write(f)
}
