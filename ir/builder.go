package ir

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Builder writes one function of a program. After an error it goes on with harmless
// values, so that its callers need no error checks between calls; Done returns the
// first error, with the caller's file and line.
type Builder struct {
	P   *Program
	F   *Func
	err error

	names map[string]bool
	quiet bool // errors carry no file and line: the caller names the fused value that is expanded
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

// Segment appends n rows to the function's whole sequence; experts called name apply to them.
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

// Op appends a value. If name is "", the value is called by the op's hint, made unique by
// a number. The type is inferred, and everything that the op table says is checked.
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

// Name renames v, a value or parameter of this function. The name of a result is the
// name of the function's output.
func (b *Builder) Name(v *Value, name string) *Value {
	if v.Name != name {
		b.take(name)
		delete(b.names, v.Name)
		v.Name = name
	}
	return v
}

// Return adds results to the function. Each value's name is its output's name.
func (b *Builder) Return(vs ...*Value) { b.F.Results = append(b.F.Results, vs...) }

// Done verifies the function and appends it to the program. The error is the first one
// of any call of the builder, with the file and line of that call.
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

// unique returns hint, or, if that name is taken, hint with the smallest free number from 2 on.
func (b *Builder) unique(hint string) string {
	b.index()
	for name, n := hint, 2; ; n++ {
		if !b.names[name] {
			return name
		}
		name = hint + strconv.Itoa(n)
	}
}

// take marks a name as used, or fails if it is used already.
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
	return o.Key == p.Key && o.Row == p.Row && o.Rows == p.Rows && o.Col == p.Col && o.Cols == p.Cols && o.Transposed == p.Transposed
}

// String names the tensor of the origin, with its shape, rows and columns.
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
	if o.Transposed {
		s += " transposed"
	}
	return s
}
