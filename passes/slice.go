package passes

import (
	"slices"
	"strconv"

	"github.com/multiway-go/multiway/ir"
)

// Rows computes only the rows that are needed. If all readers of a value are selects, the
// selects move up: through row-wise ops, into the right argument of a concat, and to the
// queries of an attention, whose keys and values stay whole.
//
//	q     = linear n, @q           : f32[5,4]
//	c     = attention q, k, v      : f32[5,4]
//	o     = linear c, @out         : f32[5,4]
//	y     = select o {row=0}       : f32[1,4]
//
// becomes
//
//	n.0   = select n {row=0}       : f32[1,4]
//	q.0   = linear n.0, @q         : f32[1,4]
//	c.0   = attention q.0, k, v    : f32[1,4]
//	y     = linear c.0, @out       : f32[1,4]
//
// A norm is repeated for the selected row even if other values read the whole norm: this
// costs little, and the norm can be folded into the linear after it.
//
// A value of which many rows are selected is computed whole: each row computed alone would
// read the weights of its layer again.
var Rows = &Pass{
	Name:    "rows",
	Needs:   []*Property{Routed},
	Numeric: Exact,
	Run: func(p *ir.Program, _ Options) error {
		for _, f := range p.Funcs {
			if err := demandRows(p, f); err != nil {
				return err
			}
		}
		prune(p)
		return nil
	},
}

// demand is the set of rows of a value that are read.
type demand struct {
	whole bool
	rows  []ir.Dim
}

// mostAlone bounds the rows of v that are computed alone, an eighth of its rows for a text of one token: to
// compute a seventh of a layer's rows one by one was measured to take as long as the whole layer. Two rows
// are always computed alone.
func mostAlone(v *ir.Value) int { return max(2, v.Type.Rows().At(1)/8) }

func (d *demand) add(row ir.Dim) {
	if !slices.Contains(d.rows, row) {
		d.rows = append(d.rows, row)
	}
}

// step says what one row of a value needs: of each argument k the row row[k], or, by use[k],
// the whole argument or nothing of it.
type step struct {
	use []int
	row []ir.Dim
}

const (
	none = iota
	one
	all
)

// oneRow returns what row `row` of v needs; ok is false if the row cannot be computed alone.
func oneRow(v *ir.Value, row ir.Dim) (step, bool) {
	s := step{make([]int, len(v.Args)), make([]ir.Dim, len(v.Args))}
	switch {
	case v.Op == nil || len(v.Args) == 0:
		return s, false
	case v.Op == ir.OpRows:
		at, ok := v.Attrs.Dim("at").Plus(row)
		s.use[0], s.row[0] = one, at
		return s, ok
	case v.Op == ir.OpConcat:
		at := ir.Dim{}
		for i, a := range v.Args {
			end, ok := at.Plus(a.Type.Rows())
			if !ok {
				return s, false
			}
			// Here at <= row < end for every T >= 1, and row - at is a Dim.
			if row.C >= at.C && row.T == at.T && row.At(1) < end.At(1) {
				s.use[i], s.row[i] = one, ir.C(row.C-at.C)
				return s, true
			}
			at = end
		}
		return s, false
	case v.Op == ir.OpAttention:
		s.use[0], s.row[0] = one, row
		s.use[1], s.use[2] = all, all
		_, ok := placed(v, row)
		return s, ok
	case v.Op.Batch == ir.RowWise:
		for i, a := range v.Args {
			if len(a.Type.Shape) != 2 || a.Type.DType != ir.F32 {
				return s, false
			}
			s.use[i], s.row[i] = one, row
		}
		return s, true
	}
	return s, false
}

// placed returns the attributes of the attention v for the query `row` alone: at is the
// query's position, if its scores depend on the position.
func placed(v *ir.Value, row ir.Dim) (attrs ir.Attrs, ok bool) {
	_, masked := v.Attrs.Get("prefix")
	if v.Bundle == "" && !masked {
		return slices.Clone(v.Attrs), true
	}
	at, ok := v.Attrs.Dim("at").Plus(row)
	return v.Attrs.With(ir.DimAttr("at", at)), ok
}

type narrower struct {
	*editor
	need map[*ir.Value]*demand
	at   map[selection]*ir.Value
}

type selection struct {
	of  *ir.Value
	row ir.Dim
}

func demandRows(p *ir.Program, f *ir.Func) error {
	n := &narrower{editor: edit(p, f), need: map[*ir.Value]*demand{}, at: map[selection]*ir.Value{}}
	for _, v := range slices.Concat(f.Params, f.Values) {
		n.need[v] = &demand{}
	}
	for _, r := range f.Results {
		n.need[r].whole = true
	}
	for _, v := range slices.Backward(f.Values) {
		d := n.need[v]
		if !v.Op.View && len(d.rows) > mostAlone(v) {
			d.whole, d.rows = true, nil
		}
		for _, row := range d.rows {
			s, ok := oneRow(v, row)
			if !ok {
				d.whole = true
				break
			}
			if d.whole && v.Op != ir.OpLayerNorm {
				break
			}
			for i, a := range v.Args {
				switch s.use[i] {
				case one:
					n.need[a].add(s.row[i])
				case all:
					n.need[a].whole = true
				}
			}
		}
		if !d.whole {
			continue
		}
		for _, a := range v.Args {
			if v.Op == ir.OpSelect {
				n.need[a].add(v.Attrs.Dim("row"))
			} else {
				n.need[a].whole = true
			}
		}
	}
	for _, v := range f.Values {
		switch {
		case !n.need[v].whole:
		case v.Op == ir.OpSelect:
			if err := n.selected(v); err != nil {
				return err
			}
		default:
			n.out = append(n.out, v)
		}
	}
	f.Values = n.out
	return nil
}

// selected replaces the select v by the selected row under v's name, which may be the name of a result.
func (n *narrower) selected(v *ir.Value) error {
	w, err := n.row(v.Args[0], v.Attrs.Dim("row"), v.Name)
	if err != nil {
		return err
	}
	if w.Name != v.Name && slices.Contains(n.f.Results, v) {
		// Another select has computed this row, under its own name.
		if w, err = n.emit(ir.OpSelect, v.Name, "", ir.Attrs{ir.DimAttr("row", ir.C(0))}, w); err != nil {
			return err
		}
	}
	replace(n.f, v, w)
	return nil
}

// alone reports whether row `row` of the old value v is computed alone.
func (n *narrower) alone(v *ir.Value, row ir.Dim) bool {
	d := n.need[v]
	return d != nil && (!d.whole || v.Op == ir.OpLayerNorm) && slices.Contains(d.rows, row)
}

// row returns row `row` of the old value v as a value of one row, which gets the name if it does not exist yet.
func (n *narrower) row(v *ir.Value, row ir.Dim, name string) (*ir.Value, error) {
	key := selection{v, row}
	if w := n.at[key]; w != nil {
		return w, nil
	}
	if name == "" {
		suffix := "." + strconv.Itoa(row.C)
		switch {
		case row.T && row.C < 0:
			suffix = ".end" + strconv.Itoa(-row.C)
		case row.T:
			suffix = ".T" + strconv.Itoa(row.C)
		}
		name = n.fresh(v.Name + suffix)
	}
	var w *ir.Value
	var err error
	s, ok := oneRow(v, row)
	switch {
	case !ok || !n.alone(v, row):
		w, err = n.emit(ir.OpSelect, name, "", ir.Attrs{ir.DimAttr("row", row)}, v)
	case v.Op == ir.OpConcat || v.Op == ir.OpRows:
		for i, a := range v.Args {
			if s.use[i] == one {
				w, err = n.row(a, s.row[i], name)
			}
		}
	default:
		var args []*ir.Value
		for i, a := range v.Args {
			if s.use[i] == one {
				if a, err = n.row(a, s.row[i], ""); err != nil {
					return nil, err
				}
			}
			args = append(args, a)
		}
		attrs := slices.Clone(v.Attrs)
		if v.Op == ir.OpAttention {
			attrs, _ = placed(v, row)
		}
		w, err = n.emit(v.Op, name, v.Bundle, attrs, args...)
	}
	n.at[key] = w
	return w, err
}
