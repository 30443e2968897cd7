package build

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	"github.com/multiway-go/multiway/codegen/rt/pipe"
	"github.com/multiway-go/multiway/ir"
)

// Gain is how much faster a function is at the precision of its model than with float32
// weights, on this machine at its best level, for one sequence.
type Gain struct {
	Func    string  `json:"func"`
	Tokens  int     `json:"tokens"`           // of the text, 0: takes none
	Threads int     `json:"threads"`          //
	Layers  int     `json:"layers,omitempty"` // as many were timed of a model too large to be there twice; 0: all
	F32     float64 `json:"f32_ms"`           // of a call, in the turn whose ratio is the median of all turns
	Reduced float64 `json:"reduced_ms"`       // likewise, at the precision of the model, in the same turn
	Gain    float64 `json:"gain"`             // F32 / Reduced
	Spread  float64 `json:"spread_percent"`   // between the ratios of nine and of one of ten turns, of Gain

	// Kept says that all products of the function are kept at f32, since the precision is too
	// coarse for its outputs. The function is what it would be at f32, and is not timed.
	Kept bool `json:"kept,omitempty"`
}

// OK reports whether there is a gain, to the two digits that String shows.
func (g Gain) OK() bool { return math.Round(100*g.Gain) > 100 }

// Busy reports whether turns differ so much that the machine must have been busy.
func (g Gain) Busy() bool { return g.Spread > bench.BusySpread }

// BusyNote says what the mark of a busy machine means, if one of the gains has it.
func BusyNote(gains []Gain) string {
	if !slices.ContainsFunc(gains, Gain.Busy) {
		return ""
	}
	return fmt.Sprintf("%s: the ratios of turns differ by over %d %%: the machine is busy, or its clock changes; build again while nothing else runs", bench.BusyMark, bench.BusySpread)
}

// String is the line that build prints.
func (g Gain) String() string {
	if g.Kept {
		return fmt.Sprintf("%-28s all of its products are kept at f32  NO GAIN", g.Func)
	}
	what := fmt.Sprintf("%d threads", g.Threads)
	if g.Threads == 1 {
		what = "1 thread"
	}
	if g.Tokens > 0 {
		what = fmt.Sprintf("%d tokens, %s", g.Tokens, what)
	}
	if g.Layers > 0 {
		what += fmt.Sprintf(", first %d layers", g.Layers)
	}
	verdict := "faster"
	if !g.OK() {
		verdict = "NO GAIN"
	}
	mark := ""
	if g.Busy() {
		mark = bench.BusyMark
	}
	return fmt.Sprintf("%-28s %-24s f32 %s ms, reduced %s ms: %s%.2fx  %s", g.Func, what, bench.Figure(g.F32), bench.Figure(g.Reduced), mark, g.Gain, verdict)
}

// stopwatch times calls of a compiled package: pipe.Client, or a test's own.
type stopwatch interface {
	// Time makes calls for a few milliseconds, once at least, and returns their median in
	// milliseconds.
	Time(t pipe.Timing) (float64, error)
	Close() error
}

// startTiming starts the process of an engine; tests have other clocks.
var startTiming = func(e *Engine) (stopwatch, error) { return e.Start("") }

// The turns of a race: as many as fit into raceTime milliseconds of calls, within bounds.
const (
	minTurns = 3
	maxTurns = 51
	raceTime = 400
)

// typicalText is the number of tokens of the text that is timed.
const typicalText = 16

// race times calls in turns, so that what slows the machine slows both.
func race(f32, reduced stopwatch, t pipe.Timing) (Gain, error) {
	g := Gain{Func: t.Func, Threads: t.Threads}
	var turns []Gain
	for sum := 0.0; len(turns) < minTurns || sum < raceTime && len(turns) < maxTurns; {
		x, err := f32.Time(t)
		if err != nil {
			return g, err
		}
		y, err := reduced.Time(t)
		if err != nil {
			return g, err
		}
		turns = append(turns, Gain{F32: x, Reduced: y, Gain: x / y})
		sum += x + y
	}
	slices.SortStableFunc(turns, func(a, b Gain) int { return cmp.Compare(a.Gain, b.Gain) })
	var ratios []float64
	for _, t := range turns {
		ratios = append(ratios, t.Gain)
	}
	middle := turns[len(turns)/2]
	g.F32, g.Reduced, g.Gain, g.Spread = middle.F32, middle.Reduced, middle.Gain, bench.Spread(ratios)
	return g, nil
}

// races times every function that has matrices of a reduced type, with one thread and
// with all.
func races(f32, reduced stopwatch, planned *ir.Program, cores int) ([]Gain, error) {
	var gains []Gain
	for _, f := range planned.Funcs {
		if !reduces(planned, f) {
			continue
		}
		t := pipe.Timing{Func: f.Name, Tokens: 1}
		tokens := 0
		if f.UsesT() {
			t.Tokens = min(typicalText, planned.MaxT)
			tokens = t.Tokens
		}
		for _, t.Threads = range slices.Compact([]int{1, cores}) {
			g, err := race(f32, reduced, t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			g.Tokens = tokens
			gains = append(gains, g)
		}
	}
	return gains, nil
}

// reduces reports whether a product of f has weights of another type than float32.
func reduces(p *ir.Program, f *ir.Func) bool {
	return slices.ContainsFunc(f.Values, func(v *ir.Value) bool {
		return slices.ContainsFunc(p.Used(f, v), func(w *ir.Weight) bool {
			return w.Type.DType != ir.F32 && w.Layout != "" && w.Layout != asm.RowsWord
		})
	})
}

// twinLimit is the bytes of float32 weights up to which a model is timed as a whole;
// tests lower it.
var twinLimit = int64(3) << 29

// gains compiles the model with float32 weights too and times both. e is the engine of
// the planned program, for which the choice, if there was one, kept modules.
func (m *Model) gains(e *Engine, planned *ir.Program, choice *Choice, opt Options) ([]Gain, error) {
	var kept []Gain
	for _, f := range planned.Funcs {
		if choice.keeps(f.Name) && !reduces(planned, f) {
			kept = append(kept, Gain{Func: f.Name, Gain: 1, Kept: true})
		}
	}
	if !slices.ContainsFunc(planned.Funcs, func(f *ir.Func) bool { return reduces(planned, f) }) {
		return kept, nil
	}
	twin, layers, err := m.twin(opt)
	if err != nil {
		return nil, err
	}
	if layers > 0 {
		// What is compared must be cut alike.
		cut := *m
		cut.Desc = m.Desc.Cut(layers)
		if planned, e, err = cut.engine(opt, writeWeights); err != nil {
			return nil, err
		}
		defer e.Close()
	}
	opt.log("compiling at precision f32, to compare the speed")
	_, f, err := twin.engine(opt, standIn)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	opt.log("timing")
	f32, err := startTiming(f)
	if err != nil {
		return nil, err
	}
	defer f32.Close()
	reduced, err := startTiming(e)
	if err != nil {
		return nil, err
	}
	defer reduced.Close()
	gains, err := races(f32, reduced, planned, runtime.GOMAXPROCS(0))
	for i := range gains {
		gains[i].Layers = layers
	}
	return append(kept, gains...), err
}

// twin returns the model at precision f32, with fewer layers, as many as it says, if all
// are too large.
func (m *Model) twin(opt Options) (twin *Model, layers int, err error) {
	if twin, err = m.AtPrecision("f32"); err != nil {
		return nil, 0, err
	}
	planned, err := twin.planned(opt)
	if err != nil {
		return nil, 0, err
	}
	if n := codegen.BlobSize(planned); n > twinLimit {
		layers = max(cutLayers, int(float64(m.Desc.Sizes.Layers)*float64(twinLimit)/float64(n)))
		if layers < m.Desc.Sizes.Layers {
			twin.Desc = twin.Desc.Cut(layers)
			return twin, layers, nil
		}
	}
	return twin, 0, nil
}

// planned lowers the model and runs the passes.
func (m *Model) planned(opt Options) (*ir.Program, error) {
	described, _, err := m.Lower(opt.Entries)
	if err != nil {
		return nil, err
	}
	return m.Plan(described)
}

// engine compiles the model with the weights that write makes.
func (m *Model) engine(opt Options, write writer) (*ir.Program, *Engine, error) {
	p, err := m.planned(opt)
	if err != nil {
		return nil, nil, err
	}
	o, err := m.options("", "")
	if err != nil {
		return nil, nil, err
	}
	e, err := newEngine(p, o, "", write, opt.log)
	return p, e, err
}

// standIn writes weights for timing: of the sizes of the program's own, with a block of
// random values again and again.
func standIn(path string, p *ir.Program) error {
	r := rand.New(rand.NewPCG(1, 2))
	block := make([]float32, 1<<18)
	for i := range block {
		block[i] = float32(r.NormFloat64()) / 32
	}
	return codegen.WriteStandIn(path, p, block)
}

// slower describes the gains that are none, nil if there is no such.
func slower(gains []Gain) []string {
	var lines []string
	for _, g := range gains {
		if !g.OK() {
			lines = append(lines, g.String())
		}
	}
	return lines
}

// noGain is the error of a precision that does not pay.
func (m *Model) noGain(gains []Gain) error {
	lines := slower(gains)
	if lines == nil {
		return nil
	}
	if note := BusyNote(gains); note != "" {
		lines = append(lines, note)
	}
	advice := "use f32 or another precision, or keep what is slow at f32 (`keep` under `precision` in the description)"
	if slices.ContainsFunc(gains, func(g Gain) bool { return g.Kept }) {
		less := "a lower `cosine` in the description"
		if m.Desc.Cosine == 0 {
			less = fmt.Sprintf("`cosine: %v` in the description, or a lower one,", m.Desc.Precision.Cosine())
		}
		advice = less + " keeps less; otherwise use f32 or another precision"
	}
	return fmt.Errorf("precision %s is not faster than f32 on this machine:\n%s\n%s", m.Desc.Precision, strings.Join(lines, "\n"), advice)
}
