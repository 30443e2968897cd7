package tune

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/multiway-go/multiway/ir"
)

// tellFLOPs is the work above which an estimate of its time is logged: some seconds.
const tellFLOPs = 5e10

// meter logs the progress of the work on a model. It learns the speed of the machine from the
// first run.
type meter struct {
	log         func(format string, args ...any)
	total, done float64           // FLOPs of runs; with total 0 the lines have no times
	announce    func(time string) // logs the estimated time of all work, after the first run
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
		random = "; weights from a seed are random, and the choice for a trained model differs"
	}
	k.announce = func(time string) {
		if choose == 0 {
			k.log("precision %s: smoothing norms takes about %s; `smooth: off` in the description leaves it out", precision, time)
			return
		}
		k.log("precision %s: choosing the modules to store finer takes about %s on this machine under its present load%s. `tune: off` in the description, or --tune off, leaves it out", precision, time, random)
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

// rerun estimates the work of judging n groups, in whole runs: one run without any, and half a
// run for each group, since only the values after it are computed again.
func rerun(n int) float64 { return 1 + float64(float64(n)/2) }

// flops counts the FLOPs of functions on inputs.
func flops(p *ir.Program, runs []*sampleRun) float64 {
	all := 0.0
	for _, x := range runs {
		all += float64(ir.FuncCost(p, x.f, x.T).FLOPs)
	}
	return all
}

// did adds FLOPs of finished work.
func (k *meter) did(flops float64) {
	first := k.done == 0
	if k.done += flops; first && k.total > 0 {
		k.announce(k.takes(k.total))
	}
}

// takes returns how long that many floating-point operations take at the speed so far, as words for the log.
func (k *meter) takes(flops float64) string {
	return about(time.Duration(float64(k.now().Sub(k.start)) * flops / k.done))
}

// say logs a line with the progress. If more work was done than expected, it always says that
// 5 % are left.
func (k *meter) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if k.total > 0 && k.done > 0 {
		total := max(k.total, k.done*20/19)
		text += fmt.Sprintf(" (%d %%, about %s left)", int(100*k.done/total), k.takes(total-k.done))
	}
	k.log("%s", text)
}

// about returns a rounded time as text.
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
