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
	Beams     int         `json:"beams"`
	Threads   int         `json:"threads"`
	Level     string      `json:"level"`
	Precision string      `json:"precision"`
	Bandwidth float64     `json:"bandwidth_gbps"` // of all threads together: measured for as many as the machine has cores, else Options.Bandwidth times Threads
	Predicted float64     `json:"predicted_ms"`   // sum of each step's shortest time among Runs, and Serial
	Runs      int         `json:"runs"`
	Spread    float64     `json:"spread_percent"` // of the predictions, as in Result
	Serial    float64     `json:"serial_ms"`      // shortest time before, between and after the steps, where one thread works
	Memory    float64     `json:"memory_ms"`      // what the steps wait for weights, after their longest share
	Speedup   float64     `json:"speedup"`        // over Predicted of one thread
	Ideal     float64     `json:"of_ideal"`       // Speedup/Threads
	Measured  float64     `json:"measured_ms"`    // shortest of as many calls, in turns with the predictions; 0: the machine has fewer cores
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

// rehearsal predicts the time of a call, from several calls. Of each piece of work the shortest time counts,
// since what else the machine does only lengthens it.
type rehearsal struct {
	*traces
	c         *Call
	bandwidth func() float64 // in bytes a second
	works     []rehearsed    // of a call, in its order
	now       int            // index of the next work
	serial    []float64      // by call: seconds before, between and after the works
	ms        []float64      // by call: its prediction
	step      float64        // seconds of the works of the current call
}

// rehearsed is one piece of work of a call.
type rehearsed struct {
	kind                  *traced
	longest, total, waits []float64 // by call: seconds of the longest share and of all, and of waiting for weights after the longest
}

func newRehearsal(c *Call, bandwidth func() float64) *rehearsal {
	r := &rehearsal{traces: newTraces(), c: c, bandwidth: bandwidth}
	c.s.TraceShares(func(w *exec.Work) {
		total := 0.0
		for _, d := range w.Shares {
			total += d.Seconds()
		}
		wait := max(0, float64(w.Bytes)/r.bandwidth()-w.Time.Seconds())
		if r.now == len(r.works) {
			r.works = append(r.works, rehearsed{})
		}
		x := &r.works[r.now]
		r.now++
		x.kind = r.add(w)
		x.longest, x.total, x.waits = append(x.longest, w.Time.Seconds()), append(x.total, total), append(x.waits, wait)
		r.step += w.Time.Seconds() + wait
	})
	return r
}

func (r *rehearsal) run() error {
	between := r.between
	r.step, r.now = 0, 0
	err := r.call(r.c.Run)
	r.serial = append(r.serial, r.between-between)
	r.ms = append(r.ms, 1e3*(r.step+r.between-between))
	return err
}

// predict sets what s has from the rehearsal.
func (r *rehearsal) predict(s *Scale) {
	s.Serial, s.Runs = 1e3*slices.Min(r.serial), len(r.ms)
	slices.Sort(r.ms)
	s.Predicted, s.Spread = s.Serial, Spread(r.ms)
	steps := map[*traced]*ScaleStep{}
	means := map[*traced]float64{} // ms of the mean shares
	longest := map[*traced]float64{}
	for i := range r.works {
		w := &r.works[i]
		x := steps[w.kind]
		if x == nil {
			x = &ScaleStep{Step: w.kind.step, Work: w.kind.label()}
			steps[w.kind] = x
		}
		ms, wait := 1e3*slices.Min(w.longest), 1e3*slices.Min(w.waits)
		x.Count++
		x.Time += ms + wait
		longest[w.kind] += ms
		means[w.kind] += 1e3 * slices.Min(w.total) / float64(s.Threads)
		s.Memory += wait
		s.Predicted += ms + wait
	}
	for _, t := range r.list() {
		x := steps[t]
		x.Largest = longest[t] / means[t]
		s.Steps = append(s.Steps, *x)
	}
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
				Entry: pt.entry, Tokens: pt.tokens(), Batch: len(pt.texts), Beams: pt.beams,
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
		s := &l.Scale
		s.Bandwidth = b.bandwidth(s.Threads)
		l.rehearsal.predict(s)
		if s.Threads == 1 {
			one = s.Predicted
		}
		s.Speedup = one / s.Predicted
		s.Ideal = s.Speedup / float64(s.Threads)
		if l.measured > 0 {
			s.Measured = all[l.measured][0]
			s.Off = 100 * (s.Predicted/s.Measured - 1)
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
