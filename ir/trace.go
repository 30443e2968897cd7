package ir

import "fmt"

// Trace is a function's run whose values are all kept, so that it can be run again with
// a few other weights for what depends on those.
type Trace struct {
	p    *Program
	f    *Func
	t    int
	vals map[*Value]*Tensor
}

// Trace evaluates as Run does and keeps every value.
func (p *Program) Trace(fn string, t int, in map[string]*Tensor) (*Trace, error) {
	q, f, args, err := p.ready(fn, t, in)
	if err != nil {
		return nil, err
	}
	tr := &Trace{p: q, f: f, t: t, vals: map[*Value]*Tensor{}}
	for i, v := range f.Params {
		tr.vals[v] = args[i]
	}
	for _, v := range f.Values {
		if tr.vals[v], err = q.eval(f, v, t, tr.args(v, nil)); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", fn, head(v), err)
		}
	}
	return tr, nil
}

// Results returns the results by name.
func (tr *Trace) Results() map[string]*Tensor { return tr.results(nil) }

// Value returns what a parameter or value of the function was.
func (tr *Trace) Value(v *Value) *Tensor { return tr.vals[v] }

// With returns p with the given weights in the place of its own of these names. They may be
// of another element type, but not of another shape.
func (p *Program) With(weights map[string]*Weight) *Program {
	q := *p
	q.Weights = make([]*Weight, len(p.Weights))
	for i, w := range p.Weights {
		if q.Weights[i] = w; weights[w.Name] != nil {
			q.Weights[i] = weights[w.Name]
		}
	}
	return q.indexed()
}

// With returns the results, by name, of the same run where the program has the given
// weights, as [Program.With] says.
func (tr *Trace) With(weights map[string]*Weight) (map[string]*Tensor, error) {
	p := tr.p.With(weights)
	other := map[*Value]*Tensor{}
	for _, v := range tr.f.Values {
		changed := false
		for _, a := range v.Args {
			changed = changed || other[a] != nil
		}
		for _, w := range p.Used(tr.f, v) {
			changed = changed || weights[w.Name] != nil
		}
		if !changed {
			continue
		}
		var err error
		if other[v], err = p.eval(tr.f, v, tr.t, tr.args(v, other)); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", tr.f.Name, head(v), err)
		}
	}
	return tr.results(other), nil
}

// args returns the arguments of v: those of other where it has them.
func (tr *Trace) args(v *Value, other map[*Value]*Tensor) []*Tensor {
	in := make([]*Tensor, len(v.Args))
	for i, a := range v.Args {
		if in[i] = other[a]; in[i] == nil {
			in[i] = tr.vals[a]
		}
	}
	return in
}

func (tr *Trace) results(other map[*Value]*Tensor) map[string]*Tensor {
	out := map[string]*Tensor{}
	for _, v := range tr.f.Results {
		if out[v.Name] = other[v]; out[v.Name] == nil {
			out[v.Name] = tr.vals[v]
		}
	}
	return out
}
