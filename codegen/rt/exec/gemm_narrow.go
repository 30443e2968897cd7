package exec

import (
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// narrowAhead is the number of rows from which on products with weights of 16 bits or less
// prefetch the panels that are used next, not the current ones.
const narrowAhead = 8

// narrowProduct multiplies by 16-bit weights, which are converted to float32 when they are read.
type narrowProduct struct {
	*gemmTask
	kernels *kernel.Widening
}

func (g *narrowProduct) prepare(e *Exec, _ int) {
	if g.kernels.Preconvert {
		g.widened(e.workers, (g.kk+g.passes-1)/g.passes*g.k.NR)
	}
}

func (g *narrowProduct) tile() (mr, nr int) {
	if g.kernels.Preconvert {
		return g.k.MR, g.k.NR
	}
	return len(g.kernels.Gemm) - 1, g.kernels.NR
}

func (g *narrowProduct) panel(s span, worker int) {
	g.steps(&s, 1, worker)
	switch {
	case !g.kernels.Preconvert:
		panel(g.gemmTask, &s, g.kernels.Gemm, g.kernels.Gemm16, g.left(&s), g.lda, 1)
	case s.rows < len(g.kernels.Gemm):
		panel(g.gemmTask, &s, nil, g.kernels.Gemm16, g.left(&s), g.lda, 1)
	default:
		g.widePanel(&s, worker)
	}
}

// widePanel is panel for a level whose tiles convert slowly: it converts the span's panels once, into
// the worker's memory, and multiplies with float32 tiles. The sums have the same bits.
func (g *narrowProduct) widePanel(s *span, worker int) {
	per, k := g.k.NR/16, s.k1-s.k0
	first := s.p * per
	n := min(per, ceil16(g.n)/16-first)
	column := func(v *float32, i int) *float32 {
		if v == nil {
			return nil
		}
		return at(v, (first+i)*16)
	}
	a, wide := g.left(s), &g.wide[worker][0]
	for i := range n {
		g.kernels.Convert(k*16, at(wide, i*k*16), narrow(g.w, ((first+i)*g.paddedK+s.k0)*16*g.size))
	}
	if n == per {
		g.wideStrip(g.k.Gemm, k, s.rows, a, wide, column(s.c, 0), column(s.bias, 0), s.acc)
		return
	}
	for i := range n {
		g.wideStrip(g.k.Gemm16, k, s.rows, a, at(wide, i*k*16), column(s.c, i), column(s.bias, i), s.acc)
	}
}

// wideStrip runs the row tiles over converted panels, which are k*16 floats apart.
func (g *narrowProduct) wideStrip(tile []kernel.Gemm, k, rows int, a, b, c, bias *float32, acc int) {
	_, runs := tileRuns(rows, len(tile)-1)
	pf := at(b, min(8, k-1)*16)
	for _, t := range runs {
		if t.n > 0 {
			tile[t.height](t.n, k, at(a, t.row*g.lda), g.lda, b, k*16, at(c, t.row*g.ldc), g.ldc, bias, acc, pf, 64)
		}
	}
}

// widening returns the kernels for weights of type d, nil if these are not converted to float32.
func widening(k *kernel.Table, d blob.DType) *kernel.Widening {
	return k.Widens(max(blob.F32, d).String())
}

// narrow returns the address that many bytes after p.
func narrow(p *float32, bytes int) *uint8 { return (*uint8)(unsafe.Add(unsafe.Pointer(p), bytes)) }
