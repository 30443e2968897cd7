package exec

import (
	"math"
	"time"
	"unsafe"
)

// A session runs a call of a function as passes over parts of its batch: Exec.Begin; for each pass
// Clear, Append for every sequence, Run, and Out for each output; then End.

// Begin prepares passes of f, whose texts have at most text tokens.
func (e *Exec) Begin(f *Func, text int) {
	e.f, e.rows = f, f.Fixed
	if f.Text {
		e.rows += text
	}
	if e.order = e.orders[f]; e.order == nil {
		e.order = &order{}
		e.orders[f] = e.order
	}
	if e.trace != nil {
		e.trace.last = time.Now()
	}
	e.pool.enter()
}

// End parks the threads and drops references to the caller's memory.
func (e *Exec) End() {
	e.pool.leave()
	clear(e.Images[:cap(e.Images)])
	clear(e.states[:cap(e.states)])
}

// Clear empties the batch.
func (e *Exec) Clear() {
	e.B, e.T = 0, 0
	e.Len, e.Start, e.Images, e.IDs = e.Len[:0], e.Start[:0], e.Images[:0], e.IDs[:0]
	e.states, e.beams = e.states[:0], e.beams[:0]
}

// Append adds a sequence to the batch, with nil for what the function does not take. The image and the
// state must not change until End.
func (e *Exec) Append(image []float32, ids []int32, st *State, beam int) {
	e.Start = append(e.Start, e.T)
	e.Len = append(e.Len, len(ids))
	if e.f.Image > 0 {
		e.Images = append(e.Images, image)
	}
	if st != nil {
		e.states, e.beams = append(e.states, st), append(e.beams, beam)
	}
	e.IDs = append(e.IDs, ids...)
	e.T += len(ids)
	e.B++
}

// Run computes the function on the batch: it copies matrix inputs into the arena, and runs the steps.
func (e *Exec) Run() {
	for i := range e.f.Inputs {
		e.f.Inputs[i].fill(e)
	}
	e.order.turn = 0
	e.f.Run(e)
}

// fill copies the input's rows of all sequences into the arena.
func (in *Input) fill(e *Exec) {
	m := e.Mat(in.Off, in.LD, e.B*in.Rows, in.Cols)
	for seq, x := range e.Images {
		x = x[in.At:]
		for r := range in.Rows {
			copy(m.row(seq*in.Rows+r), x[r*in.Cols:])
		}
	}
}

// outPieces is the number of pieces that the rows of a sequence are copied in.
const outPieces = 32

// Out copies an output's rows to dst, sequence after sequence, in each section after section, Cols floats per row without gaps.
// It reports whether all of them are finite.
func (e *Exec) Out(o *Output, dst []float32) bool {
	t := &e.each
	t.src = e.Mat(o.Off, o.LD, e.packed(o.Sections), o.Cols)
	t.fn, t.dst, t.secs = outTask, Mat{unsafe.SliceData(dst), o.Cols, t.src.Rows, o.Cols}, append(t.secs[:0], o.Sections...)
	t.odd.Store(false)
	e.runRows(e.B*outPieces, o.Cols*t.src.Rows/max(1, e.B*outPieces))
	t.dst = Mat{} // it must not keep the caller's memory alive
	return !t.odd.Load()
}

func outTask(t *rowTask, lo, hi int) {
	for u := lo; u < hi; u++ {
		seq := u / outPieces
		first, rows := 0, 0
		for _, s := range t.secs {
			start, n := t.e.span(s, seq)
			first, rows = first+start, rows+n
		}
		i, end := part(rows, outPieces, u%outPieces)
		for ; i < end; i++ {
			row := t.dst.row(first + i)
			copy(row, t.src.row(t.e.seqRow(t.secs, seq, i)))
			if !Finite(row) {
				t.odd.Store(true)
			}
		}
	}
}

// Finite reports whether no value of x is a NaN or an infinity. Only these have all bits of the
// exponent set.
func Finite(x []float32) bool {
	var a, b, c, d uint32
	for ; len(x) >= 4; x = x[4:] {
		a, b = max(a, math.Float32bits(x[0])<<1), max(b, math.Float32bits(x[1])<<1)
		c, d = max(c, math.Float32bits(x[2])<<1), max(d, math.Float32bits(x[3])<<1)
	}
	for _, v := range x {
		a = max(a, math.Float32bits(v)<<1)
	}
	return max(a, b, c, d) < 0xff<<24
}
