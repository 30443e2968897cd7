package rt

// Products of bf16. Weights are bf16 in pairs of two steps of k, activations are rounded
// to bf16 for every product; sums are float32, in an order that depends on K alone.

// roundPairs rounds the left-hand side of the product to bf16.
func (e *Exec) roundPairs(rows int) {
	g := &e.gemm
	// Not a multiple of 1 KiB, whose rows would fall into the same cache sets.
	if g.ldp = (g.kk + 31) / 32 * 32; g.ldp%512 == 0 {
		g.ldp += 32
	}
	if need := rows * g.ldp; len(g.pairs) < need {
		g.pairs = make([]uint16, need)
	}
	t := &e.each
	t.fn, t.src = roundTask, Mat{g.a, g.lda, rows, g.kk}
	e.runRows(rows, g.kk)
}

func roundTask(t *rowTask, lo, hi int) {
	step := rowStep(t.src.Cols)
	for r := lo; r < hi; r += step {
		roundBlock(&t.e.gemm, t.src, r, min(step, hi-r))
	}
}

//go:noinline
func roundBlock(g *gemmTask, src Mat, r, rows int) {
	g.dot.Round(rows, &g.pairs[r*g.ldp], g.ldp, src.Row(r), src.LD, src.Cols)
}

// dotPanel is panel for products of bf16, for rows of A from row on.
//
//go:noinline
func (g *gemmTask) dotPanel(p, row, rows, k0, k1 int, c, bias *float32, acc int, next *float32, left int) {
	per := g.dot.NR / 16
	first := p * per
	if have := ceil16(g.n)/16 - first; have < per {
		for i := range have {
			g.dotStrip(g.dot.Gemm16, first+i, row, rows, k0, k1, c, bias, acc, next, left)
		}
		return
	}
	g.dotStrip(g.dot.Gemm, first, row, rows, k0, k1, c, bias, acc, next, left)
}

func (g *gemmTask) dotStrip(tile []DGemm, first, row, rows, k0, k1 int, c, bias *float32, acc int, next *float32, left int) {
	k := k1 - k0
	stride := g.kk * 16
	b := half(g.w, first*stride+k0*16)
	c = at(c, first*16)
	if bias != nil {
		bias = at(bias, first*16)
	}
	mr := len(tile) - 1
	tiles := (rows + mr - 1) / mr
	for t := range tiles {
		r0, r1 := tileStart(rows, tiles, t), tileStart(rows, tiles, t+1)
		pf, step := fetch(t, tiles, rows, k, b, next, left)
		tile[r1-r0](k/2, &g.pairs[(row+r0)*g.ldp+k0], g.ldp, b, stride, at(c, r0*g.ldc), g.ldc, bias, acc, pf, step)
	}
}
