package rt

import "unsafe"

// Products of bytes. Weights are signed bytes with a scale a column, activations
// unsigned bytes, 128 for the middle of their row, with a scale and that middle a row,
// rounded anew for every product. The sums are exact, so they are the same on every CPU
// and in every order.
//
// A panel of 16 columns is [K/4][16][4] bytes, K rounded up to fours, then the 16
// scales, then what a sum starts from: -128 times the column's sum, as int32; then what
// a row's middle is multiplied by: the column's sum times its scale.

const (
	panelTail = 16 * (4 + 4 + 4) // bytes of a panel's scales, starts and shifts
	byteAlign = 64               // rows of activations are a multiple of it apart
)

// panelGroups returns the groups of four that k takes.
func panelGroups(k int) int { return (k + 3) / 4 }

// weighBytes readies the memory of the workers for a product of bytes.
func (e *Exec) weighBytes() {
	g := &e.gemm
	need := g.i8.mr() * g.i8.NR
	if len(g.sums) < e.workers {
		g.sums = make([][]int32, e.workers)
	}
	for i := range g.sums {
		if len(g.sums[i]) < need {
			g.sums[i] = make([]int32, need)
		}
	}
}

// quantise rounds the left-hand side of the product to bytes.
func (e *Exec) quantise(rows int) {
	g := &e.gemm
	// Not a multiple of 1 KiB, whose rows would fall into the same cache sets.
	if g.ldq = (g.kk + byteAlign - 1) / byteAlign * byteAlign; g.ldq%1024 == 0 {
		g.ldq += byteAlign
	}
	if need := rows * g.ldq; len(g.bytes) < need {
		g.bytes = make([]uint8, need)
	}
	if len(g.scales) < rows {
		g.scales, g.zeros = make([]float32, rows), make([]float32, rows)
	}
	t := &e.each
	t.fn, t.src = quantTask, Mat{g.a, g.lda, rows, g.kk}
	e.runRows(rows, g.kk)
}

func quantTask(t *rowTask, lo, hi int) {
	step := rowStep(t.src.Cols)
	for r := lo; r < hi; r += step {
		quantBlock(&t.e.gemm, t.src, r, min(step, hi-r))
	}
}

//go:noinline
func quantBlock(g *gemmTask, src Mat, r, rows int) {
	g.i8.Quant(rows, &g.bytes[r*g.ldq], g.ldq, src.Row(r), src.LD, src.Cols, &g.scales[r], &g.zeros[r])
}

// bytePanel is panel for products of bytes: all of k at once, for rows of A from row on.
//
//go:noinline
func (g *gemmTask) bytePanel(p, row, rows int, c *float32, acc, worker int) {
	per := g.i8.NR / 16
	first := p * per
	if have := ceil16(g.n)/16 - first; have < per {
		for i := range have {
			g.byteStrip(g.i8.Gemm16, 1, first+i, row, rows, c, acc, worker)
		}
		return
	}
	g.byteStrip(g.i8.Gemm, per, first, row, rows, c, acc, worker)
}

func (g *gemmTask) byteStrip(tile []QGemm, per, first, row, rows int, c *float32, acc, worker int) {
	k := panelGroups(g.kk)
	stride := 64*k + panelTail
	b := unsafe.Add(unsafe.Pointer(g.w), first*stride)
	sums, nr := &g.sums[worker][0], per*16
	mr := len(tile) - 1
	tiles := (rows + mr - 1) / mr
	for t := range tiles {
		r0, r1 := tileStart(rows, tiles, t), tileStart(rows, tiles, t+1)
		tile[r1-r0](k, &g.bytes[(row+r0)*g.ldq], g.ldq, (*int8)(b), stride, sums, nr)
		for i := range per {
			var bias *float32
			if g.bias != nil {
				bias = at(g.bias, (first+i)*16)
			}
			scales, shifts := (*float32)(unsafe.Add(b, i*stride+64*k)), (*float32)(unsafe.Add(b, i*stride+64*k+128))
			g.i8.Dequant(r1-r0, at(c, r0*g.ldc+(first+i)*16), g.ldc, &g.sums[worker][i*16], nr, &g.scales[row+r0], &g.zeros[row+r0], scales, shifts, bias, acc)
		}
	}
}
