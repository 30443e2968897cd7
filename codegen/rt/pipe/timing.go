package pipe

import (
	"slices"
	"time"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/bench"
)

// Timing says what to time: calls of a function on one sequence.
type Timing struct {
	Func    string `json:"func"`
	Tokens  int    `json:"tokens"`  // ids of its text, if it takes one
	Threads int    `json:"threads"` // at least 1
}

// turnTime is how long the calls of a turn take together, unless one takes longer.
const turnTime = 2 * time.Millisecond

// stopwatch keeps what was timed before ready to be timed again.
type stopwatch struct {
	open   func(threads int) (*rt.Model, error)
	models map[int]*rt.Model // by threads
	calls  map[Timing]*bench.Call
}

// turn makes calls and returns their median time in milliseconds.
func (w *stopwatch) turn(t Timing) (float64, error) {
	c, err := w.call(t)
	if err != nil {
		return 0, err
	}
	var ms []float64
	for start := time.Now(); ms == nil || time.Since(start) < turnTime; {
		at := time.Now()
		if err := c.Run(); err != nil {
			return 0, err
		}
		ms = append(ms, max(1e-6, time.Since(at).Seconds()*1e3))
	}
	slices.Sort(ms)
	return ms[len(ms)/2], nil
}

// call returns the call that was made ready before, or makes it ready.
func (w *stopwatch) call(t Timing) (*bench.Call, error) {
	if c := w.calls[t]; c != nil {
		return c, nil
	}
	if w.calls == nil {
		w.models, w.calls = map[int]*rt.Model{}, map[Timing]*bench.Call{}
	}
	m := w.models[t.Threads]
	if m == nil {
		var err error
		if m, err = w.open(t.Threads); err != nil {
			return nil, err
		}
		w.models[t.Threads] = m
	}
	c, err := bench.NewCall(m, t.Func, bench.Options{Tokens: []int{t.Tokens}})
	if err != nil {
		return nil, err
	}
	w.calls[t] = c
	return c, nil
}

func (w *stopwatch) close() {
	for _, c := range w.calls {
		c.Close()
	}
	for _, m := range w.models {
		m.Close()
	}
}
