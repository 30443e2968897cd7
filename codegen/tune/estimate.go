package tune

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// effort is what the interpreter has to do.
type effort struct {
	flops    float64 // of products and attention
	elements float64 // of weights that are loaded and rounded
}

func (e effort) plus(x effort) effort { return effort{e.flops + x.flops, e.elements + x.elements} }

func (e effort) times(n float64) effort { return effort{float64(e.flops * n), float64(e.elements * n)} }

// prospect is about what Tuned will do to a model.
type prospect struct {
	smooth effort // looking at norms, and trying smoothings on them
	once   effort // measuring the model with all modules rounded
	judge  effort // measuring units alone
	round  effort // measuring a choice
}

// likelyRounds is how many choices are measured, about.
const likelyRounds = 5

// tellFLOPs is the work above which its time is told, some seconds.
const tellFLOPs = 5e10

// chooses reports whether modules may be chosen.
func (p prospect) chooses() bool { return p.once != effort{} }

func (p prospect) total() effort {
	return p.smooth.plus(p.once).plus(p.judge).plus(p.round.times(likelyRounds))
}

// prospect counts the work without doing it.
func (t *tuner) prospect() (p prospect, err error) {
	if p.smooth, err = t.smoothEffort(); err != nil {
		return p, err
	}
	if chooses, err := t.prepare(); err != nil || !chooses {
		return p, err
	}
	p.round = effortOf(t.whole.Program, append(t.runs(t.whole, "verify", manySamples, tuneText), t.own()...))
	p.once = p.round.times(2)
	runs := t.runs(t.wide, "tune", t.judged(), judgeText)
	p.judge = effortOf(t.wide.Program, runs)
	alone, layers := t.grouped()
	if !t.large {
		layers = nil
	}
	for _, u := range layers {
		p.judge = p.judge.plus(t.after(runs, u))
	}
	for _, u := range alone {
		e := t.after(runs, u)
		if t.large {
			e = e.times(0.5) // of about half of the layers modules are judged one by one
		}
		p.judge = p.judge.plus(e)
	}
	return p, nil
}

// effortOf is that of running functions on inputs.
func effortOf(p *ir.Program, runs []*sampleRun) effort {
	var all effort
	seen := map[*ir.Func]bool{}
	for _, x := range runs {
		all.flops += float64(ir.FuncCost(p, x.f, x.T).FLOPs)
		if seen[x.f] {
			continue
		}
		seen[x.f] = true
		used := map[*ir.Weight]bool{}
		for _, v := range x.f.Values {
			for _, w := range p.Used(x.f, v) {
				if !used[w] {
					used[w] = true
					all.elements += float64(w.Type.Elements(0))
				}
			}
		}
	}
	return all
}

// after is the effort of what depends on the weights of a unit.
func (t *tuner) after(runs []*sampleRun, u *unit) effort {
	var all effort
	own := map[string]bool{}
	for _, m := range u.modules {
		all.elements += float64(m.elements)
		for _, w := range m.weights {
			own[w] = true
		}
	}
	for _, x := range runs {
		changed := map[*ir.Value]bool{}
		for _, v := range x.f.Values {
			if slices.ContainsFunc(t.wide.Used(x.f, v), func(w *ir.Weight) bool { return own[w.Name] }) ||
				slices.ContainsFunc(v.Args, func(a *ir.Value) bool { return changed[a] }) {
				changed[v] = true
				all.flops += float64(ir.ValueCost(t.wide.Program, x.f, v, x.T).FLOPs)
			}
		}
	}
	return all
}

// smoothEffort is that of smoothed.
func (t *tuner) smoothEffort() (effort, error) {
	var all effort
	if !t.smooths() {
		return all, nil
	}
	p, err := t.folded()
	if err != nil {
		return all, err
	}
	var runs []*sampleRun
	for _, f := range p.Funcs {
		if f.Stores() {
			continue
		}
		n := smoothSamples
		if ir.FuncCost(p, f, min(tuneText, p.MaxT)).FLOPs > sampledFLOPs/smoothSamples {
			n /= 2
		}
		for range n {
			runs = append(runs, &sampleRun{f: f, Input: ir.Input{T: min(inputs.TextIDs, p.MaxT)}})
		}
	}
	all = effortOf(p, runs)
	for _, n := range passes.Smoothable(p, precision.Map{}) {
		if _, ok := roundedTo(t.Desc.Precision, n.Linears); ok {
			elements := float64(smoothChannels * n.Cols() * len(n.Linears) * 2)
			all = all.plus(effort{flops: float64(2 * 2 * smoothRows * elements), elements: elements})
		}
	}
	return all, nil
}

// pace is how many seconds a piece of work takes.
type pace struct{ flop, element float64 }

func (p pace) of(e effort) time.Duration {
	return time.Duration(float64(time.Second) * (float64(e.flops*p.flop) + float64(e.elements*p.element)))
}

// paceTime is how long the pace is measured: what others do on the machine counts.
const paceTime = time.Second / 2

// measurePace measures it on this machine, as busy as it is.
var measurePace = sync.OnceValues(func() (pace, error) {
	const rows, k, n = 48, 768, 768
	x := &ir.Tensor{Shape: []int{rows, k}, F: make([]float64, rows*k)}
	for i := range x.F {
		x.F[i] = math.Sin(float64(i))
	}
	f := make([]float32, n*k)
	for i := range f {
		f[i] = float32(math.Cos(float64(i)))
	}
	w := &ir.Weight{Name: "m.w", Type: ir.Of(ir.F32, ir.C(n), ir.C(k)), Load: func() ([]float32, error) { return f, nil }}
	mean := func(do func() error) (float64, error) {
		times, start := 0.0, time.Now()
		for time.Since(start) < paceTime {
			if err := do(); err != nil {
				return 0, err
			}
			times++
		}
		return time.Since(start).Seconds() / times, nil
	}
	products, err := mean(func() error { _, err := product(w, x); return err })
	if err != nil {
		return pace{}, err
	}
	roundings, err := mean(func() error { _, err := passes.Narrowed(w, ir.I8).Load(); return err })
	return pace{products / (2 * rows * k * n), roundings / (n * k)}, err
})

// meter tells how far the work on a model is. One of no log says nothing.
type meter struct {
	log         func(format string, args ...any)
	pace        pace
	total, done time.Duration // at the pace
	start       time.Time
	now         func() time.Time
}

// metered starts one: for little work its lines say nothing of time.
func (o Options) metered(p prospect) (*meter, error) {
	k := &meter{log: o.Log, now: time.Now}
	if o.Log == nil {
		k.log = func(string, ...any) {}
	}
	if o.Log == nil || !o.tells(p.total()) {
		return k, nil
	}
	pace, err := o.measured()
	k.pace = pace
	k.total, k.start = pace.of(p.total()), k.now()
	return k, err
}

// tells reports whether the work is so much that its time is told.
func (o Options) tells(e effort) bool { return e.flops >= cmp.Or(o.tellFLOPs, tellFLOPs) }

// measured is the pace.
func (o Options) measured() (pace, error) {
	if o.pace != nil {
		return o.pace()
	}
	return measurePace()
}

// did counts work that is done.
func (k *meter) did(e effort) { k.done += k.pace.of(e) }

// say logs a line with how far it is. What was done so far, and took so long, tells how long
// the rest takes; what may come on top of what was expected is never nothing.
func (k *meter) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if k.total > 0 {
		total := max(k.total, k.done*20/19)
		text += fmt.Sprintf(" (%d %%", 100*k.done/total)
		if k.done > 0 {
			text += fmt.Sprintf(", about %s left", about(time.Duration(float64(k.now().Sub(k.start))*float64(total-k.done)/float64(k.done))))
		}
		text += ")"
	}
	k.log("%s", text)
}

// about writes a time as an estimate.
func about(d time.Duration) string {
	switch s := d.Seconds(); {
	case s < 15:
		return "10 seconds"
	case s < 95:
		return fmt.Sprintf("%.0f seconds", math.Round(s/10)*10)
	case s < 90*60:
		return fmt.Sprintf("%.0f minutes", math.Ceil(s/60))
	default:
		return fmt.Sprintf("%.0f hours", math.Ceil(s/3600))
	}
}

// announce says before a choice or a smoothing how long they take and how to leave them out.
func (t *tuner) announce(p prospect) {
	k := t.meter
	if k.total == 0 {
		return
	}
	word := t.Desc.Precision.String()
	if !p.chooses() {
		k.log("precision %s: smoothing norms takes about %s; `smooth: off` in the description leaves it out", word, about(k.total))
		return
	}
	text := fmt.Sprintf("precision %s: choosing what it is too coarse for takes about %s on this machine, as busy as it is", word, about(k.total))
	if t.Random {
		text += "; weights from a seed are random, and their choice is not that of a trained model"
	}
	k.log("%s. `tune: off` in the description, or --tune off, leaves it out", text)
}

// Announce says how long choices for several models take together, if that is long.
func Announce(models []Model, o Options) error {
	var words []string
	var total effort
	for _, m := range models {
		p, err := (&tuner{Model: m, Options: o}).prospect()
		if err != nil {
			return err
		}
		if p.chooses() {
			words, total = append(words, m.Desc.Precision.String()), total.plus(p.total())
		}
	}
	if len(words) < 2 || !o.tells(total) {
		return nil
	}
	p, err := o.measured()
	if err != nil {
		return err
	}
	o.Log("choices for %s take about %s together", strings.Join(words, ", "), about(p.of(total)))
	return nil
}
