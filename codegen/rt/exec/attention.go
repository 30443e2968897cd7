package exec

import (
	"math"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// queryRows is the number of query rows whose scores are computed at a time; they
// stay in the first-level cache for a few hundred keys.
const queryRows = 24

// scratch is the attention memory of one worker.
type scratch struct {
	keys   []float32 // packed key panels [panel][d][16]
	scores []float32 // queryRows x ld
	out    []float32 // queryRows x ceil16(d)
	values []float32 // keys x ceil16(d): the values, where strips of them are read many times
	gather []float32 // 16 x d: keys of a panel that spans two row ranges
	inv    []float32 // queryRows: one over the row sums
	scale  []float32 // queryRows: the factor of the scores
	runs   []keyRun  // of the head at hand
}

// keyRun is consecutive rows of keys and values of one head.
type keyRun struct {
	k, v  *float32
	ld, n int
}

// scoresLD returns the leading dimension of scores over n keys: whole panels, off
// the multiples of 1 KiB that fall into the same cache sets.
func scoresLD(n int) int {
	ld := ceil16(n)
	if ld%256 == 0 {
		ld += 16
	}
	return ld
}

// reserve makes the scratch of every worker large enough for n keys with heads of
// d columns; it allocates only when it grows.
func (e *Exec) reserve(n, d int) {
	for i := range e.scratch {
		s := &e.scratch[i]
		grow := func(buf *[]float32, n int) {
			if len(*buf) < n {
				*buf = blob.AlignedFloats(n)
			}
		}
		grow(&s.keys, ceil16(n)*d)
		grow(&s.scores, queryRows*scoresLD(n))
		grow(&s.out, queryRows*ceil16(d))
		if e.kern.NNNR < d {
			grow(&s.values, n*ceil16(d))
		}
		grow(&s.gather, 16*d)
		grow(&s.inv, queryRows)
		grow(&s.scale, queryRows)
	}
}

// attnTask is attention cut into (sequence, head) pairs, and those into parts of their
// queries where there are too few.
type attnTask struct {
	e            *Exec
	q, k, v, dst *float32
	ldq, ldkv    int
	ldd          int
	heads, d, dp int
	factor       float32 // of the scores before the base-2 softmax; 1: none
	table        *RelBias
	place        int     // of the first query in the sequence
	unit         float32 // what a bias of 1 adds to a score before it gets the factor
	qs, ks       []Section
	mask         *Mask
	slot         int // of the state whose keys come first, -1: none
	parts        int // of the queries of a head
	chunks       int
}

// SelfAttention computes dst[rows][H*D] from qkv rows [q|k|v][head][DP]; all rows
// of a sequence, through all sections, see each other.
func (e *Exec) SelfAttention(dst, qkv Mat, a *Attention, secs []Section) {
	part := a.Heads * a.DP
	want(qkv.Cols == 3*part && dst.Cols == a.Heads*a.D && dst.Rows == qkv.Rows && qkv.Rows == e.packed(secs), "selfattention", dst, qkv)
	e.attention(dst, qkv.P, qkv.LD, at(qkv.P, part), at(qkv.P, 2*part), qkv.LD, a, secs, secs, -1)
}

// oneRow is the sections of a value with one row a sequence.
var oneRow = []Section{{C: 1}}

// CrossAttention computes dst[B][H*D] for one query row a sequence: q rows
// [head][DP], kv rows [k|v][head][DP] of the sections.
func (e *Exec) CrossAttention(dst, q, kv Mat, a *Attention, secs []Section) {
	part := a.Heads * a.DP
	want(q.Cols == part && kv.Cols == 2*part && dst.Cols == a.Heads*a.D && q.Rows == e.B && dst.Rows == e.B && kv.Rows == e.packed(secs),
		"crossattention", dst, q, kv)
	e.attention(dst, q.P, q.LD, kv.P, at(kv.P, part), kv.LD, a, oneRow, secs, -1)
}

// QueryAttention is CrossAttention for the query rows of sections qs.
func (e *Exec) QueryAttention(dst, q, kv Mat, a *Attention, qs, ks []Section) {
	e.wantCross(dst, q, kv, a, qs, ks)
	e.attention(dst, q.P, q.LD, kv.P, at(kv.P, a.Heads*a.DP), kv.LD, a, qs, ks, -1)
}

// StateAttention is QueryAttention whose keys and values are those in a slot of each
// sequence's state, then those of kv.
func (e *Exec) StateAttention(dst, q, kv Mat, a *Attention, qs, ks []Section, slot int) {
	e.wantCross(dst, q, kv, a, qs, ks)
	want(len(e.states) == e.B && (e.B == 0 || e.states[0].step.States[slot].Cols == kv.Cols), "stateattention", kv)
	e.attention(dst, q.P, q.LD, kv.P, at(kv.P, a.Heads*a.DP), kv.LD, a, qs, ks, slot)
}

func (e *Exec) wantCross(dst, q, kv Mat, a *Attention, qs, ks []Section) {
	part := a.Heads * a.DP
	want(q.Cols == part && kv.Cols == 2*part && dst.Cols == a.Heads*a.D && q.Rows == e.packed(qs) && dst.Rows == q.Rows && kv.Rows == e.packed(ks),
		"crossattention", dst, q, kv)
}

// Attention computes dst[rows][H*D] from separate q, k and v rows [head][DP] of
// the same sections. k and v have the same leading dimension. DP may be D.
func (e *Exec) Attention(dst, q, k, v Mat, a *Attention, secs []Section) {
	part := a.Heads * a.DP
	want(q.Cols == part && k.Cols == part && v.Cols == part && dst.Cols == a.Heads*a.D && k.LD == v.LD &&
		q.Rows == dst.Rows && k.Rows == v.Rows && q.Rows == e.packed(secs) && k.Rows == q.Rows, "attention", dst, q, k, v)
	e.attention(dst, q.P, q.LD, k.P, v.P, k.LD, a, secs, secs, -1)
}

func (e *Exec) attention(dst Mat, q *float32, ldq int, k, v *float32, ldkv int, a *Attention, qs, ks []Section, slot int) {
	want(a.D > 0 && a.DP >= a.D && dst.LD >= dst.Cols, "attention heads", dst)
	want(a.Bias == nil || len(ks) == 1 || len(ks) == 2 && ks[0].T, "attention bias: the text comes first", dst)
	if e.B == 0 {
		return
	}
	t := &e.attn
	t.q, t.k, t.v, t.dst = q, k, v, dst.P
	t.ldq, t.ldkv, t.ldd = ldq, ldkv, dst.LD
	t.heads, t.d, t.dp = a.Heads, a.D, a.DP
	t.qs, t.ks = append(t.qs[:0], qs...), append(t.ks[:0], ks...)
	t.mask, t.slot = a.Mask, slot
	t.factor = a.Scale
	if a.Scale == 0 {
		t.factor = float32(1 / math.Sqrt(float64(a.D)))
	}
	t.table, t.place, t.unit = a.Bias, a.At, 1/t.factor
	if !a.Base2 {
		t.factor = float32(float64(t.factor) * math.Log2E)
	}
	longest := e.rows
	for seq := range e.B {
		n := t.keys(seq)
		if slot >= 0 { // room for all tokens to come
			n += e.states[seq].most - e.states[seq].tokens
		}
		longest = max(longest, n)
	}
	e.reserve(longest, a.D)
	for i := range e.scratch {
		for r := range queryRows {
			e.scratch[i].scale[r] = t.factor
		}
	}
	pairs := e.B * a.Heads
	t.parts = 1
	if enough := 4 * e.workers; e.workers > 1 && pairs < enough {
		// Each part packs the keys anew, which has to stay small beside its work.
		t.parts = max(1, min((enough+pairs-1)/pairs, e.packed(qs)/e.B/(2*queryRows)))
	}
	t.chunks = min(pairs*t.parts, 32*e.workers)
	e.do(t.chunks, t)
}

// keys returns the number of keys of a sequence.
func (t *attnTask) keys(seq int) int {
	n := 0
	if t.slot >= 0 {
		st := t.e.states[seq]
		n = st.step.States[t.slot].Rows + st.tokens
	}
	for _, s := range t.ks {
		_, c := t.e.span(s, seq)
		n += c
	}
	return n
}

// find lists the rows of keys and values of a head of a sequence.
func (t *attnTask) find(seq, h int, s *scratch) {
	s.runs = s.runs[:0]
	add := func(k, v *float32, ld, n int) {
		if n > 0 {
			s.runs = append(s.runs, keyRun{at(k, h*t.dp), at(v, h*t.dp), ld, n})
		}
	}
	if t.slot >= 0 {
		st := t.e.states[seq]
		shape := st.step.States[t.slot]
		ld, values := shape.Cols, shape.Cols/2
		if shape.Rows > 0 {
			k := &st.fixed[t.slot][0]
			add(k, at(k, values), ld, shape.Rows)
		}
		k := st.row(st.now, t.slot, t.e.beams[seq], 0)
		add(k, at(k, values), ld, st.tokens)
	}
	base := 0
	for _, sec := range t.ks {
		start, rows := t.e.span(sec, seq)
		row := (base + start) * t.ldkv
		add(at(t.k, row), at(t.v, row), t.ldkv, rows)
		base += t.e.sectionRows(sec)
	}
}

// resolve returns the value of a section of the mask for a sequence.
func (t *attnTask) resolve(s Section, seq int) int {
	switch {
	case s.T && len(t.e.states) > 0:
		return s.C + t.e.past(seq)
	case s.T:
		return s.C + t.e.Len[seq]
	}
	return s.C
}

func (t *attnTask) run(chunk, worker int) {
	lo, hi := part(t.e.B*t.heads*t.parts, t.chunks, chunk)
	for i := lo; i < hi; i++ {
		pair := i / t.parts
		t.head(pair/t.heads, pair%t.heads, i%t.parts, &t.e.scratch[worker])
	}
}

// head computes one part of the queries of one head of one sequence.
//
//go:noinline
func (t *attnTask) head(seq, h, share int, s *scratch) {
	n := t.keys(seq)
	if n == 0 {
		return
	}
	t.find(seq, h, s)
	t.pack(s)
	if t.e.kern.NNNR < t.d && t.e.packed(t.qs) >= 2*queryRows*t.e.B*t.parts {
		t.near(n, s)
	}
	words := 0
	if len(t.ks) > 0 && t.ks[0].T {
		words = t.e.Len[seq]
	}
	base, place, prefix := 0, t.place, n
	if t.mask != nil {
		place, prefix = t.resolve(t.mask.At, seq), t.resolve(t.mask.Prefix, seq)
	}
	for _, sec := range t.qs {
		start, rows := t.e.span(sec, seq)
		r, end := part(rows, t.parts, share)
		for r < end {
			m := min(queryRows, end-r)
			if left := end - r - m; left > 0 && left < 3 { // no tail of a row or two
				m -= 6
			}
			row := base + start + r
			if t.table != nil {
				t.bias(h, n, words, place+r, m, &s.scores[0], scoresLD(n))
			}
			t.block(n, at(t.q, row*t.ldq+h*t.dp), m, at(t.dst, row*t.ldd+h*t.d), prefix, place+r, s)
			r += m
		}
		place += rows
		base += t.e.sectionRows(sec)
	}
}

// pack transposes the keys of the runs into panels of 16. A panel whose keys come from
// two runs is gathered first.
func (t *attnTask) pack(s *scratch) {
	d, keys := t.d, &s.keys[0]
	held := 0 // rows in gather
	for i, run := range s.runs {
		for row, rows := 0, run.n; rows > 0; {
			src := at(run.k, row*run.ld)
			n := min(16-held, rows)
			if held == 0 && (n == 16 || i == len(s.runs)-1) {
				t.packPanel(n, keys, src, run.ld)
				keys = at(keys, 16*d)
			} else {
				copyRows(n, at(&s.gather[0], held*d), d, src, run.ld, d)
				held += n
				if held == 16 {
					t.packPanel(16, keys, &s.gather[0], d)
					keys = at(keys, 16*d)
					held = 0
				}
			}
			row += n
			rows -= n
		}
	}
	if held > 0 {
		t.packPanel(held, keys, &s.gather[0], d)
	}
}

// near copies the values of the runs next to each other. A strip of them then takes up few
// pages and cache sets.
func (t *attnTask) near(n int, s *scratch) {
	ld, done := ceil16(t.d), 0
	for _, run := range s.runs {
		copyRows(run.n, at(&s.values[0], done*ld), ld, run.v, run.ld, t.d)
		done += run.n
	}
	s.runs = append(s.runs[:0], keyRun{v: &s.values[0], ld: ld, n: n})
}

//go:noinline
func (t *attnTask) packPanel(rows int, dst, src *float32, lds int) {
	t.e.kern.PackKeys(rows, dst, src, lds, t.d)
}

// block computes m query rows, the first at a place, against the n packed keys; with a
// mask against those of the prefix and those up to their own.
//
//go:noinline
func (t *attnTask) block(n int, q *float32, m int, dst *float32, prefix, place int, s *scratch) {
	k := t.e.kern
	ld, panels, wide := scoresLD(n), ceil16(n)/16, k.NR/16
	scores, out, inv := &s.scores[0], &s.out[0], &s.inv[0]
	add := 0
	if t.table != nil {
		add = 1
	}
	for p := 0; p < panels; {
		if p+wide <= panels {
			t.scores(k.Gemm, q, m, at(&s.keys[0], p*16*t.d), at(scores, p*16), ld, add)
			p += wide
		} else {
			t.scores(k.Gemm16, q, m, at(&s.keys[0], p*16*t.d), at(scores, p*16), ld, add)
			p++
		}
	}
	if t.factor != 1 {
		k.ScaleRows(m, scores, ld, scores, ld, n, &s.scale[0])
	}
	if t.mask == nil {
		k.Softmax(m, scores, ld, n, inv)
	} else {
		for r := range m {
			row := at(scores, r*ld)
			seen := min(n, max(prefix, place+r+1))
			k.Softmax(1, row, ld, seen, at(inv, r))
			clear(floats(row, n)[min(n, ceil16(seen)):])
		}
	}
	ldo := ceil16(t.d)
	if ldo == t.d {
		// Tiles write where the result goes: it is far away, and they do not wait for it.
		out, ldo = dst, t.ldd
	}
	for j := 0; j < t.d; {
		tile, wide := k.GemmNN16, 16
		if j+k.NNNR <= t.d {
			tile, wide = k.GemmNN, k.NNNR
		}
		done := 0
		for _, run := range s.runs {
			t.values(tile, at(scores, done), ld, m, at(run.v, j), run.ld, run.n, at(out, j), ldo, done)
			done += run.n
		}
		j += wide
	}
	k.ScaleRows(m, dst, t.ldd, out, ldo, t.d, inv)
}

// scores computes a strip of q * k^T, as wide as the tile; add != 0 adds it to c.
//
//go:noinline
func (t *attnTask) scores(tile []kernel.Gemm, q *float32, m int, keys, c *float32, ldc, add int) {
	_, runs := tileRuns(m, len(tile)-1)
	pf := at(keys, min(8, t.d-1)*16)
	for _, r := range runs {
		if r.n > 0 {
			tile[r.height](r.n, t.d, at(q, r.row*t.ldq), t.ldq, keys, 16*t.d, at(c, r.row*ldc), ldc, nil, add, pf, 64)
		}
	}
}

// values computes a strip of p * v, as wide as the tile, over the rows of one range; acc
// != 0 adds to what the ranges before gave.
//
//go:noinline
func (t *attnTask) values(tile []kernel.GemmNN, p *float32, ldp, m int, v *float32, ldv, rows int, c *float32, ldc, acc int) {
	_, runs := tileRuns(m, len(tile)-1)
	for _, r := range runs {
		if r.n > 0 {
			tile[r.height](r.n, rows, at(p, r.row*ldp), ldp, v, ldv, at(c, r.row*ldc), ldc, acc)
		}
	}
}
