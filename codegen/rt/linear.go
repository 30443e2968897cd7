package rt

// GEMM driver: C[rows][N] = start + A[rows][K] * W + bias, W in panels of 16
// columns. The order of the sums depends on K alone, so results do not depend on
// the number of rows, the tile, the chunking or the thread.

// kBlock is the ideal number of k steps a pass over a panel takes: a panel block
// of 48 KiB, few enough passes over C.
const kBlock = 768

// kBlocks returns the number of blocks k is cut into.
func kBlocks(k int) int { return max(1, (k+kBlock/2-1)/kBlock) }

const (
	// wholeRows is the largest number of rows run as one block: A's block of
	// columns then still fits the second-level cache beside the panels.
	wholeRows = 400
	// blockRows is the aim when there are more.
	blockRows = 210
	// smallWork is the work in floating-point operations below which a step is not
	// worth waking threads for; a chunk has at least half of it.
	smallWork = 1 << 17
)

// gemmTask is one matrix product, cut into chunks of row tiles x panels.
type gemmTask struct {
	k          *Kernels
	a, w, bias *float32
	c, res     *float32 // res: rows added to the result; c itself: in place; nil: none
	lda, ldc   int
	ldr        int
	m, n, kk   int // rows (of one sequence), columns, depth
	seqs       int
	cstep      int // rows of C from one sequence to the next; of A it is m
	gelu       bool
	half       *Half       // kernels for w if it holds 16-bit values
	wide       [][]float32 // of each worker: panels of them, widened

	i8     *Int8     // kernels for w if it holds bytes
	bytes  []uint8   // A in bytes, rows ldq apart
	ldq    int       // in bytes
	scales []float32 // of the rows of A
	zeros  []float32 // their middles

	tiles, blocks int // row tiles of a sequence, blocks they are cut into
	groups, parts int // panel groups (one tile wide), parts they are cut into
}

// Linear computes dst = l(src).
func (e *Exec) Linear(dst, src Mat, l *Linear) {
	want(dst.Rows == src.Rows && src.Cols == l.K && dst.Cols == l.N && dst.LD >= ceil16(l.N), "linear", dst, src)
	e.matmul(dst, src, nil, 0, l, false)
}

// QKV computes dst = l(norm(src)); tmp holds the norm and may be src. A nil norm
// is none. When tmp has fewer rows than src the rows go in blocks.
func (e *Exec) QKV(dst, src, tmp Mat, n *Norm, l *Linear) {
	want(dst.Rows == src.Rows && src.Cols == l.K && dst.Cols == l.N && dst.LD >= ceil16(l.N), "qkv", dst, src)
	e.normed(dst, src, Mat{}, tmp, n, l)
}

// AttnOut computes dst = res + l(norm(src)); dst may be res, tmp may be src. A nil
// norm is none. When tmp has fewer rows than src the rows go in blocks.
func (e *Exec) AttnOut(dst, src, res, tmp Mat, n *Norm, l *Linear) {
	want(dst.Rows == src.Rows && dst.Rows == res.Rows && src.Cols == l.K && dst.Cols == l.N && res.Cols == l.N && dst.LD >= ceil16(l.N),
		"attnout", dst, src, res)
	e.normed(dst, src, res, tmp, n, l)
}

// normed runs norm and linear over equal row blocks of at most tmp.Rows
// rows.
func (e *Exec) normed(dst, src, res, tmp Mat, n *Norm, l *Linear) {
	if n == nil {
		e.matmul(dst, src, res.P, res.LD, l, false)
		return
	}
	want(src.Rows == 0 || tmp.Rows > 0, "norm", tmp)
	blocks := blocksOf(src.Rows, tmp.Rows)
	for i := range blocks {
		r, end := part(src.Rows, blocks, i)
		m := end - r
		t := Mat{tmp.P, tmp.LD, m, src.Cols}
		e.LayerNorm(t, src.Sub(r, m), n)
		var add *float32
		if res.P != nil {
			add = res.Row(r)
		}
		e.matmul(dst.Sub(r, m), t, add, res.LD, l, false)
	}
}

// blocksOf returns the number of blocks of at most most rows.
func blocksOf(rows, most int) int {
	if rows == 0 {
		return 0
	}
	return (rows + most - 1) / most
}

// matmul computes dst = [res +] [gelu](l(src)).
func (e *Exec) matmul(dst, src Mat, res *float32, ldr int, l *Linear, gelu bool) {
	g := &e.gemm
	g.a, g.lda = src.P, src.LD
	g.c, g.ldc = dst.P, dst.LD
	g.res, g.ldr = res, ldr
	g.m, g.cstep, g.gelu = src.Rows, 0, gelu
	e.weigh(l)
	e.runGemm(1)
}

// weigh makes l the right-hand side of the product to come.
func (e *Exec) weigh(l *Linear) {
	g := &e.gemm
	g.n, g.kk = l.N, l.K
	g.w, g.bias, g.half, g.i8 = e.w(l.W), e.w(l.Bias), g.k.half(l.DType), nil
	if l.DType == I8 {
		g.i8 = &g.k.I8
	}
	if g.half == nil || !g.half.Once {
		return
	}
	blocks := kBlocks(l.K)
	need := (l.K + blocks - 1) / blocks * g.k.NR
	if len(g.wide) < e.workers {
		g.wide = make([][]float32, e.workers)
	}
	for i, buf := range g.wide {
		if len(buf) < need {
			g.wide[i] = alignedFloats(need)
		}
	}
}

// runGemm cuts the product of seqs sequences into chunks and runs them.
func (e *Exec) runGemm(seqs int) {
	g := &e.gemm
	if g.m == 0 || seqs == 0 {
		return
	}
	g.seqs = seqs
	mr, nr := g.tile()
	if g.i8 != nil {
		e.quantise(seqs * g.m)
	}
	width := nr / 16
	g.tiles = (g.m + mr - 1) / mr
	g.groups = (ceil16(g.n)/16 + width - 1) / width
	g.blocks, g.parts = 1, 1
	if g.m > wholeRows {
		g.blocks = (g.m + blockRows - 1) / blockRows
	}
	if e.workers > 1 {
		work := 2 * seqs * g.m * g.n * g.kk
		chunks := 1
		if work >= smallWork {
			chunks = min(8*e.workers, 2*work/smallWork)
		}
		g.parts = min(g.groups, (chunks+seqs*g.blocks-1)/(seqs*g.blocks))
		if have := seqs * g.blocks * g.parts; have < chunks {
			g.blocks = min(g.tiles, g.blocks*((chunks+have-1)/have))
		}
	}
	g.blocks = min(g.blocks, g.tiles)
	e.do(seqs*g.blocks*g.parts, g)
}

// tile returns the rows and columns of a whole tile.
func (g *gemmTask) tile() (mr, nr int) {
	if g.i8 != nil {
		return len(g.i8.Gemm) - 1, g.i8.NR
	}
	if g.half != nil && !g.half.Once {
		return len(g.half.Gemm) - 1, g.half.NR
	}
	return g.k.MR, g.k.NR
}

// tileStart returns the first row of tile t of n tiles over m rows: tiles differ
// by at most one row, so that there is no tail of a single row.
func tileStart(m, n, t int) int { return t*(m/n) + min(t, m%n) }

// run computes one chunk: the panels of one part for the rows of one block.
func (g *gemmTask) run(chunk, worker int) {
	block, p := chunk/g.parts, chunk%g.parts
	seq, block := block/g.blocks, block%g.blocks
	g0, g1 := part(g.groups, g.parts, p)
	t0, t1 := part(g.tiles, g.blocks, block)
	r0, r1 := tileStart(g.m, g.tiles, t0), tileStart(g.m, g.tiles, t1)
	rows := r1 - r0
	a, c := at(g.a, (seq*g.m+r0)*g.lda), at(g.c, (seq*g.cstep+r0)*g.ldc)
	_, width := g.tile()
	col0, col1 := g0*width, min(g1*width, g.n)

	acc := 0
	if g.res != nil {
		acc = 1
		if res := at(g.res, (seq*g.cstep+r0)*g.ldr); res != c {
			copyRows(rows, at(c, col0), g.ldc, at(res, col0), g.ldr, col1-col0)
		}
	}
	if g.i8 != nil {
		g.byteChunk(g0, g1, seq*g.m+r0, rows, c, acc)
		return
	}
	blocks := kBlocks(g.kk)
	bias := g.bias
	for kb := range blocks {
		k0, k1 := part(g.kk, blocks, kb)
		for p := g0; p < g1; p++ {
			// Prefetched meanwhile: the panels used next. They need not be exactly
			// right, only inside the weights.
			next, nk := p+1, k0
			if next == g1 && kb+1 < blocks {
				next, nk = g0, k1
			}
			next = min(next, g.groups-1)
			if g.half != nil {
				g.halfPanel(p, rows, k0, k1, a, c, bias, acc, next, nk, worker)
			} else {
				g.panel(p, rows, k0, k1, a, c, bias, acc, next, nk)
			}
		}
		acc, bias = 1, nil
	}
	if g.gelu {
		geluRows(g.k, rows, at(c, col0), g.ldc, col1-col0)
	}
}

// panel computes one tile-wide group of panels for all row tiles of a chunk.
//
// It stays a function of its own, not a leaf and never inlined: its prologue is
// where the garbage collector can stop a goroutine that otherwise only calls
// assembly.
//
//go:noinline
func (g *gemmTask) panel(p, rows, k0, k1 int, a, c, bias *float32, acc, next, nk int) {
	per := g.k.NR / 16
	first := p * per
	if have := ceil16(g.n)/16 - first; have < per {
		for i := range have {
			g.strip(g.k.Gemm16, 1, first+i, rows, k0, k1, a, c, bias, acc, first+i, k0)
		}
		return
	}
	if next*per+per > ceil16(g.n)/16 {
		next, nk = p, k0
	}
	g.strip(g.k.Gemm, per, first, rows, k0, k1, a, c, bias, acc, next*per, nk)
}

// strip runs the row tiles of per panels from panel first on. next is the panel
// to prefetch from step nk of k on.
func (g *gemmTask) strip(tile []Gemm, per, first, rows, k0, k1 int, a, c, bias *float32, acc, next, nk int) {
	k := k1 - k0
	stride := g.kk * 16
	b := at(g.w, first*stride+k0*16)
	a = at(a, k0)
	c = at(c, first*16)
	if bias != nil {
		bias = at(bias, first*16)
	}
	mr := len(tile) - 1
	tiles := (rows + mr - 1) / mr

	// Few rows: prefetch ahead inside the panel. Many: spread the k lines of the next
	// panel over the tiles; a tile has k prefetches to give, each of a line a panel.
	ahead := rows < 16 || per > 1 && rows < 64
	pf, step := at(b, min(8, k-1)*16), 64
	lines := (k + tiles - 1) / tiles
	if !ahead {
		step = max(4, 64*lines/k)
	}
	nextK := min(k, g.kk-nk)
	for t := range tiles {
		r0, r1 := tileStart(rows, tiles, t), tileStart(rows, tiles, t+1)
		if !ahead {
			line := min(t*lines, nextK-1)
			pf = at(g.w, next*stride+(nk+line)*16)
		}
		tile[r1-r0](k, at(a, r0*g.lda), g.lda, b, stride, at(c, r0*g.ldc), g.ldc, bias, acc, pf, step)
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

// geluRows applies gelu in place, a few rows an assembly call.
func geluRows(k *Kernels, rows int, x *float32, ld, n int) {
	step := rowStep(n)
	for r := 0; r < rows; r += step {
		geluBlock(k, min(step, rows-r), at(x, r*ld), ld, n)
	}
}

//go:noinline
func geluBlock(k *Kernels, rows int, x *float32, ld, n int) { k.Gelu(rows, x, ld, x, ld, n) }
