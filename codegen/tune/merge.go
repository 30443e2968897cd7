package tune

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
)

// joined is a program in which all functions with the same parameters are one function. Values
// that several of them compute, such as the layers below their heads, are computed once.
type joined struct {
	*ir.Program
	outputs map[string][]output // the outputs of each function of the joined program
}

// output is a result of a function of the original program, with its value in the joined one.
type output struct {
	fn, name string
	value    *ir.Value
	segments []ir.Segment // the segments of its rows, if they are a whole sequence of several segments
}

// parts returns the number of segments in an output's rows, at least 1.
func (o output) parts() int { return max(1, len(o.segments)) }

// part returns the rows of segment i in a tensor of the output, for texts of t tokens.
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

// join joins the functions of a routed program that have no state, and drops the others. before
// is the program before routing, which still has segments.
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

// joiner is a joined function, to which functions are added.
type joiner struct {
	f      *ir.Func
	names  map[string]bool      // names of values
	values map[string]*ir.Value // by op, weights, attributes and arguments
}

// add adds the values of f that are not there yet, and returns f's outputs. before is f before routing.
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
