package exec

import (
	"math"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Int8 products. Weights are int8 with a scale per column. Activations are quantised for every
// product to uint8 with zero point 128 and, per row, a scale and a float midpoint. Sums are exact,
// so they are the same on every CPU and in every order.
//
// A panel of 16 columns is [K/4][16][4] int8, K rounded up to a multiple of 4, then its tail: 16
// column scales; 16 compensations as int32, -128 times the column's sum, which sums start from; 16
// scaled column sums, which the midpoint of a row is multiplied by.
//
// Weights of I7 are so small that four products fit 16 bits, for which some CPUs have faster kernels.
// For many rows some CPUs have faster kernels for another layout, to which each panel is converted first.
//
// With weights of I8X2 an activation is two int8 terms: the value and its rounding residual, in
// steps of 1/254 of the value's. Kernels for uint8 multiply the terms one after the other. Kernels
// for int16 take both as one number and split k into passes whose sums fit 32 bits; each pass has
// its own part of a row, followed by its compensation, and of a panel, with a tail of its own.

const (
	panelTail     = 16 * (4 + 4 + 4) // bytes of a panel's tail
	rowTail       = 8                // bytes after each pass's part of an int16 row
	rowAlign      = 64               // the distance of quantised rows is a multiple of it, in bytes
	manyRows      = 9                // rows from which on kernels for many rows are faster, conversion of panels included
	residualSteps = 254              // steps of the residual in a step of the value

	// wideGroups is the largest number of groups of four in a pass, so that no sum overflows int32.
	wideGroups = math.MaxInt32 / (4 * 127 * (127*residualSteps + 127))
)

// panelGroups returns the number of groups of four in k.
func panelGroups(k int) int { return (k + 3) / 4 }

// panelStride returns the size of a panel, in bytes.
func panelStride(k int) int { return 64*panelGroups(k) + panelTail }

// isInt8 reports whether products by weights of the type are int8 products.
func isInt8(d blob.DType) bool { return d == blob.I8 || d == blob.I8X2 || d == blob.I7 }

// fuses reports whether a product by l, an int8 one, can normalise its left-hand side by n while
// quantising it. Only a norm without scale and shift can be fused.
func (n *Norm) fuses(l *Linear) bool {
	return isInt8(l.DType) && n.G < 0 && n.N == l.K
}

// fuseNorm lets the next product by l normalise its left-hand side by n, if it can, and reports
// whether it does.
func (e *Exec) fuseNorm(n *Norm, l *Linear) bool {
	if !n.fuses(l) {
		return false
	}
	e.gemm.int8.norm = n
	return true
}

// int8Product multiplies by int8 weights.
type int8Product struct {
	*gemmTask
	i8             *kernel.Int8
	norm           *Norm     // applied to A while it is quantised; nil: none
	quantised      []uint8   // A, rows ldq apart
	ldq            int       // in bytes
	scales         []float32 // of the rows of A
	midpoints      []float32 // of the rows of A
	twoTerm        bool      // the residual is multiplied too
	residualScales []float32 // of the residuals of the rows of A
	zeros          []float32 // midpoints of the residuals
}

func (g *int8Product) tile() (mr, nr int) { return len(g.i8.Gemm) - 1, g.i8.NR }

// int16s reports whether the kernels multiply int16.
func (g *int8Product) int16s() bool { return g.i8.Compensate != nil }

// prepare quantises the left-hand side.
func (g *int8Product) prepare(e *Exec, rows int) {
	g.i8, g.twoTerm, g.passes = &g.k.I8, g.layer.DType == blob.I8X2, 1
	if g.layer.DType == blob.I7 {
		g.i8 = &g.k.I7
	}
	if g.i8.Many != nil && g.m >= manyRows {
		g.i8 = g.i8.Many
	}
	k, size := panelGroups(g.kk), g.kk
	if g.int16s() {
		size = 8*k + g.kPasses(k)*rowTail
	}
	if g.i8.Repack != nil { // which doubles a panel at most
		g.widened(e.workers, (2*64*k+g.kPasses(k)*panelTail)/4)
	}
	parts := 1 // terms that a row has one after the other
	if g.twoTerm && !g.int16s() {
		parts = 2
	}
	// Rows at a distance of a multiple of 1 KiB would all map to the same cache sets.
	if g.ldq = (size + rowAlign - 1) / rowAlign * rowAlign * parts; g.ldq%1024 == 0 {
		g.ldq += rowAlign * parts
	}
	if need := rows * g.ldq; len(g.quantised) < need {
		g.quantised = make([]uint8, need)
	}
	if len(g.scales) < rows {
		g.scales, g.midpoints = make([]float32, rows), make([]float32, rows)
	}
	if g.twoTerm && len(g.residualScales) < rows {
		g.residualScales, g.zeros = make([]float32, rows), make([]float32, rows)
	}
	t := &e.each
	t.fn, t.src = quantTask, Mat{g.a, g.lda, rows, g.kk}
	t.dst = t.src // for the trace
	e.runRows(rows, g.kk)
}

func quantTask(t *rowTask, lo, hi int) {
	step := rowStep(t.src.Cols)
	for r := lo; r < hi; r += step {
		quantBlock(&t.e.gemm.int8, t.src, r, min(step, hi-r))
	}
}

//go:noinline
func quantBlock(g *int8Product, src Mat, r, rows int) {
	quant, norm := g.i8.Quant, g.i8.NormQuant
	if g.twoTerm {
		quant, norm = g.i8.QuantI8X2, g.i8.NormQuantI8X2
	}
	if n := g.norm; n != nil {
		norm(rows, &g.quantised[r*g.ldq], g.ldq, src.Row(r), src.LD, src.Cols, n.Eps, &g.scales[r], &g.midpoints[r])
	} else {
		quant(rows, &g.quantised[r*g.ldq], g.ldq, src.Row(r), src.LD, src.Cols, &g.scales[r], &g.midpoints[r])
	}
	if g.twoTerm {
		for i := r; i < r+rows; i++ {
			g.residualScales[i] = g.scales[i] / residualSteps
			if g.int16s() {
				g.scales[i] = g.residualScales[i]
			}
		}
	}
	if g.int16s() {
		g.compensateRows(r, rows)
	}
}

// compensateRows spreads int16 rows out, so that each pass's part has rowTail bytes after it, and
// writes the part's compensation there.
func (g *int8Product) compensateRows(row, rows int) {
	k := panelGroups(g.kk)
	passes := g.kPasses(k)
	for pass := passes - 1; pass >= 0; pass-- {
		k0, k1 := part(k, passes, pass)
		for r := row; pass > 0 && r < row+rows; r++ {
			from := g.quantised[r*g.ldq+8*k0:]
			copy(from[pass*rowTail:], from[:8*(k1-k0)])
		}
		g.i8.Compensate(rows, k1-k0, &g.quantised[row*g.ldq+8*k0+pass*rowTail], g.ldq)
	}
}

// panel computes a span over all of k; the range of k in s is not used.
//
//go:noinline
func (g *int8Product) panel(s span, worker int) {
	per := g.i8.NR / 16
	first, panels, stride := s.p*per, ceil16(g.n)/16, panelStride(g.kk)
	if have := panels - first; have < per {
		for i := range have {
			g.strip(g.i8.Gemm16, first+i, g.weightsAt((first+i)*stride), s.row, s.rows, s.c, s.acc, worker)
		}
		return
	}
	next := g.weightsAt((first + per) * stride)
	if first+2*per > panels {
		next = g.weightsAt(first * stride)
	}
	if over := g.nextPanels(worker); s.last() && over != nil {
		next = over
	}
	g.strip(g.i8.Gemm, first, next, s.row, s.rows, s.c, s.acc, worker)
}

// weightsAt returns the address n bytes into the layer's weights.
func (g *int8Product) weightsAt(n int) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(g.w), n) }

// nextPanels returns the panels that the worker starts the next product with, nil if they are
// unknown or smaller than this product's panels, since as many bytes as in those are prefetched.
func (g *int8Product) nextPanels(worker int) unsafe.Pointer {
	l := g.then
	if l == nil || !isInt8(l.DType) || g.blocks > 1 || !g.shares[worker].empty() {
		return nil
	}
	per := g.i8.NR / 16
	panels, stride := ceil16(l.N)/16, panelStride(l.K)
	p, _ := part((panels+per-1)/per, len(g.shares), worker)
	if (panels-p*per)*stride < per*panelStride(g.kk) {
		return nil
	}
	return unsafe.Add(unsafe.Pointer(g.first), l.W+p*per*stride)
}

// kPasses returns how many passes a tile makes over panels of k groups of four steps: one for I8; for
// I8X2 one per term with uint8 kernels, and with int16 kernels as many as keep sums within int32.
func (g *int8Product) kPasses(k int) int {
	switch {
	case !g.twoTerm:
		return 1
	case !g.int16s():
		return 2
	}
	return (k + wideGroups - 1) / wideGroups
}

// strip runs the row tiles over the panels from panel first on, as many as a tile is wide. Together
// they prefetch the panels at next.
func (g *int8Product) strip(tile []kernel.GemmI8, first int, next unsafe.Pointer, row, rows int, c *float32, acc, worker int) {
	k := panelGroups(g.kk)
	stride := panelStride(g.kk)
	b := g.weightsAt(first * stride)
	passes, deep, wide := g.kPasses(k), k, g.int16s()
	if g.i8.Repack != nil {
		b = g.repack(k, b, worker)
	}
	if wide {
		deep = (k + passes - 1) / passes
	}
	c = at(c, first*16)
	var bias *float32
	if g.bias != nil {
		bias = at(g.bias, first*16)
	}
	// Together the tiles prefetch as many lines as the panel has.
	tiles, runs := tileRuns(rows, len(tile)-1)
	step := (stride + tiles*passes*deep - 1) / (tiles * passes * deep)
	for _, t := range runs {
		if t.n == 0 {
			continue
		}
		r := row + t.row
		for pass := range passes {
			a, w, n := unsafe.Pointer(&g.quantised[r*g.ldq]), b, k
			scale, midpoint, bias, acc := &g.scales[r], &g.midpoints[r], bias, acc
			if pass > 0 {
				scale, midpoint, bias, acc = &g.residualScales[r], &g.zeros[r], nil, 1
			}
			if wide {
				k0, k1 := part(k, passes, pass)
				a, w, n = unsafe.Add(a, 8*k0+pass*rowTail), unsafe.Add(b, 2*64*k0+pass*panelTail), k1-k0
			} else {
				a = unsafe.Add(a, pass*g.ldq/2)
			}
			ahead := unsafe.Add(next, min((t.first*passes+t.n*pass)*deep*step, stride-64))
			tile[t.height](t.n, n, (*uint8)(a), g.ldq, (*int8)(w), stride, at(c, t.row*g.ldc), g.ldc, scale, midpoint, bias, acc, (*int8)(ahead), step)
		}
	}
}

// repack converts a panel in the worker's memory. Of int16 each pass gets its part of the panel, with a tail.
func (g *int8Product) repack(k int, panel unsafe.Pointer, worker int) unsafe.Pointer {
	wide := unsafe.Pointer(&g.wide[worker][0])
	if !g.int16s() {
		g.i8.Repack(k, (*int8)(wide), (*int8)(panel))
		return wide
	}
	passes := g.kPasses(k)
	for pass := range passes {
		k0, k1 := part(k, passes, pass)
		to := unsafe.Add(wide, 2*64*k0+pass*panelTail)
		g.i8.Repack(k1-k0, (*int8)(to), (*int8)(unsafe.Add(panel, 64*k0)))
		if k1 < k { // Repack copied what follows the part, which is not the panel's tail
			tail := unsafe.Slice((*byte)(unsafe.Add(to, 2*64*(k1-k0))), panelTail)
			own := unsafe.Slice((*byte)(unsafe.Add(panel, 64*k)), panelTail)
			copy(tail[:64], own[:64])
			copy(tail[128:], own[128:])
		}
	}
	return wide
}
