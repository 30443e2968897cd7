package exec

import (
	"math"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Products of bytes. Weights are signed bytes with a scale a column, activations
// unsigned bytes, 128 for the middle of their row, with a scale and that middle a row,
// rounded anew for every product. The sums are exact, so they are the same on every CPU
// and in every order.
//
// A panel of 16 columns is [K/4][16][4] bytes, K rounded up to fours, then the 16
// scales, then what a sum starts from: -128 times the column's sum, as int32; then what
// a row's middle is multiplied by: the column's sum times its scale.
//
// By weights of I8X2 a row is multiplied a second time: what rounding it took away is bytes
// too, of 1/254 of a step. Kernels of 16 bits take both as one number and go over k in
// passes, whose sums fit 32 bits. Each pass has a part of a row and of a panel, and each
// part what its sums start from behind it.

const (
	panelTail = 16 * (4 + 4 + 4) // bytes of a panel's scales, starts and shifts
	rowTail   = 8                // bytes behind each part of a row of 16 bits
	byteAlign = 64               // rows of activations are a multiple of it apart
	wideRows  = 9                // are enough to be worth widening a panel for
	restSteps = 254              // of what rounding takes away, to a step

	// wideGroups are the most that a sum of products of such numbers may have.
	wideGroups = math.MaxInt32 / (4 * 127 * (127*restSteps + 127))
)

// panelGroups returns the groups of four that k takes.
func panelGroups(k int) int { return (k + 3) / 4 }

// panelStride returns the bytes of a panel.
func panelStride(k int) int { return 64*panelGroups(k) + panelTail }

// norm has the product by l that comes next take n of its left-hand side, if that takes no
// step of its own, and reports whether.
func (e *Exec) norm(n *Norm, l *Linear) bool {
	if n == nil || l.DType != blob.I8 && l.DType != blob.I8X2 || n.G >= 0 || n.N != l.K {
		return false
	}
	e.gemm.int8.norm = n
	return true
}

// int8Product multiplies by bytes.
type int8Product struct {
	*gemmTask
	i8        *kernel.Int8
	norm      *Norm     // of A, taken when A is rounded to bytes; nil: none
	bytes     []uint8   // A in bytes, rows ldq apart
	ldq       int       // in bytes
	scales    []float32 // of the rows of A
	midpoints []float32 // of the rows of A
	twice     bool      // what rounding takes away is multiplied too
	rests     []float32 // the scales of that
	zeros     []float32 // its midpoints
}

func (g *int8Product) tile() (mr, nr int) { return len(g.i8.Gemm) - 1, g.i8.NR }

// prepare rounds the left-hand side to bytes.
func (g *int8Product) prepare(e *Exec, rows int) {
	g.i8, g.twice = &g.k.I8, g.layer.DType == blob.I8X2
	if g.i8.Wide != nil && g.m >= wideRows {
		g.i8 = g.i8.Wide
	}
	size := g.kk
	if g.i8.Widen != nil {
		k := panelGroups(g.kk)
		size = 8*k + g.bytePasses(k)*rowTail
		g.widened(e.workers, (2*64*k+g.bytePasses(k)*panelTail)/4)
	}
	parts := 1 // of a row
	if g.twice && g.i8.Widen == nil {
		parts = 2
	}
	// Not a multiple of 1 KiB, whose rows would fall into the same cache sets.
	if g.ldq = (size + byteAlign - 1) / byteAlign * byteAlign * parts; g.ldq%1024 == 0 {
		g.ldq += byteAlign * parts
	}
	if need := rows * g.ldq; len(g.bytes) < need {
		g.bytes = make([]uint8, need)
	}
	if len(g.scales) < rows {
		g.scales, g.midpoints = make([]float32, rows), make([]float32, rows)
	}
	if g.twice && len(g.rests) < rows {
		g.rests, g.zeros = make([]float32, rows), make([]float32, rows)
	}
	t := &e.each
	t.fn, t.src = quantTask, Mat{g.a, g.lda, rows, g.kk}
	t.dst = t.src // what a trace shows
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
	quant, norm := g.i8.Quant, g.i8.Norm
	if g.twice {
		quant, norm = g.i8.Quant2, g.i8.Norm2
	}
	if n := g.norm; n != nil {
		norm(rows, &g.bytes[r*g.ldq], g.ldq, src.Row(r), src.LD, src.Cols, n.Eps, &g.scales[r], &g.midpoints[r])
	} else {
		quant(rows, &g.bytes[r*g.ldq], g.ldq, src.Row(r), src.LD, src.Cols, &g.scales[r], &g.midpoints[r])
	}
	if g.twice {
		for i := r; i < r+rows; i++ {
			g.rests[i] = g.scales[i] / restSteps
			if g.i8.Widen != nil {
				g.scales[i] = g.rests[i]
			}
		}
	}
	if g.i8.Compensate != nil {
		g.compensateRows(r, rows)
	}
}

// compensateRows makes room behind the parts of rows of 16 bits for what their sums start from.
func (g *int8Product) compensateRows(row, rows int) {
	k := panelGroups(g.kk)
	passes := g.bytePasses(k)
	for pass := passes - 1; pass >= 0; pass-- {
		k0, k1 := part(k, passes, pass)
		for r := row; pass > 0 && r < row+rows; r++ {
			from := g.bytes[r*g.ldq+8*k0:]
			copy(from[pass*rowTail:], from[:8*(k1-k0)])
		}
		g.i8.Compensate(rows, k1-k0, &g.bytes[row*g.ldq+8*k0+pass*rowTail], g.ldq)
	}
}

// panel computes a span, all of k at once.
//
//go:noinline
func (g *int8Product) panel(s span, worker int) {
	per := g.i8.NR / 16
	first, panels, stride := s.p*per, ceil16(g.n)/16, panelStride(g.kk)
	if have := panels - first; have < per {
		for i := range have {
			g.byteStrip(g.i8.Gemm16, first+i, g.bytesAt((first+i)*stride), s.row, s.rows, s.c, s.acc, worker)
		}
		return
	}
	next := g.bytesAt((first + per) * stride)
	if first+2*per > panels {
		next = g.bytesAt(first * stride)
	}
	if over := g.bytesOver(worker); s.last && over != nil {
		next = over
	}
	g.byteStrip(g.i8.Gemm, first, next, s.row, s.rows, s.c, s.acc, worker)
}

// bytesAt returns what lies so many bytes into the weights.
func (g *int8Product) bytesAt(n int) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(g.w), n) }

// bytesOver is over for products of bytes. What is prefetched is as long as panels of this
// product are, so nothing is returned where there is less.
func (g *int8Product) bytesOver(worker int) unsafe.Pointer {
	l := g.then
	if l == nil || l.DType != blob.I8 && l.DType != blob.I8X2 || g.blocks > 1 || !g.shares[worker].empty() {
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

// bytePasses returns how often a tile goes over its panels, k groups deep.
func (g *int8Product) bytePasses(k int) int {
	switch {
	case !g.twice:
		return 1
	case g.i8.Widen == nil:
		return 2
	}
	return (k + wideGroups - 1) / wideGroups
}

// byteStrip runs the row tiles of the panels from panel first on. They prefetch the lines of
// panels at next between them.
func (g *int8Product) byteStrip(tile []kernel.GemmI8, first int, next unsafe.Pointer, row, rows int, c *float32, acc, worker int) {
	k := panelGroups(g.kk)
	stride := panelStride(g.kk)
	b := g.bytesAt(first * stride)
	passes, deep, wide := g.bytePasses(k), k, g.i8.Widen != nil
	if wide {
		b, deep = g.widen(k, passes, b, worker), (k+passes-1)/passes
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
			a, w, n := unsafe.Pointer(&g.bytes[r*g.ldq]), b, k
			scale, midpoint, bias, acc := &g.scales[r], &g.midpoints[r], bias, acc
			if pass > 0 {
				scale, midpoint, bias, acc = &g.rests[r], &g.zeros[r], nil, 1
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

// widen widens a panel for the worker, the part of each pass with a tail of its own.
func (g *int8Product) widen(k, passes int, panel unsafe.Pointer, worker int) unsafe.Pointer {
	wide := unsafe.Pointer(&g.wide[worker][0])
	for pass := range passes {
		k0, k1 := part(k, passes, pass)
		to := unsafe.Add(wide, 2*64*k0+pass*panelTail)
		g.i8.Widen(k1-k0, (*int8)(to), (*int8)(unsafe.Add(panel, 64*k0)))
		if k1 < k { // it is not the panel's tail that follows there
			tail := unsafe.Slice((*byte)(unsafe.Add(to, 2*64*(k1-k0))), panelTail)
			own := unsafe.Slice((*byte)(unsafe.Add(panel, 64*k)), panelTail)
			copy(tail[:64], own[:64])
			copy(tail[128:], own[128:])
		}
	}
	return wide
}
