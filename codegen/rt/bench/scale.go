package bench

import (
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Scale says what the partition of a function's work allows with a number of threads: each step takes as
// long as the longest of its threads' shares, or as its weights take from memory. One thread computes and
// times the shares one after the other (see [rt.Session.TraceShares]).
type Scale struct {
	Entry     string      `json:"entry"`
	Tokens    int         `json:"tokens"`
	Batch     int         `json:"batch"`
	Threads   int         `json:"threads"`
	Level     string      `json:"level"`
	Precision string      `json:"precision"`
	Bandwidth float64     `json:"bandwidth_gbps"` // of all threads together: measured for as many as the machine has cores, else Options.Bandwidth times Threads
	Predicted float64     `json:"predicted_ms"`   // median of Runs
	Runs      int         `json:"runs"`
	Spread    float64     `json:"spread_percent"` // of the predictions, as in Result
	Serial    float64     `json:"serial_ms"`      // before, between and after the steps, where one thread works
	Memory    float64     `json:"memory_ms"`      // what the steps wait for weights, after their longest share
	Speedup   float64     `json:"speedup"`        // over Predicted of one thread
	Ideal     float64     `json:"of_ideal"`       // Speedup/Threads
	Measured  float64     `json:"measured_ms"`    // median of as many calls, in turns with the predictions; 0: the machine has fewer cores
	Off       float64     `json:"off_percent"`    // Predicted over Measured; 0: not measured
	Steps     []ScaleStep `json:"steps"`
}

// ScaleStep is one kind of work within one kind of step of a call.
type ScaleStep struct {
	Step    string  `json:"step"`
	Work    string  `json:"work"`
	Count   int     `json:"count"`
	Time    float64 `json:"ms"`                // of the longest shares, or of the weights from memory
	Largest float64 `json:"largest_over_mean"` // longest share to the mean over all threads
}

// DefaultBandwidth is the bandwidth of a thread, in GB/s, that a prediction assumes for more threads than
// the machine has cores: about a core's part where all cores of a server read memory.
const DefaultBandwidth = 5

// rehearsal predicts the time of a call.
type rehearsal struct {
	*traces
	c         *Call
	bandwidth func() float64 // in bytes a second
	memory    float64        // seconds that steps wait for weights, of all calls
	waits     map[*traced]float64
	totals    map[*traced]float64 // seconds of all shares
	step      float64             // seconds of the steps of the current call
	ms        []float64           // predictions
}

func newRehearsal(c *Call, bandwidth func() float64) *rehearsal {
	r := &rehearsal{traces: newTraces(), c: c, bandwidth: bandwidth, waits: map[*traced]float64{}, totals: map[*traced]float64{}}
	c.s.TraceShares(func(w *exec.Work) {
		total := 0.0
		for _, d := range w.Shares {
			total += d.Seconds()
		}
		wait := max(0, float64(w.Bytes)/r.bandwidth()-w.Time.Seconds())
		t := r.add(w)
		r.totals[t] += total
		r.waits[t] += wait
		r.memory += wait
		r.step += w.Time.Seconds() + wait
	})
	return r
}

func (r *rehearsal) run() error {
	between := r.between
	r.step = 0
	err := r.call(r.c.Run)
	r.ms = append(r.ms, 1e3*(r.step+r.between-between))
	return err
}

// scale predicts the time of a point with each number of threads, and measures it with as many as there
// are cores.
func (b *bencher) scale(ms []*rt.Model, pt point) error {
	type line struct {
		Scale
		rehearsal *rehearsal
		measured  int // index among runs; 0: not measured
	}
	var lines []*line
	var runs []func() error
	open := func(m *rt.Model, n int) (*Call, error) {
		of, err := m.Package().OpenWith(m.Blob(), rt.WithThreads(n), rt.WithLevel(m.Info().Level))
		if err != nil {
			return nil, err
		}
		return newCall(of, pt) // the weights are borrowed: only the session is closed
	}
	for _, m := range ms {
		for _, n := range b.o.Scale {
			c, err := open(m, n)
			if err != nil {
				return err
			}
			defer c.Close()
			l := &line{Scale: Scale{
				Entry: pt.f.Name, Tokens: pt.tokens(), Batch: len(pt.texts),
				Threads: n, Level: m.Info().Level, Precision: m.Info().Precision,
			}}
			l.rehearsal = newRehearsal(c, func() float64 { return 1e9 * b.bandwidth(n) })
			lines, runs = append(lines, l), append(runs, l.rehearsal.run)
			if n > b.m.cores {
				continue
			}
			real, err := open(m, n)
			if err != nil {
				return err
			}
			defer real.Close()
			l.measured, runs = len(runs), append(runs, real.Run)
		}
	}
	all, err := b.times(runs, func() {
		for _, n := range b.o.Scale {
			if n <= b.m.cores {
				b.m.sample(n)
			}
		}
	})
	if err != nil {
		return err
	}
	one := 0.0
	for _, l := range lines {
		r, s := l.rehearsal, &l.Scale
		slices.Sort(r.ms)
		s.Runs, s.Predicted, s.Spread = len(r.ms), r.ms[len(r.ms)/2], Spread(r.ms)
		calls := float64(len(r.ms))
		s.Bandwidth, s.Serial, s.Memory = b.bandwidth(s.Threads), 1e3*r.between/calls, 1e3*r.memory/calls
		if s.Threads == 1 {
			one = s.Predicted
		}
		s.Speedup = one / s.Predicted
		s.Ideal = s.Speedup / float64(s.Threads)
		if l.measured > 0 {
			times := all[l.measured]
			s.Measured = times[len(times)/2]
			s.Off = 100 * (s.Predicted/s.Measured - 1)
		}
		for _, t := range r.list() {
			s.Steps = append(s.Steps, ScaleStep{
				Step: t.step, Work: t.label(), Count: t.count / len(r.ms),
				Time:    1e3 * (t.seconds + r.waits[t]) / calls,
				Largest: t.seconds * float64(s.Threads) / r.totals[t],
			})
		}
		b.r.Scale = append(b.r.Scale, *s)
	}
	return nil
}

// bandwidth returns the bandwidth of n threads in GB/s.
func (b *bencher) bandwidth(n int) float64 {
	if n <= b.m.cores {
		return b.m.read[n]
	}
	return b.o.Bandwidth * float64(n)
}
