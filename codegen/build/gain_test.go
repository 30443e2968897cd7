package build

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	"github.com/multiway-go/multiway/codegen/rt/pipe"
)

// clock answers with times in turn, then with the last again and again.
type clock struct {
	name  string
	times []float64
	log   *[]string // of who was asked
	err   error
}

func (c *clock) Time(t pipe.Timing) (float64, error) {
	if c.log != nil {
		*c.log = append(*c.log, c.name)
	}
	ms := c.times[0]
	if len(c.times) > 1 {
		c.times = c.times[1:]
	}
	return ms, c.err
}

func (c *clock) Close() error { return nil }

// The two take turns, at least three each, and what slows one turn decides nothing.
func TestRace(t *testing.T) {
	var log []string
	g, err := race(&clock{"f32", []float64{300, 900, 310}, &log, nil}, &clock{"int8", []float64{100, 310, 110}, &log, nil}, pipe.Timing{Func: "vision", Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	// The turn of the median ratio is what is told: its times give the ratio.
	want := Gain{Func: "vision", Threads: 2, F32: 900, Reduced: 310, Gain: 900.0 / 310, Spread: bench.Spread([]float64{310.0 / 110, 900.0 / 310, 300.0 / 100})}
	if d := cmp.Diff(want, g); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if g, err := race(&clock{"f32", []float64{300, 300, 300}, nil, nil}, &clock{"int8", []float64{100, 400, 110}, nil, nil}, pipe.Timing{}); err != nil || g.Gain != 300./110 || !g.Busy() {
		t.Errorf("turns that differ are %+v, %v", g, err)
	}
	if turns := []string{"f32", "int8", "f32", "int8", "f32", "int8"}; !slices.Equal(log, turns) {
		t.Errorf("turns %v, want %v", log, turns)
	}
	for _, c := range []struct {
		f32, reduced float64
		turns        int
	}{{1e4, 5e3, 3}, {60, 40, 4}, {1, 1, 51}} {
		log = nil
		if _, err := race(&clock{"f32", []float64{c.f32}, &log, nil}, &clock{"int8", []float64{c.reduced}, nil, nil}, pipe.Timing{}); err != nil || len(log) != c.turns {
			t.Errorf("calls of %v and %v ms have %d turns (%v), want %d", c.f32, c.reduced, len(log), err, c.turns)
		}
	}
	stop := errors.New("stop")
	for i := range 2 {
		clocks := []*clock{{times: []float64{1}}, {times: []float64{1}}}
		clocks[i].err = stop
		if _, err := race(clocks[0], clocks[1], pipe.Timing{}); err != stop {
			t.Errorf("clock %d fails: got %v", i, err)
		}
	}
}

func TestGainText(t *testing.T) {
	for _, c := range []struct {
		g    Gain
		ok   bool
		want string
	}{
		{Gain{Func: "vision", Threads: 1, F32: 332, Reduced: 111.8, Gain: 2.97}, true, "vision                       1 thread                 f32 332.0 ms, reduced 111.8 ms: 2.97x  faster"},
		{Gain{Func: "language", Tokens: 16, Threads: 2, F32: 18.3, Reduced: 22.8, Gain: 0.803}, false, "language                     16 tokens, 2 threads     f32 18.30 ms, reduced 22.80 ms: 0.80x  NO GAIN"},
		{Gain{Func: "vision", Threads: 1, Layers: 3, Gain: 1.0049}, false, "vision                       1 thread, first 3 layers f32 0.000 ms, reduced 0.000 ms: 1.00x  NO GAIN"},
		{Gain{Func: "vision", Gain: 1, Kept: true}, false, "vision                       all of its products are kept at f32  NO GAIN"},
		{Gain{Func: "vision", Threads: 1, F32: 0.0124, Reduced: 0.0106, Gain: 1.1698, Spread: 15.1}, true, "vision                       1 thread                 f32 0.01240 ms, reduced 0.01060 ms: ~1.17x  faster"},
		{Gain{Func: "vision", Threads: 1, Gain: 1.0051}, true, "vision                       1 thread                 f32 0.000 ms, reduced 0.000 ms: 1.01x  faster"},
	} {
		if c.g.OK() != c.ok || c.g.String() != c.want {
			t.Errorf("ok is %v, want %v (-want +got)\n%s", c.g.OK(), c.ok, cmp.Diff(c.want, c.g.String()))
		}
		if note := BusyNote([]Gain{{}, c.g}); strings.HasPrefix(note, "~: ") != strings.Contains(c.want, "~") {
			t.Errorf("%s: the note is %q", c.want, note)
		}
	}
	slow := Gain{Func: "vision", Threads: 1, F32: 1, Reduced: 2, Gain: 0.5, Spread: 16}
	if err := parsed(t, gainModel).noGain([]Gain{slow}); err == nil || !strings.Contains(err.Error(), "~0.50x  NO GAIN\n~: the ratios of turns differ by over 15 %") {
		t.Errorf("got error %v, want one that says that the machine is busy", err)
	}
}

const gainModel = `model: 1
name: tiny
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 4, image: 16, patch: 8, vocab: 50, positions: 20}
seed: 7
tasks: [nlvr2]
limits: {text: 18}
precision: {default: int8, heads: f32}
`

// parsed opens the description.
func parsed(t *testing.T, description string) *Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.yaml")
	if err := os.WriteFile(path, []byte(description), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A build at a precision that is not faster warns, or is refused; what is stored in f32
// alone is not timed.
func TestWriteGains(t *testing.T) {
	asmtest.Slow(t)
	m := parsed(t, gainModel+"cosine: 0.5\n")
	defer func(start func(e *Engine) (stopwatch, error), limit int64) { startTiming, twinLimit = start, limit }(startTiming, twinLimit)

	build := func(reduced float64, o Options) (*Report, []string, error) {
		t.Helper()
		n := 0
		startTiming = func(e *Engine) (stopwatch, error) {
			if n++; n == 1 {
				return &clock{times: []float64{200}}, nil
			}
			return &clock{times: []float64{reduced}}, nil
		}
		var warnings []string
		o.Log = func(format string, args ...any) {
			if strings.HasPrefix(format, "warning") {
				warnings = append(warnings, args[0].(error).Error())
			}
		}
		r, err := m.Write(o)
		return r, warnings, err
	}
	dir := filepath.Join(t.TempDir(), "out")
	r, warnings, err := build(50, Options{Dir: dir, Strict: RefuseSlower})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	for _, g := range r.Gains {
		if g.Func != "pair_nlvr2" || g.Tokens != 16 || g.Gain != 4 || g.Layers != 0 {
			t.Errorf("got %+v", g)
		}
	}
	if len(r.Gains) == 0 || r.Gains[0].Threads != 1 {
		t.Errorf("gains %v", r.Gains)
	}

	other := filepath.Join(t.TempDir(), "other")
	_, _, err = build(200, Options{Dir: other, Strict: RefuseBoth})
	for _, want := range []string{"precision int8 (heads f32) is not faster than f32 on this machine:\npair_nlvr2", "1.00x  NO GAIN\n", "use f32 or another precision", "without --strict", "nothing was written"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	if _, err := os.Stat(other); !os.IsNotExist(err) {
		t.Errorf("a refused build left its folder: %v", err)
	}
	twinLimit = 1 // every model is large
	r, warnings, err = build(400, Options{Dir: dir})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "0.50x  NO GAIN") {
		t.Errorf("%v, warnings %q", err, warnings)
	} else if r.Gains[0].Layers != cutLayers {
		t.Errorf("a large model was timed with %+v", r.Gains[0])
	}
	if r, warnings, err = build(400, Options{Dir: dir, Check: Off, Strict: RefuseBoth}); err != nil || len(warnings) > 0 || r.Gains != nil {
		t.Errorf("without check: %v, warnings %q", err, warnings)
	}
}

// A function of which everything is kept from the precision is not faster at it.
func TestWriteKept(t *testing.T) {
	asmtest.Slow(t)
	m := parsed(t, strings.Replace(gainModel, "{default: int8, heads: f32}", "int8", 1)+"cosine: 0.9999999999\n")
	dir := filepath.Join(t.TempDir(), "out")
	_, err := m.Write(Options{Dir: dir, Strict: RefuseSlower})
	for _, want := range []string{"precision int8 is not faster", "pair_nlvr2                   all of its products are kept at f32  NO GAIN\n", "\na lower `cosine` in the description keeps less"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	m.Desc.Cosine = 0
	if err := m.noGain([]Gain{{Func: "f", Kept: true}}); err == nil || !strings.Contains(err.Error(), "\n`cosine: 0.9995` in the description, or a lower one, keeps less") {
		t.Errorf("of what nobody asked for: %v", err)
	}
	m.Desc.Cosine = 0.9999999999
	r, err := m.Write(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Gain{{Func: "pair_nlvr2", Gain: 1, Kept: true}, {Func: "reason_head", Gain: 1, Kept: true}}, r.Gains); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
