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
	last, again := tr.f.last(), tr.again(sets)
	next, stop := ahead(again, func(r repeat) []*Program {
		var loaded []*Program
		for _, i := range r.own {
			loaded = append(loaded, programs[i].loading(tr.f, r.v))
		}
		if len(r.alike) > 0 {
			loaded = append(loaded, tr.p.loading(tr.f, r.v))
		}
		return loaded
	})
	defer stop()
	for _, r := range again {
		v, loaded := r.v, next()
		for k, i := range r.own {
			var err error
			if other[i][v], err = loaded[k].eval(tr.f, v, tr.t, tr.args(v, other[i])); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", tr.f.Name, head(v), err)
			}
		}
		if len(r.alike) > 0 {
			args := make([][]*Tensor, len(r.alike))
			for k, i := range r.alike {
				args[k] = tr.args(v, other[i])
			}
			got, err := loaded[len(r.own)].evalAll(tr.f, v, slices.Repeat([]int{tr.t}, len(args)), args)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", tr.f.Name, head(v), err)
			}
			for k, i := range r.alike {
				other[i][v] = got[k]
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

// repeat is a value that has to be computed again for some sets of weights, given by their indices.
type repeat struct {
	v     *Value
	own   []int // sets that have other weights of v
	alike []int // sets in which v has the same weights, but other arguments
}

// again lists the values that have to be computed again for the sets, in order.
func (tr *Trace) again(sets []map[string]*Weight) []repeat {
	var all []repeat
	changed := make([]map[*Value]bool, len(sets))
	for i := range changed {
		changed[i] = map[*Value]bool{}
	}
	for _, v := range tr.f.Values {
		r, used := repeat{v: v}, tr.p.Used(tr.f, v)
		for i, weights := range sets {
			switch {
			case slices.ContainsFunc(used, func(w *Weight) bool { return weights[w.Name] != nil }):
				r.own = append(r.own, i)
			case slices.ContainsFunc(v.Args, func(a *Value) bool { return changed[i][a] }):
				r.alike = append(r.alike, i)
			default:
				continue
			}
			changed[i][v] = true
		}
		if r.own != nil || r.alike != nil {
			all = append(all, r)
		}
	}
	return all
}

// args returns the arguments of v, each from other if it is there.
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
