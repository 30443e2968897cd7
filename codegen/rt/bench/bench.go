package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

// Options select what Run measures. A nil list selects its default.
type Options struct {
	Entries []string // function names, Captions, or prefixes: "pair" selects all functions pair_*; default: all
	Tokens  []int    // tokens per text, of a step of captions those before it; default: 16 and 64, limited to the package's longest text
	Lengths []int    // one batch of texts with these numbers of tokens, instead of Tokens and Batch
	Batch   []int    // sequences per call, of captions pictures; default: 1
	Beams   []int    // of captions: beams of each picture, 1 is a greedy caption; default: 1
	Threads []int    // default: 1 and the number of cores
	Levels  []string // CPU levels; default: the best of this CPU

	Time    time.Duration // time to spend per result; there are at least MinRuns runs
	Cold    bool          // evict the caches before each run, by reading eight times the last-level cache
	Kernels bool          // also time each kernel alone
	Ops     bool          // also time the ops of a forward pass

	Scale     []int   // numbers of threads: instead of timing calls, predict their times from the shares of the threads; 1 is added
	Bandwidth float64 // of Scale: GB/s of a thread where there are more threads than cores; 0: DefaultBandwidth
}

// Open opens a subject's model.
type Open func(opts ...rt.Option) (*rt.Model, error)

// Subject is a package to time and the function that opens it.
type Subject struct {
	Package *rt.Package
	Open    Open
}

// Report holds the results of Run.
type Report struct {
	Package string             `json:"package"`
	CPU     string             `json:"cpu"`
	Cores   int                `json:"cores"`
	Cold    bool               `json:"cold"`
	FMA     map[string]float64 `json:"fma_peak_gflops"` // float32 peak of the best level, by the number of threads
	Read    map[string]float64 `json:"read_gbps"`       // by the number of threads
	// Products are the rates of products whose activations are rounded too, by the type of weights and the number of threads:
	// those of the best level's tiles, with operands in the first-level cache.
	Products map[string]map[string]float64 `json:"product_peaks_gflops,omitempty"`
	Pause    float64                       `json:"gc_pause_ms"`     // longest garbage-collection pause during a call
	Peaks    []Reading                     `json:"peaks"`           // measurements of FMA and Read before, between and after the timed calls
	Busy     bool                          `json:"busy"`            // figures of one kind differ by over BusySpread %
	Signs    []string                      `json:"signs,omitempty"` // the figures that tell that the machine is busy
	Unsure   []int                         `json:"unsure_threads"`  // numbers of threads whose FMA or Read differ that much
	Results  []Result                      `json:"results"`
	Ops      []Op                          `json:"ops,omitempty"`
	Kernels  []Kernel                      `json:"kernels,omitempty"`
	Scale    []Scale                       `json:"scale,omitempty"`
}

// Result is the time of one function on one kind of batch.
type Result struct {
	Entry     string  `json:"entry"`
	Tokens    int     `json:"tokens"` // per text; the mean if they differ; 0: no text
	Batch     int     `json:"batch"`
	Beams     int     `json:"beams"` // of each picture's caption; 0: no captions
	Threads   int     `json:"threads"`
	Level     string  `json:"level"`
	Precision string  `json:"precision"`
	Median    float64 `json:"median_ms"`
	Min       float64 `json:"min_ms"`
	Max       float64 `json:"max_ms"`
	Runs      int     `json:"runs"`
	GFLOPS    float64 `json:"gflops"`
	Peak      float64 `json:"percent_of_peak"` // of the float32 FMA peak, at every precision
	Roofline  float64 `json:"roofline_ms"`     // max(FLOPs/peak, bytes/bandwidth), where products with a rate in Report.Products have that
	Ratio     float64 `json:"roofline_ratio"`  // median to roofline
	Allocs    float64 `json:"allocs"`          // allocations per call
	Spread    float64 `json:"spread_percent"`  // from the 10th to the 90th percentile of the runs, in percent of the median
	Busy      bool    `json:"busy"`            // Spread is over BusySpread, or Unsure has Threads: then Peak and Ratio are not reliable

	flops, bytes int64
	products     map[blob.DType]int64 // FLOPs by the type of weights
}

// Bounds of the options.
const (
	MinRuns  = 5         // calls of a function that are timed at least, however long they take
	MaxRuns  = 1 << 16   // calls that are timed at most
	MaxBatch = 4096      // sequences of a call
	MaxTime  = time.Hour // of the timing of a function
)

// defaultTokens is the default of Options.Tokens.
var defaultTokens = []int{16, 64}

// point is one combination of function and batch to measure.
type point struct {
	entry string
	f     *exec.Func // of whole captions the step
	image *exec.Func // of whole captions
	texts []int      // number of tokens of each sequence's text, of captions of each beam's; 0: no text
	beams int        // of each caption; 0: no captions
}

// tokens returns the number of tokens per text: the mean if they differ.
func (pt *point) tokens() int {
	sum := 0
	for _, n := range pt.texts {
		sum += n
	}
	return (sum + len(pt.texts)/2) / len(pt.texts)
}

// Check returns an error if the options select something that the package does not have.
func Check(p *rt.Package, o Options) error {
	_, err := plan(p, &o)
	return err
}

// plan lists the points that the options select, or returns an error that names what the
// package does not have.
func plan(p *rt.Package, o *Options) ([]point, error) {
	var funcs []*exec.Func
	for _, f := range p.Funcs {
		if o.Entries == nil || slices.ContainsFunc(o.Entries, func(e string) bool { return f.Name == e }) {
			funcs = append(funcs, f)
		}
	}
	image, step := captioner(p)
	whole := step != nil && (o.Entries == nil || slices.Contains(o.Entries, Captions))
	for _, e := range o.Entries {
		if e == Captions && whole {
			continue
		}
		of := func(f *exec.Func) bool { return strings.HasPrefix(f.Name, e+"_") && !slices.Contains(funcs, f) }
		if slices.ContainsFunc(funcs, func(f *exec.Func) bool { return f.Name == e }) {
			continue
		}
		found := false
		for _, f := range p.Funcs {
			if of(f) {
				funcs, found = append(funcs, f), true
			}
		}
		if !found {
			var names []string
			for _, f := range p.Funcs {
				names = append(names, f.Name)
			}
			if step != nil {
				names = append(names, Captions)
			}
			return nil, fmt.Errorf("entry %q: the package has no such function; it has %s", e, strings.Join(names, ", "))
		}
	}
	if len(funcs) == 0 && !whole {
		return nil, errors.New("nothing to time: the list of entries is empty")
	}
	check := func(what string, list []int, most int) error {
		for _, n := range list {
			if n < 1 || n > most {
				return fmt.Errorf("%s has %d, want 1 to %d", what, n, most)
			}
		}
		return nil
	}
	tokens := o.Tokens
	if tokens == nil {
		for _, t := range defaultTokens {
			if t = min(t, p.Text); !slices.Contains(tokens, t) {
				tokens = append(tokens, t)
			}
		}
	}
	text := slices.ContainsFunc(funcs, func(f *exec.Func) bool { return f.Text })
	for _, err := range []error{check("tokens", o.Tokens, max(1, p.Text)), check("lengths", o.Lengths, max(1, p.Text)), check("batch", o.Batch, MaxBatch), check("beams", o.Beams, caption.MaxBeams), check("threads", o.Threads, 1024), check("scale", o.Scale, 1024)} {
		if err != nil {
			return nil, err
		}
	}
	for _, l := range o.Levels {
		if !slices.Contains(kernel.Levels(), l) {
			return nil, fmt.Errorf("level has %q, this CPU has %s", l, strings.Join(kernel.Levels(), ", "))
		}
	}
	if o.Scale != nil && (o.Threads != nil || o.Cold || o.Ops || o.Kernels) {
		return nil, errors.New("scale goes with none of threads, cold, ops and kernels")
	}
	if !(o.Bandwidth >= 0) || math.IsInf(o.Bandwidth, 1) || o.Bandwidth > 0 && o.Scale == nil {
		return nil, fmt.Errorf("bandwidth is %v GB/s, want a positive number, together with scale", o.Bandwidth)
	}
	if o.Time < 0 || o.Time > MaxTime {
		return nil, fmt.Errorf("time is %v, want up to %v", o.Time, MaxTime)
	}
	if len(o.Lengths) > 0 && !text {
		return nil, fmt.Errorf("lengths are given, but no selected function takes text")
	}
	batches := o.Batch
	if batches == nil {
		batches = []int{1}
	}
	beams := o.Beams
	if beams == nil {
		beams = []int{1}
	}
	var points []point
	// captions adds points of captions, or of their steps, with every number of tokens and of beams.
	captions := func(pt point) {
		for _, pt.beams = range beams {
			for _, t := range tokens {
				for _, b := range batches {
					pt.texts = slices.Repeat([]int{t}, b)
					points = append(points, pt)
				}
			}
		}
	}
	for _, f := range funcs {
		pt := point{entry: f.Name, f: f}
		switch {
		case f.States != nil:
			captions(pt)
		case f.Text && o.Lengths != nil:
			pt.texts = o.Lengths
			points = append(points, pt)
		case f.Text:
			for _, t := range tokens {
				for _, b := range batches {
					pt.texts = slices.Repeat([]int{t}, b)
					points = append(points, pt)
				}
			}
		default:
			for _, b := range batches {
				pt.texts = make([]int, b)
				points = append(points, pt)
			}
		}
	}
	if whole {
		captions(point{entry: Captions, f: step, image: image})
	}
	return points, nil
}

// Run times packages side by side: it calls them in turns and puts their results next to each
// other. The packages must have the same functions, such as one model at several precisions;
// the report has the name of the first. progress, if not nil, is called with the number of
// measurements done.
func Run(ctx context.Context, subjects []Subject, o Options, progress func(done, total int)) (*Report, error) {
	return run(ctx, subjects, o, whole, progress)
}

func run(ctx context.Context, subjects []Subject, o Options, e effort, progress func(done, total int)) (*Report, error) {
	if len(subjects) == 0 {
		return nil, fmt.Errorf("nothing to time")
	}
	p := subjects[0].Package
	points, err := plan(p, &o)
	for _, s := range subjects[1:] {
		if err == nil {
			_, err = plan(s.Package, &o)
		}
	}
	if err != nil {
		return nil, err
	}
	cores := kernel.Cores()
	threads := o.Threads
	if threads == nil {
		threads = slices.Compact([]int{1, cores})
	}
	measure := (*bencher).point
	if o.Scale != nil {
		o.Scale = append(o.Scale, 1)
		slices.Sort(o.Scale)
		o.Scale, threads, measure = slices.Compact(o.Scale), []int{1}, func(b *bencher, ms []*rt.Model, pt point, _ int) error { return b.scale(ms, pt) }
	}
	o.Bandwidth = cmp.Or(o.Bandwidth, DefaultBandwidth)
	levels := o.Levels
	if levels == nil {
		levels = []string{""}
	}
	m, err := newMachine(e, subjects, levels)
	if err != nil {
		return nil, err
	}
	b := &bencher{ctx: ctx, o: o, m: m}
	b.r = &Report{Package: p.Name, CPU: processor(), Cores: cores, Cold: o.Cold}
	done, total := 0, len(points)*len(threads)*len(levels)
	if progress != nil {
		progress(0, total)
	}
	for _, level := range levels {
		for _, n := range threads {
			opts := []rt.Option{rt.WithThreads(n)}
			if level != "" {
				opts = append(opts, rt.WithLevel(level))
			}
			err := b.models(subjects, opts, func(ms []*rt.Model) error {
				for _, pt := range points {
					if err := measure(b, ms, pt, n); err != nil {
						return err
					}
					if done++; progress != nil {
						progress(done, total)
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	b.finish()
	return b.r, nil
}

// models opens the subjects' models, calls f and closes them.
func (b *bencher) models(subjects []Subject, opts []rt.Option, f func([]*rt.Model) error) (err error) {
	var ms []*rt.Model
	defer func() {
		for _, m := range ms {
			if cerr := m.Close(); err == nil {
				err = cerr
			}
		}
	}()
	for _, s := range subjects {
		m, err := s.Open(opts...)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	return f(ms)
}

// bencher is the state of a Run.
type bencher struct {
	ctx context.Context
	o   Options
	m   *machine
	r   *Report
}

// batch returns the inputs of a point for its function f; they are the same in every call.
func (pt *point) batch(s *rt.Session, f *exec.Func) ([]rt.Seq, error) {
	p := s.Model().Package()
	var batch []rt.Seq
	for i, n := range pt.texts {
		if f.IDs > 0 {
			n = f.IDs
		}
		q := task.Sample(fmt.Sprint(f.Name, i), f.Image, n, max(1, p.Vocab))
		if f.Stores == nil && f.States == nil {
			batch = append(batch, q)
			continue
		}
		of, err := pt.stateful(s, f, q)
		if err != nil {
			return nil, err
		}
		batch = append(batch, of...)
	}
	return batch, nil
}

// stateful returns the sequences of a picture for f, which stores or has a state. Of a step of captions, the state is filled from an
// image, and each of its beams has as many tokens as the point says.
func (pt *point) stateful(s *rt.Session, f *exec.Func, q rt.Seq) ([]rt.Seq, error) {
	first, step := f, f
	for _, g := range s.Model().Package().Funcs {
		if f.States == nil && slices.Equal(g.States, f.Stores) {
			step = g
		}
		if f.Stores == nil && slices.Equal(g.Stores, f.States) {
			first = g
		}
	}
	var err error
	if q.State, err = s.Model().NewState(step, max(1, pt.beams)); err != nil {
		return nil, err
	}
	if f.Stores != nil {
		return []rt.Seq{q}, nil
	}
	image := task.Sample(first.Name, first.Image, 0, 1)
	image.State = q.State
	if _, err := s.Run(first, []rt.Seq{image}); err != nil {
		return nil, err
	}
	beams := []rt.Seq{q}
	parents := make([]int, pt.beams) // of the one beam without tokens
	for range pt.tokens() {
		if _, err := s.Run(f, beams); err != nil {
			return nil, err
		}
		if err := q.State.Advance(parents); err != nil {
			return nil, err
		}
		beams = slices.Repeat(beams[:1], pt.beams)
		for i := range beams {
			beams[i].Beam, parents[i] = i, i
		}
	}
	return beams, nil
}

// Once makes the first call that the options select and returns the name of its function.
func Once(m *rt.Model, o Options) (string, error) {
	points, err := plan(m.Package(), &o)
	if err != nil || len(points) == 0 {
		return "", err
	}
	c, err := newCall(m, points[0])
	if err != nil {
		return "", err
	}
	c.Close()
	return points[0].entry, nil
}

// Call is one function of a model with fixed inputs, or captions of fixed pictures, ready to be called repeatedly.
type Call struct {
	s   *rt.Session
	run func() error
}

func newCall(m *rt.Model, pt point) (*Call, error) {
	f := m.Func(pt.f.Name)
	if f == nil {
		return nil, fmt.Errorf("%s has no function %s", m.Package().Name, pt.f.Name)
	}
	c := &Call{s: m.NewSession()}
	var err error
	if pt.image != nil {
		c.run = pt.captions(c.s)
	} else {
		var batch []rt.Seq
		batch, err = pt.batch(c.s, f)
		c.run = func() error { _, err := c.s.Run(f, batch); return err }
	}
	if err == nil {
		err = c.Run() // the first call grows the session's buffers
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Run makes the call.
func (c *Call) Run() error { return c.run() }

// products makes a call and returns the FLOPs of its products, by the type of weights.
func (c *Call) products() (map[blob.DType]int64, error) {
	list, _, err := trace(c.s, 1, c.Run)
	all := map[blob.DType]int64{}
	for _, t := range list {
		if t.work.Kind == "gemm" {
			all[t.work.Weights] += t.work.FLOPs * int64(t.count)
		}
	}
	return all, err
}

// Close ends the session.
func (c *Call) Close() { c.s.Close() }

// point makes one measurement per model.
func (b *bencher) point(ms []*rt.Model, pt point, threads int) error {
	calls := make([]*Call, len(ms))
	runs := make([]func() error, len(ms))
	for i, m := range ms {
		var err error
		if calls[i], err = newCall(m, pt); err != nil {
			return err
		}
		defer calls[i].Close()
		runs[i] = calls[i].Run
	}
	all, err := b.times(runs, func() {
		if threads > 1 {
			b.m.sample(1) // other load shows where two threads reach less than twice the peak of one
		}
		b.m.sample(threads)
	})
	if err != nil {
		return err
	}
	for i, m := range ms {
		c, ms := calls[i], all[i]
		r := Result{
			Entry: pt.entry, Tokens: pt.tokens(), Batch: len(pt.texts), Beams: pt.beams,
			Threads: threads, Level: m.Info().Level, Precision: m.Info().Precision,
			Runs: len(ms), Min: ms[0], Median: ms[len(ms)/2], Max: ms[len(ms)-1], Spread: Spread(ms),
		}
		r.flops, r.bytes = pt.cost()
		if r.products, err = c.products(); err != nil {
			return err
		}
		if r.Allocs, err = allocs(c.Run); err != nil {
			return err
		}
		stop, err := pause(c.Run)
		if err != nil {
			return err
		}
		b.r.Pause = max(b.r.Pause, stop)
		b.r.Results = append(b.r.Results, r)
		if b.o.Ops {
			if err := b.ops(c.s, r, c.Run); err != nil {
				return err
			}
		}
		if b.o.Kernels {
			if err := b.kernels(m, c.s, r, c.Run); err != nil {
				return err
			}
		}
	}
	return nil
}

// times runs fs in turns, each for Options.Time, with reading called before, in the middle and
// after. It returns the times of each function in ms, sorted.
func (b *bencher) times(fs []func() error, reading func()) ([][]float64, error) {
	runtime.GC()
	all := make([][]float64, len(fs))
	for i := range all {
		all[i] = make([]float64, 0, 1024)
	}
	total := b.o.Time * time.Duration(len(fs))
	reading()
	between := false
	for spent, n := time.Duration(0), 0; n < MinRuns || spent < total && n < MaxRuns; n++ {
		if !between && n > MinRuns/2 && spent >= total/2 {
			between = true
			reading()
			for _, f := range fs { // refill the caches
				if err := f(); err != nil {
					return nil, err
				}
			}
		}
		turn := time.Now()
		for i, f := range fs {
			if err := b.ctx.Err(); err != nil {
				return nil, err
			}
			if b.o.Cold {
				b.m.sweep(1)
			}
			at := time.Now()
			if err := f(); err != nil {
				return nil, err
			}
			all[i] = append(all[i], max(1e-6, time.Since(at).Seconds()*1e3))
		}
		spent += time.Since(turn)
	}
	reading()
	for _, ms := range all {
		slices.Sort(ms)
	}
	return all, nil
}

// allocs returns the number of allocations of a call: the least of several calls, since the
// counter includes other goroutines.
func allocs(f func() error) (float64, error) {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := f(); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return float64(least), nil
}

// finish computes what depends on the best samples of peak and bandwidth: shares of the peak, rooflines and ratios.
func (b *bencher) finish() {
	r := b.r
	r.FMA, r.Read, r.Peaks = map[string]float64{}, map[string]float64{}, b.m.readings
	r.Unsure = []int{}
	for _, n := range slices.Sorted(maps.Keys(b.m.fma)) {
		r.FMA[fmt.Sprint(n)], r.Read[fmt.Sprint(n)] = b.m.fma[n], b.m.read[n]
		if why := b.m.doubts(n); why != nil {
			r.Signs, r.Unsure = append(r.Signs, why...), append(r.Unsure, n)
		}
	}
	for d, rates := range b.m.rates {
		if r.Products == nil {
			r.Products = map[string]map[string]float64{}
		}
		of := map[string]float64{}
		for n, rate := range rates {
			of[fmt.Sprint(n)] = rate
		}
		r.Products[d.String()] = of
	}
	restless := 0
	for i := range r.Results {
		x := &r.Results[i]
		x.GFLOPS = float64(x.flops) / x.Median / 1e6
		x.Peak = 100 * x.GFLOPS / b.m.fma[x.Threads]
		computing := float64(x.flops) / b.m.fma[x.Threads]
		for d, rates := range b.m.rates {
			computing += float64(float64(x.products[d]) * (1/rates[x.Threads] - 1/b.m.fma[x.Threads]))
		}
		x.Roofline = max(computing, float64(x.bytes)/b.m.read[x.Threads]) / 1e6
		if x.Roofline > 0 { // a package written by hand has no counts
			x.Ratio = x.Median / x.Roofline
		}
		x.Busy = x.Spread > BusySpread || slices.Contains(r.Unsure, x.Threads)
		if x.Spread > BusySpread {
			restless++
		}
	}
	if restless > 0 {
		r.Signs = append(r.Signs, fmt.Sprintf("%d of %d lines have over %d %% between their runs", restless, len(r.Results), BusySpread))
	}
	r.Busy = len(r.Signs) > 0
	for i := range r.Ops {
		x := &r.Ops[i]
		x.Peak = 100 * x.GFLOPS / b.m.fma[x.Threads]
	}
	for i := range r.Kernels {
		x := &r.Kernels[i]
		x.Peak = 100 * x.GFLOPS / b.m.fma[x.Threads]
	}
	slices.SortStableFunc(r.Ops, func(a, b Op) int { return cmp.Compare(a.group(), b.group()) })
}
