package ir

import (
	"fmt"
	"slices"
	"strings"
)

// Op is an entry of the op table: everything that the compiler knows about an operation.
//
// A primitive op has Infer, Eval and Cost. A fused op has Expand instead: its type,
// result and cost are those of the ops that it expands to. The functions never see a
// pool: their callers resolve it to one expert first.
type Op struct {
	Name   string
	Hint   string     // what the builder calls a value of this op when no name is given
	Doc    string     // one line: arguments, weights, result
	Args   int        // number of arguments; -1 = two or more
	Fields []Field    // weights of the bundle; none = the op takes no bundle
	Attrs  []AttrSpec // own attributes, in print order; CommonAttrs follow
	Batch  Batch
	View   bool // it computes nothing: the pass plan gives it an address inside other values

	// Kernels names the kernels of package asm that the op runs on, first the one that does most of the work. Of a fused op
	// these are the kernels of its expansion, but for the addition of a residual, which products do themselves. An op without
	// kernels has PlainGo alone; a view has nil.
	Kernels []string
	// InPlace lists the arguments in whose memory the result may be written, row over row: pass plan does so if both have
	// equally many columns and nothing reads the argument later. The step reads no element of such an argument after it has
	// written the element of the result in the same row and column. The other arguments keep their values until the whole
	// result is written.
	InPlace []int
	// Scratch lists the matrices that v needs while it is computed, as many as ScratchKeys at most. Nil: none.
	Scratch func(p *Program, v *Value) []Scratch
	// Step is the call of the runtime that computes the op. Three kinds of ops have none: views; ops that occur only inside
	// fused ops; and ops with a row in codegen/steps.go, whose calls have arguments that a Step cannot list.
	Step Step

	Infer  func(c *Infer) (Type, error)
	Eval   func(c *Eval) (*Tensor, error)
	Cost   func(p *Program, v *Value, t int) Cost
	Expand func(b *Builder, v *Value) *Value
}

// PlainGo stands for a kernel in ops that run on none: they move data or have few rows, and are computed in Go.
const PlainGo = "go"

// Scratch is a matrix of float32 that a value needs while it is computed.
type Scratch struct {
	Rows Dim // for each sequence
	Cols int
}

// ScratchKeys are the common attributes with the arena offsets of a value's scratch matrices, in their order.
var ScratchKeys = []string{"tmp", "hidden", "gate"}

// Step is a call of the runtime: Method(result, packed arguments, scratch, parts).
type Step struct {
	Method string
	Parts  []Part
}

// Part is an argument of a step besides its matrices: weights of the bundle, or an attribute. The kinds are PartLinear and
// those declared with it.
type Part struct {
	Kind PartKind
	Name string // of the part of the bundle, "" for all of it, or of the attribute
	Eps  string // of a norm: its attribute for epsilon; a value without the attribute has no such norm
	Of   string // of a norm: the linear of the bundle whose result it normalises; "" for the first argument of the op
}

// PartKind is the kind of an argument of a step.
type PartKind uint8

const (
	PartLinear   PartKind = iota // the linear of Name.w and Name.b
	PartNorm                     // the norm of Name.g and Name.b, which may be absent; see Eps and Of
	PartWeight                   // the weight Name
	PartAttr                     // the attribute Name; zero where it is not given
	PartAct                      // the activation of the attribute act; no argument without the attribute
	PartSections                 // the sections of the first argument
)

// Field is one weight of an op's bundle, such as w or ln.g.
type Field struct {
	Name     string
	Optional bool
}

// AttrSpec declares one attribute of an op.
type AttrSpec struct {
	Key      string
	Kind     Kind
	Required bool
}

// CommonAttrs are allowed on every op and change no result: passes store decisions in
// them for later passes. They print after the op's own attributes.
var CommonAttrs = []AttrSpec{
	{Key: "route", Kind: Symbol},  // the one expert of a pool for the whole sequence, if the function has two or more segments
	{Key: "kernel", Kind: Symbol}, // kernel family, set by select
	{Key: "ld", Kind: Int},        // leading dimension in elements, set by plan
	{Key: "tmp", Kind: Int},       // arena offset of the first scratch matrix, set by plan
	{Key: "hidden", Kind: Int},    // arena offset of the second, the hidden rows of an ffn, set by plan
	{Key: "gate", Kind: Int},      // arena offset of the third, the factors of an ffn's hidden rows, set by plan
}

// Spec returns the declaration of the attribute key, own or common; nil if the op has no such attribute.
func (o *Op) Spec(key string) *AttrSpec {
	for _, rows := range [][]AttrSpec{o.Attrs, CommonAttrs} {
		for i := range rows {
			if rows[i].Key == key {
				return &rows[i]
			}
		}
	}
	return nil
}

// Sort returns the attributes in the order in which they print, own ones first.
func (o *Op) Sort(a Attrs) Attrs {
	if len(a) < 2 {
		return a
	}
	rank := func(key string) int {
		for i, s := range o.Attrs {
			if s.Key == key {
				return i
			}
		}
		for i, s := range CommonAttrs {
			if s.Key == key {
				return len(o.Attrs) + i
			}
		}
		return len(o.Attrs) + len(CommonAttrs)
	}
	b := slices.Clone(a)
	slices.SortStableFunc(b, func(x, y Attr) int { return rank(x.Key) - rank(y.Key) })
	return b
}

// Batch gives the rows of the arguments that a row of an op's result needs, and the packing of the result's rows in a batch
// of sequences.
type Batch uint8

const (
	// Row i of the result needs row i of the arguments alone, so one call covers the packed rows of all sequences.
	RowWise Batch = iota
	// A row of the result needs other rows of its sequence, or its position in it. The result has the rows of argument 0,
	// packed like them; an op of images or ids has rows of its own. [PartSections] tells the step where each sequence is.
	PerSeq
	// Like PerSeq, but the result has rows of its own: a constant number for each sequence, such as the one row of a mean.
	Reducing
)

// Ops is the op table. Its entries are in the op_*.go files.
var Ops []*Op

// newOp adds an empty entry to the table. The init function of its file fills it in, since Go would reject a variable whose
// functions read the table.
func newOp() *Op {
	op := new(Op)
	Ops = append(Ops, op)
	return op
}

// OpNamed returns the op called name.
func OpNamed(name string) (*Op, error) {
	for _, op := range Ops {
		if op.Name == name {
			return op, nil
		}
	}
	var names []string
	for _, op := range Ops {
		names = append(names, op.Name)
	}
	return nil, fmt.Errorf("unknown op %q; the ops are %s", name, strings.Join(names, ", "))
}

// Fused reports whether the op is defined by its expansion.
func (o *Op) Fused() bool { return o.Expand != nil }

// Infer is the argument of an op's Infer function: the value under construction (its
// Type not yet set, its pool resolved to one expert) and the program's weights.
type Infer struct {
	V *Value
	P *Program
}

// Eval is the argument of an op's Eval function: the value's arguments and weights, with
// its pool resolved to the expert whose rows the arguments hold. Shapes come from Args;
// V has the attributes and the bundle.
type Eval struct {
	V    *Value
	T    int
	Args []*Tensor
	P    *Program
}

// Tensor is a value in the interpreter: row-major float64, or token ids for i32 values.
type Tensor struct {
	Shape []int
	F     []float64
	IDs   []int32
}
