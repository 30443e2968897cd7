package rt

import "unsafe"

// halfAhead is the number of rows below which a pass over 16-bit panels prefetches ahead
// inside them, not the panels that are next.
const halfAhead = 8

// halfPanel is panel for 16-bit weights, which the tiles widen as they read them. Tiles of
// plain Go do so slowly: for more rows than one of them has, the panels are widened once,
// into memory of the worker. The sums are the same.
//
//go:noinline
func (g *gemmTask) halfPanel(p, rows, k0, k1 int, a, c, bias *float32, acc int, next *float32, left, worker int) {
	h := g.half
	if h.Once && rows >= len(h.Gemm) {
		g.widePanel(p, rows, k0, k1, a, c, bias, acc, worker)
		return
	}
	_, width := g.tile()
	per := width / 16
	first := p * per
	if have := ceil16(g.n)/16 - first; have < per || h.Once {
		for i := range min(have, per) {
			g.halfStrip(h.Gemm16, first+i, rows, k0, k1, a, c, bias, acc, next, left)
		}
		return
	}
	g.halfStrip(h.Gemm, first, rows, k0, k1, a, c, bias, acc, next, left)
}

// halfStrip is strip for 16-bit weights: a line holds two steps of k.
func (g *gemmTask) halfStrip(tile []WGemm, first, rows, k0, k1 int, a, c, bias *float32, acc int, next *float32, left int) {
	k := k1 - k0
	stride := g.kk * 16
	b := half(g.w, first*stride+k0*16)
	a = at(a, k0)
	c = at(c, first*16)
	if bias != nil {
		bias = at(bias, first*16)
	}
	mr := len(tile) - 1
	tiles := (rows + mr - 1) / mr

	for t := range tiles {
		r0, r1 := tileStart(rows, tiles, t), tileStart(rows, tiles, t+1)
		pf, step := fetch(t, tiles, rows, k, b, next, left)
		tile[r1-r0](k, at(a, r0*g.lda), g.lda, b, stride, at(c, r0*g.ldc), g.ldc, bias, acc, pf, step)
	}
}

// fetch returns what tile t of n fetches while it computes rows of a 16-bit panel, a line
// of two steps of k at a time, and by how many bytes it moves on. The panel is at here, the
// one used next, of which left steps remain, at next.
func fetch(t, n, rows, k int, here *uint16, next *float32, left int) (*uint16, int) {
	if rows < halfAhead {
		return (*uint16)(unsafe.Add(unsafe.Pointer(here), 32*min(16, k-1))), 64
	}
	lines := (k/2 + n - 1) / n
	return half(next, min(2*t*lines, min(k, left)-1)*16), max(8, 64*lines/max(1, k/2))
}

// widePanel widens a panel and multiplies by it.
func (g *gemmTask) widePanel(p, rows, k0, k1 int, a, c, bias *float32, acc, worker int) {
	per, k := g.k.NR/16, k1-k0
	first := p * per
	n := min(per, ceil16(g.n)/16-first)
	a = at(a, k0)
	column := func(v *float32, i int) *float32 {
		if v == nil {
			return nil
		}
		return at(v, (first+i)*16)
	}
	wide := &g.wide[worker][0]
	for i := range n {
		g.half.Expand(k*16, at(wide, i*k*16), half(g.w, ((first+i)*g.kk+k0)*16))
	}
	if n == per {
		g.wideStrip(g.k.Gemm, k, rows, a, wide, column(c, 0), column(bias, 0), acc)
		return
	}
	for i := range n {
		g.wideStrip(g.k.Gemm16, k, rows, a, at(wide, i*k*16), column(c, i), column(bias, i), acc)
	}
}

// wideStrip runs the row tiles over widened panels, k*16 floats apart.
func (g *gemmTask) wideStrip(tile []Gemm, k, rows int, a, b, c, bias *float32, acc int) {
	mr := len(tile) - 1
	tiles := (rows + mr - 1) / mr
	pf := at(b, min(8, k-1)*16)
	for t := range tiles {
		r0, r1 := tileStart(rows, tiles, t), tileStart(rows, tiles, t+1)
		tile[r1-r0](k, at(a, r0*g.lda), g.lda, b, k*16, at(c, r0*g.ldc), g.ldc, bias, acc, pf, 64)
	}
}

// half returns the address of the i-th 16-bit value from p on.
func half(p *float32, i int) *uint16 { return (*uint16)(unsafe.Add(unsafe.Pointer(p), 2*i)) }
