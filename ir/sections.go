package ir

import (
	"fmt"
	"slices"
)

// Sections returns the memory order of each value's rows in a batch of packed sequences.
// A value is a list of sections, each C rows per sequence or the T rows of the texts; a
// section holds its rows of all sequences before the next section starts. A concat has
// the sections of all its arguments, rows has some of its argument's, and what other ops
// have follows from [Op.Batch].
//
//	i.v = qkv x.v, ...   : f32[197,2304]      197
//	i.l = qkv x.l, ...   : f32[T,2304]        T
//	i   = concat i.v, i.l : f32[197+T,2304]   197, T
//	c.l = rows c {at=197 len=T}               T
//
// Rows that are not whole sections, and operands with different sections, are an error. So
// are states among the operands of any op but the keys and values of a crossattention.
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
		switch {
		case v.Op.Batch == Reducing || len(packed) == 0:
		case v.Op == OpConcat:
			s = nil
			for _, a := range v.Args {
				s = append(s, m[a]...)
			}
		case v.Op == OpRows:
			from, to, ok := FindSections(m[v.Args[0]], v.Attrs.Dim("at"), v.Attrs.Dim("len"))
			if !ok {
				return nil, fmt.Errorf("%s: %s has sections of %v rows, and rows reads whole sections; select reads a single row, and a few of many take an op of their own (README: A primitive op)", PrintValue(v), v.Args[0].Name, m[v.Args[0]])
			}
			s = m[v.Args[0]][from:to]
		case v.Op.Batch == PerSeq:
			s = m[packed[0]]
		default:
			for i, a := range packed {
				if i > 0 && !slices.Equal(m[a], s) {
					return nil, fmt.Errorf("%s: %s and %s arrange their rows differently when sequences are packed", PrintValue(v), packed[0].Name, a.Name)
				}
				s = m[a]
			}
		}
		if total := TotalRows(s); v.Packed() && total != v.Type.Rows() {
			return nil, fmt.Errorf("%s: the result has %v rows and %s has %v; the row of an op that changes their number (ir/op_*.go) says Batch: Reducing", PrintValue(v), v.Type.Rows(), packed[0].Name, total)
		}
		m[v] = s
	}
	return m, nil
}

// Packed reports whether v is a matrix of activations, whose rows are packed in a batch.
// Images and token ids are not, and neither are states and rows that are stored to them.
func (v *Value) Packed() bool {
	return v.Type.DType == F32 && len(v.Type.Shape) == 2 && !v.State && v.Op != OpStore
}

// runs returns the sections of a value that is not joined from others.
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

// FindSections finds the sections that rows at to at+n-1 of a value consist of: from is the
// first of them, to is one past the last. ok is false if they are not whole sections.
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

// LongestSection returns the largest constant number of rows per sequence of a section of f's values, which bounds the
// sequences of a batch. sections returns the sections of a value. Values that a join reads, directly or through row-wise
// ops, are left out: a join makes one row of several, and it is as large as they are together.
func LongestSection(f *Func, sections func(*Value) []Dim) int {
	longest, joined := 0, map[*Value]bool{}
	for _, v := range slices.Backward(f.Values) {
		if v.Op == OpJoin || joined[v] && v.Op.Batch == RowWise {
			for _, a := range v.Args {
				joined[a] = true
			}
		}
	}
	for _, v := range slices.Concat(f.Params, f.Values) {
		if joined[v] || v.Op == nil && !v.Packed() {
			continue
		}
		for _, s := range sections(v) {
			longest = max(longest, s.C)
		}
	}
	return longest
}

// TotalRows returns the rows per sequence that sections hold.
func TotalRows(sections []Dim) Dim {
	var d Dim
	for _, s := range sections {
		d = Dim{C: d.C + s.C, T: d.T || s.T}
	}
	return d
}
