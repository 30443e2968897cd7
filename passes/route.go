package passes

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// Route replaces every expert pool by the experts of the function's segments.
//
//	q   = linear x, @l0.q.*          : f32[3+T,4]
//
// with segments vision=3, language=T becomes
//
//	x.v = rows x {at=0 len=3}        : f32[3,4]
//	x.l = rows x {at=3 len=T}        : f32[T,4]
//	q.v = linear x.v, @l0.q.vision   : f32[3,4]
//	q.l = linear x.l, @l0.q.language : f32[T,4]
//
// Route splits ops with a pool, and row-wise ops without weights whose arguments are split
// already. All other readers (shared weights, attention, results) get the segments joined by
// a concat under the value's own name. In a function of one segment nothing is split: `*`
// becomes the segment's name. An op with {route=vl}, one expert for the whole sequence, is
// not split either.
var Route = &Pass{
	Name:    "route",
	Sets:    []*Property{Routed},
	Numeric: Exact,
	Run: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			if err := route(p, f); err != nil {
				return err
			}
		}
		return nil
	},
}

// Routed is the property that a program has no pool, no segments and no route attribute.
var Routed = &Property{
	Name: "routed",
	Check: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			if len(f.Segments) > 0 {
				return fmt.Errorf("%s has segments", f.Name)
			}
			for _, v := range f.Values {
				if ir.Pool(v.Bundle) || v.Attrs.Symbol("route") != "" {
					return fmt.Errorf("%s still names a pool or a route", where(f, v))
				}
			}
		}
		return nil
	},
}

// router maps the old values of a function to new ones: to the whole value, to one part per
// segment, or to both.
type router struct {
	*editor
	at     []ir.Dim // the first row of each segment
	total  ir.Dim
	suffix []string
	whole  map[*ir.Value]*ir.Value
	parts  map[*ir.Value][]*ir.Value
}

func route(p *ir.Program, f *ir.Func) error {
	segments := f.Segments
	if len(segments) < 2 {
		for _, v := range f.Values {
			if len(segments) == 1 {
				v.Bundle = ir.Expert(v.Bundle, segments[0].Name)
			}
			v.Attrs = without(v.Attrs, "route")
		}
		f.Segments = nil
		return nil
	}
	r := &router{
		editor: edit(p, f),
		suffix: suffixes(segments),
		whole:  map[*ir.Value]*ir.Value{},
		parts:  map[*ir.Value][]*ir.Value{},
	}
	for _, s := range segments {
		r.at = append(r.at, r.total)
		sum, ok := r.total.Plus(s.Len)
		if !ok {
			return fmt.Errorf("%s: two segments have a run-time length; want one at most", f.Name)
		}
		r.total = sum
	}
	for _, v := range f.Params {
		r.whole[v] = v
	}
	for _, v := range f.Values {
		if err := r.value(v); err != nil {
			return err
		}
	}
	for i, v := range f.Results {
		w, err := r.joined(v)
		if err != nil {
			return err
		}
		f.Results[i] = w
	}
	f.Values, f.Segments = r.out, nil
	return nil
}

// suffixes returns the suffixes in the names of a value's parts: the first letters of the
// segments' names if they differ, else the names.
func suffixes(segments []ir.Segment) []string {
	var short, long []string
	for _, s := range segments {
		if c := "." + s.Name[:1]; !slices.Contains(short, c) {
			short = append(short, c)
		}
		long = append(long, "."+s.Name)
	}
	if len(short) == len(segments) {
		return short
	}
	return long
}

func (r *router) value(v *ir.Value) error {
	expert := v.Attrs.Symbol("route")
	v.Attrs = without(v.Attrs, "route")
	pool := ir.Pool(v.Bundle)
	switch {
	case pool && expert != "":
		v.Bundle = ir.Expert(v.Bundle, expert)
	case pool:
		if v.Op.Batch != ir.RowWise {
			return fmt.Errorf("%s: @%s is a pool, but %s mixes rows; only a row-wise op can have one expert per segment", where(r.f, v), v.Bundle, v.Op.Name)
		}
		return r.split(v)
	case v.Op == ir.OpConcat && r.segmentwise(v.Args):
		// This concat joins the embeddings of the modalities: its arguments are the parts, and it is only emitted if a value reads the whole.
		for _, a := range v.Args {
			part, err := r.joined(a)
			if err != nil {
				return err
			}
			r.parts[v] = append(r.parts[v], part)
		}
		return nil
	case v.Op == ir.OpRows && !slices.Contains(r.f.Results, v) && r.whole[v.Args[0]] == nil:
		for i, s := range r.f.Segments {
			if v.Attrs.Dim("at") == r.at[i] && v.Attrs.Dim("len") == s.Len {
				r.whole[v] = r.parts[v.Args[0]][i]
				return nil
			}
		}
	case v.Op.Batch == ir.RowWise && v.Bundle == "" && slices.ContainsFunc(v.Args, func(a *ir.Value) bool { return r.whole[a] == nil }):
		return r.split(v)
	}
	for i, a := range v.Args {
		w, err := r.joined(a)
		if err != nil {
			return err
		}
		v.Args[i] = w
	}
	r.whole[v] = v
	r.out = append(r.out, v)
	return nil
}

// segmentwise reports whether the values have the lengths of the segments, one by one.
func (r *router) segmentwise(args []*ir.Value) bool {
	return slices.EqualFunc(args, r.f.Segments, func(a *ir.Value, s ir.Segment) bool { return a.Type.Rows() == s.Len })
}

// split replaces v by one value for each segment.
func (r *router) split(v *ir.Value) error {
	for i, s := range r.f.Segments {
		var args []*ir.Value
		for _, a := range v.Args {
			part, err := r.part(a, i)
			if err != nil {
				return err
			}
			args = append(args, part)
		}
		nv, err := r.emit(v.Op, r.fresh(v.Name+r.suffix[i]), ir.Expert(v.Bundle, s.Name), slices.Clone(v.Attrs), args...)
		if err != nil {
			return err
		}
		r.parts[v] = append(r.parts[v], nv)
	}
	return nil
}

// part returns segment i of the old value v. If v was not split, it emits a view of the whole.
func (r *router) part(v *ir.Value, i int) (*ir.Value, error) {
	if r.parts[v] == nil {
		if v.Type.Rows() != r.total {
			return nil, fmt.Errorf("%s: %s has %s rows, want the %s of all segments", r.f.Name, v.Name, v.Type.Rows(), r.total)
		}
		for i, s := range r.f.Segments {
			attrs := ir.Attrs{ir.DimAttr("at", r.at[i]), ir.DimAttr("len", s.Len)}
			view, err := r.emit(ir.OpRows, r.fresh(v.Name+r.suffix[i]), "", attrs, r.whole[v])
			if err != nil {
				return nil, err
			}
			r.parts[v] = append(r.parts[v], view)
		}
	}
	return r.parts[v][i], nil
}

// joined returns the new whole value of the old value v. If v was split, it emits a concat of the parts.
func (r *router) joined(v *ir.Value) (*ir.Value, error) {
	if r.whole[v] == nil {
		w, err := r.emit(ir.OpConcat, v.Name, "", nil, r.parts[v]...)
		if err != nil {
			return nil, err
		}
		r.whole[v] = w
	}
	return r.whole[v], nil
}
