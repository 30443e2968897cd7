package exec

// bf16Product multiplies bf16 by bf16, two steps of k at a time. Activations are rounded to bf16 for
// every product; sums are float32, in an order that depends on K alone.
type bf16Product struct {
	*gemmTask
	pairs []uint16 // A rounded to bf16
	ldp   int      // distance of rows in pairs, in values
}

func (g *bf16Product) tile() (mr, nr int) { return len(g.k.Dot.Gemm) - 1, g.k.Dot.NR }

func (g *bf16Product) panel(s span, worker int) {
	g.steps(&s, 2, worker)
	panel(g.gemmTask, &s, g.k.Dot.Gemm, g.k.Dot.Gemm16, &g.pairs[s.row*g.ldp+s.k0], g.ldp, 2)
}

// prepare rounds the left-hand side.
func (g *bf16Product) prepare(e *Exec, rows int) {
	g.passes = min(g.passes, max(1, g.paddedK/2)) // a pass takes whole pairs
	// Rows at a distance of a multiple of 1 KiB would all map to the same cache sets.
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
		roundBlock(&t.e.gemm.bf16, t.src, r, min(step, hi-r))
	}
}

//go:noinline
func roundBlock(g *bf16Product, src Mat, r, rows int) {
	g.k.Dot.Round(rows, &g.pairs[r*g.ldp], g.ldp, src.Row(r), src.LD, src.Cols)
}
