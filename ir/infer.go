package ir

import (
	"fmt"
	"strings"
)

// Infer returns the type of v from its arguments, attributes and weights; v.Type
// is not read. The segments of f choose the experts of a pool. Infer checks
// everything that the op table says about v.
func (p *Program) Infer(f *Func, v *Value) (Type, error) {
	if err := checkShape(v); err != nil {
		return Type{}, err
	}
	u, err := p.resolve(f, v)
	if err != nil {
		return Type{}, err
	}
	if err := p.checkFields(u); err != nil {
		return Type{}, err
	}
	typ, err := p.inferOne(u)
	if err != nil {
		return Type{}, err
	}
	if err := checkType(typ, p.MaxT); err != nil {
		return Type{}, fmt.Errorf("result is %v: %w", typ, err)
	}
	return typ, nil
}

// inferOne infers a value that holds no pool.
func (p *Program) inferOne(v *Value) (Type, error) {
	if !v.Op.Fused() {
		return v.Op.Infer(&Infer{V: v, P: p})
	}
	f, err := p.Expand(v)
	if err != nil {
		return Type{}, err
	}
	return f.Results[0].Type, nil
}

// Expand returns what the fused value v stands for, as a function of one result
// whose parameters stand for v's arguments and carry their names, made unique.
// v holds no pool.
func (p *Program) Expand(v *Value) (*Func, error) {
	if !v.Op.Fused() {
		return nil, fmt.Errorf("%s is not a fused op", v.Op.Name)
	}
	b := &Builder{P: p, F: &Func{Name: v.Op.Name}, quiet: true}
	u := *v
	u.Args = make([]*Value, len(v.Args))
	for i, a := range v.Args {
		u.Args[i] = b.Param(b.unique(a.Name), a.Type)
	}
	out := v.Op.Expand(b, &u)
	if b.err != nil {
		return nil, b.err
	}
	b.F.Results = []*Value{out}
	return b.F, nil
}

// checkShape checks the argument count, attributes and bundle of v, for which no types are needed.
func checkShape(v *Value) error {
	op := v.Op
	if n := len(v.Args); op.Args >= 0 && n != op.Args {
		return fmt.Errorf("%s takes %d arguments, not %d", op.Name, op.Args, n)
	} else if op.Args < 0 && n < 2 {
		return fmt.Errorf("%s takes two or more arguments, not %d", op.Name, n)
	}
	for i, a := range v.Attrs {
		spec := op.Spec(a.Key)
		if spec == nil {
			return fmt.Errorf("unknown attribute %q; %s has %s", a.Key, op.Name, op.attrNames())
		}
		if a.Kind != spec.Kind {
			return fmt.Errorf("attribute %q is %v, want %v", a.Key, a.Kind, spec.Kind)
		}
		if a.Kind == Symbol && !isSymbol(a.Symbol) {
			return fmt.Errorf("attribute %q: got %q, want a symbol: a letter, then letters, digits, _ and -", a.Key, a.Symbol)
		}
		if a.Kind == Length && (a.Dim.C < 0 && !a.Dim.T || a.Dim.C < -MaxDim || a.Dim.C > MaxDim) {
			return fmt.Errorf("attribute %q: %v is out of range", a.Key, a.Dim)
		}
		if a.Kind == Float && a.Float-a.Float != 0 {
			return fmt.Errorf("attribute %q is %v, want a finite number", a.Key, a.Float)
		}
		for _, b := range v.Attrs[:i] {
			if b.Key == a.Key {
				return fmt.Errorf("attribute %q is given twice", a.Key)
			}
		}
	}
	for _, spec := range op.Attrs {
		if _, ok := v.Attrs.Get(spec.Key); spec.Required && !ok {
			return fmt.Errorf("attribute %q is missing", spec.Key)
		}
	}
	if len(op.Fields) == 0 && v.Bundle != "" {
		return fmt.Errorf("%s takes no weights, got @%s", op.Name, v.Bundle)
	}
	if v.Bundle != "" && !isBundle(v.Bundle) {
		return fmt.Errorf("bundle @%s, want names joined by dots, at most one of them *", v.Bundle)
	}
	if v.Bundle == "" {
		for _, f := range op.Fields {
			if !f.Optional {
				return fmt.Errorf("%s needs a weight bundle with %s", op.Name, op.fieldNames())
			}
		}
	}
	return nil
}

// checkFields checks that the bundle of v, which holds no pool, has its fields.
func (p *Program) checkFields(v *Value) error {
	if v.Bundle == "" {
		return nil
	}
	found := 0
	for _, f := range v.Op.Fields {
		w := p.Field(v.Bundle, f.Name)
		if w != nil {
			found++
		} else if !f.Optional {
			return fmt.Errorf("there is no weight @%s.%s; %s needs %s", v.Bundle, f.Name, v.Op.Name, v.Op.fieldNames())
		}
	}
	if found == 0 {
		return fmt.Errorf("bundle @%s has none of the weights of %s (%s); without weights name no bundle", v.Bundle, v.Op.Name, v.Op.fieldNames())
	}
	return nil
}

// Experts returns the experts that the pool of v takes in f, one for each segment,
// or the single one that v's attribute route names; nil when v has no pool.
func (f *Func) Experts(v *Value) []string {
	if !Pool(v.Bundle) {
		return nil
	}
	if r := v.Attrs.Symbol("route"); r != "" && len(f.Segments) > 1 {
		return []string{r}
	}
	var s []string
	for _, seg := range f.Segments {
		s = append(s, seg.Name)
	}
	return s
}

// Whole returns the number of rows of f's whole sequence; ok is false when f has
// no segments.
func (f *Func) Whole() (rows Dim, ok bool) {
	for _, s := range f.Segments {
		if rows, ok = rows.Plus(s.Len); !ok {
			return rows, false
		}
	}
	return rows, len(f.Segments) > 0
}

// resolve returns v or, if v has a pool, a copy that names the pool's first
// expert. It checks that v covers the whole sequence and that the weights of all
// experts have the same types.
func (p *Program) resolve(f *Func, v *Value) (*Value, error) {
	if !Pool(v.Bundle) {
		return v, nil
	}
	whole, ok := f.Whole()
	if !ok {
		return nil, fmt.Errorf("@%s is an expert pool, but %s has no segments to choose experts by", v.Bundle, f.Name)
	}
	if v.Op.Batch != RowWise {
		return nil, fmt.Errorf("%s mixes rows, so it takes no expert pool; name one expert instead of @%s", v.Op.Name, v.Bundle)
	}
	for _, a := range v.Args {
		if len(a.Type.Shape) == 0 || a.Type.Rows() != whole {
			return nil, fmt.Errorf("%s: %v is not the whole sequence of %v rows, so @%s has no segments to choose experts by", a.Name, a.Type, whole, v.Bundle)
		}
	}
	experts := f.Experts(v)
	first := Expert(v.Bundle, experts[0])
	for _, e := range experts[1:] {
		other := Expert(v.Bundle, e)
		for _, field := range v.Op.Fields {
			a, b := p.Field(first, field.Name), p.Field(other, field.Name)
			switch {
			case a == nil && b == nil:
			case a == nil:
				return nil, fmt.Errorf("expert %s has @%s, but expert %s has no %s", e, b.Name, experts[0], field.Name)
			case b == nil:
				return nil, fmt.Errorf("expert %s has @%s, but expert %s has no %s", experts[0], a.Name, e, field.Name)
			case !a.Type.Equal(b.Type):
				return nil, fmt.Errorf("@%s is %v, but @%s is %v; experts of a pool have equal types", a.Name, a.Type, b.Name, b.Type)
			}
		}
	}
	u := *v
	u.Bundle = first
	return &u, nil
}

// Used returns the weights that v reads in f: the weights of every expert of a pool,
// and for a fused op exactly the weights that its expansion reads. v must verify.
func (p *Program) Used(f *Func, v *Value) []*Weight {
	if v.Bundle == "" {
		return nil
	}
	bundles := []string{v.Bundle}
	if Pool(v.Bundle) {
		bundles = nil
		for _, e := range f.Experts(v) {
			bundles = append(bundles, Expert(v.Bundle, e))
		}
	}
	var ws []*Weight
	for _, bundle := range bundles {
		u := *v
		u.Bundle = bundle
		if u.Op.Fused() {
			if g, err := p.Expand(&u); err == nil {
				for _, x := range g.Values {
					ws = append(ws, p.Used(g, x)...)
				}
				continue
			}
		}
		for _, field := range u.Op.Fields {
			if w := p.Field(bundle, field.Name); w != nil {
				ws = append(ws, w)
			}
		}
	}
	return ws
}

// checkType checks that typ has 1 to 4 dimensions in range, T only in the first.
func checkType(typ Type, maxT int) error {
	if typ.DType >= numDTypes {
		return fmt.Errorf("unknown element type")
	}
	if n := len(typ.Shape); n < 1 || n > maxRank {
		return fmt.Errorf("it has %d dimensions, want 1 to %d", n, maxRank)
	}
	elements := int64(1)
	for i, d := range typ.Shape {
		switch {
		case d.T && i > 0:
			return fmt.Errorf("only the first dimension may hold T")
		case d.T && maxT < 1:
			return fmt.Errorf("it holds T, but the program states no bound; write T<=N after the program's name")
		case d.C < 0 || d.C > MaxDim || d == Dim{}:
			return fmt.Errorf("dimension %v is not in 1..%d", d, MaxDim)
		}
		if n := int64(d.At(maxT)); n > maxElements/elements {
			return fmt.Errorf("it has more than 2^36 elements")
		} else {
			elements *= n
		}
	}
	return nil
}

func checkWeightType(typ Type) error {
	for _, d := range typ.Shape {
		if d.T {
			return fmt.Errorf("a weight's dimensions are constant")
		}
	}
	return checkType(typ, 0)
}

// maxRank bounds the dimensions of a type.
const maxRank = 4

// maxElements bounds a tensor, so that byte sizes fit an int64 with room to add.
const maxElements = 1 << 36

func (o *Op) attrNames() string {
	if len(o.Attrs) == 0 {
		return "no attributes"
	}
	var s []string
	for _, a := range o.Attrs {
		s = append(s, a.Key)
	}
	return strings.Join(s, ", ")
}

func (o *Op) fieldNames() string {
	var s []string
	for _, f := range o.Fields {
		n := f.Name
		if f.Optional {
			n += "?"
		}
		s = append(s, n)
	}
	return strings.Join(s, " ")
}

// arg returns the rows and columns of argument i, which must be an f32 matrix.
func (c *Infer) arg(i int) (rows Dim, cols int, err error) {
	a := c.V.Args[i]
	if a.Type.DType != F32 || len(a.Type.Shape) != 2 {
		return rows, 0, fmt.Errorf("%s is %v, want an f32 matrix", a.Name, a.Type)
	}
	return a.Type.Rows(), a.Type.Cols(), nil
}

// field returns the weight of the field, which must have the given rank; nil when
// it is absent (the caller knows whether it may be).
func (c *Infer) field(name string, rank int) (*Weight, error) {
	w := c.P.Field(c.V.Bundle, name)
	if w != nil && (len(w.Type.Shape) != rank || w.Type.DType == I32) {
		return nil, fmt.Errorf("@%s is %v, want %d dimensions of numbers", w.Name, w.Type, rank)
	}
	return w, nil
}

// vector checks that the field, if present, is a vector of n elements.
func (c *Infer) vector(name string, n int) error {
	w, err := c.field(name, 1)
	if err == nil && w != nil && w.Type.Shape[0].C != n {
		err = fmt.Errorf("@%s is %v, want %d elements", w.Name, w.Type, n)
	}
	return err
}

// columns checks that the matrix w has as many columns as the argument a.
func columns(w *Weight, a *Value) error {
	if w.Type.Cols() != a.Type.Cols() {
		return fmt.Errorf("@%s is %v, want %d columns to match %s: %v", w.Name, w.Type, a.Type.Cols(), a.Name, a.Type)
	}
	return nil
}

// rowsOf returns the rows and columns of the first argument, and the matrix w, which must
// have as many columns.
func (c *Infer) rowsOf() (rows Dim, cols int, w *Weight, err error) {
	if rows, cols, err = c.arg(0); err != nil {
		return rows, 0, nil, err
	}
	if w, err = c.field("w", 2); err != nil {
		return rows, 0, nil, err
	}
	return rows, cols, w, columns(w, c.V.Args[0])
}

// sameArgs checks that all arguments are f32 matrices and equal in type.
func (c *Infer) sameArgs() error {
	for i, a := range c.V.Args {
		if _, _, err := c.arg(i); err != nil {
			return err
		}
		if x := c.V.Args[0]; !a.Type.Equal(x.Type) {
			return fmt.Errorf("%s is %v, want %v as %s", a.Name, a.Type, x.Type, x.Name)
		}
	}
	return nil
}

// minT is the smallest run-time length.
func (c *Infer) minT() int {
	if c.P.fromZero {
		return 0
	}
	return 1
}

// inside checks 0 <= at, 1 <= n and at+n <= rows for every T.
func (c *Infer) inside(at, n, rows Dim) error {
	for _, t := range []int{c.minT(), max(1, c.P.MaxT)} {
		if n.At(t) < 1 || at.At(t) < 0 || at.At(t)+n.At(t) > rows.At(t) {
			return fmt.Errorf("%v row(s) from row %v on are not inside %v rows when T is %d", n, at, rows, t)
		}
	}
	return nil
}
