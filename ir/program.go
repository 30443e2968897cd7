package ir

import (
	"fmt"
	"slices"
	"strings"
)

// Program is a model: functions (entry points) over shared, immutable weights.
// The run-time length T of its functions satisfies 1 <= T <= MaxT.
type Program struct {
	Name    string
	MaxT    int
	Weights []*Weight // changed by AddWeight and SetWeights, which keep the index
	Funcs   []*Func

	index    map[string]int // indices in Weights, by name
	listed   []*Weight      // Weights when the index was made
	fromZero bool           // verifyFunc sets it on a copy: the function that is verified may run at T = 0
}

// SetWeights makes list the program's weights. The program owns the list from then on.
func (p *Program) SetWeights(list []*Weight) {
	p.Weights, p.listed = list, list
	p.index = make(map[string]int, len(list))
	for i, w := range list {
		p.index[w.Name] = i
	}
}

// known reports whether the index matches the weights, which it does not if Weights was set directly.
func (p *Program) known() bool {
	return p.index != nil && len(p.listed) == len(p.Weights) && (len(p.listed) == 0 || &p.listed[0] == &p.Weights[0])
}

// indexed returns p if its index matches its weights, or else a copy with such an index.
func (p *Program) indexed() *Program {
	if p.known() {
		return p
	}
	q := *p
	q.SetWeights(p.Weights)
	return &q
}

// Field returns the weight that is the given field of the bundle, or nil.
func (p *Program) Field(bundle, field string) *Weight {
	var room [2*maxName + 1]byte // for the name, on the stack
	return p.weight(append(append(append(room[:0], bundle...), '.'), field...))
}

// Weight is one named tensor. Its name is hierarchical and ends in the field
// of its bundle: l3.ffn.vision.fc1.w is field w of bundle l3.ffn.vision.fc1.
//
// Passes never change a weight, since functions share it: they add a new one.
type Weight struct {
	Name   string
	Type   Type
	Export bool // the Go API reads it, so the pass prune keeps it; "keep" in the text form

	// Origin is the checkpoint tensor that the weight is read from; nil for weights that passes made.
	Origin *Origin
	// Load returns the elements in row-major order, widened to float32. It reads
	// lazily, may be called more than once, and returns memory the caller owns.
	// It is nil while no checkpoint is bound.
	Load func() ([]float32, error)

	Layout string // set by pack: the storage layout, "" = row-major
	Offset int64  // set by pack: byte offset in the blob's payload; -1 before
}

// Origin locates a weight in a checkpoint: rows Row to Row+Rows-1 of the first axis of the
// tensor Key, which has the given Shape in the file. Rows 0 means all rows. If the tensor is a
// matrix, the weight may be columns Col to Col+Cols-1 of it; Cols 0 means all columns. The
// weight may have another shape with the same number of elements, in the same order.
type Origin struct {
	Key   string
	Shape []int
	Row   int
	Rows  int
	Col   int
	Cols  int
	// Transposed: the weight is the transpose of the matrix of these rows and columns.
	Transposed bool
	Grid       *Grid // nil: the tensor is not a table of position embeddings
}

// Grid describes a table of the position embeddings of a square image: along its last axis
// but one it has Extra rows that belong to no patch, then Side*Side rows of patches. A
// checkpoint's table for another Side is resized if Resize is set, and refused if not.
type Grid struct {
	Extra, Side int
	Resize      bool
	Antialias   bool // whether the resize filters when it shrinks
}

// Func is one entry point: a list of values in order, without control flow.
// Segments, if any, divide the rows of the whole sequence by modality; an expert pool
// (`*` in a bundle) takes the expert of the segment's name.
type Func struct {
	Name     string
	Params   []*Value
	Segments []Segment
	Values   []*Value
	Results  []*Value
	Arena    int64 // set by plan: bytes of memory for all values, at full limits; 0 before
}

// Segment is a run of rows of the sequence that one modality owns.
type Segment struct {
	Name string
	Len  Dim
}

// Value is one line of a function, assigned once. A parameter has a nil Op.
type Value struct {
	Name   string
	Op     *Op
	Args   []*Value
	Bundle string // weight bundle, "" = none; a `*` part is an expert pool
	Attrs  Attrs
	Type   Type
	Offset int64 // set by plan: byte offset in the arena at full limits; -1 before
	State  bool  // a parameter that the runtime keeps between calls, such as cached keys
}

// States returns the parameters that are states, in order: store {slot=N} makes
// rows of the state at index N.
func (f *Func) States() []*Value {
	var s []*Value
	for _, v := range f.Params {
		if v.State {
			s = append(s, v)
		}
	}
	return s
}

// Stores reports whether f creates or extends a state that calls share.
func (f *Func) Stores() bool {
	return slices.ContainsFunc(f.Values, func(v *Value) bool { return v.Op == OpStore })
}

// MinT is the smallest T that f accepts: 0, nothing cached yet, for a function with
// states, else 1.
func (f *Func) MinT() int {
	if len(f.States()) > 0 {
		return 0
	}
	return 1
}

// Kind is the type of an attribute.
type Kind uint8

// The kinds of attributes.
const (
	Int Kind = iota
	Float
	Length // a Dim
	Symbol
)

// String describes the kind for error texts.
func (k Kind) String() string {
	switch k {
	case Int:
		return "a whole number"
	case Float:
		return "a number"
	case Length:
		return "a length (a number, T, number+T or T-number)"
	}
	return "a symbol"
}

// Attr is one attribute of a value. Only the field of its kind is set.
type Attr struct {
	Key    string
	Kind   Kind
	Int    int
	Float  float64
	Dim    Dim
	Symbol string
}

// Attrs are the attributes of a value. Their order has no meaning.
type Attrs []Attr

// Get returns the attribute named key.
func (a Attrs) Get(key string) (Attr, bool) {
	for _, x := range a {
		if x.Key == key {
			return x, true
		}
	}
	return Attr{}, false
}

// Int returns the integer attribute key, or def when it is absent.
func (a Attrs) Int(key string, def int) int {
	if x, ok := a.Get(key); ok {
		return x.Int
	}
	return def
}

// Float returns the float attribute key, or def when it is absent.
func (a Attrs) Float(key string, def float64) float64 {
	if x, ok := a.Get(key); ok {
		return x.Float
	}
	return def
}

// Dim returns the dimension attribute key, or 0 when it is absent.
func (a Attrs) Dim(key string) Dim {
	x, _ := a.Get(key)
	return x.Dim
}

// Symbol returns the symbol attribute key, or "" when it is absent.
func (a Attrs) Symbol(key string) string {
	x, _ := a.Get(key)
	return x.Symbol
}

// With returns the attributes with x added or replaced; a is not changed.
// Their order has no meaning: they print in the order that the op declares.
func (a Attrs) With(x Attr) Attrs {
	for i := range a {
		if a[i].Key == x.Key {
			b := slices.Clone(a)
			b[i] = x
			return b
		}
	}
	return append(slices.Clone(a), x)
}

// IntAttr, FloatAttr, DimAttr and SymbolAttr make attributes.
func IntAttr(key string, v int) Attr       { return Attr{Key: key, Kind: Int, Int: v} }
func FloatAttr(key string, v float64) Attr { return Attr{Key: key, Kind: Float, Float: v} }
func DimAttr(key string, v Dim) Attr       { return Attr{Key: key, Kind: Length, Dim: v} }
func SymbolAttr(key, v string) Attr        { return Attr{Key: key, Kind: Symbol, Symbol: v} }

// Func returns the function called name, or nil.
func (p *Program) Func(name string) *Func {
	for _, f := range p.Funcs {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Weight returns the weight called name, or nil.
func (p *Program) Weight(name string) *Weight { return p.weight([]byte(name)) }

func (p *Program) weight(name []byte) *Weight {
	if p.known() {
		i, ok := p.index[string(name)]
		if !ok {
			return nil
		}
		// A copy of the program, which shares the index, may have added to it.
		if i < len(p.Weights) && p.Weights[i].Name == string(name) {
			return p.Weights[i]
		}
	}
	for _, w := range p.Weights {
		if w.Name == string(name) {
			return w
		}
	}
	return nil
}

// AddWeight appends w; a second weight of the same name is an error.
func (p *Program) AddWeight(w *Weight) error {
	if p.Weight(w.Name) != nil {
		return fmt.Errorf("weight @%s is declared twice", w.Name)
	}
	if !p.known() {
		p.SetWeights(p.Weights)
	}
	p.index[w.Name] = len(p.Weights)
	p.Weights = append(p.Weights, w)
	p.listed = p.Weights
	return nil
}

// Pool reports whether the bundle is an expert pool.
func Pool(bundle string) bool {
	return slices.Contains(strings.Split(bundle, "."), "*")
}

// Bytes returns the size of the weight's elements as declared, unpadded.
func (w *Weight) Bytes() int64 { return w.Type.Elements(0) * int64(w.Type.DType.Size()) }

// Expert returns the bundle with its pool part replaced by the expert's name.
func Expert(bundle, expert string) string {
	parts := strings.Split(bundle, ".")
	for i, p := range parts {
		if p == "*" {
			parts[i] = expert
		}
	}
	return strings.Join(parts, ".")
}
