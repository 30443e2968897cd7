package exec

import (
	"math"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// The driver of matrix products C[rows][N] = start + A[rows][K]*W + bias, with W in panels of 16
// columns. The order of the sums depends on K alone, so results do not depend on the number of
// rows, the tile, the blocking or the thread.

// Blocking splits products with weights of one depth K so that their operands stay in the
// caches. The zero Blocking has one pass over k and one block of rows.
type Blocking struct {
	Passes int        // equal parts that k is split into in products of classes without Ahead; 0: one
	Rows   []RowClass // fewest rows first; a product with more rows than all of them uses RowClass{}
}

// RowClass says how a product with at most Rows rows is split into blocks and how it prefetches its
// weights.
type RowClass struct {
	Rows  int // 0: any number
	Block int // target rows of a block; a panel is used for a whole block before the next; 0: all rows
	// Ahead is the distance, in cache lines, at which weights are prefetched within a panel. 0:
	// the panels that are used next are prefetched, spread over the tiles.
	Ahead int
}

// class returns the class of a product with that many rows.
func (c *Blocking) class(rows int) RowClass {
	if c != nil {
		for _, r := range c.Rows {
			if rows <= r.Rows || r.Rows == 0 {
				return r
			}
		}
	}
	return RowClass{}
}

// passes returns the number of parts that k is split into in products of a class.
func (l *Linear) passes(c RowClass) int {
	if l.Blocking == nil || c.Ahead > 0 {
		return 1
	}
	return min(max(1, l.Blocking.Passes), max(1, l.K))
}

const (
	// smallWork is the number of floating-point operations below which a product does not
	// use other threads; a part has at least half of it.
	smallWork = 1 << 17
	// unitsPerWorker is the number of units of a product for each worker, if it has enough work: as many
	// as let workers end at nearly the same time.
	unitsPerWorker = 48
	// sliceRows is the number of rows from which on a part is split into slices; with fewer, reading weights takes long, and
	// each slice reads them.
	sliceRows = 32
	// spanColumns is the number of columns that a worker takes at a time. In each pass over k they share the rows' values of
	// that pass, and the activation is then applied to them: enough for its full speed, few enough to be still in the
	// second-level cache.
	spanColumns = 192
	// actColumns is the least number of columns that an activation is applied to, if there are as many and several workers.
	actColumns = 64
)

// gemmTask is one matrix product, split into blocks of row tiles times parts of panels times slices of
// the block's tiles.
type gemmTask struct {
	k          *kernel.Table
	a, w, bias *float32
	c, res     *float32 // res is added to the result: nil for none, c for in place
	lda, ldc   int
	ldr        int
	m, n, kk   int // rows (of one sequence), columns, depth
	paddedK    int // k of a panel, zeros included
	seqs       int
	cstep      int // distance of sequences in C, in rows; in A it is m
	act        Act
	factors    *float32 // of the result of act, rows ldf apart; nil: none
	ldf        int
	wide       [][]float32 // by worker: memory for converted panels of w

	by     product // one of the following, by the type of w
	f32    f32Product
	narrow narrowProduct
	bf16   bf16Product
	int8   int8Product

	nr            int // columns of a whole tile
	tiles, blocks int // row tiles of a sequence, and the blocks that they are split into
	groups, parts int // groups of panels as wide as a tile, and the parts that they are split into
	slices        int // of the row tiles of a block
	passes        int // over k
	ahead         int // see RowClass.Ahead
	shares
	layer *Linear

	size  int      // of an element of w, in bytes
	then  *Linear  // layer of the next product; nil: unknown
	first *float32 // start of all weights
}

// product multiplies by weights of one kind of type.
type product interface {
	// prepare chooses kernels for the task's product, allocates their memory and converts the
	// left-hand side, if they need that.
	prepare(e *Exec, rows int)

	// tile returns the number of rows and columns of the largest tile.
	tile() (mr, nr int)

	// panel computes what a span describes.
	panel(s span, worker int)
}

// f32Product multiplies by float32 weights.
type f32Product struct{ *gemmTask }

func (g *f32Product) prepare(*Exec, int) {}

func (g *f32Product) tile() (mr, nr int) { return g.k.MR, g.k.NR }

func (g *f32Product) panel(s span, worker int) {
	g.steps(&s, 1, worker)
	panel(g.gemmTask, &s, g.k.Gemm, g.k.Gemm16, g.left(&s), g.lda, 1)
}

// Linear computes dst = l(src).
func (e *Exec) Linear(dst, src Mat, l *Linear) {
	wantLinear(dst.Rows == src.Rows && src.Cols == l.K && dst.Cols == l.N && dst.LD >= ceil16(l.N), "linear", l, dst, src)
	e.matmul(dst, src, nil, 0, l, NoAct)
}

// QKV computes dst = l(n(src)), or l(src) if n is nil. tmp is memory for the normalised rows and
// may be src; if it has fewer rows than src, the step works in blocks of rows.
func (e *Exec) QKV(dst, src, tmp Mat, n *Norm, l *Linear) {
	wantLinear(dst.Rows == src.Rows && src.Cols == l.K && dst.Cols == l.N && dst.LD >= ceil16(l.N), "qkv", l, dst, src)
	e.normed(dst, src, Mat{}, tmp, n, l)
}

// AttnOut computes dst = res + l(n(src)), or res + l(src) if n is nil; dst may be res. tmp is memory
// for the normalised rows and may be src; if it has fewer rows than src, the step works in blocks.
func (e *Exec) AttnOut(dst, src, res, tmp Mat, n *Norm, l *Linear) {
	wantLinear(dst.Rows == src.Rows && dst.Rows == res.Rows && src.Cols == l.K && dst.Cols == l.N && res.Cols == l.N && dst.LD >= ceil16(l.N),
		"attnout", l, dst, src, res)
	e.normed(dst, src, res, tmp, n, l)
}

// normed computes dst = res + l(n(src)) in equal blocks of at most tmp.Rows rows; a zero res counts
// as zeros.
func (e *Exec) normed(dst, src, res, tmp Mat, n *Norm, l *Linear) {
	if n == nil {
		e.matmul(dst, src, res.P, res.LD, l, NoAct)
		return
	}
	want(src.Rows == 0 || tmp.Rows > 0, "norm", tmp)
	blocks := blocksOf(src.Rows, tmp.Rows)
	for i := range blocks {
		r, end := part(src.Rows, blocks, i)
		m := end - r
		t := src.Sub(r, m)
		if !e.fuseNorm(n, l) {
			t = Mat{tmp.P, tmp.LD, m, src.Cols}
			e.LayerNorm(t, src.Sub(r, m), n)
		}
		var add *float32
		if res.P != nil {
			add = res.Row(r)
		}
		e.matmul(dst.Sub(r, m), t, add, res.LD, l, NoAct)
	}
}

// blocksOf returns the number of blocks that rows are split into if each has at most most.
func blocksOf(rows, most int) int {
	if rows == 0 {
		return 0
	}
	return (rows + most - 1) / most
}

// matmul computes dst = [res +] [act](l(src)). If the fields of the task for a fused norm or factors are set, it first
// normalises src, or last multiplies by the factors, and clears them.
func (e *Exec) matmul(dst, src Mat, res *float32, ldr int, l *Linear, act Act) {
	g := &e.gemm
	g.a, g.lda = src.P, src.LD
	g.c, g.ldc = dst.P, dst.LD
	g.res, g.ldr = res, ldr
	g.m, g.cstep, g.act = src.Rows, 0, act
	e.setWeights(l)
	e.runGemm(1)
	g.int8.norm, g.factors = nil, nil
}

// setWeights prepares the task for a product by l.
func (e *Exec) setWeights(l *Linear) {
	g := &e.gemm
	g.size, g.then, g.first = l.size(), e.order.after(l), e.weights
	g.n, g.kk, g.paddedK = l.N, l.K, l.paddedK()
	g.layer = l
	g.w, g.bias = e.w(l.W), e.w(l.Bias)
	switch g.narrow.kernels = widening(g.k, l.DType); {
	case g.narrow.kernels != nil:
		g.by = &g.narrow
	case isInt8(l.DType):
		g.by = &g.int8
	case l.DType == blob.BF16Dot:
		g.by = &g.bf16
	default:
		g.by = &g.f32
	}
}

// widened makes sure that each worker has memory for need floats of converted panels.
func (g *gemmTask) widened(workers, need int) {
	if len(g.wide) < workers {
		g.wide = make([][]float32, workers)
	}
	for i, buf := range g.wide {
		if len(buf) < need {
			g.wide[i] = blob.AlignedFloats(need)
		}
	}
}

// runGemm splits the product of seqs sequences, m rows each, into parts and runs them.
func (e *Exec) runGemm(seqs int) {
	g := &e.gemm
	if g.m == 0 || seqs == 0 {
		return
	}
	g.seqs = seqs
	class := g.layer.Blocking.class(g.m)
	g.passes = g.layer.passes(class)
	g.by.prepare(e, seqs*g.m)
	mr, nr := g.by.tile()
	g.nr = nr
	width := nr / 16
	g.tiles = (g.m + mr - 1) / mr
	g.groups = (ceil16(g.n)/16 + width - 1) / width
	g.ahead = class.Ahead
	if g.size < 4 && g.m >= narrowAhead {
		g.ahead = 0
	}
	g.blocks = 1
	if class.Block > 0 {
		g.blocks = min(g.tiles, (g.m+class.Block-1)/class.Block)
	}
	if e.workers > 1 {
		// A worker reads about as many rows as columns if there are this many blocks.
		square := math.Sqrt(float64(seqs*g.m) * float64(e.workers) / float64(g.n))
		g.blocks = max(g.blocks, min(g.tiles, int(square/float64(seqs)+0.5)))
	}
	// A slice of a part is the smallest unit that a worker takes.
	most := 1
	if work := 2 * seqs * g.m * g.n * g.kk; work >= smallWork {
		most = 2 * work / smallWork
	}
	g.parts = min(g.groups, max(1, most/(seqs*g.blocks)))
	g.slices = 1
	if e.workers > 1 {
		if g.act != NoAct {
			g.parts = max(1, min(g.parts, g.groups*g.nr/actColumns))
		}
		want, have := min(unitsPerWorker*e.workers, most), seqs*g.blocks*g.parts
		if seqs*g.m >= sliceRows {
			g.slices = max(1, min(g.tiles/g.blocks, (want+have-1)/have))
		}
	}
	units := seqs * g.blocks * g.parts * g.slices
	g.shares.deal(units, e.workers)
	e.do(units, g)
}

// tileStart returns the first row of tile t if m rows are split into n tiles. Tiles differ
// by at most one row, so that no tile has very few.
func tileStart(m, n, t int) int { return t*(m/n) + min(t, m%n) }

// tileRun is n tiles of the same height, one below the other, which one call of a kernel computes.
type tileRun struct {
	n, height  int
	first, row int // index of the first tile, and its first row
}

// tileRuns splits m rows into the fewest tiles of at most mr rows. Tiles differ by at most one row:
// the first run has the higher tiles, if there are any, the second run the others.
func tileRuns(m, mr int) (tiles int, runs [2]tileRun) {
	tiles = (m + mr - 1) / mr
	high, height := m%tiles, m/tiles
	return tiles, [2]tileRun{{n: high, height: height + 1}, {n: tiles - high, height: height, first: high, row: high * (height + 1)}}
}

// next computes slices of one part, or whole parts of one block. Parts that are taken together go through each pass, and
// through the activation, together; slices that are taken together are one.
func (g *gemmTask) next(worker int) bool {
	most := max(1, spanColumns*g.parts/(g.groups*g.nr))
	lo, hi := g.shares.take(worker, most*g.slices, g.slices, g.parts*g.slices)
	if hi > 0 {
		p, last := lo/g.slices, (hi-1)/g.slices
		g.compute(p/g.parts, p%g.parts, last%g.parts+1, lo%g.slices, (hi-1)%g.slices+1, worker)
	}
	return hi > 0
}

// compute computes the columns of parts [p0, p1) for the rows of slices [s0, s1) of one block.
func (g *gemmTask) compute(block, p0, p1, s0, s1, worker int) {
	seq, block := block/g.blocks, block%g.blocks
	g0, _ := part(g.groups, g.parts, p0)
	_, g1 := part(g.groups, g.parts, p1-1)
	t0, t1 := part(g.tiles, g.blocks, block)
	first, _ := part(t1-t0, g.slices, s0)
	_, end := part(t1-t0, g.slices, s1-1)
	r0, r1 := tileStart(g.m, g.tiles, t0+first), tileStart(g.m, g.tiles, t0+end)
	rows := r1 - r0
	c := at(g.c, (seq*g.cstep+r0)*g.ldc)
	col0, col1 := g0*g.nr, min(g1*g.nr, g.n)

	acc := 0
	if g.res != nil {
		acc = 1
		if res := at(g.res, (seq*g.cstep+r0)*g.ldr); res != c {
			copyRows(rows, at(c, col0), g.ldc, at(res, col0), g.ldr, col1-col0)
		}
	}
	s := span{first: g0, end: g1, row: seq*g.m + r0, rows: rows, c: c, acc: acc, bias: g.bias}
	for s.pass = range g.passes {
		for s.p = g0; s.p < g1; s.p++ {
			g.by.panel(s, worker)
		}
	}
	if g.act != NoAct {
		actRows(acts[g.act].kernel(g.k), rows, at(c, col0), g.ldc, col1-col0)
	}
	if g.factors != nil {
		mulRows(g.k.Mul, rows, at(c, col0), g.ldc, at(g.factors, r0*g.ldf+col0), g.ldf, col1-col0)
	}
}

// steps sets the range of k of s to the part of its pass, and the weights that s prefetches. The
// ends of the parts are multiples of unit, so the last part may end in the padding. Parts after the
// first add to C and leave out the bias.
func (g *gemmTask) steps(s *span, unit, worker int) {
	s.k0, s.k1 = part((g.kk+unit-1)/unit, g.passes, s.pass)
	s.k0, s.k1 = s.k0*unit, s.k1*unit
	switch {
	case !s.last():
		s.next, s.left = g.step(s.p+1, s.k0), g.kk-s.k0
	case s.pass+1 < g.passes:
		s.next, s.left = g.step(s.first, s.k1), g.kk-s.k1
	default:
		s.next, s.left = g.step(s.end%g.groups, 0), g.kk
		if g.shares[worker].empty() {
			if over, k := g.nextWeights(worker); k > 0 {
				s.next, s.left = over, k
			}
		}
	}
	if s.pass > 0 {
		s.acc, s.bias = 1, nil
	}
}

// left returns the address of the span's left-hand side at its first step of k.
func (g *gemmTask) left(s *span) *float32 { return at(g.a, s.row*g.lda+s.k0) }

// step returns the address of step k in the first panel of group p.
func (g *gemmTask) step(p, k int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(g.w), (p*g.nr*g.paddedK+k*16)*g.size))
}

// nextWeights returns the panels that the worker starts the next product with and their k, 0 if they are
// unknown. It assumes that the next product is split as this one is.
func (g *gemmTask) nextWeights(worker int) (*float32, int) {
	l := g.then
	if l == nil || l.size() != g.size || g.blocks > 1 {
		return nil, 0
	}
	p, _ := part((ceil16(l.N)+g.nr-1)/g.nr, len(g.shares), worker)
	return (*float32)(unsafe.Add(unsafe.Pointer(g.first), l.W+p*g.nr*l.paddedK()*g.size)), l.K
}

// span is one pass over the product of a block of rows with one group of panels.
type span struct {
	p, pass    int // index of the group and of the pass
	first, end int // the groups [first, end) are taken together
	row, rows  int // of A; the rows of C start at c
	k0, k1     int // range of k
	c, bias    *float32
	acc        int // 1: the product is added to C

	// next is the address of the weights to prefetch, left how many steps of k are there. Which
	// weights are read next is a guess, but the address always lies inside the weights.
	next *float32
	left int
}

// last reports whether the group is the last of those that are taken together.
func (s *span) last() bool { return s.p+1 == s.end }

// tileOf is the type of a kernel for elements A of the left-hand side and B of the weights.
type tileOf[A, B any] interface {
	~func(tiles int, k int, a *A, lda int, b *B, bstride int, c *float32, ldc int, bias *float32, acc int, pf *B, pfstep int)
}

// panel computes a span with wide tiles, or with narrow ones if the group has too few panels or wide
// is nil. a is the left-hand side from k0 on; the tiles' argument k counts units of steps.
//
// It is never inlined: the garbage collector can stop a goroutine in its prologue,
// but not in assembly.
//
//go:noinline
func panel[A, B any, T tileOf[A, B]](g *gemmTask, s *span, wide, narrow []T, a *A, lda, unit int) {
	per := g.nr / 16
	first := s.p * per
	have := min(per, ceil16(g.n)/16-first)
	if have == per && wide != nil {
		strip(g, s, wide, per, first, a, lda, unit)
		return
	}
	for i := range have {
		strip(g, s, narrow, 1, first+i, a, lda, unit)
	}
}

// strip runs the row tiles over per panels, from panel first on.
func strip[A, B any, T tileOf[A, B]](g *gemmTask, s *span, tile []T, per, first int, a *A, lda, unit int) {
	stride := g.paddedK * 16
	b := unsafe.Add(unsafe.Pointer(g.w), (first*stride+s.k0*16)*g.size)
	c, bias := at(s.c, first*16), s.bias
	if bias != nil {
		bias = at(bias, first*16)
	}
	k := s.k1 - s.k0
	tiles, runs := tileRuns(s.rows, len(tile)-1)

	// own is the number of cache lines of a panel that this pass reads, and all tiles together
	// prefetch as many. next is the number of lines that may be prefetched at s.next.
	own, next := max(1, k*g.size/4), max(1, min(k, s.left)*g.size/4)
	pf, step := unsafe.Add(b, 64*min(g.ahead/per, own-1)), 64
	if g.ahead == 0 {
		step = (64 + tiles - 1) / tiles
	}
	for _, t := range runs {
		if t.n == 0 {
			continue
		}
		if g.ahead == 0 {
			pf = unsafe.Add(unsafe.Pointer(s.next), min(t.first*own*step, 64*(next-1)))
		}
		row := (*A)(unsafe.Add(unsafe.Pointer(a), t.row*lda*int(unsafe.Sizeof(*a))))
		tile[t.height](t.n, k/unit, row, lda, (*B)(b), stride, at(c, t.row*g.ldc), g.ldc, bias, s.acc, (*B)(pf), step)
	}
}

// copyRows copies n columns of each row.
//
//go:noinline
func copyRows(rows int, dst *float32, ldd int, src *float32, lds, n int) {
	for r := range rows {
		copy(floats(at(dst, r*ldd), n), floats(at(src, r*lds), n))
	}
}

// actRows applies an activation in place to n columns of rows that are ld floats apart. An assembly
// call gets only a few rows, because a goroutine cannot be stopped in it.
func actRows(f kernel.Gelu, rows int, x *float32, ld, n int) {
	step := rowStep(n)
	for r := 0; r < rows; r += step {
		actBlock(f, min(step, rows-r), at(x, r*ld), ld, n)
	}
}

//go:noinline
func actBlock(f kernel.Gelu, rows int, x *float32, ld, n int) { f(rows, x, ld, x, ld, n) }

// mulRows multiplies n columns of rows, ld floats apart, by those of other rows, ldf floats apart. A call is short, as in
// actRows.
func mulRows(f kernel.Mul, rows int, x *float32, ld int, factors *float32, ldf, n int) {
	step := rowStep(n)
	for r := 0; r < rows; r += step {
		mulBlock(f, min(step, rows-r), at(x, r*ld), ld, at(factors, r*ldf), ldf, n)
	}
}

//go:noinline
func mulBlock(f kernel.Mul, rows int, x *float32, ld int, factors *float32, ldf, n int) {
	f(rows, x, ld, factors, ldf, n)
}
