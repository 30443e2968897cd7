package exec

import (
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// narrowAhead is the number of rows from which on products with weights of 16 bits or less
// prefetch the panels that are next.
const narrowAhead = 8

// widePanel is panel for narrow weights that tiles widen slowly: they are widened once, into
// memory of the worker. The sums are the same.
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
		g.narrow.Expand(k*16, at(wide, i*k*16), narrow(g.w, ((first+i)*g.kk+k0)*16*g.size))
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
func (g *gemmTask) wideStrip(tile []kernel.Gemm, k, rows int, a, b, c, bias *float32, acc int) {
	_, runs := tileRuns(rows, len(tile)-1)
	pf := at(b, min(8, k-1)*16)
	for _, t := range runs {
		if t.n > 0 {
			tile[t.height](t.n, k, at(a, t.row*g.lda), g.lda, b, k*16, at(c, t.row*g.ldc), g.ldc, bias, acc, pf, 64)
		}
	}
}

// widening returns the kernels for weights of type d, nil if these are not widened.
func widening(k *kernel.Table, d blob.DType) *kernel.Widening {
	return k.Widens(max(blob.F32, d).String())
}

// narrow returns what lies so many bytes after p.
func narrow(p *float32, bytes int) *uint8 { return (*uint8)(unsafe.Add(unsafe.Pointer(p), bytes)) }
