package ir

import (
	"fmt"
	"slices"
	"strings"
)

// Op is a row of the op table: everything the compiler knows about an operation.
//
// A primitive op has Infer, Eval and Cost. A fused op has Expand and no meaning of
// its own: the three follow from the ops it expands to. The functions see no pool:
// the table's users resolve it to one expert first.
type Op struct {
	Name   string
	Hint   string     // what the builder calls a value of this op when no name is given
	Doc    string     // one line: arguments, weights, result
	Args   int        // number of arguments; -1 = two or more
	Fields []Field    // weights of the bundle; none = the op takes no bundle
	Attrs  []AttrSpec // own attributes, in print order; CommonAttrs follow
	Batch  Batch
	View   bool // after plan it is an address, not work

	// Kernels are the kernels that it runs on, as the catalogue calls them, the one that does most of the work first, or
	// PlainGo alone. A view has none.
	Kernels []string
	// InPlace lists the arguments that the result may be written over. Others are read until all of it is written.
	InPlace []int
	// Scratch lists the memory that v needs while it is computed. Nil: none.
	Scratch func(p *Program, v *Value) []Scratch
	// Step is the call that computes it. An op without one is a view, is only ever inside a fused op, or is written
	// by the emitter in a way of its own.
	Step Step

	Infer  func(c *Infer) (Type, error)
	Eval   func(c *Eval) (*Tensor, error)
	Cost   func(p *Program, v *Value, t int) Cost
	Expand func(b *Builder, v *Value) *Value
}

// PlainGo is what ops that move data or run on a few rows have for a kernel.
const PlainGo = "go"

// Scratch is a matrix of float32 that a value needs while it is computed.
type Scratch struct {
	Key    string // the attribute that says where it is
	Rows   Dim    // for each sequence
	Cols   int
	Blocks bool // the op works on blocks of rows, and a block is all that it holds
}

// Step is a call of the runtime: Method(result, packed arguments, scratch, parts).
type Step struct {
	Method string
	Parts  []Part
}

// Part is what a step is told besides its matrices: what stands in the bundle, or an attribute.
type Part struct {
	Kind PartKind
	Name string // of the part of the bundle, "" for all of it; of the attribute
	Eps  string // of a norm: the attribute without which it is absent
}

// PartKind says what a part is.
type PartKind uint8

const (
	PartLinear   PartKind = iota // the linear of Name.w and Name.b
	PartNorm                     // the norm of Name.g and Name.b, over the columns of the first argument
	PartWeight                   // the weight Name
	PartAttr                     // the attribute Name; zero where it is not given
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

// CommonAttrs are allowed on every op and change no number: passes leave notes in
// them for later passes. They print after the op's own attributes.
var CommonAttrs = []AttrSpec{
	{Key: "route", Kind: Symbol},  // expert that a pool takes for the whole sequence when there are two or more segments
	{Key: "kernel", Kind: Symbol}, // kernel family, set by select
	{Key: "ld", Kind: Int},        // leading dimension in elements, set by plan
	{Key: "tmp", Kind: Int},       // arena offset of scratch memory, set by plan
	{Key: "hidden", Kind: Int},    // arena offset of hidden rows, set by plan
	{Key: "block", Kind: Int},     // rows of one block, set by plan
}

// Spec returns the row of the attribute key, own or common; nil when the op has none.
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

// Sort returns the attributes in the order of the row, own ones first.
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

// Batch says how an op runs over packed rows of several sequences.
type Batch uint8

// RowWise ops compute row i from row i of their arguments, so one call covers the
// packed rows of all sequences; PerSeq ops need to know where each sequence is.
const (
	RowWise Batch = iota
	PerSeq
)

// Ops is the op table: the rows of the op_*.go files.
var Ops []*Op

// newOp adds a row to the table, which its file's init fills in: rows refer to functions that read the table.
func newOp() *Op {
	op := new(Op)
	Ops = append(Ops, op)
	return op
}

// OpNamed returns the row called name.
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

// Infer is what an op's Infer function sees: the value under construction (its
// Type not yet set, its pool resolved to one expert) and the program's weights.
type Infer struct {
	V *Value
	P *Program
}

// Eval is what an op's Eval function sees: its arguments and weights, with the
// pool of its value resolved to the expert whose rows the arguments are. Shapes
// come from Args; V is there for the attributes and the bundle.
type Eval struct {
	V    *Value
	T    int
	Args []*Tensor
	P    *Program
}

// Tensor is a value in the interpreter: row-major float64, or ids for i32 values.
type Tensor struct {
	Shape []int
	F     []float64
	IDs   []int32
}
