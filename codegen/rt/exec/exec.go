package exec

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Exec is what a generated function runs on: kernels, weights, arena, threads and
// the batch under way. It belongs to a session; its methods are steps, called by
// one goroutine. Steps panic when shapes do not fit: the compiler promised them.
type Exec struct {
	B      int         // sequences of the batch
	T      int         // text rows of all sequences
	Len    []int       // text rows of each sequence
	Start  []int       // first text row of each sequence
	Images [][]float32 // image of each sequence, for functions that take one
	IDs    []int32     // text ids of all sequences

	states []*State // of each sequence, for functions that keep something
	beams  []int    // of each sequence

	kern    *kernel.Table
	weights *float32
	arena   []float32
	pool    *pool
	trace   *tracer // nil: nobody looks
	workers int
	scratch []scratch // one a worker

	// Of the function that runs.
	f      *Func
	rows   int // of the longest sequence it takes
	order  *order
	orders map[*Func]*order // as each function's last call left it

	// The task of each kind of step, reused.
	gemm gemmTask
	attn attnTask
	each rowTask
}

// New returns an Exec that runs functions on kernels and weights, with an arena of that many bytes, a multiple of 4. Its
// threads, the caller's among them, stop with Close, or when it is garbage.
func New(k *kernel.Table, weights *float32, arena, threads int) *Exec {
	e := &Exec{kern: k, weights: weights, arena: blob.AlignedFloats(arena / 4), pool: newPool(threads), workers: threads, orders: map[*Func]*order{}}
	e.scratch = make([]scratch, threads)
	g := &e.gemm
	g.k, g.f32.gemmTask, g.narrow.gemmTask, g.bf16.gemmTask, g.int8.gemmTask = k, g, g, g, g
	e.attn.e, e.each.e, e.each.act = e, e, NoAct
	runtime.AddCleanup(e, (*pool).close, e.pool)
	return e
}

// Threads returns the number of threads.
func (e *Exec) Threads() int { return e.workers }

// Close stops the threads. No call may be under way, and none may follow.
func (e *Exec) Close() { e.pool.close() }

// order is the layers of a function in the order of their products, as it was in the pass
// before this one: weights that are used next can then be prefetched.
type order struct {
	layers []*Linear
	turn   int // the product to come
}

// after takes note of the product by l and returns the layer of the one after it, nil if it
// is unknown.
func (o *order) after(l *Linear) *Linear {
	if o == nil {
		return nil
	}
	i := o.turn
	o.turn++
	if i == len(o.layers) || o.layers[i] != l {
		o.layers = append(o.layers[:i], l)
	}
	if o.turn < len(o.layers) {
		return o.layers[o.turn]
	}
	return nil
}

// Rows returns the packed rows of a value with c rows a sequence, plus the text
// rows when t is set.
func (e *Exec) Rows(c int, t bool) int {
	n := e.B * c
	if t {
		n += e.T
	}
	return n
}

// Mat returns the matrix that starts off bytes into the arena. ld is the distance of rows in floats.
func (e *Exec) Mat(off, ld, rows, cols int) Mat {
	if off < 0 || rows < 0 || cols > ld || off+rows*ld*4 > len(e.arena)*4 {
		panic(fmt.Sprintf("exec: matrix of %dx%d ld %d at %d in an arena of %d bytes", rows, cols, ld, off, len(e.arena)*4))
	}
	return Mat{(*float32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(e.arena)), off)), ld, rows, cols}
}

// w returns the address of the weight that starts off bytes into the weights, nil for -1.
func (e *Exec) w(off int) *float32 {
	if off < 0 {
		return nil
	}
	return (*float32)(unsafe.Add(unsafe.Pointer(e.weights), off))
}

// Section is a run of packed rows of a batch: C rows of every sequence, or, when
// T is set, the text rows of every sequence. A joined value is a list of sections.
type Section struct {
	C int
	T bool
}

// sectionRows returns the rows of section s in the whole batch.
func (e *Exec) sectionRows(s Section) int { return e.Rows(s.C, s.T) }

// span returns where the rows of sequence seq start inside section s, and their
// number.
func (e *Exec) span(s Section, seq int) (start, n int) {
	if s.T {
		return e.Start[seq], e.Len[seq]
	}
	return seq * s.C, s.C
}

// packed returns the rows of all sections.
func (e *Exec) packed(secs []Section) int {
	n := 0
	for _, s := range secs {
		n += e.sectionRows(s)
	}
	return n
}

// seqRow returns the packed row of row i of sequence seq, i counted through all
// its sections.
func (e *Exec) seqRow(secs []Section, seq, i int) int {
	base := 0
	for _, s := range secs {
		start, n := e.span(s, seq)
		if i < n {
			return base + start + i
		}
		i -= n
		base += e.sectionRows(s)
	}
	panic(fmt.Sprintf("exec: sequence %d has %d rows too few for a row selection", seq, i+1))
}

// want panics unless ok: a step was generated with shapes that do not fit.
func want(ok bool, step string, m ...Mat) {
	if !ok {
		badShapes(step, m)
	}
}

func badShapes(step string, m []Mat) {
	text := ""
	for _, x := range m {
		text += fmt.Sprintf(" %dx%d(ld %d)", x.Rows, x.Cols, x.LD)
	}
	panic("exec: " + step + ": shapes do not fit:" + text)
}
