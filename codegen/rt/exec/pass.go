package exec

import "time"

// A session runs a call of a function as passes over parts of its batch: Exec.Begin; for each pass
// Clear, Append for every sequence, Run, and Out for each output and sequence; then End.

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

// Out copies an output's rows of one sequence to dst, section after section, Cols floats per row
// without gaps.
func (e *Exec) Out(o *Output, seq int, dst []float32) {
	m := e.Mat(o.Off, o.LD, e.packed(o.Sections), o.Cols)
	base := 0
	for _, sec := range o.Sections {
		start, n := e.span(sec, seq)
		for row := base + start; row < base+start+n; row++ {
			copy(dst, m.row(row))
			dst = dst[o.Cols:]
		}
		base += e.sectionRows(sec)
	}
}
