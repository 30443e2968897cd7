package exec

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Exec is what a generated function runs on: kernels, weights, arena, threads and
// the current batch. It belongs to a session; its methods are steps, called by one
// goroutine. A step panics if shapes do not fit, which is a bug of the compiler.
type Exec struct {
	B      int         // sequences of the batch
	T      int         // tokens of all sequences
	Len    []int       // tokens of each sequence
	Start  []int       // index of the first token of each sequence among all
	Images [][]float32 // image of each sequence, for functions that take one
	IDs    []int32     // token ids of all sequences

	states []*State // of each sequence, for functions with a state
	beams  []int    // of each sequence: its beam in the state

	kern    *kernel.Table
	weights *float32
	arena   []float32
	pool    *pool
	trace   *tracer // nil: no trace
	workers int
	scratch []scratch // one per worker

	// The current function.
	f      *Func
	rows   int // of the longest sequence that it may get
	order  *order
	orders map[*Func]*order // of each function, from its last pass

	// gemm, attn and each are the tasks of all steps. Steps run one after the other, so they can share
	// one task of each kind, and allocate nothing.
	gemm gemmTask
	attn attnTask
	each rowTask
}

// New returns an Exec with the given kernels and weights, an arena of arena bytes (a multiple of 4)
// and the given number of threads. The calling goroutine is one of the threads; the other threads end
// with Close or when the Exec is garbage-collected.
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

// Close stops the threads. It must not be called during a pass, and no pass may follow.
func (e *Exec) Close() { e.pool.close() }

// order lists the layers of a function in the order of their products, as recorded in the last
// pass. It lets a product prefetch the weights of the next one.
type order struct {
	layers []*Linear
	turn   int // index of the next product
}

// after records the product by l and returns the layer of the product after it, nil if it is
// unknown.
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

// Rows returns the number of packed rows of a value with c rows per sequence, plus one row per
// token if t is set.
func (e *Exec) Rows(c int, t bool) int {
	n := e.B * c
	if t {
		n += e.T
	}
	return n
}

// Mat returns the matrix that starts off bytes into the arena. ld is the distance between rows in floats.
func (e *Exec) Mat(off, ld, rows, cols int) Mat {
	if off < 0 || rows < 0 || cols > ld || off+rows*ld*4 > len(e.arena)*4 {
		panic(fmt.Sprintf("exec: matrix %dx%d with ld %d at byte %d does not fit the arena of %d bytes", rows, cols, ld, off, len(e.arena)*4))
	}
	return Mat{(*float32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(e.arena)), off)), ld, rows, cols}
}

// w returns the address off bytes into the weights, nil for -1.
func (e *Exec) w(off int) *float32 {
	if off < 0 {
		return nil
	}
	return (*float32)(unsafe.Add(unsafe.Pointer(e.weights), off))
}

// Section describes consecutive packed rows of a batch: C rows of every sequence or, if T is
// set, a row for every token of every sequence. A joined value is a list of sections.
type Section struct {
	C int
	T bool
}

// sectionRows returns the number of rows of section s in the whole batch.
func (e *Exec) sectionRows(s Section) int { return e.Rows(s.C, s.T) }

// span returns the first row of sequence seq within section s and the number of its rows.
func (e *Exec) span(s Section, seq int) (start, n int) {
	if s.T {
		return e.Start[seq], e.Len[seq]
	}
	return seq * s.C, s.C
}

// packed returns the number of rows of all sections in the whole batch.
func (e *Exec) packed(secs []Section) int {
	n := 0
	for _, s := range secs {
		n += e.sectionRows(s)
	}
	return n
}

// seqRow returns the index of row i of sequence seq among the packed rows of a value with sections
// secs. i counts the rows of the sequence through all sections.
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
	panic(fmt.Sprintf("exec: row selection: sequence %d is %d rows too short", seq, i+1))
}

// want panics unless ok, which says that the shapes of a step fit.
func want(ok bool, step string, m ...Mat) {
	if !ok {
		badShapes(step, m)
	}
}

// wantLinear is want of a step that multiplies by l.
func wantLinear(ok bool, step string, l *Linear, m ...Mat) {
	if !ok {
		badShapes(fmt.Sprintf("%s of %d inputs and %d outputs", step, l.K, l.N), m)
	}
}

func badShapes(step string, m []Mat) {
	text := ""
	for _, x := range m {
		text += fmt.Sprintf(" %dx%d(ld %d)", x.Rows, x.Cols, x.LD)
	}
	panic("exec: " + step + ": shapes do not fit:" + text)
}
