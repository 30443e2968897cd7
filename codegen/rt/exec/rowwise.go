package exec

import (
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

const (
	// smallRows is the number of elements below which row-wise work does not use
	// other threads; a chunk has at least chunkElems.
	smallRows  = 1 << 14
	chunkElems = 1 << 11
	// callElems is the number of elements that one assembly call takes, about 10 microseconds.
	callElems = 1 << 14
)

// rowStep returns the number of rows of n elements that one assembly call takes.
func rowStep(n int) int { return max(1, callElems/max(1, n)) }

// rowTask runs fn over ranges of units: rows, or sequences.
type rowTask struct {
	e             *Exec
	fn            func(t *rowTask, lo, hi int)
	units, chunks int
	shares        // of the chunks

	// Operands, of which each fn uses some.
	dst, src, more Mat
	g, b           *float32
	narrow         *kernel.Widening // kernels for a table of 16-bit values; nil: another type
	size           int              // of an element of the table, in bytes
	scales         *float32         // of the rows of an int8 table; nil: another type
	eps            float32
	act            Act        // NoAct: none
	combine        kernel.Add // changes dst by more
	i              int
	secs           []Section // a copy, so that the caller's need not be on the heap
	patches        *Patches
	at             Section
	side, width    int
	odd            atomic.Bool // a number is not finite
}

func (t *rowTask) next(worker int) bool {
	chunk, end := t.shares.take(worker, 1, 1, t.chunks)
	if end == 0 {
		return false
	}
	lo, hi := part(t.units, t.chunks, chunk)
	t.fn(t, lo, hi)
	return true
}

// runRows runs the task e.each over units (rows or sequences) of elems elements each, on several
// threads if there is enough work.
func (e *Exec) runRows(units, elems int) {
	t := &e.each
	chunks := 1
	if work := units * elems; e.workers > 1 && work >= smallRows {
		chunks = min(units, 4*e.workers, work/chunkElems)
	}
	t.units, t.chunks = units, chunks
	if units > 0 {
		t.shares.deal(chunks, e.workers)
		e.do(chunks, t)
	}
}

// LayerNorm computes dst = n(src); dst may be src.
func (e *Exec) LayerNorm(dst, src Mat, n *Norm) {
	if dst.Rows != src.Rows || src.Cols != n.N || dst.Cols != n.N {
		badShapes(fmt.Sprintf("layernorm over %d columns", n.N), []Mat{dst, src})
	}
	t := &e.each
	t.fn, t.dst, t.src, t.g, t.b, t.eps = normRows, dst, src, e.w(n.G), e.w(n.B), n.Eps
	e.runRows(src.Rows, src.Cols)
}

func normRows(t *rowTask, lo, hi int) {
	step := rowStep(t.src.Cols)
	for r := lo; r < hi; r += step {
		normBlock(t, r, min(step, hi-r))
	}
}

// normBlock is not inlined, like the other functions of blocks of rows: the garbage
// collector can stop a goroutine in its prologue, but not in assembly.
//
//go:noinline
func normBlock(t *rowTask, r, rows int) {
	t.e.kern.LayerNorm(rows, t.dst.Row(r), t.dst.LD, t.src.Row(r), t.src.LD, t.src.Cols, t.g, t.b, t.eps)
}

// Gelu computes dst = act(src), where act is Gelu by default; dst may be src.
func (e *Exec) Gelu(dst, src Mat, act ...Act) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols, "gelu", dst, src)
	t := &e.each
	t.fn, t.dst, t.src, t.act = geluTask, dst, src, Gelu
	if act != nil {
		t.act = act[0]
	}
	e.runRows(src.Rows, src.Cols)
	t.act = NoAct
}

func geluTask(t *rowTask, lo, hi int) {
	step := rowStep(t.src.Cols)
	for r := lo; r < hi; r += step {
		geluTo(t, r, min(step, hi-r))
	}
}

//go:noinline
func geluTo(t *rowTask, r, rows int) {
	acts[t.act].kernel(t.e.kern)(rows, t.dst.Row(r), t.dst.LD, t.src.Row(r), t.src.LD, t.src.Cols)
}

// Tanh computes dst = tanh(src); dst may be src.
func (e *Exec) Tanh(dst, src Mat) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols, "tanh", dst, src)
	t := &e.each
	t.fn, t.dst, t.src = tanhRows, dst, src
	e.runRows(src.Rows, 8*src.Cols)
}

func tanhRows(t *rowTask, lo, hi int) {
	for r := lo; r < hi; r++ {
		src := t.src.row(r)
		for i, d := 0, t.dst.row(r); i < len(d); i++ {
			d[i] = float32(math.Tanh(float64(src[i])))
		}
	}
}

// Copy copies src to dst.
func (e *Exec) Copy(dst, src Mat) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols, "copy", dst, src)
	t := &e.each
	t.fn, t.dst, t.src = copyTask, dst, src
	e.runRows(src.Rows, src.Cols)
}

func copyTask(t *rowTask, lo, hi int) {
	copyRows(hi-lo, t.dst.Row(lo), t.dst.LD, t.src.Row(lo), t.src.LD, t.src.Cols)
}

// Add computes dst = a + b; dst may be either.
func (e *Exec) Add(dst, a, b Mat) {
	e.each.combines("add", e.kern.Add, dst, a, b)
	e.runRows(dst.Rows, dst.Cols)
}

// Mul computes dst = a * b, element by element; dst may be either.
func (e *Exec) Mul(dst, a, b Mat) {
	e.each.combines("mul", e.kern.Mul, dst, a, b)
	e.runRows(dst.Rows, dst.Cols)
}

// combines sets t to dst = a op b by the kernel of op, a commutative one.
func (t *rowTask) combines(op string, kern kernel.Add, dst, a, b Mat) {
	want(dst.Rows == a.Rows && dst.Rows == b.Rows && dst.Cols == a.Cols && dst.Cols == b.Cols, op, dst, a, b)
	if dst.P == b.P {
		a, b = b, a
	}
	t.fn, t.dst, t.src, t.more, t.combine = combineTask, dst, a, b, kern
}

func combineTask(t *rowTask, lo, hi int) {
	step := rowStep(t.src.Cols)
	for r := lo; r < hi; r += step {
		combineBlock(t, r, min(step, hi-r))
	}
}

//go:noinline
func combineBlock(t *rowTask, r, rows int) {
	if t.dst.P != t.src.P {
		copyRows(rows, t.dst.Row(r), t.dst.LD, t.src.Row(r), t.src.LD, t.src.Cols)
	}
	t.combine(rows, t.dst.Row(r), t.dst.LD, t.more.Row(r), t.more.LD, t.src.Cols)
}

// AddRows adds a table to every sequence: to row i of a sequence, counted through its sections,
// it adds row first+i of the table at byte table of the weights, whose rows have src.Cols floats.
// dst may be src.
func (e *Exec) AddRows(dst, src Mat, table, first int, secs []Section) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols && src.Rows == e.packed(secs), "addrows", dst, src)
	t := &e.each
	t.fn, t.dst, t.src, t.g, t.secs = addRowsTask, dst, src, at(e.w(table), first*src.Cols), append(t.secs[:0], secs...)
	e.runRows(e.B, src.Cols*(1+src.Rows/max(1, e.B)))
}

func addRowsTask(t *rowTask, lo, hi int) {
	e := t.e
	for seq := lo; seq < hi; seq++ {
		base, i := 0, 0
		for _, s := range t.secs {
			start, n := e.span(s, seq)
			for r := base + start; r < base+start+n; r++ {
				src, w := t.src.row(r), floats(at(t.g, i*t.src.Cols), t.src.Cols)
				for j, d := 0, t.dst.row(r); j < len(d); j++ {
					d[j] = src[j] + w[j]
				}
				i++
			}
			base += e.sectionRows(s)
		}
	}
}

// AddRow adds the src.Cols floats at byte row of the weights to every row of src. dst may be
// src.
func (e *Exec) AddRow(dst, src Mat, row int) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols, "addrow", dst, src)
	t := &e.each
	t.fn, t.dst, t.src, t.g = addRowTask, dst, src, e.w(row)
	e.runRows(src.Rows, src.Cols)
}

func addRowTask(t *rowTask, lo, hi int) {
	w := floats(t.g, t.src.Cols)
	for r := lo; r < hi; r++ {
		src := t.src.row(r)
		for j, d := 0, t.dst.row(r); j < len(d); j++ {
			d[j] = src[j] + w[j]
		}
	}
}

// Const copies the same rows to every sequence: those at byte table of the weights, as many as dst has per sequence.
func (e *Exec) Const(dst Mat, table int) {
	want(dst.Rows%max(1, e.B) == 0, "const", dst)
	for r := range dst.Rows {
		copy(dst.row(r), floats(at(e.w(table), r%(dst.Rows/e.B)*dst.Cols), dst.Cols))
	}
}

// Scale multiplies every row of src, element by element, by the src.Cols floats at byte gamma of the
// weights. dst may be src.
func (e *Exec) Scale(dst, src Mat, gamma int) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols, "scale", dst, src)
	t := &e.each
	t.fn, t.dst, t.src, t.g = scaleTask, dst, src, e.w(gamma)
	e.runRows(src.Rows, src.Cols)
}

func scaleTask(t *rowTask, lo, hi int) {
	g := floats(t.g, t.src.Cols)
	for r := lo; r < hi; r++ {
		src := t.src.row(r)
		for j, d := 0, t.dst.row(r); j < len(d); j++ {
			d[j] = src[j] * g[j]
		}
	}
}

// Select copies one row of each sequence of src, counted through its sections, to the
// rows of dst: row row.C or, if row.T is set, row.C plus the number of the text's tokens.
func (e *Exec) Select(dst, src Mat, secs []Section, row Section) {
	want(dst.Rows == e.B && dst.Cols == src.Cols && src.Rows == e.packed(secs), "select", dst, src)
	for seq := range e.B {
		i := row.C
		if row.T {
			i += e.Len[seq]
		}
		copy(dst.row(seq), src.row(e.seqRow(secs, seq, i)))
	}
}

// HCat concatenates the columns of the parts.
func (e *Exec) HCat(dst Mat, parts ...Mat) {
	at := 0
	for _, p := range parts {
		e.Copy(dst.columns(at, p.Cols), p)
		at += p.Cols
	}
	want(at == dst.Cols, "hcat", dst)
}

// Mean writes the mean of the rows of each sequence of src to the rows of dst. It leaves out a
// sequence's first from rows, counted through its sections. Sums are float64.
func (e *Exec) Mean(dst, src Mat, secs []Section, from int) {
	want(dst.Rows == e.B && dst.Cols == src.Cols && src.Rows == e.packed(secs) && from >= 0, "mean", dst, src)
	t := &e.each
	t.fn, t.dst, t.src, t.i, t.secs = meanTask, dst, src, from, append(t.secs[:0], secs...)
	e.runRows(e.B, src.Cols*(1+src.Rows/max(1, e.B)))
}

func meanTask(t *rowTask, lo, hi int) {
	const width = 64
	var sum [width]float64
	for seq := lo; seq < hi; seq++ {
		dst := t.dst.row(seq)
		for j := 0; j < len(dst); j += width {
			n := min(width, len(dst)-j)
			clear(sum[:n])
			base, skip, count := 0, t.i, 0
			for _, s := range t.secs {
				start, rows := t.e.span(s, seq)
				first := min(skip, rows)
				for r := base + start + first; r < base+start+rows; r++ {
					for k, x := range t.src.row(r)[j : j+n] {
						sum[k] += float64(x)
					}
				}
				skip -= first
				count += rows - first
				base += t.e.sectionRows(s)
			}
			for k, s := range sum[:n] {
				dst[j+k] = float32(s / float64(max(1, count)))
			}
		}
	}
}

// Join makes a row of dst of each side x side square of the rows of a sequence of src, which are a grid, width in each of its
// rows. Squares are in row-major order; a row of dst has side*side values for each column of src, the square's rows one after
// the other.
func (e *Exec) Join(dst, src Mat, secs []Section, side, width int) {
	want(dst.Rows*side*side == src.Rows && dst.Cols == src.Cols*side*side && src.Rows == e.packed(secs) && width%side == 0, "join", dst, src)
	if e.B == 0 {
		return
	}
	t := &e.each
	t.fn, t.dst, t.src, t.side, t.width, t.secs = joinTask, dst, src, side, width, append(t.secs[:0], secs...)
	e.runRows(dst.Rows, dst.Cols)
}

func joinTask(t *rowTask, lo, hi int) {
	square, across := t.side*t.side, t.width/t.side
	rows := t.dst.Rows / t.e.B
	for r := lo; r < hi; r++ {
		seq, i := r/rows, r%rows
		first := i/across*t.side*t.width + i%across*t.side
		for k := range square {
			to := t.dst.row(r)[k:]
			for j, x := range t.src.row(t.e.seqRow(t.secs, seq, first+k/t.side*t.width+k%t.side)) {
				to[j*square] = x
			}
		}
	}
}

// L2Norm divides each row by its Euclidean norm, or by floor if that is larger. dst
// may be src.
func (e *Exec) L2Norm(dst, src Mat, floor float32) {
	want(dst.Rows == src.Rows && dst.Cols == src.Cols, "l2norm", dst, src)
	t := &e.each
	t.fn, t.dst, t.src, t.eps = l2Task, dst, src, floor
	e.runRows(src.Rows, 2*src.Cols)
}

func l2Task(t *rowTask, lo, hi int) {
	for r := lo; r < hi; r++ {
		src := t.src.row(r)
		sum := 0.0
		for _, x := range src {
			sum += float64(float64(x) * float64(x)) // not fused with the addition, for the same bits on every CPU
		}
		inv := 1 / max(math.Sqrt(sum), float64(t.eps))
		for i, d := 0, t.dst.row(r); i < len(d); i++ {
			d[i] = float32(float64(src[i]) * inv)
		}
	}
}

// EmbedText writes the embedding of every token of the batch; see [Embed].
func (e *Exec) EmbedText(dst Mat, m *Embed) {
	want(dst.Rows == e.T && dst.Cols == m.D, "embed text", dst)
	t := &e.each
	t.fn, t.dst, t.i, t.g, t.b, t.at = embedTask, dst, m.Vocab, e.w(m.Table), e.w(m.Pos), m.At
	t.narrow, t.size, t.scales = widening(e.kern, m.DType), m.DType.Size(), nil
	if m.DType == blob.I8 {
		t.scales = at(t.g, (m.Vocab*m.D+3)/4)
	}
	e.runRows(e.B, m.D*(1+e.T/max(1, e.B)))
}

func embedTask(t *rowTask, lo, hi int) {
	e, d := t.e, t.dst.Cols
	for seq := lo; seq < hi; seq++ {
		first := t.at.C
		if t.at.T {
			first += e.past(seq)
		}
		for i := range e.Len[seq] {
			r := e.Start[seq] + i
			id := int(e.IDs[r])
			if uint(id) >= uint(t.i) {
				panic(fmt.Sprintf("exec: token id %d is not in the vocabulary of %d", id, t.i))
			}
			row := t.dst.row(r)
			var token []float32
			switch {
			case t.narrow != nil:
				t.narrow.Convert(d, &row[0], narrow(t.g, id*d*t.size))
				token = row
			case t.scales != nil:
				scale := *at(t.scales, id)
				for j, b := range unsafe.Slice((*int8)(unsafe.Add(unsafe.Pointer(t.g), id*d)), d) {
					row[j] = float32(b) * scale
				}
				token = row
			default:
				token = floats(at(t.g, id*d), d)
			}
			if t.b == nil {
				copy(row, token)
				continue
			}
			pos := floats(at(t.b, (first+i)*d), d)
			for j := range row {
				row[j] = token[j] + pos[j]
			}
		}
	}
}

// EmbedPatches embeds the images of the batch; see [Patches]. tmp is memory for the
// pixels of patches in (channel, row, column) order, Proj.K columns. It needs a row
// for each patch of one sequence; with fewer than the batch has, the step works in
// groups of sequences.
func (e *Exec) EmbedPatches(dst, tmp Mat, p *Patches) {
	rows, class := p.Rows(), p.class()
	n := rows - class
	want(dst.Rows == e.B*rows && dst.Cols == p.Proj.N && dst.LD >= ceil16(p.Proj.N) && tmp.Cols >= p.Proj.K &&
		(e.B == 0 || tmp.Rows >= n) && p.Proj.K == p.Channels*p.Patch*p.Patch && len(e.Images) == e.B, "embed patches", dst, tmp)
	if e.B == 0 {
		return
	}
	group := min(e.B, tmp.Rows/n)
	for s := 0; s < e.B; s += group {
		seqs := min(group, e.B-s)
		t := &e.each
		t.fn, t.dst, t.src, t.i, t.patches = patchTask, dst, tmp, s, p
		t.g, t.b = e.w(p.Cls), e.w(p.Pos)
		e.runRows(seqs*(p.Height/p.Patch), p.Width/p.Patch*p.Proj.K)
		e.addProjected(dst.Sub(s*rows, seqs*rows), tmp, &p.Proj, n, class)
	}
}

// addProjected adds l(src) to the rows of dst, which already has class rows and positions. A sequence has n rows in src; in dst
// class rows come before them.
func (e *Exec) addProjected(dst, src Mat, l *Linear, n, class int) {
	first := dst.Row(class)
	g := &e.gemm
	g.a, g.lda = src.P, src.LD
	g.c, g.ldc = first, dst.LD
	g.res, g.ldr = first, dst.LD
	g.m, g.cstep, g.act = n, n+class, NoAct
	e.setWeights(l)
	e.runGemm(dst.Rows / (n + class))
}

// EmbedRows writes l(src) to dst, which has as many rows per sequence as src, or one more: the class row at byte cls of the
// weights, before them (-1: none). It adds row i of the position table at byte pos (-1: none) to row i of each sequence.
func (e *Exec) EmbedRows(dst, src Mat, l *Linear, cls, pos int) {
	class := 0
	if cls >= 0 {
		class = 1
	}
	n := src.Rows / max(1, e.B)
	wantLinear(src.Rows == n*e.B && dst.Rows == (n+class)*e.B && src.Cols == l.K && dst.Cols == l.N && dst.LD >= ceil16(l.N), "embed rows", l, dst, src)
	if e.B == 0 {
		return
	}
	t := &e.each
	t.fn, t.dst, t.i, t.g, t.b = placeTask, dst, n+class, e.w(cls), e.w(pos)
	e.runRows(dst.Rows, dst.Cols)
	e.addProjected(dst, src, l, n, class)
}

func placeTask(t *rowTask, lo, hi int) {
	for r := lo; r < hi; r++ {
		t.place(r/t.i, r%t.i, t.i)
	}
}

// patchTask copies the pixels of patches to tmp, and to dst their rows of the position
// table and the class row. A unit is a row of patches.
func patchTask(t *rowTask, lo, hi int) {
	p, tmp := t.patches, t.src
	down, across, n, class := p.Height/p.Patch, p.Width/p.Patch, p.Rows(), p.class()
	for u := lo; u < hi; u++ {
		seq, y := u/down, u%down
		img := t.e.Images[t.i+seq][p.At:]
		for x := range across {
			out := floats(tmp.Row(seq*(n-class)+y*across+x), p.Proj.K)
			for c := range p.Channels {
				for py := range p.Patch {
					in := (c*p.Height+y*p.Patch+py)*p.Width + x*p.Patch
					copy(out[(c*p.Patch+py)*p.Patch:][:p.Patch], img[in:])
				}
			}
			t.place(t.i+seq, class+y*across+x, n)
		}
		if y == 0 && class > 0 {
			t.place(t.i+seq, 0, n)
		}
	}
}

// place writes row i of a sequence of n rows to dst: its row of the position table, plus the class row if i is 0.
func (t *rowTask) place(seq, i, n int) {
	d := t.dst.Cols
	row := t.dst.row(seq*n + i)
	if t.b != nil {
		copy(row, floats(at(t.b, i*d), d))
	} else {
		clear(row)
	}
	if i == 0 && t.g != nil {
		for j, x := range floats(t.g, d) {
			row[j] += x
		}
	}
}
