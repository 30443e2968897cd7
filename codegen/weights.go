package codegen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dave/jennifer/jen"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// descriptor is one package-level variable that says where an op's weights are.
type descriptor struct {
	name, key string
	value     jen.Code
}

// describe returns a pointer to the descriptor of the given type of exec and content,
// which it adds to the package unless an equal one is there.
func (g *generator) describe(typ, name string, value jen.Dict) jen.Code {
	return jen.Op("&").Add(g.variable(name+"."+strings.ToLower(typ), jen.Qual(execPath, typ).Values(value)))
}

// sections returns a list of sections. It is a variable of the package, since a list
// in the function would be allocated at every call.
func (g *generator) sections(secs []section) jen.Code {
	name := "rows"
	for _, s := range secs {
		name += "." + strings.ReplaceAll(s.String(), "+", ".")
	}
	return g.variable(name, sectionList(secs))
}

// variable returns the package's variable of that value, which it adds unless there is one.
func (g *generator) variable(name string, value *jen.Statement) jen.Code {
	key := fmt.Sprintf("%#v", value)
	for _, d := range g.descriptors {
		if d.key == key {
			return jen.Id(d.name)
		}
	}
	d := descriptor{name: g.scope.name(goName(name, false)), key: key, value: value}
	g.descriptors = append(g.descriptors, d)
	return jen.Id(d.name)
}

// offset is where a weight starts in the blob's payload, in floats, or -1 when the
// bundle has no such field.
func (g *generator) offset(name string) int {
	w := g.weights[name]
	if w == nil {
		return -1
	}
	return int(w.Offset / 4)
}

// need is the weight called name, packed, or an error.
func (g *generator) need(name string) (*ir.Weight, error) {
	w := g.weights[name]
	if w == nil || w.Offset < 0 {
		return nil, fmt.Errorf("weight @%s is not packed; run the passes to the end first", name)
	}
	return w, nil
}

func (g *generator) linearValue(bundle string) (jen.Dict, *ir.Weight, error) {
	w, err := g.need(bundle + ".w")
	if err != nil {
		return nil, nil, err
	}
	return stored(jen.Dict{
		jen.Id("W"):    jen.Lit(g.offset(bundle + ".w")),
		jen.Id("Bias"): jen.Lit(g.offset(bundle + ".b")),
		jen.Id("K"):    jen.Lit(w.Type.Shape[1].C),
		jen.Id("N"):    jen.Lit(w.Type.Shape[0].C),
		jen.Id("Cut"):  g.cut(w.Type.Shape[1].C),
	}, w), w, nil
}

// cut returns how products of depth k are cut, a variable of the package.
func (g *generator) cut(k int) jen.Code {
	if g.cuts[k] == "" {
		g.cuts[k] = g.scope.name(fmt.Sprintf("cut%d", k))
	}
	return jen.Op("&").Id(g.cuts[k])
}

// cutTable writes the variables that cut has named.
func (g *generator) cutTable(f *jen.File) {
	if len(g.cuts) == 0 {
		return
	}
	f.Line().Comment(lines(`How matrix products are cut to fit the caches, by their depth: the passes over a panel of
weights and, for products of at most so many rows, the aim for the rows of a block, which
are multiplied by one panel after the other, and how many cache lines ahead of their use
weights are prefetched. Without Ahead the panels used next are prefetched meanwhile.`))
	f.Var().DefsFunc(func(defs *jen.Group) {
		for _, k := range slices.Sorted(maps.Keys(g.cuts)) {
			c := asm.CutOf(k)
			defs.Id(g.cuts[k]).Op("=").Qual(execPath, "Cut").Values(jen.Dict{
				jen.Id("Passes"): jen.Lit(c.Passes),
				jen.Id("Rows"): jen.Index().Qual(execPath, "RowClass").ValuesFunc(func(g *jen.Group) {
					for _, r := range c.Rows {
						var fields []jen.Code
						for _, f := range []struct {
							name string
							n    int
						}{{"Rows", r.Rows}, {"Block", r.Block}, {"Ahead", r.Ahead}} {
							if f.n != 0 {
								fields = append(fields, jen.Id(f.name).Op(":").Lit(f.n))
							}
						}
						g.Line().Values(fields...)
					}
					g.Line()
				}),
			})
		}
	})
}

// stored adds to a descriptor what type w is stored in, unless it is float32.
func stored(d jen.Dict, w *ir.Weight) jen.Dict {
	if t := w.Type.DType; t != ir.F32 {
		d[jen.Id("DType")] = jen.Qual(blobPath, t.Ident())
	}
	return d
}

func (g *generator) linear(bundle, name string) (jen.Code, error) {
	v, _, err := g.linearValue(bundle)
	if err != nil {
		return nil, err
	}
	return g.describe("Linear", name, v), nil
}

// projections describes the panels of a qkv op: those of its parts stand one
// after the other in the blob, heads padded to whole panels.
func (g *generator) projections(v *ir.Value) (jen.Code, error) {
	names := v.Attrs.Word("parts")
	if names == "" {
		names = "qkv"
	}
	first := v.Bundle + "." + names[:1]
	w, err := g.need(first + ".w")
	if err != nil {
		return nil, err
	}
	return g.describe("Linear", v.Bundle+"."+names, stored(jen.Dict{
		jen.Id("W"):    jen.Lit(g.offset(first + ".w")),
		jen.Id("Bias"): jen.Lit(g.offset(first + ".b")),
		jen.Id("K"):    jen.Lit(v.Args[0].Type.Cols()),
		jen.Id("N"):    jen.Lit(width(v)),
		jen.Id("Cut"):  g.cut(v.Args[0].Type.Cols()),
	}, w)), nil
}

func (g *generator) normValue(bundle string, n int, eps float64) jen.Dict {
	return jen.Dict{
		jen.Id("G"):   jen.Lit(g.offset(bundle + ".g")),
		jen.Id("B"):   jen.Lit(g.offset(bundle + ".b")),
		jen.Id("N"):   jen.Lit(n),
		jen.Id("Eps"): jen.Lit(eps),
	}
}

func (g *generator) norm(bundle string, n int, eps float64) (jen.Code, error) {
	name := bundle
	if g.offset(bundle+".g") < 0 {
		name = fmt.Sprintf("bare%d", n)
	}
	return g.describe("Norm", name, g.normValue(bundle, n, eps)), nil
}

// optionalNorm is the norm whose presence the attribute key says, or nil.
func (g *generator) optionalNorm(v *ir.Value, bundle string, n int, key string) (jen.Code, error) {
	a, ok := v.Attrs.Get(key)
	if !ok {
		return jen.Nil(), nil
	}
	return g.norm(bundle, n, a.Float)
}

// ffn describes a feed-forward block.
func (g *generator) ffn(v *ir.Value) (jen.Code, error) {
	fc1, w, err := g.linearValue(v.Bundle + ".fc1")
	if err != nil {
		return nil, err
	}
	fc2, _, err := g.linearValue(v.Bundle + ".fc2")
	if err != nil {
		return nil, err
	}
	n1, err := g.optionalNorm(v, v.Bundle+".ln", v.Type.Cols(), "eps")
	if err != nil {
		return nil, err
	}
	n2, err := g.optionalNorm(v, v.Bundle+".sub", w.Type.Shape[0].C, "sub")
	if err != nil {
		return nil, err
	}
	linear := func(d jen.Dict) jen.Code { return jen.Qual(execPath, "Linear").Values(d) }
	return g.describe("FFN", v.Bundle, jen.Dict{
		jen.Id("Norm1"): n1,
		jen.Id("Fc1"):   linear(fc1),
		jen.Id("Norm2"): n2,
		jen.Id("Fc2"):   linear(fc2),
	}), nil
}

// patches describes the embedding v of an image that begins at position at of the input.
func (g *generator) patches(v *ir.Value, at, patch int) (jen.Code, error) {
	bundle, image := v.Bundle, v.Args[0].Type.Shape
	proj, _, err := g.linearValue(bundle + ".proj")
	if err != nil {
		return nil, err
	}
	return g.describe("Patches", bundle, jen.Dict{
		jen.Id("Proj"):     jen.Qual(execPath, "Linear").Values(proj),
		jen.Id("Cls"):      jen.Lit(g.offset(bundle + ".cls.w")),
		jen.Id("Pos"):      jen.Lit(g.offset(bundle + ".pos.w")),
		jen.Id("At"):       jen.Lit(at),
		jen.Id("Height"):   jen.Lit(image[1].C),
		jen.Id("Width"):    jen.Lit(image[2].C),
		jen.Id("Patch"):    jen.Lit(patch),
		jen.Id("Channels"): jen.Lit(image[0].C),
	}), nil
}

// embed describes the lookup of texts whose first position is at.
func (g *generator) embed(bundle string, at ir.Dim) (jen.Code, error) {
	w, err := g.need(bundle + ".tok.w")
	if err != nil {
		return nil, err
	}
	d := jen.Dict{
		jen.Id("Table"): jen.Lit(g.offset(bundle + ".tok.w")),
		jen.Id("Pos"):   jen.Lit(g.offset(bundle + ".pos.w")),
		jen.Id("D"):     jen.Lit(w.Type.Shape[1].C),
		jen.Id("Vocab"): jen.Lit(w.Type.Shape[0].C),
	}
	name := bundle
	if at != (ir.Dim{}) {
		name += ".at"
		d[jen.Id("At")] = jen.Qual(execPath, "Section").Values(sectionFields(at))
	}
	return g.describe("Embed", name, stored(d, w)), nil
}

// relBias describes the tables of a relative position bias, as far as keys of that many
// rows need them.
func (g *generator) relBias(bundle string, keys ir.Dim, heads int) jen.Code {
	offset := func(field string, need bool) jen.Code {
		if !need {
			return jen.Lit(-1)
		}
		return jen.Lit(g.offset(bundle + "." + field))
	}
	d := jen.Dict{
		jen.Id("Text"):  offset("text", keys.T),
		jen.Id("Image"): offset("image", keys.C > 0),
		jen.Id("Cross"): offset("cross", keys.T && keys.C > 0),
	}
	if keys.T {
		d[jen.Id("Reach")] = jen.Lit(g.weights[bundle+".text"].Type.Rows().C / 2)
	}
	if side, ok := ir.GridOf(keys.C); ok {
		d[jen.Id("Grid")] = jen.Lit(side)
	}
	return g.describe("RelBias", bundle, d)
}
