package tune

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// joined is a program whose functions of the same parameters are one function, in which
// what they compute alike, such as the layers below their heads, is there once.
type joined struct {
	*ir.Program
	outputs map[string][]output // by function of the joined program
}

// output is a result of a function, and the value that it is in the joined program.
type output struct {
	fn, name string
	value    *ir.Value
	segments []ir.Segment // that its rows are of, if they are of a whole sequence of several
}

// parts is how many segments an output's rows are of, 1 if of none.
func (o output) parts() int { return max(1, len(o.segments)) }

// part returns the rows of a segment in a tensor of the output, for texts of t tokens.
func (o output) part(x *ir.Tensor, i, t int) *ir.Tensor {
	if o.segments == nil {
		return x
	}
	from := 0
	for _, s := range o.segments[:i] {
		from += s.Len.At(t)
	}
	n, cols := o.segments[i].Len.At(t), x.Shape[1]
	return &ir.Tensor{Shape: []int{n, cols}, F: x.F[from*cols : (from+n)*cols]}
}

// join joins functions of a routed program that keep no state, and leaves the others out.
// Their segments stay.
func join(p *ir.Program, before *ir.Program) *joined {
	q := *p
	q.Funcs = nil
	j := &joined{Program: &q, outputs: map[string][]output{}}
	joins := map[string]*joiner{}
	for _, f := range p.Funcs {
		if f.Stores() {
			continue
		}
		var params []string
		for _, v := range f.Params {
			params = append(params, v.Name+" "+v.Type.String())
		}
		key := strings.Join(params, ", ")
		g := joins[key]
		if g == nil {
			g = &joiner{f: &ir.Func{Name: f.Name, Params: f.Params, Segments: f.Segments}, names: map[string]bool{}, values: map[string]*ir.Value{}}
			for _, v := range f.Params {
				g.names[v.Name] = true
			}
			joins[key] = g
			q.Funcs = append(q.Funcs, g.f)
		}
		j.outputs[g.f.Name] = append(j.outputs[g.f.Name], g.add(f, before.Func(f.Name))...)
	}
	return j
}

// joiner is a function that others are added to.
type joiner struct {
	f      *ir.Func
	names  map[string]bool      // of values
	values map[string]*ir.Value // by what they compute
}

// add adds what f, which was another before, computes and is not there yet.
func (g *joiner) add(f, before *ir.Func) []output {
	at := map[*ir.Value]*ir.Value{}
	for i, v := range f.Params {
		at[v] = g.f.Params[i]
	}
	for _, v := range f.Values {
		u := *v
		u.Args = make([]*ir.Value, len(v.Args))
		key := []string{v.Op.Name, v.Bundle, v.Type.String()}
		for i, a := range v.Args {
			u.Args[i] = at[a]
			key = append(key, at[a].Name)
		}
		attrs := slices.SortedFunc(slices.Values(v.Attrs), func(a, b ir.Attr) int { return cmp.Compare(a.Key, b.Key) })
		key = append(key, fmt.Sprint(attrs))
		k := strings.Join(key, "|")
		if same := g.values[k]; same != nil {
			at[v] = same
			continue
		}
		for n := 2; g.names[u.Name]; n++ {
			u.Name = fmt.Sprintf("%s.%d", v.Name, n)
		}
		g.names[u.Name] = true
		g.values[k], at[v] = &u, &u
		g.f.Values = append(g.f.Values, &u)
	}
	var all []output
	for _, v := range f.Results {
		if !slices.Contains(g.f.Results, at[v]) {
			g.f.Results = append(g.f.Results, at[v])
		}
		o := output{fn: f.Name, name: v.Name, value: at[v]}
		if whole, ok := before.Whole(); ok && len(before.Segments) > 1 && len(v.Type.Shape) == 2 && v.Type.Rows() == whole {
			o.segments = before.Segments
		}
		all = append(all, o)
	}
	return all
}
