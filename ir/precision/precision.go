// Package precision describes how the matrices and tables of a model are stored: in one
// [Format], such as bf16 or int8, with other formats for a [Class] of weights or for single
// modules.
//
//	m := precision.Map{Default: "int8", Overrides: []precision.Override{{Module: "l11.ffn", Format: "bf16"}}}
//	m.Of("l11.ffn.vision.fc1.w").Name // bf16
//	m.Of("l10.ffn.vision.fc1.w").Name // int8
//
// A format depends only on a weight's name. The pass narrow asks for it and rounds the weight.
// Norms, biases and position tables are always float32.
//
// README's section "Changing it" lists the steps for adding a format. Tests, help texts, weight
// files and the runtime's tables are derived from [Formats].
package precision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// Format is an entry of Formats. The table of element types in package ir describes its numbers.
type Format struct {
	Name  string
	DType ir.DType // type of the stored weights
	Doc   string   // one line, for help texts

	// Cosine is the least cosine of output rows with the model in float64; 0: outputs have the
	// same bounds as a model whose checkpoint has this type.
	Cosine   float64
	Rounding Rounding

	// coarser is the format that may stand in for this one where its products are faster; this one is then the next finer.
	// "": none may.
	coarser string

	// classes and overrides are the formats of classes and modules that differ, unless a Map gives them.
	classes   map[Class]string
	overrides []Override
}

// Rounding has the tolerances for comparing products that round their inputs with the
// interpreter. It is zero for a format whose products do not.
type Rounding struct {
	// Coarse means that rounding may turn a difference in a last bit into a visible one.
	Coarse bool
	// Tolerance, a share of the largest value, allows for numbers that round the other way
	// because an earlier one differs in its last bit.
	Tolerance float64
	// Least is the cosine below which the difference of a row is an error, not rounding.
	Least float64
}

// Formats is the table of formats, in the order of help texts.
var Formats = []Format{
	{Name: F32, DType: ir.F32, Doc: "float32"},
	{Name: "bf16", DType: ir.BF16, Doc: "half the size, computed in f32; the range of f32 with 8 significant bits",
		classes: map[Class]string{Patches: F32}}, // small, and all rows of an image depend on it
	{Name: "f16", DType: ir.F16, Doc: "half the size, computed in f32; 11 significant bits, up to 65504"},
	{Name: Int8, DType: ir.I8, Cosine: 0.9995, Rounding: Rounding{true, 0.1, 0.98}, Doc: "a quarter of the size; products are computed in int8",
		coarser: Int7, classes: map[Class]string{Retrieval: Int8X2}},
	{Name: Int7, DType: ir.I7, Cosine: 0.9995, Rounding: Rounding{true, 0.1, 0.98}, Doc: "int8 whose weights have about 7 bits: four together have 9; faster than int8 on CPUs with AVX2 and neither AVX-VNNI nor AVX-512",
		classes: map[Class]string{Embedding: Int8, Retrieval: Int8X2}},
	{Name: Int8X2, DType: ir.I8X2, Cosine: 0.9995, Rounding: Rounding{false, 0.002, 0.99}, Doc: "int8 whose activations have two terms: the rounded value, and its rounding error in int8 too",
		classes: map[Class]string{Embedding: Int8}}, // a table is not multiplied, so a second term would be useless
	// The first layer is finer: its rows are short, and later layers amplify its errors.
	{Name: BF16Dot, DType: ir.BF16Dot, Cosine: 0.9999, Rounding: Rounding{true, 0.03, 0.999}, Doc: "bf16 whose activations are rounded to bf16 too; tables and heads are bf16, patches and the first attention f32",
		classes: map[Class]string{Embedding: "bf16", Patches: F32, Retrieval: "bf16", Heads: "bf16"}, overrides: []Override{{"l0.attn", F32}}},
}

// The formats that code asks for by name.
const (
	F32     = "f32"
	Int8    = "int8"
	Int7    = "int7"
	Int8X2  = "int8x2"
	BF16Dot = "bf16dot"
)

// Named returns the format called name; ok is false if there is none.
func Named(name string) (Format, bool) {
	i := slices.IndexFunc(Formats, func(w Format) bool { return w.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return Formats[i], true
}

// Stored returns the format whose weights have the element type.
func Stored(d ir.DType) Format {
	return Formats[slices.IndexFunc(Formats, func(w Format) bool { return w.DType == d })]
}

// Names lists the names of the formats.
func Names() []string {
	var names []string
	for _, w := range Formats {
		names = append(names, w.Name)
	}
	return names
}

// Class is a kind of weights.
type Class string

// The classes.
const (
	Embedding   Class = "embedding"
	Patches     Class = "patches"
	Projections Class = "projections"
	FFN         Class = "ffn"
	Retrieval   Class = "retrieval"
	Heads       Class = "heads"
)

// Classes lists the classes.
var Classes = []Class{Embedding, Patches, Projections, FFN, Retrieval, Heads}

var classDocs = map[Class]string{
	Embedding:   "token embedding tables",
	Patches:     "patch projections",
	Projections: "projections of attention: q, k, v and out",
	FFN:         "matrices of feed-forward blocks",
	Retrieval:   "heads of retrieval, which compute embeddings",
	Heads:       "other heads: classes, answers, captions",
}

// Doc returns a line that lists the weights of the class.
func (c Class) Doc() string { return classDocs[c] }

// ClassOf returns the class of the matrix or table called weight: l3.ffn.vision.fc1.w has
// class FFN.
func ClassOf(weight string) Class {
	parts := split(weight)
	has := func(part string) bool { return slices.Contains(parts, part) }
	switch {
	case has("attn"):
		return Projections
	case has("ffn"):
		return FFN
	case has("embed") && has("proj"):
		return Patches
	case has("embed"):
		return Embedding
	case strings.HasPrefix(weight, "retrieval"):
		return Retrieval
	}
	return Heads
}

// Map gives each matrix and table its format. The zero value is f32 everywhere.
type Map struct {
	Default   string           // name of the format of all other weights; "" is f32
	Classes   map[Class]string // names of formats of classes
	Overrides []Override       // formats of modules; a later one overrides an earlier one
}

// Override gives the modules of one name a format.
type Override struct {
	// Module consists of parts of a weight's name, in their order: l11.ffn, l3.attn.out,
	// l0.ffn.vision.fc2, ffn.fc2, retrieval. The matrices q, k and v, which one product
	// reads, are called qkv.
	Module string
	Format string
}

// Uniform returns the map in which every weight has the format.
func Uniform(name string) Map { return Map{Default: name} }

// Of returns the format of the matrix or table called weight. A name with a suffix of a pass,
// such as ~f, has the same format as the name without it. The map must pass Check.
func (m Map) Of(weight string) Format {
	for _, k := range slices.Backward(m.Overrides) {
		if k.Names(weight) {
			return format(k.Format)
		}
	}
	class := ClassOf(weight)
	if _, ok := m.Classes[class]; !ok {
		for _, k := range format(m.Default).overrides {
			if k.Names(weight) {
				return format(k.Format)
			}
		}
	}
	return m.class(class)
}

// class returns the format of a class.
func (m Map) class(c Class) Format {
	if w, ok := m.Classes[c]; ok {
		return format(w)
	}
	w := format(m.Default)
	if other, ok := w.classes[c]; ok {
		return format(other)
	}
	return w
}

// format returns the format with the name, f32 if it is "".
func format(name string) Format {
	if name == "" {
		name = F32
	}
	w, ok := Named(name)
	if !ok {
		panic(fmt.Sprintf("precision: %q was not checked", name))
	}
	return w
}

// Coarser returns m with the coarser format that may stand in for its default; ok is false if none may.
func (m Map) Coarser() (coarser Map, ok bool) {
	w := format(m.Default).coarser
	m.Default = w
	return m, w != ""
}

// Any reports whether ok is true for the format of a class or of a module in Overrides.
func (m Map) Any(ok func(Format) bool) bool {
	return slices.ContainsFunc(Classes, func(c Class) bool { return ok(m.class(c)) }) ||
		slices.ContainsFunc(m.Overrides, func(k Override) bool { return ok(format(k.Format)) })
}

// Exact reports whether everything is f32.
func (m Map) Exact() bool { return !m.Any(func(w Format) bool { return w.DType != ir.F32 }) }

// Int8 reports whether some matrix or table is stored as int8.
func (m Map) Int8() bool { return m.Any(func(w Format) bool { return w.DType.Scaled() }) }

// Cosine returns the cosine that rows of outputs should reach: the least one of the map's
// formats, or 0 if no format has one.
func (m Map) Cosine() float64 {
	least := 0.0
	for _, w := range Formats {
		if w.Cosine > 0 && (least == 0 || w.Cosine < least) && m.Any(func(o Format) bool { return o.Name == w.Name }) {
			least = w.Cosine
		}
	}
	return least
}

// Check returns an error about the first unknown format or class, or invalid module.
func (m Map) Check() error {
	check := func(what, name string) error {
		if _, ok := Named(name); !ok {
			return fmt.Errorf("%s %q, want %s", what, name, strings.Join(Names(), ", "))
		}
		return nil
	}
	if m.Default != "" {
		if err := check("precision", m.Default); err != nil {
			return err
		}
	}
	for c, name := range m.Classes {
		if !slices.Contains(Classes, c) {
			return fmt.Errorf("precision of %q, want a class of weights: %v", c, Classes)
		}
		if err := check("precision of "+string(c), name); err != nil {
			return err
		}
	}
	for _, k := range m.Overrides {
		if err := k.Check(); err != nil {
			return err
		}
		if err := check("precision of "+k.Module, k.Format); err != nil {
			return err
		}
	}
	return nil
}

// String returns the name of the default format. Classes and modules with a format of their own follow in brackets, each with
// the format's name.
func (m Map) String() string {
	s := format(m.Default).Name
	var rest []string
	for _, c := range Classes {
		if w, ok := m.Classes[c]; ok {
			rest = append(rest, string(c)+" "+w)
		}
	}
	for _, k := range m.Overrides {
		rest = append(rest, k.Module+" "+k.Format)
	}
	if rest == nil {
		return s
	}
	return s + " (" + strings.Join(rest, ", ") + ")"
}

// Module returns the name of the smallest module that contains a weight, which has all
// matrices of its product: l0.attn.vision.qkv for l0.attn.vision~f.q.w.
func Module(weight string) string { return strings.Join(split(weight), ".") }

// Check returns an error if the module cannot have a format of its own.
func (k Override) Check() error {
	parts := strings.Split(k.Module, ".")
	for _, p := range parts {
		switch {
		case p == "":
			return fmt.Errorf("module %q: want parts of a weight's name with dots between them, such as l3.ffn", k.Module)
		case slices.Contains(product, p):
			return fmt.Errorf("module %q: %s is part of one product; want qkv for %s", k.Module, p, strings.Join(product, ", "))
		}
	}
	return nil
}

// Names reports whether the module contains the weight.
func (k Override) Names(weight string) bool {
	parts := split(weight)
	for _, p := range strings.Split(k.Module, ".") {
		i := slices.Index(parts, p)
		if i < 0 {
			return false
		}
		parts = parts[i+1:]
	}
	return true
}

// product lists the matrices that one product reads.
var product = []string{"q", "k", "v"}

// split returns the parts of a weight's name before its field, without suffixes of passes, and
// with qkv in place of q, k and v.
func split(weight string) []string {
	parts := strings.Split(weight, ".")
	parts = parts[:max(1, len(parts)-1)]
	for i, p := range parts {
		p, _, _ = strings.Cut(p, "~")
		if slices.Contains(product, p) {
			p = "qkv"
		}
		parts[i] = p
	}
	return parts
}
