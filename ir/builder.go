package ir

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Builder writes one function of a program. It collects the first error and goes
// on with harmless values, so that model descriptions read as straight lines;
// Done returns that error with the place in the caller that made it.
type Builder struct {
	P   *Program
	F   *Func
	err error

	names map[string]bool
	quiet bool // errors carry no place: the caller names the value under expansion
}

// NewBuilder starts the function called name. Done adds it to p.
func NewBuilder(p *Program, name string) *Builder {
	b := &Builder{P: p, F: &Func{Name: name}}
	if p.Func(name) != nil {
		b.fail("function %s is defined twice", name)
	}
	return b
}

// Param adds a parameter. Parameters come before values.
func (b *Builder) Param(name string, t Type) *Value {
	v := &Value{Name: name, Type: t, Offset: -1}
	b.take(name)
	if err := checkType(t, b.P.MaxT); err != nil {
		b.fail("parameter %s is %v: %w", name, t, err)
	}
	b.F.Params = append(b.F.Params, v)
	return v
}

// State adds a parameter that the runtime keeps between calls. States come after
// the other parameters.
func (b *Builder) State(name string, t Type) *Value {
	v := b.Param(name, t)
	v.State = true
	return v
}

// Segment appends a run of n rows to the whole sequence, owned by the expert name.
func (b *Builder) Segment(name string, n Dim) {
	b.F.Segments = append(b.F.Segments, Segment{Name: name, Len: n})
}

// Weight declares a weight. Declaring it again, for another function of the
// program, changes nothing; another type or origin under the same name is an error.
func (b *Builder) Weight(name string, t Type, o *Origin) {
	w := b.P.Weight(name)
	if w == nil {
		if err := checkWeightType(t); err != nil {
			b.fail("weight @%s is %v: %w", name, t, err)
		}
		if err := b.P.AddWeight(&Weight{Name: name, Type: t, Origin: o, Offset: -1}); err != nil {
			b.fail("%w", err)
		}
		return
	}
	if !w.Type.Equal(t) {
		b.fail("weight @%s is declared as %v and as %v", name, w.Type, t)
	}
	if !w.Origin.equal(o) {
		b.fail("weight @%s is declared with origins %v and %v", name, w.Origin, o)
	}
}

// Op appends a value. Name "" takes the op's hint, made unique by a number.
// The type is inferred; whatever the op table says is checked.
func (b *Builder) Op(op *Op, name, bundle string, attrs Attrs, args ...*Value) *Value {
	if name == "" {
		name = b.unique(op.Hint)
	}
	b.take(name)
	v := &Value{Name: name, Op: op, Args: args, Bundle: bundle, Attrs: op.Sort(attrs), Offset: -1, Type: Mat(C(1), 1)}
	if b.err != nil {
		return v
	}
	typ, err := b.P.Infer(b.F, v)
	if err != nil {
		b.fail("%s: %w", head(v), err)
		return v
	}
	v.Type = typ
	b.F.Values = append(b.F.Values, v)
	return v
}

// Name renames v, a value or parameter of this function. Results carry the name
// of the output they are.
func (b *Builder) Name(v *Value, name string) *Value {
	if v.Name != name {
		b.take(name)
		delete(b.names, v.Name)
		v.Name = name
	}
	return v
}

// Return states the results. Each value's name is its output's name.
func (b *Builder) Return(vs ...*Value) { b.F.Results = append(b.F.Results, vs...) }

// Done verifies the function and appends it to the program. The error is the first
// that any call of the builder met, with the place of that call.
func (b *Builder) Done() (*Func, error) {
	if b.err == nil {
		if err := verifyFunc(b.P.indexed(), b.F); err != nil {
			b.fail("%w", err.err)
		}
	}
	if b.err != nil {
		return nil, b.err
	}
	b.P.Funcs = append(b.P.Funcs, b.F)
	return b.F, nil
}

// Patches cuts an image f32[C,H,W] into rows of patch x patch pixels, f32[N,C*P*P].
func (b *Builder) Patches(img *Value, patch int) *Value {
	return b.Op(OpPatches, "", "", Attrs{IntAttr("patch", patch)}, img)
}

// Lookup takes row id of bundle.w for every id.
func (b *Builder) Lookup(ids *Value, bundle string) *Value {
	return b.Op(OpLookup, "", bundle, nil, ids)
}

// Const is the matrix bundle.w as a value.
func (b *Builder) Const(bundle string) *Value { return b.Op(OpConst, "", bundle, nil) }

// AddRows adds rows at, at+1, ... of bundle.w to the rows of x.
func (b *Builder) AddRows(x *Value, bundle string, at Dim) *Value {
	return b.Op(OpAddRows, "", bundle, Attrs{DimAttr("at", at)}, x)
}

// AddRow adds row `row` of bundle.w to every row of x.
func (b *Builder) AddRow(x *Value, bundle string, row int) *Value {
	return b.Op(OpAddRow, "", bundle, Attrs{IntAttr("row", row)}, x)
}

// Scale multiplies every row of x by bundle.g, element by element.
func (b *Builder) Scale(x *Value, bundle string) *Value { return b.Op(OpScale, "", bundle, nil, x) }

// Linear is x*w^T + b.
func (b *Builder) Linear(x *Value, bundle string) *Value {
	return b.Op(OpLinear, "", bundle, nil, x)
}

// LayerNorm normalises each row of x; bundle "" is the bare norm without g and b.
func (b *Builder) LayerNorm(x *Value, bundle string, eps float64) *Value {
	return b.Op(OpLayerNorm, "", bundle, Attrs{FloatAttr("eps", eps)}, x)
}

// Gelu is the exact GELU.
func (b *Builder) Gelu(x *Value) *Value { return b.Op(OpGelu, "", "", nil, x) }

// Tanh is the hyperbolic tangent.
func (b *Builder) Tanh(x *Value) *Value { return b.Op(OpTanh, "", "", nil, x) }

// Add is x + y.
func (b *Builder) Add(x, y *Value) *Value { return b.Op(OpAdd, "", "", nil, x, y) }

// Concat puts the rows of its arguments below each other.
func (b *Builder) Concat(xs ...*Value) *Value { return b.Op(OpConcat, "", "", nil, xs...) }

// Rows is n rows of x from row at on.
func (b *Builder) Rows(x *Value, at, n Dim) *Value {
	return b.Op(OpRows, "", "", Attrs{DimAttr("at", at), DimAttr("len", n)}, x)
}

// Cols is n columns of x from column at on.
func (b *Builder) Cols(x *Value, at, n int) *Value {
	return b.Op(OpCols, "", "", Attrs{IntAttr("at", at), IntAttr("len", n)}, x)
}

// HCat puts the columns of its arguments side by side.
func (b *Builder) HCat(xs ...*Value) *Value { return b.Op(OpHCat, "", "", nil, xs...) }

// Select is one row of x, counted from the start of the sequence.
func (b *Builder) Select(x *Value, row Dim) *Value {
	return b.Op(OpSelect, "", "", Attrs{DimAttr("row", row)}, x)
}

// Mean is the mean of the rows of x from row `from` on.
func (b *Builder) Mean(x *Value, from int) *Value {
	return b.Op(OpMean, "", "", Attrs{IntAttr("from", from)}, x)
}

// L2Norm divides each row of x by the larger of its length and floor.
func (b *Builder) L2Norm(x *Value, floor float64) *Value {
	return b.Op(OpL2Norm, "", "", Attrs{FloatAttr("floor", floor)}, x)
}

// Attention is softmax(q*k^T/sqrt(d))*v for each of the heads.
func (b *Builder) Attention(q, k, v *Value, heads int) *Value {
	return b.Op(OpAttention, "", "", Attrs{IntAttr("heads", heads)}, q, k, v)
}

// BiasedAttention is attention whose scores get the relative position bias of the
// bundle added. The sequence is the text, then the picture, or one of the two.
func (b *Builder) BiasedAttention(q, k, v *Value, heads int, bundle string) *Value {
	return b.Op(OpAttention, "", bundle, Attrs{IntAttr("heads", heads)}, q, k, v)
}

// PrefixAttention is attention in which a query sees the first prefix keys and, of
// the others, those up to its own place; the first query's is at.
func (b *Builder) PrefixAttention(q, k, v *Value, heads int, at, prefix Dim) *Value {
	attrs := Attrs{IntAttr("heads", heads), DimAttr("prefix", prefix)}
	if at != (Dim{}) {
		attrs = append(attrs, DimAttr("at", at))
	}
	return b.Op(OpAttention, "", "", attrs, q, k, v)
}

// Store is the first n rows of x, which the runtime keeps as rows of a state.
func (b *Builder) Store(x *Value, slot, n int) *Value {
	return b.Op(OpStore, "", "", Attrs{IntAttr("slot", slot), IntAttr("rows", n)}, x)
}

// unique returns hint, or hint with the smallest number from 2 on that is free.
func (b *Builder) unique(hint string) string {
	b.index()
	for name, n := hint, 2; ; n++ {
		if !b.names[name] {
			return name
		}
		name = hint + strconv.Itoa(n)
	}
}

// take claims a name.
func (b *Builder) take(name string) {
	b.index()
	if b.names[name] {
		b.fail("%s is defined twice", name)
	}
	b.names[name] = true
}

func (b *Builder) index() {
	if b.names == nil {
		b.names = map[string]bool{}
		for _, v := range b.F.Params {
			b.names[v.Name] = true
		}
		for _, v := range b.F.Values {
			b.names[v.Name] = true
		}
	}
}

// fail keeps the first error.
func (b *Builder) fail(format string, args ...any) {
	if b.err != nil {
		return
	}
	err := fmt.Errorf(format, args...)
	if b.quiet {
		b.err = err
		return
	}
	b.err = fmt.Errorf("%s%s: %w", caller(), b.F.Name, err)
}

// caller returns "file:line: " of the first frame outside this package.
func caller() string {
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, pkgPath) {
			return fmt.Sprintf("%s:%d: ", filepath.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

const pkgPath = "github.com/multiway-go/multiway/ir."

var errNoResult = errors.New("nothing is returned")

func (o *Origin) equal(p *Origin) bool {
	if o == nil || p == nil {
		return o == p
	}
	if len(o.Shape) != len(p.Shape) {
		return false
	}
	for i := range o.Shape {
		if o.Shape[i] != p.Shape[i] {
			return false
		}
	}
	return o.Key == p.Key && o.Row == p.Row && o.Rows == p.Rows && o.Col == p.Col && o.Cols == p.Cols
}

// String says which tensor and rows the origin is.
func (o *Origin) String() string {
	if o == nil {
		return "(none)"
	}
	s := fmt.Sprintf("%s %v", o.Key, o.Shape)
	if o.Row != 0 || o.Rows != 0 {
		s += fmt.Sprintf(" rows %d+%d", o.Row, o.Rows)
	}
	if o.Cols != 0 {
		s += fmt.Sprintf(" columns %d+%d", o.Col, o.Cols)
	}
	return s
}
