package exec

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
