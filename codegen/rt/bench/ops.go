package bench

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Op is the time of one kind of work within one kind of step, summed over a forward pass.
type Op struct {
	Entry     string  `json:"entry"`
	Tokens    int     `json:"tokens"`
	Batch     int     `json:"batch"`
	Beams     int     `json:"beams"`
	Threads   int     `json:"threads"`
	Level     string  `json:"level"`
	Precision string  `json:"precision"`
	Step      string  `json:"step"` // the step of the runtime: QKV, FFN, ...; "": between the kernel calls
	Work      string  `json:"work"` // kernel or operation, with its shape
	Count     int     `json:"count"`
	Time      float64 `json:"ms"`    // per forward pass
	Share     float64 `json:"share"` // of the forward pass, in percent
	GFLOPS    float64 `json:"gflops,omitempty"`
	Peak      float64 `json:"percent_of_peak,omitempty"`
}

// group returns a key of the forward pass that the row belongs to.
func (o *Op) group() string {
	return fmt.Sprintf("%s %04d %04d %04d %04d %s %s", o.Entry, o.Tokens, o.Batch, o.Beams, o.Threads, o.Level, o.Precision)
}

// traced is the total of the work of one step, kind and shape over several calls.
type traced struct {
	step, name string
	work       exec.Work
	count      int
	seconds    float64
}

// traces sums the work of calls by step, kind and shape.
type traces struct {
	names   map[[32]uintptr][2]string
	sums    map[workKey]*traced
	between float64 // seconds before, between and after the work
	last    time.Time
}

type workKey struct {
	step, name     string
	m, n, k, heads int
	act            exec.Act
	weights        blob.DType
}

func newTraces() *traces {
	return &traces{names: map[[32]uintptr][2]string{}, sums: map[workKey]*traced{}}
}

// add adds work and returns the total that it belongs to.
func (ts *traces) add(w *exec.Work) *traced {
	var pcs [32]uintptr
	copy(pcs[:], w.Stack)
	name, known := ts.names[pcs]
	if !known {
		name[0], name[1] = where(w)
		ts.names[pcs] = name
	}
	k := workKey{name[0], name[1], w.M, w.N, w.K, w.Heads, w.Act, w.Weights}
	t := ts.sums[k]
	if t == nil {
		t = &traced{step: name[0], name: name[1], work: *w}
		t.work.Stack, t.work.Shares = nil, nil
		ts.sums[k] = t
	}
	t.count++
	t.seconds += w.Time.Seconds()
	ts.between += w.Before.Seconds()
	ts.last = time.Now()
	return t
}

// call makes a call of a session whose work is added.
func (ts *traces) call(call func() error) error {
	ts.last = time.Now()
	err := call()
	ts.between += time.Since(ts.last).Seconds()
	return err
}

// list returns the totals, longest first.
func (ts *traces) list() []*traced {
	return slices.SortedFunc(maps.Values(ts.sums), func(a, b *traced) int {
		return cmp.Or(cmp.Compare(b.seconds, a.seconds), cmp.Compare(a.label(), b.label()), cmp.Compare(a.step, b.step))
	})
}

// trace makes calls and returns their work, and the seconds before, between and after it.
func trace(s *rt.Session, calls int, call func() error) ([]*traced, float64, error) {
	ts := newTraces()
	s.Trace(func(w *exec.Work) { ts.add(w) })
	defer s.Trace(nil)
	for range calls {
		if err := ts.call(call); err != nil {
			return nil, 0, err
		}
	}
	return ts.list(), ts.between, nil
}

// where returns the step that a kernel call belongs to, and its name: the outermost and the
// innermost method of exec.Exec on its stack.
func where(w *exec.Work) (step, name string) {
	name = w.Kind
	frames := runtime.CallersFrames(w.Stack)
	for {
		f, more := frames.Next()
		_, method, ok := strings.Cut(f.Function, "/exec.(*Exec).")
		if !ok && step != "" || !more {
			return step, name
		}
		if ok {
			step = method
			if w.Kind == "rows" && name == "rows" && method != "runRows" {
				name = strings.ToLower(method)
			}
		}
	}
}

// label returns the work's name and shape.
func (t *traced) label() string {
	w := &t.work
	switch {
	case w.Kind == "gemm":
		act, kind := "", ""
		if w.Act != exec.NoAct {
			act = "+" + w.Act.String()
		}
		if w.Weights != blob.F32 {
			kind = " " + w.Weights.String()
		}
		return fmt.Sprintf("gemm%s %dx%dx%d%s", act, w.M, w.K, w.N, kind)
	case w.Kind == "attention":
		return fmt.Sprintf("attention %d heads %dx%dx%d", w.Heads, w.M, w.N, w.K)
	case w.Act != exec.NoAct:
		return fmt.Sprintf("%v %dx%d", w.Act, w.M, w.N)
	}
	return fmt.Sprintf("%s %dx%d", t.name, w.M, w.N)
}

// ops adds the breakdown of one forward pass to the report.
func (b *bencher) ops(s *rt.Session, r Result, call func() error) error {
	calls := max(MinRuns, min(r.Runs, 50))
	list, between, err := trace(s, calls, call)
	if err != nil {
		return err
	}
	row := Op{Entry: r.Entry, Tokens: r.Tokens, Batch: r.Batch, Beams: r.Beams, Threads: r.Threads, Level: r.Level, Precision: r.Precision}
	all := between
	for _, t := range list {
		all += t.seconds
	}
	for _, t := range list {
		o := row
		o.Step, o.Work, o.Count = t.step, t.label(), t.count/calls
		o.Time, o.Share = 1e3*t.seconds/float64(calls), 100*t.seconds/all
		o.GFLOPS = float64(t.work.FLOPs) * float64(t.count) / t.seconds / 1e9
		b.r.Ops = append(b.r.Ops, o)
	}
	row.Work, row.Count, row.Time, row.Share = "between", 1, 1e3*between/float64(calls), 100*between/all
	b.r.Ops = append(b.r.Ops, row)
	return nil
}
