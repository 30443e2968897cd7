package passes

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// clone returns a copy of everything in p that passes edit. Weights keep their loaders.
func clone(p *ir.Program) *ir.Program {
	q := &ir.Program{Name: p.Name, MaxT: p.MaxT}
	weights := make([]*ir.Weight, len(p.Weights))
	for i, w := range p.Weights {
		c := *w
		weights[i] = &c
	}
	q.SetWeights(weights)
	for _, f := range p.Funcs {
		g := &ir.Func{Name: f.Name, Segments: slices.Clone(f.Segments), Arena: f.Arena}
		now := map[*ir.Value]*ir.Value{}
		copyAll := func(vs []*ir.Value) []*ir.Value {
			var out []*ir.Value
			for _, v := range vs {
				c := *v
				c.Attrs = slices.Clone(v.Attrs)
				c.Args = renew(v.Args, now)
				now[v] = &c
				out = append(out, &c)
			}
			return out
		}
		g.Params = copyAll(f.Params)
		g.Values = copyAll(f.Values)
		g.Results = renew(f.Results, now)
		q.Funcs = append(q.Funcs, g)
	}
	return q
}

// renew maps each value of vs to its successor.
func renew(vs []*ir.Value, now map[*ir.Value]*ir.Value) []*ir.Value {
	if len(vs) == 0 {
		return nil
	}
	out := make([]*ir.Value, len(vs))
	for i, v := range vs {
		out[i] = now[v]
	}
	return out
}

// where returns the beginning of an error about a value: its function and its line.
func where(f *ir.Func, v *ir.Value) string {
	return f.Name + ": " + ir.PrintValue(v)
}

// editor builds a new list of a function's values. Values are appended, so their arguments
// must be in the list already.
type editor struct {
	p     *ir.Program
	f     *ir.Func
	out   []*ir.Value
	names map[string]bool
}

func edit(p *ir.Program, f *ir.Func) *editor {
	e := &editor{p: p, f: f, names: map[string]bool{}}
	for _, v := range slices.Concat(f.Params, f.Values) {
		e.names[v.Name] = true
	}
	return e
}

// fresh returns name, or name with the first number from 2 on that no value has.
func (e *editor) fresh(name string) string {
	unique := name
	for n := 2; e.names[unique]; n++ {
		unique = fmt.Sprint(name, n)
	}
	e.names[unique] = true
	return unique
}

// emit appends a new value. Its name must be fresh or the name of a value that it replaces.
func (e *editor) emit(op *ir.Op, name, bundle string, attrs ir.Attrs, args ...*ir.Value) (*ir.Value, error) {
	v := &ir.Value{Name: name, Op: op, Args: args, Bundle: bundle, Offset: -1}
	v.Attrs = op.Sort(attrs)
	t, err := e.p.Infer(e.f, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where(e.f, v), err)
	}
	v.Type = t
	e.out = append(e.out, v)
	return v, nil
}

// replace replaces old by v in all arguments and results.
func replace(f *ir.Func, old, v *ir.Value) {
	for _, u := range f.Values {
		for i, a := range u.Args {
			if a == old {
				u.Args[i] = v
			}
		}
	}
	for i, r := range f.Results {
		if r == old {
			f.Results[i] = v
		}
	}
}

// uses counts how often each value is a result, or an argument of a value that some result
// needs.
func uses(f *ir.Func) counts {
	n := make(counts, len(f.Values))
	for _, r := range f.Results {
		n[r]++
	}
	for _, v := range slices.Backward(f.Values) {
		if n[v] > 0 {
			for _, a := range v.Args {
				n[a]++
			}
		}
	}
	return n
}

// counts has the number of uses of each value. A pass that rewrites a function keeps it up to date by moved: to count anew
// after every rewrite would take quadratic time.
type counts map[*ir.Value]int

// moved updates the counts after v's arguments have changed from those in before.
func (n counts) moved(v *ir.Value, before []*ir.Value) {
	if n[v] == 0 {
		return
	}
	for _, a := range v.Args {
		n.take(a)
	}
	for _, a := range before {
		n.drop(a)
	}
}

func (n counts) take(v *ir.Value) {
	if n[v]++; n[v] == 1 {
		for _, a := range v.Args {
			n.take(a)
		}
	}
}

func (n counts) drop(v *ir.Value) {
	if n[v]--; n[v] == 0 {
		for _, a := range v.Args {
			n.drop(a)
		}
	}
}

// users lists, for each value, the values that have it as an argument, in order and once each.
func users(f *ir.Func) map[*ir.Value][]*ir.Value {
	us := map[*ir.Value][]*ir.Value{}
	for _, v := range f.Values {
		for i, a := range v.Args {
			if !slices.Contains(v.Args[:i], a) {
				us[a] = append(us[a], v)
			}
		}
	}
	return us
}

// without returns the attributes but key.
func without(a ir.Attrs, key string) ir.Attrs {
	return slices.DeleteFunc(slices.Clone(a), func(x ir.Attr) bool { return x.Key == key })
}
