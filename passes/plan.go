package passes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
)

// Plan gives every value an offset in the arena, with room for the largest number of rows
// that a call may have.
//
//	i.v = qkv x.v, @l0.attn.v~f {...}  : f32[197,2304]
//	i.l = qkv x.l, @l0.attn.l~f {...}  : f32[T,2304]
//	i   = concat i.v, i.l              : f32[197+T,2304]
//	c   = selfattention i {...}        : f32[197+T,768]
//	c.v = rows c {at=0 len=197}        : f32[197,768]
//	a.v = attnout c.v, x.v, @l0.attn.v~f {...} : f32[197,768]
//
// becomes
//
//	i.v = qkv x.v, @l0.attn.v~f {... ld=2320 tmp=37287040} : f32[197,2304] at 0
//	i.l = qkv x.l, @l0.attn.l~f {... ld=2320 tmp=37287040} : f32[T,2304] at 0
//	i   = concat i.v, i.l {ld=2320}              : f32[197+T,2304] at 0
//	c   = selfattention i {... ld=784}           : f32[197+T,768] at 37287040
//	c.v = rows c {at=0 len=197 ld=784}           : f32[197,768] at 37287040
//	a.v = attnout c.v, x.v, @l0.attn.v~f {... ld=784 tmp=0} : f32[197,768] at 56310016
//
// where x.v was at 56310016 too: no later value reads it.
//
// A value is a list of sections (see ir.Sections): the rows of all sequences in one
// segment, then the rows of all sequences in the next. `at` is the offset of the first
// section of the whole value that it is part of. Each further section directly follows the
// rows of the sections before it, whose number is known only when a batch runs. So the
// arguments of a concat are computed inside it, rows is a view, and neither moves data.
// Offsets (at, tmp, hidden, gate) are in bytes, ld is in floats.
//
// ld is asm.Stride of the columns in memory, where the heads of a qkv are padded. tmp is
// the offset of the operand's norm, of as many rows as the operand; in embed_patches it
// holds the patches. hidden is the offset of an ffn's hidden rows, and gate of their factors,
// if it has a gate. The leading dimension of each is asm.Stride of its columns.
//
// An op writes its result over an argument that no later value reads, if the op allows it.
// Results of the function are never overwritten.
//
// States are not in the arena: the session keeps them, and store, which has no offset, writes there.
//
// Plan refuses values that cannot have an address: a value that is part of two concats, a
// view that is part of a concat, and rows that are not whole sections.
var Plan = &Pass{
	Name:    "plan",
	Needs:   []*Property{Packed},
	Sets:    []*Property{Planned},
	Numeric: Exact,
	Run: func(p *ir.Program, o Options) error {
		for _, f := range p.Funcs {
			if err := plan(p, f, o.rows()); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		return nil
	},
}

// maxArena bounds the arena, so that no sum of sizes overflows.
const maxArena = 1 << 46

// section is C packed rows per sequence, or the T rows of the texts.
type section = ir.Dim

// shape is the shape of a value in memory.
type shape struct {
	sections []section
	cols     int // padded heads included
}

// shapes returns the shape of every value in the arena.
func shapes(f *ir.Func) (map[*ir.Value]shape, error) {
	sections, err := ir.Sections(f)
	if err != nil {
		return nil, err
	}
	m := map[*ir.Value]shape{}
	for _, v := range f.Params {
		if v.Packed() {
			m[v] = shape{sections[v], v.Type.Cols()}
		}
	}
	for _, v := range f.Values {
		s := shape{sections[v], v.Type.Cols()}
		switch v.Op {
		case ir.OpConcat:
			s.cols = m[v.Args[0]].cols
			for _, a := range v.Args {
				if m[a].cols != s.cols {
					return nil, fmt.Errorf("%s: %s has %d columns in memory, %s has %d", ir.PrintValue(v), v.Args[0].Name, s.cols, a.Name, m[a].cols)
				}
			}
		case ir.OpRows:
			s.cols = m[v.Args[0]].cols
		case ir.OpQKV:
			d := v.Type.Cols() / qkvParts(v) / v.Attrs.Int("heads", 1)
			s.cols = v.Type.Cols() / d * asm.Ceil(d)
		}
		m[v] = s
	}
	return m, nil
}

// qkvParts is the number of linears in a qkv.
func qkvParts(v *ir.Value) int {
	if parts := v.Attrs.Symbol("parts"); parts != "" {
		return len(parts)
	}
	return len(operands)
}

// limits bounds a function's batch.
type limits struct {
	seqs int // sequences
	text int // tokens of all texts
}

// limitsOf applies the limit on a segment's packed rows to a function.
func limitsOf(p *ir.Program, f *ir.Func, shapes map[*ir.Value]shape, rows int) (limits, error) {
	fixed := max(1, ir.LongestSection(f, func(v *ir.Value) []section { return shapes[v].sections }))
	need := fixed
	if f.UsesT() {
		need = max(need, p.MaxT)
	}
	if rows < need {
		return limits{}, fmt.Errorf("limits.rows is %d, but one sequence can have %d rows in a segment; raise limits.rows", rows, need)
	}
	return limits{rows / fixed, rows}, nil
}

// rows returns the largest number of packed rows that the sections can have.
func (l limits) rows(sections []section) int {
	n := 0
	for _, s := range sections {
		n += l.seqs * s.C
		if s.T {
			n += l.text
		}
	}
	return n
}

// buffer is a range of the arena that is in use from value number start, which writes it
// first, to value number end, which reads it last.
type buffer struct {
	bytes      int64
	start, end int
	offset     int64
	values     []*ir.Value // the values in it that a value from planner.now on reads
}

// spot is the place of a value in the arena: a buffer, the stride ld of its rows in floats, the rows of each sequence that
// precede the value's in the buffer, and the value's first column.
type spot struct {
	buf   *buffer
	ld    int
	after ir.Dim
	col   int
}

type planner struct {
	p       *ir.Program
	f       *ir.Func
	shapes  map[*ir.Value]shape
	limits  limits
	last    map[*ir.Value]int // the number of each value's last reader
	index   map[*ir.Value]int
	whole   map[*ir.Value]*ir.Value // the concat that an argument is part of
	spots   map[*ir.Value]spot
	placed  []*ir.Value // the values with a spot, in order
	buffers []*buffer
	now     int // number of the value that is placed; for the parts of a concat, of an earlier one
	work    int // comparisons of values and buffers so far
}

// maxWork bounds the comparisons of a plan, whose number is quadratic in the values that are alive at the same time. The
// largest allowed description needs a hundredth of it.
const maxWork = 1 << 28

var errWork = errors.New("too many values, or too many are alive at the same time; use fewer, or read them sooner after they are computed")

func plan(p *ir.Program, f *ir.Func, rows int) error {
	shapes, err := shapes(f)
	if err != nil {
		return err
	}
	limits, err := limitsOf(p, f, shapes, rows)
	if err != nil {
		return err
	}
	l := &planner{
		p: p, f: f, shapes: shapes, limits: limits,
		last:  lastReaders(f),
		index: map[*ir.Value]int{},
		whole: map[*ir.Value]*ir.Value{},
		spots: map[*ir.Value]spot{},
	}
	for _, v := range f.Params {
		l.index[v] = -1
	}
	for i, v := range f.Values {
		l.index[v] = i
	}
	if err := l.claim(); err != nil {
		return err
	}
	alive, ends := len(f.Params), make([]int, len(f.Values)+1)
	for i, v := range f.Values {
		ends[l.last[v]]++
		alive += 1 - ends[i]
		if l.work += alive; l.work > maxWork {
			return errWork
		}
	}
	l.now = -1
	for _, v := range f.Params {
		if v.Packed() {
			l.place(v)
		}
	}
	scratch := map[*ir.Value][]*buffer{}
	for i, v := range f.Values {
		if !v.Packed() {
			continue
		}
		l.now = i
		if l.place(v); l.work > maxWork {
			return errWork
		}
		scratches := scratchOf(p, v, limits)
		if n := len(ir.ScratchKeys); len(scratches) > n {
			return fmt.Errorf("%s: Scratch of %s lists %d matrices, and ir.ScratchKeys has attributes for %d", ir.PrintValue(v), v.Op.Name, len(scratches), n)
		}
		for _, bytes := range scratches {
			b := &buffer{bytes: bytes, start: i, end: i}
			l.buffers = append(l.buffers, b)
			scratch[v] = append(scratch[v], b)
		}
	}
	for _, v := range l.placed {
		b := l.spots[v].buf
		b.end = max(b.end, l.last[v])
	}
	for _, b := range l.buffers {
		if b.bytes > maxArena {
			return fmt.Errorf("a value needs %d bytes for %d rows per segment; lower limits.rows", b.bytes, rows)
		}
	}
	if f.Arena, err = l.fit(); err != nil {
		return err
	}
	if f.Arena > maxArena {
		return fmt.Errorf("the arena needs %d bytes for %d rows per segment; lower limits.rows", f.Arena, rows)
	}
	for _, v := range l.placed {
		s := l.spots[v]
		v.Offset = s.buf.offset + int64(s.col)*4
		if v.Op == nil {
			continue
		}
		attrs := v.Attrs.With(ir.IntAttr("ld", s.ld))
		for i, b := range scratch[v] {
			attrs = attrs.With(ir.IntAttr(ir.ScratchKeys[i], int(b.offset)))
		}
		v.Attrs = v.Op.Sort(attrs)
	}
	return nil
}

// lastReaders returns, for each value, the number of the last value that reads it. Results count
// as read after the last value.
func lastReaders(f *ir.Func) map[*ir.Value]int {
	last := map[*ir.Value]int{}
	for _, v := range f.Params {
		last[v] = -1
	}
	for i, v := range f.Values {
		last[v] = i
		for _, a := range v.Args {
			last[a] = i
		}
	}
	for _, v := range f.Results {
		last[v] = len(f.Values)
	}
	return last
}

// claim records the concat in which each of its arguments is computed.
func (l *planner) claim() error {
	for _, v := range l.f.Values {
		if v.Op != ir.OpConcat {
			continue
		}
		for _, a := range v.Args {
			switch {
			case l.whole[a] != nil:
				return fmt.Errorf("%s: %s is part of %s already, and a value has one address", ir.PrintValue(v), a.Name, l.whole[a].Name)
			case a.Op == ir.OpRows || a.Op == ir.OpCols:
				return fmt.Errorf("%s: %s is a view of %s, and a value has one address", ir.PrintValue(v), a.Name, a.Args[0].Name)
			}
			l.whole[a] = v
		}
	}
	return nil
}

// place chooses the spot of v.
func (l *planner) place(v *ir.Value) {
	if _, ok := l.spots[v]; ok {
		return
	}
	var s spot
	switch w := l.whole[v]; {
	case w != nil:
		l.place(w)
		s = l.spots[w]
		s.after = plus(s.after, l.before(w, v))
	case v.Op == ir.OpRows:
		s = l.spots[v.Args[0]]
		s.after = plus(s.after, v.Attrs.Dim("at"))
	case v.Op == ir.OpCols:
		s = l.spots[v.Args[0]]
		s.col += v.Attrs.Int("at", 0)
	default:
		var ok bool
		if s, ok = l.inPlace(v); !ok {
			s = l.fresh(v)
		}
	}
	l.spots[v] = s
	l.placed = append(l.placed, v)
	s.buf.values = append(s.buf.values, v)
}

// plus adds dimensions of sections of one value, of which at most one has T.
func plus(a, b ir.Dim) ir.Dim { return ir.Dim{C: a.C + b.C, T: a.T || b.T} }

// before returns the number of rows in the concat w in front of its argument v.
func (l *planner) before(w, v *ir.Value) ir.Dim {
	var d ir.Dim
	for _, a := range w.Args {
		if a == v {
			break
		}
		d = plus(d, a.Type.Rows())
	}
	return d
}

// fresh returns a spot in a new buffer, which is in use once v, or its first part, is written.
func (l *planner) fresh(v *ir.Value) spot {
	s := l.shapes[v]
	start := l.index[v]
	for part := v; part.Op == ir.OpConcat; {
		first := part.Args[0]
		for _, a := range part.Args {
			if l.index[a] < l.index[first] {
				first = a
			}
		}
		part, start = first, min(start, l.index[first])
	}
	ld := asm.Stride(s.cols)
	b := &buffer{bytes: int64(l.limits.rows(s.sections)) * int64(ld) * 4, start: start, end: start}
	l.buffers = append(l.buffers, b)
	return spot{buf: b, ld: ld}
}

// inPlace returns the spot of an argument that v may overwrite; if v is a concat, one that
// every part of v may overwrite.
func (l *planner) inPlace(v *ir.Value) (spot, bool) {
	if v.Op == nil {
		return spot{}, false
	}
	if v.Op != ir.OpConcat {
		for _, i := range v.Op.InPlace {
			// Without the batch only the first section's address is known.
			if s, ok := l.dying(v, v.Args[i]); ok && s.after == (ir.Dim{}) {
				return s, true
			}
		}
		return spot{}, false
	}
	var whole spot
	for n, a := range v.Args {
		found := false
		if a.Op == nil {
			return whole, false
		}
		for _, i := range a.Op.InPlace {
			s, ok := l.dying(a, a.Args[i])
			if n == 0 && s.after == (ir.Dim{}) {
				whole = s
			}
			want := whole
			want.after = l.before(v, a)
			if found = ok && s == want; found {
				break
			}
		}
		if !found {
			return whole, false
		}
	}
	return whole, true
}

// dying returns the spot of x if v is its last reader and may overwrite it.
func (l *planner) dying(v, x *ir.Value) (spot, bool) {
	s, ok := l.spots[x]
	for i, a := range v.Args {
		if a == x && !slices.Contains(v.Op.InPlace, i) { // read while the result is written
			return s, false
		}
	}
	if !ok || s.col != 0 || l.shapes[x].cols != l.shapes[v].cols || asm.Stride(l.shapes[v].cols) != s.ld {
		return s, false
	}
	s.buf.values = slices.DeleteFunc(s.buf.values, func(u *ir.Value) bool { return l.last[u] < l.now })
	l.work += len(s.buf.values)
	for _, u := range s.buf.values {
		t := l.spots[u]
		if apart(s.after, x.Type.Rows(), t.after, u.Type.Rows()) {
			continue
		}
		// Another argument of v in the same memory would be overwritten while it is read.
		if l.last[u] > l.index[v] || u != x && slices.Contains(v.Args, u) {
			return s, false
		}
	}
	return s, true
}

// apart reports whether rows a to a+n-1 and rows b to b+m-1 are disjoint in every batch.
func apart(a, n, b, m ir.Dim) bool {
	return upTo(plus(a, n), b) || upTo(plus(b, m), a)
}

func upTo(a, b ir.Dim) bool { return a.C <= b.C && (!a.T || b.T) }

// scratchOf lists the sizes in bytes of the scratch matrices that v needs.
func scratchOf(p *ir.Program, v *ir.Value, l limits) []int64 {
	if v.Op == nil || v.Op.Scratch == nil {
		return nil
	}
	var all []int64
	for _, s := range v.Op.Scratch(p, v) {
		all = append(all, int64(l.rows([]section{s.Rows}))*int64(asm.Stride(s.Cols))*4)
	}
	return all
}

// fit gives every buffer an offset, so that buffers in use at the same time do not overlap,
// and returns the size of the arena in bytes. Larger buffers come first; each takes the
// smallest hole that it fits into.
func (l *planner) fit() (int64, error) {
	order := slices.Clone(l.buffers)
	slices.SortStableFunc(order, func(a, b *buffer) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.start, b.start))
	})
	var arena int64
	var done []*buffer // by offset
	for _, b := range order {
		if l.work += len(done); l.work > maxWork {
			return 0, errWork
		}
		best, hole := int64(-1), int64(0)
		end := int64(0)
		for _, other := range done {
			if other.start > b.end || b.start > other.end {
				continue
			}
			if gap := other.offset - end; gap >= b.bytes && (best < 0 || gap < hole) {
				best, hole = end, gap
			}
			end = max(end, align(other.offset+other.bytes, weightAlign))
		}
		if best < 0 {
			best = end
		}
		b.offset = best
		arena = max(arena, align(b.offset+b.bytes, weightAlign))
		i, _ := slices.BinarySearchFunc(done, b, func(x, y *buffer) int { return cmp.Compare(x.offset, y.offset) })
		done = slices.Insert(done, i, b)
	}
	return arena, nil
}
