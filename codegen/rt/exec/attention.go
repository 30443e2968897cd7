package exec

import (
	"math"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// queryRows is the number of query rows whose scores are computed at a time. With a
// few hundred keys the scores stay in the first-level cache.
const queryRows = 24

// pieceKeys is the least number of keys that are packed at a time, where the keys of a head are packed in several pieces.
const pieceKeys = 64

// scratch is the attention memory of one worker.
type scratch struct {
	head   head      // the current one, if it is not split into parts
	scores []float32 // queryRows x ld
	out    []float32 // queryRows x ceil16(d)
	gather []float32 // 16 x d: keys of a panel that spans two row ranges
	inv    []float32 // queryRows: one over the row sums
	scale  []float32 // queryRows: the factor of the scores
	runs   []keyRun  // of the current head
	packed *float32  // panels of its first keys, which a state holds packed
	first  int       // how many keys that are, whole panels
}

// head is memory for the keys and values of one head of a sequence.
type head struct {
	keys   []float32 // packed panels [panel][d][16]; those of scratch.packed are not there
	values []float32 // keys x ceil16(d): a copy of the values, if it is worth one
}

// reserve makes the memory large enough for n keys and, if copied, for a copy of their values, of d columns each.
func (h *head) reserve(n, d int, copied bool) {
	grow(&h.keys, ceil16(n)*d)
	if copied {
		grow(&h.values, n*ceil16(d))
	}
}

// grow makes a buffer hold at least n floats, which become undefined if it has to grow.
func grow(buf *[]float32, n int) {
	if len(*buf) < n {
		*buf = blob.AlignedFloats(n)
	}
}

// keyRun is n consecutive rows of keys and values of one head, ld floats apart.
type keyRun struct {
	k, v  *float32 // k is nil for keys that are packed
	ld, n int
}

// scoresLD returns the leading dimension of scores for n keys: whole panels, but no
// multiple of 1 KiB, at which all rows would map to the same cache sets.
func scoresLD(n int) int {
	ld := ceil16(n)
	if ld%256 == 0 {
		ld += 16
	}
	return ld
}

// reserve makes the scratch of every worker large enough for n keys and heads of d
// columns. It allocates only if a buffer has to grow.
func (e *Exec) reserve(n, d int) {
	for i := range e.scratch {
		s := &e.scratch[i]
		s.head.reserve(n, d, e.kern.NNNR < d)
		grow(&s.scores, queryRows*scoresLD(n))
		grow(&s.out, queryRows*ceil16(d))
		grow(&s.gather, 16*d)
		grow(&s.inv, queryRows)
		grow(&s.scale, queryRows)
	}
}

// attnTask is attention, split into (sequence, head) pairs and, if there are too few of these,
// into parts of their queries. Before a split, keysTask packs the keys of all pairs.
type attnTask struct {
	e            *Exec
	q, k, v, dst *float32
	ldq, ldkv    int
	ldd          int
	heads, d, dp int
	factor       float32 // what scores are multiplied by before the base-2 softmax
	table        *RelBias
	first        int     // position of the first query in the sequence
	biasScale    float32 // what biases are multiplied by, since the factor applies to them too
	qs, ks       []Section
	mask         *Mask
	slot         int  // slot of the state whose keys come first; -1: none
	copied       bool // values are copied, since the queries read them often enough
	parts        int  // of the queries of a head
	pieces       int  // of the keys of a head, if parts > 1
	chunks       int
	shares              // of the chunks, and before them of the pieces
	shared       []head // of each pair, if parts > 1
}

// SelfAttention computes dst[rows][H*D] from qkv[rows][q|k|v][head][DP]. The rows of a
// sequence, in all sections, attend to each other.
func (e *Exec) SelfAttention(dst, qkv Mat, a *Attention, secs []Section) {
	part := a.Heads * a.DP
	want(qkv.Cols == 3*part && dst.Cols == a.Heads*a.D && dst.Rows == qkv.Rows && qkv.Rows == e.packed(secs), "selfattention", dst, qkv)
	e.attention(dst, qkv.P, qkv.LD, at(qkv.P, part), at(qkv.P, 2*part), qkv.LD, a, secs, secs, -1)
}

// oneRow is the sections of a value with one row per sequence.
var oneRow = []Section{{C: 1}}

// CrossAttention computes dst[B][H*D] for one query per sequence, q[B][head][DP], and the keys and
// values kv[rows][k|v][head][DP] of the sections.
func (e *Exec) CrossAttention(dst, q, kv Mat, a *Attention, secs []Section) {
	part := a.Heads * a.DP
	want(q.Cols == part && kv.Cols == 2*part && dst.Cols == a.Heads*a.D && q.Rows == e.B && dst.Rows == e.B && kv.Rows == e.packed(secs),
		"crossattention", dst, q, kv)
	e.attention(dst, q.P, q.LD, kv.P, at(kv.P, part), kv.LD, a, oneRow, secs, -1)
}

// QueryAttention is CrossAttention with any number of queries per sequence: qs are the sections of q
// and dst, ks those of kv.
func (e *Exec) QueryAttention(dst, q, kv Mat, a *Attention, qs, ks []Section) {
	e.wantCross(dst, q, kv, a, qs, ks)
	e.attention(dst, q.P, q.LD, kv.P, at(kv.P, a.Heads*a.DP), kv.LD, a, qs, ks, -1)
}

// StateAttention is QueryAttention with more keys and values: those in the given slot of each
// sequence's state come before those in kv.
func (e *Exec) StateAttention(dst, q, kv Mat, a *Attention, qs, ks []Section, slot int) {
	e.wantCross(dst, q, kv, a, qs, ks)
	want(len(e.states) == e.B && (e.B == 0 || e.states[0].step.States[slot].Cols == kv.Cols), "stateattention", kv)
	e.arrange(slot, a)
	e.attention(dst, q.P, q.LD, kv.P, at(kv.P, a.Heads*a.DP), kv.LD, a, qs, ks, slot)
}

func (e *Exec) wantCross(dst, q, kv Mat, a *Attention, qs, ks []Section) {
	part := a.Heads * a.DP
	want(q.Cols == part && kv.Cols == 2*part && dst.Cols == a.Heads*a.D && q.Rows == e.packed(qs) && dst.Rows == q.Rows && kv.Rows == e.packed(ks),
		"crossattention", dst, q, kv)
}

// Attention computes dst[rows][H*D] from separate q, k and v, each [rows][head][DP] with the
// same sections. k and v have the same leading dimension. DP may be D.
func (e *Exec) Attention(dst, q, k, v Mat, a *Attention, secs []Section) {
	part := a.Heads * a.DP
	want(q.Cols == part && k.Cols == part && v.Cols == part && dst.Cols == a.Heads*a.D && k.LD == v.LD &&
		q.Rows == dst.Rows && k.Rows == v.Rows && q.Rows == e.packed(secs) && k.Rows == q.Rows, "attention", dst, q, k, v)
	e.attention(dst, q.P, q.LD, k.P, v.P, k.LD, a, secs, secs, -1)
}

func (e *Exec) attention(dst Mat, q *float32, ldq int, k, v *float32, ldkv int, a *Attention, qs, ks []Section, slot int) {
	want(a.D > 0 && a.DP >= a.D && dst.LD >= dst.Cols, "attention heads", dst)
	want(a.Bias == nil || len(ks) == 1 || len(ks) == 2 && ks[0].T, "attention bias: the text must come first", dst)
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
	t.table, t.first, t.biasScale = a.Bias, a.At, 1/t.factor
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
	queries := e.packed(qs) / e.B
	t.copied = e.kern.NNNR < a.D && queries >= 2*queryRows
	pairs := e.B * a.Heads
	t.parts = 1
	// As many parts as let workers end at nearly the same time.
	if enough := 8 * e.workers; e.workers > 1 && pairs < enough {
		t.parts = max(1, min((enough+pairs-1)/pairs, queries/queryRows))
	}
	if t.parts > 1 {
		for len(t.shared) < pairs {
			t.shared = append(t.shared, head{})
		}
		for pair := range pairs {
			t.shared[pair].reserve(longest, a.D, t.copied)
		}
		t.pieces = max(1, min((4*e.workers+pairs-1)/pairs, longest/pieceKeys))
		t.shares.deal(pairs*t.pieces, e.workers)
		e.do(pairs*t.pieces, (*keysTask)(t))
	}
	t.chunks = min(pairs*t.parts, 32*e.workers)
	t.shares.deal(t.chunks, e.workers)
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

// find sets s.runs to the keys and values of a head of a sequence.
func (t *attnTask) find(seq, h int, s *scratch) {
	s.runs, s.packed, s.first = s.runs[:0], nil, 0
	run := func(k, v *float32, ld, n int) {
		if n > 0 {
			s.runs = append(s.runs, keyRun{k, v, ld, n})
		}
	}
	add := func(k, v *float32, ld, n int) { run(at(k, h*t.dp), at(v, h*t.dp), ld, n) }
	if t.slot >= 0 {
		st := t.e.states[seq]
		shape := st.step.States[t.slot]
		ld, values := shape.Cols, shape.Cols/2
		if n := shape.Rows; n > 0 { // as arrange left them
			k := at(&st.fixed[t.slot][0], h*2*n*t.dp)
			v := at(k, n*t.dp)
			s.packed, s.first = k, n/16*16
			run(nil, v, t.dp, s.first)
			run(at(k, s.first*t.dp), at(v, s.first*t.dp), t.dp, n-s.first)
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

// resolve returns the number that a section of the mask stands for in a sequence.
func (t *attnTask) resolve(s Section, seq int) int {
	switch {
	case s.T && len(t.e.states) > 0:
		return s.C + t.e.past(seq)
	case s.T:
		return s.C + t.e.Len[seq]
	}
	return s.C
}

func (t *attnTask) next(worker int) bool {
	chunk, end := t.shares.take(worker, 1, 1, t.chunks)
	if end == 0 {
		return false
	}
	s := &t.e.scratch[worker]
	lo, hi := part(t.e.B*t.heads*t.parts, t.chunks, chunk)
	for i := lo; i < hi; i++ {
		pair := i / t.parts
		own := &s.head
		if t.parts > 1 {
			own = &t.shared[pair]
		} else {
			t.prepare(pair, 0, 1, own, s)
		}
		seq, h := t.of(pair)
		t.head(seq, h, i%t.parts, own, s)
	}
	return true
}

// keysTask prepares the keys and values of all pairs, in pieces.
type keysTask attnTask

func (t *keysTask) next(worker int) bool {
	i, end := t.shares.take(worker, 1, 1, t.pieces)
	if end == 0 {
		return false
	}
	pair := i / t.pieces
	(*attnTask)(t).prepare(pair, i%t.pieces, t.pieces, &t.shared[pair], &t.e.scratch[worker])
	return true
}

// of returns the sequence and the head of a pair. Beams of one caption, which read the same keys, come one after the other.
func (t *attnTask) of(pair int) (seq, h int) {
	if t.slot >= 0 {
		return pair % t.e.B, pair / t.e.B
	}
	return pair / t.heads, pair % t.heads
}

// prepare packs piece i of n of the keys of a pair and, if that is worth it, copies their values.
func (t *attnTask) prepare(pair, i, n int, own *head, s *scratch) {
	seq, h := t.of(pair)
	keys := t.keys(seq)
	lo, hi := part(ceil16(keys)/16, n, i)
	lo, hi = 16*lo, min(16*hi, keys)
	if lo == hi {
		return
	}
	t.find(seq, h, s)
	s.clip(lo, hi)
	t.pack(at(&own.keys[0], lo*t.d), s)
	if t.copied {
		t.near(at(&own.values[0], lo*ceil16(t.d)), s)
	}
}

// clip cuts the runs down to keys [lo, hi).
func (s *scratch) clip(lo, hi int) {
	runs := s.runs
	s.runs = runs[:0]
	first := 0
	for _, r := range runs {
		from, to := max(lo-first, 0), min(hi-first, r.n)
		first += r.n
		if from < to {
			k := r.k
			if k != nil {
				k = at(k, from*r.ld)
			}
			s.runs = append(s.runs, keyRun{k, at(r.v, from*r.ld), r.ld, to - from})
		}
	}
}

// head computes attention for part share of the queries of head h of sequence seq, whose keys and values are prepared.
//
//go:noinline
func (t *attnTask) head(seq, h, share int, own *head, s *scratch) {
	n := t.keys(seq)
	if n == 0 {
		return
	}
	t.find(seq, h, s)
	if t.copied {
		s.runs = append(s.runs[:0], keyRun{v: &own.values[0], ld: ceil16(t.d), n: n})
	}
	tokens := 0
	if len(t.ks) > 0 && t.ks[0].T {
		tokens = t.e.Len[seq]
	}
	base, first, prefix := 0, t.first, n
	if t.mask != nil {
		first, prefix = t.resolve(t.mask.At, seq), t.resolve(t.mask.Prefix, seq)
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
				t.bias(h, n, tokens, first+r, m, &s.scores[0], scoresLD(n))
			}
			t.block(n, at(t.q, row*t.ldq+h*t.dp), m, at(t.dst, row*t.ldd+h*t.d), prefix, first+r, own, s)
			r += m
		}
		first += rows
		base += t.e.sectionRows(sec)
	}
}

// pack transposes the keys of the runs into panels of 16. Keys of a panel that come from
// several runs are gathered first.
func (t *attnTask) pack(keys *float32, s *scratch) {
	d := t.d
	held := 0 // rows in s.gather
	for i, run := range s.runs {
		if run.k == nil {
			keys = at(keys, run.n*d)
			continue
		}
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

// near copies the values of the runs, which are packed rows, to contiguous memory: a strip of their columns as wide as a
// tile, which values reads, then takes few pages and cache sets.
func (t *attnTask) near(values *float32, s *scratch) {
	ld, done := ceil16(t.d), 0
	for _, run := range s.runs {
		copyRows(run.n, at(values, done*ld), ld, run.v, run.ld, t.d)
		done += run.n
	}
}

//go:noinline
func (t *attnTask) packPanel(rows int, dst, src *float32, lds int) {
	t.e.kern.PackKeys(rows, dst, src, lds, t.d)
}

// block computes attention of m queries, the first at position first, over the n packed keys. Under a
// mask, a query sees only the first prefix keys and the keys up to its own.
//
//go:noinline
func (t *attnTask) block(n int, q *float32, m int, dst *float32, prefix, first int, own *head, s *scratch) {
	k := t.e.kern
	ld, panels, wide := scoresLD(n), ceil16(n)/16, k.NR/16
	scores, out, inv := &s.scores[0], &s.out[0], &s.inv[0]
	add := 0
	if t.table != nil {
		add = 1
	}
	keys, end := s.packed, s.first/16
	for p := 0; p < panels; {
		if p == end {
			keys, end = &own.keys[0], panels
		}
		tile, strip := k.Gemm16, 1
		if p+wide <= end {
			tile, strip = k.Gemm, wide
		}
		t.scores(tile, q, m, at(keys, p*16*t.d), at(scores, p*16), ld, add)
		p += strip
	}
	if t.factor != 1 {
		k.ScaleRows(m, scores, ld, scores, ld, n, &s.scale[0])
	}
	if t.mask == nil {
		k.Softmax(m, scores, ld, n, inv)
	} else {
		for r := range m {
			row := at(scores, r*ld)
			seen := min(n, max(prefix, first+r+1))
			k.Softmax(1, row, ld, seen, at(inv, r))
			clear(floats(row, n)[min(n, ceil16(seen)):])
		}
	}
	ldo := ceil16(t.d)
	if ldo == t.d {
		// Tiles write to dst itself: stores to distant memory do not delay them.
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

// scores computes a strip of q*k^T, as wide as the tile, and adds it to c if add is 1.
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

// values computes a strip of p*v, as wide as the tile, over the rows of one run. It adds it to c, or overwrites c
// if acc is 0.
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
