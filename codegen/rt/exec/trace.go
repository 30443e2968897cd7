package exec

import (
	"runtime"
	"slices"
	"time"

	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// Work is one piece of parallel work inside a step, as a trace reports it.
type Work struct {
	Kind    string     // gemm, attention, keys (of attention whose heads are split) or rows; Stack says which step works by rows
	M, N, K int        // gemm: rows, columns, depth. attention: queries, keys, floats of a head. keys: keys, floats of a head. rows: rows, columns
	Heads   int        // attention: heads of all sequences
	Act     Act        // gemm: applied to the result. rows: the activation that is computed. NoAct: none
	Weights blob.DType // gemm: the type of the weights
	Layer   *Linear    // gemm: the layer
	FLOPs   int64
	Bytes   int64 // gemm: of the weights
	Time    time.Duration
	Before  time.Duration   // from the end of the previous work of the call, or from the call's beginning
	Shares  []time.Duration // of [Exec.TraceShares]: the time of each thread; valid during the call
	Stack   []uintptr       // of its caller, for runtime.CallersFrames; valid during the call
}

// tracer measures each piece of work and passes it to f. It reuses work and stack.
type tracer struct {
	f      func(*Work)
	shares []time.Duration // by worker; nil: the pool runs the work
	work   Work
	stack  [32]uintptr
	last   time.Time
}

// Trace makes e call f after each piece of work; a nil f stops that. It must not be called during a
// pass. The Work is valid until f returns.
func (e *Exec) Trace(f func(*Work)) {
	e.trace = nil
	if f != nil {
		e.trace = &tracer{f: f}
	}
}

// TraceShares is Trace with a caller that computes the shares of all threads one after the other, and the last
// pieces each for the thread that would be free first. Work.Time is the time of the longest share. It does not
// include what threads wait for memory or caches that others use at the same time.
func (e *Exec) TraceShares(f func(*Work)) {
	e.Trace(f)
	if f != nil {
		e.trace.shares = make([]time.Duration, e.workers)
	}
}

// do runs a task, of at most that many pieces.
func (e *Exec) do(pieces int, t task) {
	if e.trace == nil {
		e.pool.run(pieces, t)
		return
	}
	e.traced(pieces, t)
}

func (e *Exec) traced(pieces int, t task) {
	w := &e.trace.work
	*w = Work{Act: NoAct, Shares: e.trace.shares}
	start := time.Now()
	w.Before = start.Sub(e.trace.last)
	if w.Shares == nil {
		e.pool.run(pieces, t)
		w.Time = time.Since(start)
	} else {
		clear(w.Shares)
		w.Time = rehearse(t.(dealt), w.Shares[:min(pieces, len(w.Shares))], func(int) time.Duration {
			now := time.Now()
			d := now.Sub(start)
			start = now
			return d
		})
	}
	switch t := t.(type) {
	case *gemmTask:
		w.Kind, w.M, w.N, w.K, w.Act = "gemm", t.m*t.seqs, t.n, t.kk, t.act
		w.FLOPs = 2 * int64(w.M) * int64(w.N) * int64(w.K)
		w.Bytes = int64(w.N) * int64(t.paddedK) * int64(t.size)
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
	case *keysTask:
		w.Kind, w.N = "keys", t.d
		for seq := range e.B {
			w.M += (*attnTask)(t).keys(seq)
		}
	case *rowTask:
		w.Kind, w.M, w.N, w.Act = "rows", t.dst.Rows, t.dst.Cols, t.act
	}
	w.Stack = e.trace.stack[:runtime.Callers(3, e.trace.stack[:])]
	e.trace.f(w)
	e.trace.last = time.Now()
}

// dealt is a task whose units are dealt to the workers before it begins, as those of all tasks of this package are.
type dealt interface {
	task
	remains(worker int) int // units of the worker's own share
}

// rehearse runs t alone. Each worker first computes most of its own share, for as long as the first takes for its, since workers take
// pieces of others only after their own; so it finds its operands in the caches as on a core of its own. The pieces after these are for the worker that would be free first. lap returns
// the time of the piece that a worker just computed; rehearse adds it to the worker's share and returns the longest.
func rehearse(t dealt, shares []time.Duration, lap func(worker int) time.Duration) time.Duration {
	for w := range shares {
		for keep := t.remains(w) / 4; t.remains(w) > keep && (w == 0 || shares[w] < shares[0]) && t.next(w); {
			shares[w] += lap(w)
		}
	}
	for {
		free := 0
		for w, d := range shares {
			if d < shares[free] {
				free = w
			}
		}
		if !t.next(free) {
			return slices.Max(shares)
		}
		shares[free] += lap(free)
	}
}
