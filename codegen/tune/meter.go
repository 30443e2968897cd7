package tune

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/multiway-go/multiway/ir"
)

// tellFLOPs is the work above which its time is told, some seconds.
const tellFLOPs = 5e10

// meter tells how far the work on a model is. The first run that is done shows how fast this
// machine is.
type meter struct {
	log         func(format string, args ...any)
	total, done float64           // FLOPs of runs; no total: the lines say nothing of time
	announce    func(time string) // says after the first run how long all takes
	start       time.Time
	now         func() time.Time
}

// metered starts the meter of a choice.
func (t *tuner) metered() (*meter, error) {
	k := &meter{log: t.Log, now: time.Now}
	if t.Log == nil {
		k.log = func(string, ...any) {}
		return k, nil
	}
	smooth, choose, err := t.work()
	if err != nil || smooth+choose < cmp.Or(t.tellFLOPs, tellFLOPs) {
		return k, err
	}
	k.total, k.start = smooth+choose, k.now()
	precision, random := t.Desc.Precision.String(), ""
	if t.Random {
		random = "; weights from a seed are random, and their choice is not that of a trained model"
	}
	k.announce = func(time string) {
		if choose == 0 {
			k.log("precision %s: smoothing norms takes about %s; `smooth: off` in the description leaves it out", precision, time)
			return
		}
		k.log("precision %s: choosing what it is too coarse for takes about %s on this machine, as busy as it is%s. `tune: off` in the description, or --tune off, leaves it out", precision, time, random)
	}
	return k, nil
}

// work estimates the FLOPs of smoothing and of choosing.
func (t *tuner) work() (smooth, choose float64, err error) {
	if t.smooths() {
		p, err := t.folded()
		if err != nil {
			return 0, 0, err
		}
		for _, f := range p.Funcs {
			smooth += float64(smoothSamples * float64(ir.FuncCost(p, f, min(tuneText, p.MaxT)).FLOPs))
		}
	}
	if chooses, err := t.prepare(); err != nil || !chooses {
		return smooth, 0, err
	}
	groups, layers := t.grouped()
	n := len(groups)
	if t.large {
		n = len(layers) + n/2
	}
	choose = float64((2+tuneRounds)*flops(t.whole.Program, t.measured())) + float64(rerun(n)*flops(t.wide.Program, t.judged()))
	return smooth, choose, nil
}

// rerun is how many whole runs it takes about to judge n groups, of which each changes what
// comes after it, half of a run in the mean, and one run without any.
func rerun(n int) float64 { return 1 + float64(float64(n)/2) }

// flops counts the FLOPs of functions on inputs.
func flops(p *ir.Program, runs []*sampleRun) float64 {
	all := 0.0
	for _, x := range runs {
		all += float64(ir.FuncCost(p, x.f, x.T).FLOPs)
	}
	return all
}

// did counts FLOPs that are done.
func (k *meter) did(flops float64) {
	first := k.done == 0
	if k.done += flops; first && k.total > 0 {
		k.announce(k.takes(k.total))
	}
}

// takes is the time of so many FLOPs at the pace of the FLOPs done so far.
func (k *meter) takes(flops float64) string {
	return about(time.Duration(float64(k.now().Sub(k.start)) * flops / k.done))
}

// say logs a line with how far it is. What may come on top of what was expected is never
// nothing.
func (k *meter) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if k.total > 0 && k.done > 0 {
		total := max(k.total, k.done*20/19)
		text += fmt.Sprintf(" (%d %%, about %s left)", int(100*k.done/total), k.takes(total-k.done))
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
