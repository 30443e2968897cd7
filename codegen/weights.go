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

// descriptor is a package-level variable that describes an op's weights and their offsets.
type descriptor struct {
	name, key string
	value     jen.Code
}

// describe returns a pointer to a descriptor of a type of package exec, which it adds to the
// package unless an equal one exists.
func (g *generator) describe(typ, name string, values []jen.Code) jen.Code {
	return jen.Op("&").Add(g.variable(name, jen.Qual(execPath, typ).Values(values...)))
}

// sections returns a list of sections. It is a variable of the package, since a list
// in the function would be allocated at every call.
func (g *generator) sections(secs []section) jen.Code {
	name := "sections"
	for _, s := range secs {
		name += "." + strings.ReplaceAll(s.String(), "+", ".")
	}
	return g.variable(name, sectionList(secs))
}

// variable returns the package's variable with that value, which it adds unless one exists.
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

// offset returns the byte offset of a weight in the weight file's payload, or -1 if the
// program has no such weight.
func (g *generator) offset(name string) int {
	w := g.weights[name]
	if w == nil {
		return -1
	}
	return int(w.Offset)
}

// need returns the packed weight called name, or an error.
func (g *generator) need(name string) (*ir.Weight, error) {
	w := g.weights[name]
	if w == nil || w.Offset < 0 {
		return nil, fmt.Errorf("weight @%s is not packed; run the passes to the end first", name)
	}
	return w, nil
}

// linearValue returns the descriptor of the linear of a bundle; w is its matrix.
func (g *generator) linearValue(bundle string) (values []jen.Code, w *ir.Weight, err error) {
	if w, err = g.need(bundle + ".w"); err != nil {
		return nil, nil, err
	}
	return g.layer(bundle, w, w.Type.Shape[1].C, w.Type.Shape[0].C), w, nil
}

// layer returns the descriptor of a linear with k inputs and n outputs, whose matrix starts with w.
func (g *generator) layer(bundle string, w *ir.Weight, k, n int) []jen.Code {
	return fields(field{"W", int(w.Offset)}, field{"Bias", g.offset(bundle + ".b")}, field{"K", k}, field{"N", n},
		storedIn(w), field{"Blocking", g.blocking(k)})
}

// blocking returns a pointer to the package's variable that holds the blocking of products of depth k.
func (g *generator) blocking(k int) jen.Code {
	if g.blockings[k] == "" {
		g.blockings[k] = g.scope.name(fmt.Sprintf("blocking%d", k))
	}
	return jen.Op("&").Id(g.blockings[k])
}

// blockingTable emits the variables that blocking has named.
func (g *generator) blockingTable(f *jen.File) {
	if len(g.blockings) == 0 {
		return
	}
	f.Line().Comment(lines(`The cache blocking of matrix products, by their depth k. Passes is the number of parts that k
is split into. For products of at most Rows rows, Block is the target number of rows that one
panel of weights is multiplied with before the next panel is read, and Ahead is the distance, in
cache lines, at which weights are prefetched; where Ahead is 0, the panels that are used next
are prefetched.`))
	f.Var().DefsFunc(func(defs *jen.Group) {
		for _, k := range slices.Sorted(maps.Keys(g.blockings)) {
			c := asm.BlockingOf(k)
			var classes []jen.Code
			for _, r := range c.Rows {
				classes = append(classes, jen.Values(fields(field{"Rows", r.Rows}, field{"Block", r.Block}, field{"Ahead", r.Ahead})...))
			}
			defs.Id(g.blockings[k]).Op("=").Qual(execPath, "Blocking").Values(fields(field{"Passes", c.Passes}, field{"Rows", records("RowClass", classes)})...)
		}
	})
}

// storedIn returns the field DType of a descriptor for w's element type; the empty field for float32, which is the default.
func storedIn(w *ir.Weight) field {
	if w.Type.DType == ir.F32 {
		return field{}
	}
	return field{"DType", jen.Qual(blobPath, w.Type.DType.Ident())}
}

func (g *generator) linear(bundle, name string) (jen.Code, error) {
	v, _, err := g.linearValue(bundle)
	if err != nil {
		return nil, err
	}
	return g.describe("Linear", name, v), nil
}

// projections returns the descriptor of a qkv op's matrices, which are adjacent in the weight
// file, with heads padded to whole panels.
func (g *generator) projections(v *ir.Value) (jen.Code, error) {
	names := v.Attrs.Symbol("parts")
	if names == "" {
		names = "qkv"
	}
	first := v.Bundle + "." + names[:1]
	w, err := g.need(first + ".w")
	if err != nil {
		return nil, err
	}
	return g.describe("Linear", v.Bundle+"."+names, g.layer(first, w, v.Args[0].Type.Cols(), width(v))), nil
}

func (g *generator) norm(bundle string, n int, eps float64) (jen.Code, error) {
	name := bundle
	if g.offset(bundle+".g") < 0 {
		name = fmt.Sprintf("norm%d", n)
	}
	return g.describe("Norm", name, fields(field{"G", g.offset(bundle + ".g")}, field{"B", g.offset(bundle + ".b")}, field{"N", n}, field{"Eps", eps})), nil
}

// normColumns returns the number of columns that the norm p of v's step normalises.
func (g *generator) normColumns(v *ir.Value, p ir.Part) (int, error) {
	n := v.Args[0].Type.Cols()
	if p.Of != "" {
		w, err := g.need(v.Bundle + "." + p.Of + ".w")
		if err != nil {
			return 0, err
		}
		n = w.Type.Rows().C
	}
	for _, field := range []string{".g", ".b"} {
		if w := g.weights[v.Bundle+"."+p.Name+field]; w != nil && w.Type.Shape[0].C != n {
			return 0, fmt.Errorf("@%s is %v, but its norm in the step of %s is over %d columns; set the field Of of its Part, in the row of %[3]s in ir, to the linear that the norm follows", w.Name, w.Type, v.Op.Name, n)
		}
	}
	return n, nil
}

// optionalNorm returns the descriptor of a norm whose epsilon is the attribute key, or nil if v has no such attribute.
func (g *generator) optionalNorm(v *ir.Value, bundle string, n int, key string) (jen.Code, error) {
	a, ok := v.Attrs.Get(key)
	if !ok {
		return nil, nil
	}
	return g.norm(bundle, n, a.Float)
}

// gated reports whether the feed-forward block v has a gate.
func (g *generator) gated(v *ir.Value) bool { return g.weights[v.Bundle+".gate.w"] != nil }

// ffn returns the descriptor of a feed-forward block.
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
	linear := func(values []jen.Code) *jen.Statement { return jen.Qual(execPath, "Linear").Values(values...) }
	list := []field{{"Norm1", n1}, {"Fc1", linear(fc1)}}
	if g.gated(v) {
		gate, _, err := g.linearValue(v.Bundle + ".gate")
		if err != nil {
			return nil, err
		}
		list = append(list, field{"Gate", jen.Op("&").Add(linear(gate))})
	}
	if act, given := activation(v); given {
		list = append(list, field{"Act", act})
	}
	list = append(list, field{"Norm2", n2}, field{"Fc2", linear(fc2)})
	return g.describe("FFN", v.Bundle, onLines(fields(list...))), nil
}

// patches returns the descriptor of the patch embedding v with patches of patch*patch pixels. at is the index of the image's
// first float in the input of a sequence.
func (g *generator) patches(v *ir.Value, at, patch int) (jen.Code, error) {
	bundle, image := v.Bundle, v.Args[0].Type.Shape
	proj, _, err := g.linearValue(bundle + ".proj")
	if err != nil {
		return nil, err
	}
	return g.describe("Patches", bundle, fields(
		field{"Proj", jen.Qual(execPath, "Linear").Values(proj...)},
		field{"Cls", g.offset(bundle + ".cls.w")}, field{"Pos", g.offset(bundle + ".pos.w")}, field{"At", at},
		field{"Height", image[1].C}, field{"Width", image[2].C}, field{"Patch", patch}, field{"Channels", image[0].C})), nil
}

// embed returns the descriptor of a token embedding. at is the position of a text's first token, from which on rows of the
// position table are added.
func (g *generator) embed(bundle string, at ir.Dim) (jen.Code, error) {
	w, err := g.need(bundle + ".tok.w")
	if err != nil {
		return nil, err
	}
	list := []field{{"Table", g.offset(bundle + ".tok.w")}, {"Pos", g.offset(bundle + ".pos.w")},
		{"D", w.Type.Shape[1].C}, {"Vocab", w.Type.Shape[0].C}, storedIn(w)}
	name := bundle
	if at != (ir.Dim{}) {
		name += ".after." + at.String()
		list = append(list, field{"At", sectionOf(at)})
	}
	return g.describe("Embed", name, fields(list...)), nil
}

// relBias returns the descriptor of the tables of a relative position bias that keys of that
// many positions need.
func (g *generator) relBias(bundle string, keys ir.Dim, heads int) jen.Code {
	offset := func(table string, need bool) int {
		if !need {
			return -1
		}
		return g.offset(bundle + "." + table)
	}
	list := []field{{"Text", offset("text", keys.T)}, {"Image", offset("image", keys.C > 0)}, {"Cross", offset("cross", keys.T && keys.C > 0)}}
	if keys.T {
		list = append(list, field{"Reach", g.weights[bundle+".text"].Type.Rows().C / 2})
	}
	if side, ok := ir.GridOf(keys.C); ok {
		list = append(list, field{"Grid", side})
	}
	return g.describe("RelBias", bundle, fields(list...))
}
