package ir

import (
	"fmt"
	"slices"
)

// Trace is a run of a function that keeps every value. The run can be repeated with a few
// other weights, for which only the values that depend on them are computed again.
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
		in, _ := tr.args(v, nil)
		if tr.vals[v], err = q.eval(f, v, t, in); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", fn, head(v), err)
		}
	}
	return tr, nil
}

// Results returns the results by name.
func (tr *Trace) Results() map[string]*Tensor { return tr.results(nil) }

// Value returns what a parameter or value of the function was.
func (tr *Trace) Value(v *Value) *Tensor { return tr.vals[v] }

// With returns a copy of p with the given weights in place of its own weights of the same
// names. They may have another element type, but not another shape.
func (p *Program) With(weights map[string]*Weight) *Program {
	q := *p
	list := make([]*Weight, len(p.Weights))
	for i, w := range p.Weights {
		if list[i] = w; weights[w.Name] != nil {
			list[i] = weights[w.Name]
		}
	}
	q.SetWeights(list)
	return &q
}

// With repeats the run with each of several sets of weights, as [Program.With] replaces
// them, and returns the results of each by name. Weights that the sets share are loaded once.
func (tr *Trace) With(sets []map[string]*Weight) ([]map[string]*Tensor, error) {
	programs := make([]*Program, len(sets))
	other := make([]map[*Value]*Tensor, len(sets))
	for i, weights := range sets {
		programs[i], other[i] = tr.p.With(weights), map[*Value]*Tensor{}
	}
	last := tr.f.last()
	for _, v := range tr.f.Values {
		used := tr.p.Used(tr.f, v)
		var alike []int // sets in which v has other arguments, but the same weights
		var args [][]*Tensor
		for i, weights := range sets {
			in, changed := tr.args(v, other[i])
			if !slices.ContainsFunc(used, func(w *Weight) bool { return weights[w.Name] != nil }) {
				if changed {
					alike, args = append(alike, i), append(args, in)
				}
				continue
			}
			var err error
			if other[i][v], err = programs[i].eval(tr.f, v, tr.t, in); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", tr.f.Name, head(v), err)
			}
		}
		if len(alike) > 0 {
			got, err := tr.p.loading(tr.f, v).evalAll(tr.f, v, slices.Repeat([]int{tr.t}, len(alike)), args)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", tr.f.Name, head(v), err)
			}
			for j, i := range alike {
				other[i][v] = got[j]
			}
		}
		for _, a := range v.Args {
			if last[a] == v {
				for i := range other {
					delete(other[i], a)
				}
			}
		}
	}
	out := make([]map[string]*Tensor, len(sets))
	for i := range out {
		out[i] = tr.results(other[i])
	}
	return out, nil
}

// args returns the arguments of v, each from other if it is there, and whether any was.
func (tr *Trace) args(v *Value, other map[*Value]*Tensor) (in []*Tensor, changed bool) {
	in = make([]*Tensor, len(v.Args))
	for i, a := range v.Args {
		if in[i] = other[a]; in[i] == nil {
			in[i] = tr.vals[a]
		} else {
			changed = true
		}
	}
	return in, changed
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
