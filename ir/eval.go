package ir

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Run evaluates the function fn on inputs by parameter name, with text length t,
// and returns the results by name. All arithmetic is float64 and follows the op
// table without any optimisation: it defines what programs mean.
// A weight is loaded when an op needs it and dropped after; values are dropped
// after their last use. Results may share memory with each other and the inputs.
// A function with a value of more than 2^28 elements is refused.
func (p *Program) Run(fn string, t int, in map[string]*Tensor) (map[string]*Tensor, error) {
	q, f, args, err := p.ready(fn, t, in)
	if err != nil {
		return nil, err
	}
	results, err := q.run(f, t, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	out := make(map[string]*Tensor, len(results))
	for i, v := range f.Results {
		out[v.Name] = results[i]
	}
	return out, nil
}

// Input is an input of a function: a text length, and tensors by parameter name.
type Input struct {
	T  int
	In map[string]*Tensor
}

// RunAll is [Program.Run] on several inputs, with the results of each. Every weight is loaded
// once for all inputs, while the values before its own are computed. see, which may be nil, is
// called with every value that a result needs, in order, and its tensor for each input. It may
// not change the tensors.
func (p *Program) RunAll(fn string, inputs []Input, see func(*Value, []*Tensor)) ([]map[string]*Tensor, error) {
	var f *Func
	vals := make([]map[*Value]*Tensor, len(inputs))
	q := p
	for i, x := range inputs {
		var args []*Tensor
		var err error
		if q, f, args, err = p.ready(fn, x.T, x.In); err != nil {
			return nil, err
		}
		vals[i] = map[*Value]*Tensor{}
		for j, v := range f.Params {
			vals[i][v] = args[j]
		}
	}
	if len(inputs) == 0 {
		return nil, nil
	}
	last := f.last()
	var values []*Value
	for _, v := range f.Values {
		if last[v] != nil {
			values = append(values, v)
		}
	}
	lengths := make([]int, len(inputs))
	for i, x := range inputs {
		lengths[i] = x.T
	}
	next, stop := ahead(values, func(v *Value) *Program { return q.loading(f, v) })
	defer stop()
	for _, v := range values {
		at := next()
		args := make([][]*Tensor, len(inputs))
		for i := range args {
			for _, a := range v.Args {
				args[i] = append(args[i], vals[i][a])
			}
		}
		got, err := at.evalAll(f, v, lengths, args)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", fn, head(v), err)
		}
		if see != nil {
			see(v, got)
		}
		for i, x := range got {
			vals[i][v] = x
			for _, a := range v.Args {
				if last[a] == v {
					delete(vals[i], a)
				}
			}
		}
	}
	out := make([]map[string]*Tensor, len(inputs))
	for i := range out {
		out[i] = map[string]*Tensor{}
		for _, v := range f.Results {
			out[i][v.Name] = vals[i][v]
		}
	}
	return out, nil
}

// ahead calls load with each element of a list, in order, in a goroutine that is at most two elements ahead of the caller's.
// next returns the results one by one. The caller calls stop when it needs no more of them.
func ahead[E, T any](list []E, load func(E) T) (next func() T, stop func()) {
	loaded, stopped := make(chan T, 1), make(chan struct{})
	go func() {
		for _, x := range list {
			select {
			case loaded <- load(x):
			case <-stopped:
				return
			}
		}
	}()
	return func() T { return <-loaded }, func() { close(stopped) }
}

// evalAll evaluates one value for several inputs, each a text length and arguments. A linear
// multiplies the rows of all inputs as one matrix.
func (p *Program) evalAll(f *Func, v *Value, lengths []int, args [][]*Tensor) ([]*Tensor, error) {
	got := make([]*Tensor, len(args))
	if v.Op == OpLinear && f.Experts(v) == nil && len(args) > 1 {
		var rows []*Tensor
		for _, x := range args {
			rows = append(rows, x[0])
		}
		y, err := p.eval(f, v, lengths[0], []*Tensor{concat(rows)})
		if err != nil {
			return nil, err
		}
		at := 0
		for i, x := range rows {
			got[i] = y.slice(at, x.rows())
			at += x.rows()
		}
		return got, nil
	}
	errs := make([]error, len(args))
	Parallel(len(args), func(i int) { got[i], errs[i] = p.eval(f, v, lengths[i], args[i]) })
	return got, errors.Join(errs...)
}

// loading returns p with the weights of the value loaded.
func (p *Program) loading(f *Func, v *Value) *Program {
	weights := map[string]*Weight{}
	for _, w := range p.Used(f, v) {
		if w.Load != nil {
			held := *w
			x, err := w.Load()
			held.Load = func() ([]float32, error) { return x, err }
			weights[w.Name] = &held
		}
	}
	if len(weights) == 0 {
		return p
	}
	return p.With(weights)
}

// last maps each value to the last value that reads it, and a result to itself. Values that
// nothing needs are not in the map.
func (f *Func) last() map[*Value]*Value {
	last := map[*Value]*Value{}
	for _, v := range f.Values {
		for _, a := range v.Args {
			last[a] = v
		}
	}
	for _, v := range f.Results {
		last[v] = v
	}
	return last
}

// ready checks the inputs of a run. It returns an indexed copy of p, its function fn, which it
// has verified, and the arguments in the order of the parameters.
func (p *Program) ready(fn string, t int, in map[string]*Tensor) (*Program, *Func, []*Tensor, error) {
	f := p.Func(fn)
	if f == nil {
		var names []string
		for _, g := range p.Funcs {
			names = append(names, g.Name)
		}
		return nil, nil, nil, fmt.Errorf("program %s has no function %q; it has %s", p.Name, fn, strings.Join(names, ", "))
	}
	q := p.indexed()
	if err := verifyFunc(q, f); err != nil {
		return nil, nil, nil, err
	}
	if t < f.MinT() && p.MaxT > 0 || t < 0 || t > p.MaxT && f.UsesT() {
		return nil, nil, nil, fmt.Errorf("%s: text length %d is not in %d..%d", fn, t, f.MinT(), p.MaxT)
	}
	args := make([]*Tensor, len(f.Params))
	for i, v := range f.Params {
		x := in[v.Name]
		if x == nil {
			return nil, nil, nil, fmt.Errorf("%s: input %s is missing; got %v", fn, v.Name, slices.Sorted(maps.Keys(in)))
		}
		if err := x.check(v.Type, t); err != nil {
			return nil, nil, nil, fmt.Errorf("%s: input %s: %w", fn, v.Name, err)
		}
		args[i] = x
	}
	for _, v := range f.Values {
		if n := v.Type.Elements(t); n > maxRun {
			return nil, nil, nil, fmt.Errorf("%s: %s: %v has %d elements with T=%d, more than the %d that the interpreter takes", fn, head(v), v.Type, n, t, maxRun)
		}
	}
	return q, f, args, nil
}

// maxRun bounds the elements of a value in the interpreter: 2 GiB of float64.
const maxRun = 1 << 28

// UsesT reports whether the type of a parameter or value of f contains T.
func (f *Func) UsesT() bool {
	for _, vs := range [][]*Value{f.Params, f.Values} {
		for _, v := range vs {
			if len(v.Type.Shape) > 0 && v.Type.Shape[0].T {
				return true
			}
		}
	}
	return false
}

// run evaluates a verified function.
func (p *Program) run(f *Func, t int, args []*Tensor) ([]*Tensor, error) {
	last := f.last()
	vals := map[*Value]*Tensor{}
	for i, v := range f.Params {
		vals[v] = args[i]
	}
	for _, v := range f.Values {
		if last[v] == nil {
			continue
		}
		in := make([]*Tensor, len(v.Args))
		for j, a := range v.Args {
			in[j] = vals[a]
		}
		x, err := p.eval(f, v, t, in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", head(v), err)
		}
		vals[v] = x
		for _, a := range v.Args {
			if last[a] == v {
				delete(vals, a)
			}
		}
	}
	out := make([]*Tensor, len(f.Results))
	for i, v := range f.Results {
		out[i] = vals[v]
	}
	return out, nil
}

// parts returns one value for each expert of v's pool, whose arguments are the
// rows of its segment, or v itself when it has no pool.
func (p *Program) parts(f *Func, v *Value) []*Value {
	experts := f.Experts(v)
	if experts == nil {
		return []*Value{v}
	}
	out := make([]*Value, len(experts))
	for i, e := range experts {
		u := *v
		u.Bundle = Expert(v.Bundle, e)
		if len(experts) > 1 {
			n := f.Segments[i].Len
			u.Type = Mat(n, v.Type.Cols())
			u.Args = make([]*Value, len(v.Args))
			for j, a := range v.Args {
				w := *a
				w.Type = Type{DType: a.Type.DType, Shape: append([]Dim{n}, a.Type.Shape[1:]...)}
				u.Args[j] = &w
			}
		}
		out[i] = &u
	}
	return out
}

// eval evaluates one value: each expert on the rows of its segment.
func (p *Program) eval(f *Func, v *Value, t int, in []*Tensor) (*Tensor, error) {
	parts := p.parts(f, v)
	if len(parts) == 1 {
		return p.evalOne(parts[0], t, in)
	}
	outs := make([]*Tensor, len(parts))
	at := 0
	for i, u := range parts {
		n := f.Segments[i].Len.At(t)
		rows := make([]*Tensor, len(in))
		for j, x := range in {
			rows[j] = x.slice(at, n)
		}
		at += n
		var err error
		if outs[i], err = p.evalOne(u, t, rows); err != nil {
			return nil, err
		}
	}
	return concat(outs), nil
}

// evalOne evaluates a value that holds no pool.
func (p *Program) evalOne(v *Value, t int, in []*Tensor) (*Tensor, error) {
	if !v.Op.Fused() {
		return v.Op.Eval(&Eval{V: v, T: t, Args: in, P: p})
	}
	f, err := p.Expand(v)
	if err != nil {
		return nil, err
	}
	out, err := p.run(f, t, in)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// Weight loads the elements of one field of the value's bundle, in row-major order; nil if the bundle lacks it.
func (c *Eval) Weight(field string) ([]float32, error) {
	if c.V.Bundle == "" {
		return nil, nil
	}
	w := c.P.Field(c.V.Bundle, field)
	if w == nil {
		return nil, nil
	}
	if w.Load == nil {
		return nil, fmt.Errorf("weight @%s has no data; bind a checkpoint first", w.Name)
	}
	x, err := w.Load()
	if err != nil {
		return nil, fmt.Errorf("weight @%s: %w", w.Name, err)
	}
	if n := w.Type.Elements(0); int64(len(x)) != n {
		return nil, fmt.Errorf("weight @%s: got %d elements, want %d for %v", w.Name, len(x), n, w.Type)
	}
	return x, nil
}

func newTensor(rows, cols int) *Tensor {
	return &Tensor{Shape: []int{rows, cols}, F: make([]float64, rows*cols)}
}

func (x *Tensor) rows() int { return x.Shape[0] }
func (x *Tensor) cols() int { return x.Shape[len(x.Shape)-1] }

// row returns row r of a matrix.
func (x *Tensor) row(r int) []float64 { n := x.cols(); return x.F[r*n : (r+1)*n : (r+1)*n] }

// slice returns rows at to at+n-1 of a matrix, or n token ids from at on. It shares memory with x.
func (x *Tensor) slice(at, n int) *Tensor {
	y := &Tensor{Shape: append([]int{n}, x.Shape[1:]...)}
	if x.IDs != nil {
		y.IDs = x.IDs[at : at+n]
		return y
	}
	cols := x.cols()
	y.F = x.F[at*cols : (at+n)*cols]
	return y
}

// apply returns f of every element.
func (x *Tensor) apply(f func(float64) float64) *Tensor {
	y := &Tensor{Shape: x.Shape, F: make([]float64, len(x.F))}
	Parallel(x.rows(), func(r int) {
		for i, v := range x.row(r) {
			y.row(r)[i] = f(v)
		}
	})
	return y
}

// check compares the tensor with a type at text length t.
func (x *Tensor) check(typ Type, t int) error {
	if !slices.Equal(x.Shape, typ.At(t)) {
		return fmt.Errorf("shape is %v, want %v for %v with T=%d", x.Shape, typ.At(t), typ, t)
	}
	n, kind := len(x.F), "numbers"
	if typ.DType == I32 {
		n, kind = len(x.IDs), "ids"
	}
	if int64(n) != typ.Elements(t) {
		return fmt.Errorf("it holds %d %s, want %d for %v", n, kind, typ.Elements(t), typ)
	}
	return nil
}
