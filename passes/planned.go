package passes

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Planned is the property that every value has an address: it is aligned and inside the
// arena, a view is inside the value that it is part of, and no value is overwritten before
// its last reader.
//
// The check does not depend on how plan works: it follows the writes in order.
var Planned = &Property{
	Name: "planned",
	Check: func(p *ir.Program, o Options) error {
		for _, f := range p.Funcs {
			if err := checkPlan(p, f, o.rows()); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		return nil
	},
}

// extent is the memory of a value: the bytes from..to of the arena at full limits. It is rows
// after to after+rows-1 of a matrix that begins at base.
type extent struct {
	base        int64
	ld          int
	after, rows ir.Dim
	from, to    int64
}

// meets reports whether two extents share a byte in some batch.
func (e extent) meets(o extent) bool {
	if e.base == o.base && e.base >= 0 && e.ld == o.ld {
		return !apart(e.after, e.rows, o.after, o.rows)
	}
	return e.from < o.to && o.from < e.to
}

func checkPlan(p *ir.Program, f *ir.Func, rows int) error {
	shapes, err := shapes(f)
	if err != nil {
		return err
	}
	limits, err := limitsOf(p, f, shapes, rows)
	if err != nil {
		return err
	}
	after := offsets(f)
	where := map[*ir.Value]extent{}
	for _, vs := range [][]*ir.Value{f.Params, f.Values} {
		for _, v := range vs {
			if !v.Packed() {
				continue
			}
			s := shapes[v]
			e := extent{base: v.Offset, ld: v.Attrs.Int("ld", asm.Stride(s.cols)), after: after[v], rows: v.Type.Rows()}
			first := limits.rows([]section{e.after})
			e.from = e.base
			e.to = e.base + int64(first+limits.rows(s.sections))*int64(e.ld)*4
			width := asm.Ceil(s.cols)
			if v.Op == ir.OpCols { // in the last row, columns after these belong to other values
				width = s.cols
				e.to += int64(width-e.ld) * 4
			}
			switch {
			case e.base < 0 || e.to > f.Arena:
				return fmt.Errorf("%s: it is at bytes %d to %d, want them inside the arena of %d", ir.PrintValue(v), e.from, e.to, f.Arena)
			case e.ld < width || e.ld%asm.Panel != 0 || e.ld%256 == 0:
				return fmt.Errorf("%s: ld is %d, want a multiple of %d but not of 256, at least %d", ir.PrintValue(v), e.ld, asm.Panel, width)
			case v.Op != ir.OpCols && e.base%weightAlign != 0:
				return fmt.Errorf("%s: its offset is not a multiple of %d", ir.PrintValue(v), weightAlign)
			}
			where[v] = e
		}
	}
	last := lastReaders(f)
	type written struct {
		v    *ir.Value
		at   extent
		last int
	}
	var alive []written // what the values so far wrote
	for _, v := range f.Params {
		if v.Packed() {
			alive = append(alive, written{v, where[v], last[v]})
		}
	}
	for i, v := range f.Values {
		if err := checkView(v, where); err != nil {
			return err
		}
		alive = slices.DeleteFunc(alive, func(u written) bool { return u.last < i })
		done := writes(p, v, where, limits)
		for n, w := range done {
			for _, o := range done[:n] {
				if w.meets(o.extent) {
					return fmt.Errorf("%s: writes %s over %s", ir.PrintValue(v), w.what, o.what)
				}
			}
			for _, u := range alive {
				if !w.meets(u.at) {
					continue
				}
				if u.last == i && w.result && mayOverwrite(v, u.v, where) {
					continue
				}
				return fmt.Errorf("%s: writes %s over %s, which is read by value %d", ir.PrintValue(v), w.what, ir.PrintValue(u.v), u.last)
			}
		}
		if v.Packed() {
			alive = append(alive, written{v, where[v], last[v]})
		}
	}
	return nil
}

// offsets returns, for every value that is part of another, the number of rows in front of it
// there.
func offsets(f *ir.Func) map[*ir.Value]ir.Dim {
	after := map[*ir.Value]ir.Dim{}
	for i := range f.Values {
		// Parts are defined before their concat, views after the value that they are in, so it takes two sweeps.
		v := f.Values[len(f.Values)-1-i]
		if v.Op == ir.OpConcat {
			at := after[v]
			for _, a := range v.Args {
				after[a] = at
				at = plus(at, a.Type.Rows())
			}
		}
	}
	for _, v := range f.Values {
		switch v.Op {
		case ir.OpRows:
			after[v] = plus(after[v.Args[0]], v.Attrs.Dim("at"))
		case ir.OpCols:
			after[v] = after[v.Args[0]]
		}
	}
	return after
}

// checkView checks that a view is inside its argument, and that the parts of a concat are inside it.
func checkView(v *ir.Value, where map[*ir.Value]extent) error {
	e := where[v]
	switch v.Op {
	case ir.OpConcat:
		for _, a := range v.Args {
			if where[a].base != e.base || where[a].ld != e.ld {
				return fmt.Errorf("%s: %s is not inside", ir.PrintValue(v), ir.PrintValue(a))
			}
		}
	case ir.OpRows, ir.OpCols:
		a := where[v.Args[0]]
		if v.Op == ir.OpCols {
			a.base += 4 * int64(v.Attrs.Int("at", 0))
		}
		if e.base != a.base || e.ld != a.ld {
			return fmt.Errorf("%s: is not inside %s", ir.PrintValue(v), ir.PrintValue(v.Args[0]))
		}
	}
	return nil
}

// write is a range of memory that a value writes.
type write struct {
	extent
	what   string
	result bool
}

// writes lists the memory that the computation of v writes: none for a view.
func writes(p *ir.Program, v *ir.Value, where map[*ir.Value]extent, l limits) []write {
	if v.Op.View || !v.Packed() {
		return nil
	}
	out := []write{{where[v], "its result", true}}
	for i, bytes := range scratchOf(p, v, l) {
		key := ir.ScratchKeys[i]
		at := int64(v.Attrs.Int(key, -1))
		// base is -1: scratch is not part of any value's matrix.
		out = append(out, write{extent{base: -1, from: at, to: at + bytes}, key, false})
	}
	return out
}

// mayOverwrite reports whether v may write its result over its argument u.
func mayOverwrite(v, u *ir.Value, where map[*ir.Value]extent) bool {
	for _, i := range v.Op.InPlace {
		if v.Args[i] != u {
			continue
		}
		e, o := where[v], where[u]
		for j, a := range v.Args {
			if !slices.Contains(v.Op.InPlace, j) && a.Packed() && where[a].meets(e) {
				return false
			}
		}
		return e.base == o.base && e.ld == o.ld && e.after == o.after && e.rows == o.rows
	}
	return false
}
