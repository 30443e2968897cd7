// Package precision says how the matrices and tables of a model are stored: a [Format]
// such as bf16 or int8 for all of them, other formats for a [Class] of weights, and others
// again for modules that are named.
//
//	m := precision.Map{Default: "int8", Overrides: []precision.Override{{Module: "l11.ffn", Format: "bf16"}}}
//	m.Of("l11.ffn.vision.fc1.w").Name // bf16
//	m.Of("l10.ffn.vision.fc1.w").Name // int8
//
// It decides by names alone and changes no weight: that is for the pass narrow, which asks
// it. Norms, biases and tables of positions are not asked about.
//
// README's section "Changing it" says what another format takes. Tests, help texts, weight files
// and the runtime's tables go by the rows.
package precision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// Format is a row of the table of precisions. What its numbers are the row of its element type says, in package ir.
type Format struct {
	Name  string
	DType ir.DType // of what is stored
	Doc   string   // what it is, in a line

	// Cosine is what rows of outputs are to reach against the model in float64; 0: outputs are
	// held to the bounds that models whose checkpoints are stored so are held to.
	Cosine   float64
	Rounding Rounding

	// classes and overrides say what other format a class or a module has unless the map says more.
	classes   map[Class]string
	overrides []Override
}

// Rounding is what products that round what they multiply, which depends on the input, ask of
// whoever compares them with the interpreter; zero where they do not.
type Rounding struct {
	// Coarse says that the interpreter's last bit may decide how a value is rounded, and show.
	Coarse bool
	// Tolerance, a share of the largest value, allows for values that round the other way,
	// since one before differs in its last bit.
	Tolerance float64
	// Least is the cosine below which a row is taken for an error, not for rounding.
	Least float64
}

// Formats are the precisions, in the order that help texts have.
var Formats = []Format{
	{Name: F32, DType: ir.F32, Doc: "as computed"},
	{Name: "bf16", DType: ir.BF16, Doc: "half the size, computed in f32; the range of f32, 8 bits of it",
		classes: map[Class]string{Patches: F32}}, // small, and every row of an image begins there
	{Name: "f16", DType: ir.F16, Doc: "half the size, computed in f32; 11 bits, up to 65504"},
	{Name: Int8, DType: ir.I8, Cosine: 0.9995, Rounding: Rounding{true, 0.1, 0.98}, Doc: "a quarter of the size, products of bytes",
		classes: map[Class]string{Retrieval: Int8X2}},
	{Name: Int8X2, DType: ir.I8X2, Cosine: 0.9995, Rounding: Rounding{false, 0.002, 0.99}, Doc: "int8 that multiplies twice: what rows were rounded to, and what that took away",
		classes: map[Class]string{Embedding: Int8}}, // a table multiplies nothing
	// What goes wrong in the first layer, whose rows are short, the others make larger.
	{Name: BF16Dot, DType: ir.BF16Dot, Cosine: 0.9999, Rounding: Rounding{true, 0.03, 0.999}, Doc: "bf16 that multiplies what is rounded to bf16 too; tables and heads are bf16, patches and the first attention f32",
		classes: map[Class]string{Embedding: "bf16", Patches: F32, Retrieval: "bf16", Heads: "bf16"}, overrides: []Override{{"l0.attn", F32}}},
}

// The formats that code asks for by name.
const (
	F32     = "f32"
	Int8    = "int8"
	Int8X2  = "int8x2"
	BF16Dot = "bf16dot"
)

// Named returns the row of the format called name and whether there is one.
func Named(name string) (Format, bool) {
	i := slices.IndexFunc(Formats, func(w Format) bool { return w.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return Formats[i], true
}

// Stored returns the row of the format of an element type of weights.
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
	Embedding:   "the tables of tokens",
	Patches:     "the projections of pixels",
	Projections: "the projections of attention: q, k, v and out",
	FFN:         "the matrices of feed-forward blocks",
	Retrieval:   "the heads that make embeddings to compare",
	Heads:       "other heads: of classes, answers, words",
}

// Doc says in a line which weights are of the class.
func (c Class) Doc() string { return classDocs[c] }

// ClassOf returns the class of the matrix or table called weight, which its name tells:
// l3.ffn.vision.fc1.w is of FFN.
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

// Map says how each matrix and table is stored. The zero value is f32 everywhere.
type Map struct {
	Default   string           // name of a format; "" is f32
	Classes   map[Class]string // another format for a class
	Overrides []Override       // another format for modules; a later row wins over an earlier one
}

// Override gives the modules of one name a format.
type Override struct {
	// Module is parts of a weight's name, in their order: l11.ffn, l3.attn.out,
	// l0.ffn.vision.fc2, ffn.fc2, retrieval. The matrices q, k and v, which are one
	// product, are called qkv.
	Module string
	Format string
}

// Uniform is the map of one format.
func Uniform(name string) Map { return Map{Default: name} }

// Of returns how the matrix or table called weight is stored. Names that passes made of
// it (with ~) mean the same. The map must pass Check.
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

// format returns a row by its name, f32's if it is "".
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

// Any reports whether ok holds for the format of a class or of a module that is named.
func (m Map) Any(ok func(Format) bool) bool {
	return slices.ContainsFunc(Classes, func(c Class) bool { return ok(m.class(c)) }) ||
		slices.ContainsFunc(m.Overrides, func(k Override) bool { return ok(format(k.Format)) })
}

// Exact reports whether everything is f32.
func (m Map) Exact() bool { return !m.Any(func(w Format) bool { return w.DType != ir.F32 }) }

// Bytes reports whether some matrix or table is stored as bytes.
func (m Map) Bytes() bool { return m.Any(func(w Format) bool { return w.DType.Scaled() }) }

// Cosine is what rows of outputs are to reach: the least that a format of the map asks for, 0
// if none does.
func (m Map) Cosine() float64 {
	least := 0.0
	for _, w := range Formats {
		if w.Cosine > 0 && (least == 0 || w.Cosine < least) && m.Any(func(o Format) bool { return o.Name == w.Name }) {
			least = w.Cosine
		}
	}
	return least
}

// Check reports the first format that is unknown, and the first class or
// module that cannot be.
func (m Map) Check() error {
	check := func(what, name string) error {
		if _, ok := Named(name); !ok {
			return fmt.Errorf("%s %q: want %s", what, name, strings.Join(Names(), ", "))
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
			return fmt.Errorf("precision of %q, which is no class of weights", c)
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

// String is the default format, and in brackets what is stored otherwise.
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

// Module is the name of the module that a weight is alone in, but for the other matrices
// of its product: l0.attn.vision.qkv for l0.attn.vision~f.q.w.
func Module(weight string) string { return strings.Join(split(weight), ".") }

// Check reports a module that cannot be stored apart from others.
func (k Override) Check() error {
	parts := strings.Split(k.Module, ".")
	for _, p := range parts {
		switch {
		case p == "":
			return fmt.Errorf("module %q: want parts of a weight's name with dots between them, such as l3.ffn", k.Module)
		case slices.Contains(product, p):
			return fmt.Errorf("module %q: %s is one product with the others of its bundle: want qkv for %s", k.Module, p, strings.Join(product, ", "))
		}
	}
	return nil
}

// Names reports whether the module has the weight.
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

// product are the matrices that one product reads.
var product = []string{"q", "k", "v"}

// split returns the parts of a weight's name before its field, without what passes add,
// q, k and v under one name.
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
