package bench

import (
	"slices"
	"time"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Kernel is the time of one kernel call alone, repeated with its operands in the caches. Matrix
// products are timed without the transformations of their operands and result.
type Kernel struct {
	Entry     string  `json:"entry"` // the first function that has this shape
	Tokens    int     `json:"tokens"`
	Batch     int     `json:"batch"`
	Threads   int     `json:"threads"`
	Level     string  `json:"level"`
	Precision string  `json:"precision"`
	Work      string  `json:"work"`
	Median    float64 `json:"median_us"`
	Runs      int     `json:"runs"`
	Spread    float64 `json:"spread_percent"` // as in Result
	GFLOPS    float64 `json:"gflops,omitempty"`
	Peak      float64 `json:"percent_of_peak,omitempty"`
}

// kernels times each shape of kernel call in a forward pass of the result's function.
func (b *bencher) kernels(m *rt.Model, s *rt.Session, r Result, call func() error) error {
	list, _, err := trace(s, 1, call)
	if err != nil {
		return err
	}
	for _, t := range list {
		if t.work.Kind == "gemm" {
			t.work.Act = exec.NoAct
		}
		k := Kernel{Entry: r.Entry, Tokens: r.Tokens, Batch: r.Batch, Threads: r.Threads, Level: r.Level, Precision: r.Precision, Work: t.label()}
		same := func(x Kernel) bool { return x.Work == k.Work && x.Threads == k.Threads && x.Level == k.Level }
		if slices.ContainsFunc(b.r.Kernels, same) {
			continue
		}
		us, err := b.alone(m, t, k.Threads)
		if err != nil {
			return err
		}
		if us == nil {
			continue
		}
		k.Runs, k.Median, k.Spread = len(us), us[len(us)/2], Spread(us)
		k.GFLOPS = float64(t.work.FLOPs) / k.Median / 1e3
		b.r.Kernels = append(b.r.Kernels, k)
	}
	b.m.sample(r.Threads)
	return nil
}

// kernelTime is the longest time that one shape is repeated.
const kernelTime = 100 * time.Millisecond

// alone repeats one kernel call, in a package of its own over the model's weights, and returns
// the times in microseconds, sorted; nil for work that cannot run outside its step.
func (b *bencher) alone(m *rt.Model, t *traced, threads int) ([]float64, error) {
	w := &t.work
	ld := func(n int) int { // as the pass plan: whole panels of 16, and no multiple of 256, to avoid cache-set conflicts
		n = (n + 15) / 16 * 16
		if n%256 == 0 {
			n += 16
		}
		return n
	}
	// The operands are adjacent in the arena.
	bytes := 0
	place := func(e *exec.Exec, at *int, rows, cols int) exec.Mat {
		off := *at
		*at += 4 * rows * ld(cols)
		return e.Mat(off, ld(cols), rows, cols)
	}
	var step func(e *exec.Exec)
	switch {
	case w.Kind == "gemm":
		bytes = 4 * w.M * (ld(w.K) + ld(w.N))
		step = func(e *exec.Exec) {
			at := 0
			src := place(e, &at, w.M, w.K)
			e.Linear(place(e, &at, w.M, w.N), src, w.Layer)
		}
	case w.Kind == "attention" && w.M == w.N:
		heads := w.Heads
		dp := (w.K + 15) / 16 * 16
		a := &exec.Attention{Heads: heads, D: w.K, DP: dp, Base2: true, Scale: 1}
		bytes = 4 * w.M * (ld(3*heads*dp) + ld(heads*w.K))
		secs := []exec.Section{{C: w.M}}
		step = func(e *exec.Exec) {
			at := 0
			qkv := place(e, &at, w.M, 3*heads*dp)
			e.SelfAttention(place(e, &at, w.M, heads*w.K), qkv, a, secs)
		}
	case t.name == "layernorm" || w.Act != exec.NoAct:
		bytes = 4 * 2 * w.M * ld(w.N)
		n := &exec.Norm{G: -1, B: -1, N: w.N, Eps: 1e-5}
		step = func(e *exec.Exec) {
			at := 0
			src := place(e, &at, w.M, w.N)
			dst := place(e, &at, w.M, w.N)
			if w.Act != exec.NoAct {
				e.Gelu(dst, src, w.Act)
			} else {
				e.LayerNorm(dst, src, n)
			}
		}
	default:
		return nil, nil
	}
	var us []float64
	f := &exec.Func{Name: t.label(), Fixed: w.M, Arena: bytes, Run: func(e *exec.Exec) {
		step(e)
		us = us[:0] // discard the first run, which fills the caches
		for start := time.Now(); len(us) < MinRuns || time.Since(start) < min(kernelTime, b.o.Time) && len(us) < MaxRuns; {
			step(e)
		}
	}}
	p := *m.Package()
	p.Funcs, p.Rows = []*exec.Func{f}, max(p.Rows, w.M)
	alone, err := p.OpenWith(m.Blob(), rt.WithThreads(threads), rt.WithLevel(m.Info().Level))
	if err != nil {
		return nil, err
	}
	s := alone.NewSession() // the model's weights are borrowed: only the session is closed
	defer s.Close()
	s.Trace(func(x *exec.Work) {
		if x.Kind == w.Kind {
			us = append(us, max(1e-3, float64(x.Time)/1e3))
		}
	})
	if _, err := s.Run(f, make([]rt.Seq, 1)); err != nil {
		return nil, err
	}
	slices.Sort(us)
	return us, nil
}
