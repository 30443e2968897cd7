package ir

import (
	"fmt"
	"slices"
)

// Sections says how the rows of each value of f stand in memory when a batch of
// sequences is packed: as runs of rows, C rows a sequence or the T rows of the texts,
// the rows of all sequences in one run before those in the next. Concat makes several
// runs of its arguments', rows takes some of them, and other ops keep those of what
// they read.
//
//	i.v = qkv x.v, ...   : f32[197,2304]      197
//	i.l = qkv x.l, ...   : f32[T,2304]        T
//	i   = concat i.v, i.l : f32[197+T,2304]   197, T
//	c.l = rows c {at=197 len=T}               T
//
// Rows that are no whole runs, and operands whose runs differ, have no place in a
// batch: they are an error. So are states among the operands of an op that packs them.
func Sections(f *Func) (map[*Value][]Dim, error) {
	m := map[*Value][]Dim{}
	for _, v := range f.Params {
		m[v] = runs(v)
	}
	for _, v := range f.Values {
		s := runs(v)
		var packed []*Value
		for i, a := range v.Args {
			if outside := a.State || a.Op == OpStore; outside && (v.Op != OpCrossAttention || i == 0) {
				return nil, fmt.Errorf("%s: %s is a state, which only a crossattention reads, as its keys and values", PrintValue(v), a.Name)
			}
			if a.Packed() {
				packed = append(packed, a)
			}
		}
		switch v.Op {
		case OpSelect, OpMean:
		case OpConcat:
			s = nil
			for _, a := range v.Args {
				s = append(s, m[a]...)
			}
		case OpRows:
			from, to, ok := FindSections(m[v.Args[0]], v.Attrs.Dim("at"), v.Attrs.Dim("len"))
			if !ok {
				return nil, fmt.Errorf("%s: rows inside a segment have no address when sequences are packed; want whole segments, or select for one row", PrintValue(v))
			}
			s = m[v.Args[0]][from:to]
		case OpAttention, OpSelfAttention, OpCrossAttention:
			s = m[v.Args[0]]
		default:
			for i, a := range packed {
				if i > 0 && !slices.Equal(m[a], s) {
					return nil, fmt.Errorf("%s: %s and %s arrange their rows differently when sequences are packed", PrintValue(v), packed[0].Name, a.Name)
				}
				s = m[a]
			}
		}
		m[v] = s
	}
	return m, nil
}

// Packed reports whether v is a matrix of activations, whose rows are packed in a
// batch. Images and ids are not, nor is what outlives a call: states, and what is
// stored to them.
func (v *Value) Packed() bool {
	return v.Type.DType == F32 && len(v.Type.Shape) == 2 && !v.State && v.Op != OpStore
}

// runs are the sections of a value that no join made.
func runs(v *Value) []Dim {
	if len(v.Type.Shape) != 2 {
		return nil
	}
	var s []Dim
	rows := v.Type.Rows()
	if rows.C > 0 {
		s = append(s, C(rows.C))
	}
	if rows.T {
		s = append(s, T)
	}
	return s
}

// FindSections finds the sections that are rows at .. at+n of a value: those from
// from up to to.
func FindSections(sections []Dim, at, n Dim) (from, to int, ok bool) {
	for from = range sections {
		if TotalRows(sections[:from]) != at {
			continue
		}
		for to = from + 1; to <= len(sections); to++ {
			if TotalRows(sections[from:to]) == n {
				return from, to, true
			}
		}
	}
	return 0, 0, false
}

// TotalRows is the number of rows a sequence that sections hold.
func TotalRows(sections []Dim) Dim {
	var d Dim
	for _, s := range sections {
		d = Dim{C: d.C + s.C, T: d.T || s.T}
	}
	return d
}
