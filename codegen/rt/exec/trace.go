package exec

import (
	"runtime"
	"time"

	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// Work is one piece of parallel work inside a step, as a trace reports it.
type Work struct {
	Kind    string     // gemm, attention or rows; Stack says which step works by rows
	M, N, K int        // gemm: rows, columns, depth. attention: queries, keys, floats of a head. rows: rows, columns
	Heads   int        // attention: heads of all sequences
	Act     Act        // gemm: applied to the result. rows: the activation that is computed. NoAct: none
	Weights blob.DType // gemm: the type of the weights
	Layer   *Linear    // gemm: the layer
	FLOPs   int64
	Time    time.Duration
	Before  time.Duration // from the end of the previous work, possibly in an earlier call; 0 for the first
	Stack   []uintptr     // of its caller, for runtime.CallersFrames; valid during the call
}

// tracer measures each piece of work and passes it to f. It reuses work and stack.
type tracer struct {
	f     func(*Work)
	work  Work
	stack [32]uintptr
	last  time.Time
}

// Trace makes e call f after each piece of work; a nil f stops that. It must not be called during a
// pass. The Work is valid until f returns.
func (e *Exec) Trace(f func(*Work)) {
	e.trace = nil
	if f != nil {
		e.trace = &tracer{f: f}
	}
}

// do runs the chunks of a task.
func (e *Exec) do(chunks int, t task) {
	if e.trace == nil {
		e.pool.run(chunks, t)
		return
	}
	e.traced(chunks, t)
}

func (e *Exec) traced(chunks int, t task) {
	w := &e.trace.work
	*w = Work{Act: NoAct}
	start := time.Now()
	if !e.trace.last.IsZero() {
		w.Before = start.Sub(e.trace.last)
	}
	e.pool.run(chunks, t)
	w.Time = time.Since(start)
	switch t := t.(type) {
	case *gemmTask:
		w.Kind, w.M, w.N, w.K, w.Act = "gemm", t.m*t.seqs, t.n, t.kk, t.act
		w.FLOPs = 2 * int64(w.M) * int64(w.N) * int64(w.K)
		w.Weights, w.Layer = max(blob.F32, t.layer.DType), t.layer
	case *attnTask:
		w.Kind, w.K, w.Heads = "attention", t.d, e.B*t.heads
		for seq := range e.B {
			m, n := 0, t.keys(seq)
			for _, s := range t.qs {
				_, rows := e.span(s, seq)
				m += rows
			}
			w.M, w.N = max(w.M, m), max(w.N, n)
			w.FLOPs += 4 * int64(m) * int64(n) * int64(t.d*t.heads)
		}
	case *rowTask:
		w.Kind, w.M, w.N, w.Act = "rows", t.dst.Rows, t.dst.Cols, t.act
	}
	w.Stack = e.trace.stack[:runtime.Callers(3, e.trace.stack[:])]
	e.trace.f(w)
	e.trace.last = time.Now()
}
