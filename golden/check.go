package golden

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/ir/precision"
)

// Options are the options of Check; all fields may be zero.
type Options struct {
	Engine string // interp, binary or all; "" = all
	Level  string // a CPU level of the binary engine, or all; "" = all
	JSON   bool   // print each line as a JSON object
	Model  string // description of the model of recorded cases; "" = none

	// Precision is the format in which programs store weights; "" = f32. For a format that checkpoints can have, only runs
	// with weights of that type are checked, by the bounds of the case. For a coarser format, only runs with f32 weights
	// are checked: each output row must reach the cosine of the format, scores of pictures and texts may differ by what the
	// errors of their embeddings can make them differ, and the interpreter does not run.
	Precision string

	// Log, if not nil, gets a line before each step that takes long.
	Log func(format string, args ...any)
}

// Engines lists the values of Options.Engine.
var Engines = []string{"interp", "binary", "all"}

// Line is one line of a check: the verdict on an output, or on a case, level or set of weights that did not run.
type Line struct {
	Case    string  `json:"case"`
	Weights string  `json:"weights,omitempty"`
	Run     string  `json:"run,omitempty"`
	Output  string  `json:"output,omitempty"`
	Engine  string  `json:"engine,omitempty"`
	Level   string  `json:"level,omitempty"`
	MaxAbs  float64 `json:"max_abs"`
	Bound   float64 `json:"bound"`
	Verdict string  `json:"verdict"` // ok, FAIL, skipped, absent, chosen
	Note    string  `json:"note,omitempty"`

	judged bool // MaxAbs and Bound are set
}

// String returns the line as text in columns, with "-" for an empty field.
func (l Line) String() string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	worst, bound := "-", "-"
	if l.judged {
		worst, bound = fmt.Sprintf("%.2e", l.MaxAbs), fmt.Sprintf("%.2e", l.Bound)
	}
	s := fmt.Sprintf("%-15s %-23s %-14s %-18s %-6s %-8s %9s %9s %s", l.Case, dash(l.Weights), dash(l.Run), dash(l.Output), dash(l.Engine), dash(l.Level), worst, bound, l.Verdict)
	if l.Note != "" {
		s += ": " + l.Note
	}
	return s
}

// Summary counts the lines of a check by their verdicts.
type Summary struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`

	NotRun []NotRun `json:"not_run,omitempty"` // in the order in which they occurred
}

// NotRun lists what was left out for the same reason: sets of weights, each of which counts as skipped, and CPU levels.
type NotRun struct {
	Why  string   `json:"why"`
	What []string `json:"what"`
}

// leave adds what, a level or a set of weights that was left out, to the entry for the reason why.
func (s *Summary) leave(why, what string) {
	i := slices.IndexFunc(s.NotRun, func(n NotRun) bool { return n.Why == why })
	if i < 0 {
		i = len(s.NotRun)
		s.NotRun = append(s.NotRun, NotRun{Why: why})
	}
	s.NotRun[i].What = append(s.NotRun[i].What, what)
}

// String returns the counts as the last line that a check prints.
func (s Summary) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", s.Passed, s.Failed, s.Skipped)
}

const (
	ok      = "ok"
	fail    = "FAIL"
	skipped = "skipped"
	absent  = "absent" // a level that this CPU lacks; not counted
	chosen  = "chosen" // the formats that tuning chose; not counted
)

type checker struct {
	opt Options
	w   io.Writer
	sum Summary
	err error // the first error of writing

	engines engine.Engines
}

// Check runs the cases in dirs, each the folder of a case or a folder of such folders. It
// prints a line for each output and the summary to w, and returns the summary. If a case
// cannot be run, a failed line has the reason; an error is for invalid arguments or for w.
func Check(dirs []string, opt Options, w io.Writer) (Summary, error) {
	if opt.Engine == "" {
		opt.Engine = "all"
	}
	if !slices.Contains(Engines, opt.Engine) {
		return Summary{}, fmt.Errorf("engine %q: want %s", opt.Engine, strings.Join(Engines, ", "))
	}
	if err := new(model.Description).SetPrecision(cmp.Or(opt.Precision, "f32")); err != nil {
		return Summary{}, err
	}
	opt.Precision = cmp.Or(opt.Precision, "f32")
	if leastCosine(opt.Precision) > 0 {
		if opt.Engine == "interp" {
			return Summary{}, fmt.Errorf("engine interp: it computes in float64, so it cannot be compared at precision %s; want binary", opt.Precision)
		}
		opt.Engine = "binary"
	}
	c := &checker{opt: opt, w: w}
	c.engines.Log = opt.Log
	defer c.engines.Close()
	var folders []string
	for _, d := range dirs {
		f, err := expand(d)
		if err != nil {
			return Summary{}, err
		}
		folders = append(folders, f...)
	}
	levels, err := c.levels()
	if err != nil {
		return Summary{}, err
	}
	for _, dir := range folders {
		if err := c.dir(dir, levels); err != nil {
			c.add(Line{Case: filepath.Base(dir), Verdict: fail, Note: err.Error()})
		}
	}
	if opt.JSON {
		c.print(c.sum)
	} else {
		for _, n := range c.sum.NotRun {
			c.print(fmt.Sprintf("not run, %s: %s", n.Why, strings.Join(n.What, ", ")))
		}
		c.print(c.sum.String())
	}
	return c.sum, c.err
}

// expand returns dir if it is the folder of a case, else the folders of cases in dir.
func expand(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "case.json")); err == nil {
		return []string{dir}, nil
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "case.json"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: found no case.json here or in a folder below, want the folder of a case, or a folder of cases", dir)
	}
	for i, f := range found {
		found[i] = filepath.Dir(f)
	}
	return found, nil
}

// notHere is the reason why a level that this CPU lacks is not run.
const notHere = "not on this CPU"

// levelNames returns the names of all CPU levels, joined by commas, for errors.
func levelNames() string {
	var names []string
	for _, l := range asm.Levels {
		names = append(names, string(l.ISA))
	}
	return strings.Join(names, ", ")
}

// levels lists the CPU levels at which to run compiled programs. Levels that cannot run on this machine are added to the
// summary.
func (c *checker) levels() ([]string, error) {
	if c.opt.Engine == "interp" {
		return nil, nil
	}
	have := kernel.Levels()
	word, _ := precision.Named(c.opt.Precision)
	if ask := c.opt.Level; ask != "" && ask != "all" {
		l, ok := asm.ISA(ask).Level()
		if !ok {
			return nil, fmt.Errorf("level %q: the compiler has no kernels of that level; want %s, or all", ask, levelNames())
		}
		if l.Arch != "" && l.Arch != runtime.GOARCH {
			if _, err := engine.Emulator(l.Arch); err != nil {
				return nil, fmt.Errorf("level %s is for %w", ask, err)
			}
		} else if !slices.Contains(have, ask) {
			return nil, fmt.Errorf("level %s is %s, which has %s; --level all takes the levels of this CPU", ask, notHere, strings.Join(have, ", "))
		}
		return []string{ask}, nil
	}
	var levels []string
	for _, l := range asm.Levels {
		if only := l.Only(); only != "" && only != word.DType.Gemm() {
			continue
		}
		if slices.Contains(have, string(l.ISA)) {
			levels = append(levels, string(l.ISA))
			continue
		}
		why := notHere
		if l.Arch != runtime.GOARCH {
			if _, err := engine.Emulator(l.Arch); err != nil {
				why = "for " + err.Error()
			} else {
				why = fmt.Sprintf("for %s: --level runs it under emulation", l.Arch)
			}
		}
		c.sum.leave(why, "level "+string(l.ISA))
		if c.opt.JSON {
			c.print(Line{Level: string(l.ISA), Verdict: absent, Note: why})
		}
	}
	return levels, nil
}

func (c *checker) print(v any) {
	if c.err != nil {
		return
	}
	if !c.opt.JSON {
		_, c.err = fmt.Fprintln(c.w, file.Brief(fmt.Sprint(v)))
		return
	}
	var text []byte
	if text, c.err = json.Marshal(v); c.err == nil {
		_, c.err = c.w.Write(append(file.EscapeJSON(text), '\n'))
	}
}

// maxNote is the largest length of a line's note, in bytes.
const maxNote = 1 << 10

func (c *checker) add(l Line) {
	switch l.Verdict {
	case ok:
		c.sum.Passed++
	case fail:
		c.sum.Failed++
	case skipped:
		c.sum.Skipped++
		c.sum.leave(l.Note, l.Case+" "+l.Weights)
	}
	if math.IsNaN(l.MaxAbs) || math.IsInf(l.MaxAbs, 0) { // JSON has no such numbers
		l.Note, l.MaxAbs = fmt.Sprintf("the error is %v", l.MaxAbs), math.MaxFloat64
	}
	l.Note = file.Shorten(l.Note, maxNote)
	c.print(l)
}

// dir runs the case in a folder, with compiled programs at the given CPU levels.
func (c *checker) dir(dir string, levels []string) error {
	cs, err := cases.Load(dir)
	if err != nil {
		return err
	}
	defer cs.Close()
	if run, ok := libraries[cs.Task]; ok {
		return run(c, cs)
	}
	if cs.Task == cases.Recorded {
		return c.recorded(cs, levels)
	}
	if cs.Weights == nil {
		return fmt.Errorf("task %s is not implemented; it has no model, and tasks without a model are %s", cs.Task, strings.Join(slices.Sorted(maps.Keys(libraries)), ", "))
	}
	d, err := describe(cs)
	if err != nil {
		return err
	}
	if err := d.SetPrecision(c.opt.Precision); err != nil {
		return err
	}
	before, other := c.sum, 0
	for _, v := range cs.Variants() {
		l := Line{Case: cs.Name, Weights: v.Name, Verdict: skipped}
		switch {
		case v.Missing:
			l.Note = "the file is not in the folder"
		case string(v.DType) != judged(c.opt.Precision) && c.opt.Precision != "f32":
			l.Note = fmt.Sprintf("at precision %s only weights of %s are checked", c.opt.Precision, judged(c.opt.Precision))
			other++
		case len(cs.RunsOf(v)) == 0:
			l.Note = fmt.Sprintf("no run of the case is for %s weights", v.DType)
		default:
			err := c.variant(cs, d, v, levels)
			if err == nil {
				continue
			}
			l.Verdict, l.Note = fail, err.Error()
		}
		c.add(l)
	}
	if c.sum.Passed == before.Passed && c.sum.Failed == before.Failed && other == 0 {
		return errors.New("nothing was checked: the folder has no weight file of the case, and the case has no seed for its runs")
	}
	return nil
}

// variant runs a case with one set of its weights.
func (c *checker) variant(cs *cases.Case, d *model.Description, v cases.Variant, levels []string) error {
	m, err := open(cs, d, v)
	if err != nil {
		return err
	}
	defer m.Close()
	return c.model(cs, m, v, levels)
}

// recorded runs a case that Record made, with the model that Options.Model describes.
func (c *checker) recorded(cs *cases.Case, levels []string) error {
	if c.opt.Model == "" {
		return errors.New("the case was recorded with another model; give its description with --model, or go test the package that was built with --golden")
	}
	m, err := compile.Open(c.opt.Model)
	if err != nil {
		return err
	}
	defer m.Close()
	return c.model(cs, m, cases.Variant{Name: m.Desc.Name}, levels)
}

// model runs the case's runs for weights v with the model m. Runs that compare intermediate results need them as outputs,
// so these runs have a program of their own.
func (c *checker) model(cs *cases.Case, m *compile.Model, v cases.Variant, levels []string) error {
	functions := m.Desc.AllFunctions()
	for _, taps := range []bool{false, true} {
		var runs []*run
		var entries []string
		for _, r := range cs.RunsOf(v) {
			x, err := planRun(cs, r, functions)
			if err != nil {
				return err
			}
			if r.Kind == towersKind {
				x.taps = taps
			}
			if x.taps != taps || len(x.judged()) == 0 {
				continue
			}
			runs = append(runs, x)
			needs := x.steps
			for _, call := range x.calls {
				needs = append(needs, call.fn)
			}
			for _, fn := range needs {
				if !slices.Contains(entries, fn) {
					entries = append(entries, fn)
				}
			}
		}
		if len(runs) == 0 {
			continue
		}
		if taps {
			m = m.WithTaps()
		}
		m, err := m.Tuned(entries, nil)
		if err != nil {
			return err
		}
		if m.Choice != nil && m.Choice.Results != nil {
			c.add(Line{Case: cs.Name, Weights: v.Name, Verdict: chosen, Note: m.Choice.Summary()})
		}
		p, _, err := m.Lower(entries)
		if err != nil {
			return err
		}
		j := &judgement{c: c, cs: cs, variant: v, program: p}
		if c.opt.Engine != "binary" {
			stored, err := m.Stored(p)
			if err != nil {
				return err
			}
			j.engine, j.level, j.run, j.caption = "interp", "", interpreter(stored), interpretedCaptions(stored)
			j.all(runs)
		}
		if c.opt.Engine != "interp" {
			if err := j.binary(m, runs, levels); err != nil {
				return err
			}
		}
	}
	return nil
}

// leastCosine returns the cosine that each output row must reach at the precision called word, or 0 if that precision
// compares outputs by the bounds of the case.
func leastCosine(word string) float64 {
	w, _ := precision.Named(word)
	return w.Cosine
}

// judged returns the type of the weights whose runs are checked at the precision called word.
func judged(word string) string {
	if leastCosine(word) > 0 {
		return precision.F32
	}
	return word
}

// judgement checks the runs of a case with one program in one engine.
type judgement struct {
	c             *checker
	cs            *cases.Case
	variant       cases.Variant
	program       *ir.Program
	engine, level string
	run           runner
	caption       captioner
}

// runner runs the function fn on a batch and returns its outputs by name, each with one slice of elements for each
// sequence.
type runner func(fn string, batch []rt.Seq) (map[string][][]float32, error)

func (j *judgement) binary(m *compile.Model, runs []*run, levels []string) error {
	planned, err := m.Plan(j.program)
	if err != nil {
		return err
	}
	opt, err := m.CodeOptions()
	if err != nil {
		return err
	}
	e, err := j.c.engines.New(planned, opt, "")
	if err != nil {
		return err
	}
	defer e.Close()
	for _, l := range levels {
		proc, err := e.Start(l)
		if err != nil {
			return err
		}
		j.engine, j.level, j.run = "binary", l, func(fn string, batch []rt.Seq) (map[string][][]float32, error) {
			outs, err := proc.Run(fn, batch)
			if err != nil {
				return nil, err
			}
			all := map[string][][]float32{}
			for _, o := range outs {
				all[o.Name] = o.Seqs
			}
			return all, nil
		}
		j.caption = proc.Captions
		j.all(runs)
		if err := proc.Close(); err != nil {
			return fmt.Errorf("the compiled program at level %s: %w", l, err)
		}
	}
	return nil
}

// interpreter returns a runner that computes with the float64 interpreter, one sequence at a time, and rounds results to
// float32.
func interpreter(p *ir.Program) runner {
	return func(fn string, batch []rt.Seq) (map[string][][]float32, error) {
		f := p.Func(fn)
		all := map[string][][]float32{}
		for _, s := range batch {
			in, t := inputs.Tensors(f, s)
			out, err := p.Run(fn, t, in)
			if err != nil {
				return nil, err
			}
			for name, x := range out {
				all[name] = append(all[name], narrow(x.F))
			}
		}
		return all, nil
	}
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// all runs each of runs and adds a line for each of its outputs.
func (j *judgement) all(runs []*run) {
	for _, r := range runs {
		got, err := r.outputs(j.cs, j.program, j.run)
		for _, name := range r.judged() {
			l := Line{Case: j.cs.Name, Weights: j.variant.Name, Run: r.r.Name, Output: name, Engine: j.engine, Level: j.level}
			l.judge(err, func() (cases.Result, error) {
				if got[name] == nil {
					return cases.Result{}, errors.New("the program has no such output")
				}
				ref, err := j.cs.Reference(r.r, name)
				if err != nil {
					return cases.Result{}, err
				}
				if least := leastCosine(j.c.opt.Precision); least > 0 {
					return j.coarse(r, ref, got, least)
				}
				return ref.Compare(got[name])
			})
			j.c.add(l)
		}
		if r.r.Decode != nil && leastCosine(j.c.opt.Precision) == 0 {
			j.decoded(r)
		}
	}
}

// judge sets the verdict of a line: a failure if err is not nil, else the result of compare.
func (l *Line) judge(err error, compare func() (cases.Result, error)) {
	var r cases.Result
	if err == nil {
		r, err = compare()
	}
	switch {
	case err != nil:
		l.Verdict, l.Note = fail, err.Error()
	case !r.OK:
		l.MaxAbs, l.Bound, l.Verdict, l.Note, l.judged = r.MaxAbs, r.Bound, fail, r.String(), true
	default:
		l.MaxAbs, l.Bound, l.Verdict, l.judged = r.MaxAbs, r.Bound, ok, true
	}
}
