package compile

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/engineproc"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// Check is the thoroughness of a build's self-check.
type Check string

// The checks. Quick takes seconds: the compiled package at its best level against
// its plain Go, and the float64 interpreter on the whole model if that is quick, on
// its first layers if it is not. Full runs the whole model in the interpreter.
const (
	Quick Check = "quick"
	Full  Check = "full"
	Off   Check = "off"
)

// Checks lists the checks by name, for help texts.
var Checks = []Check{Quick, Full, Off}

// Tolerance bounds the difference of a compiled output from its reference, as a share of
// the output's largest value; Floor is added to it. The float32 arithmetic of released
// models has errors of about 5e-6 of the largest value.
const (
	Tolerance = 1e-4
	Floor     = 1e-6
)

// QuickFLOPs is the work that takes the interpreter some seconds.
const QuickFLOPs = int64(4e9)

// cutLayers is the number of layers of a large model that the quick check interprets.
const cutLayers = 2

// Result is one line of the self-check.
type Result struct {
	Func   string  `json:"func"`
	Output string  `json:"output"`
	Judge  string  `json:"judge"` // the reference: interpreter, generic, ...
	Level  string  `json:"level"` // the CPU level of the compiled output
	MaxAbs float64 `json:"max_abs"`
	Bound  float64 `json:"bound"`

	// For a comparison by the cosine of rows: the number of rows, the least and the
	// mean cosine, the least cosine that is accepted, and the number of rows whose largest value is in
	// the same column.
	Rows   int     `json:"rows,omitempty"`
	Cosine float64 `json:"cosine,omitempty"`
	Mean   float64 `json:"mean_cosine,omitempty"`
	Least  float64 `json:"least_cosine,omitempty"`
	Top1   int     `json:"top1,omitempty"`
}

// OK reports whether the error is within the bound.
func (r Result) OK() bool {
	if r.Rows > 0 {
		return r.Cosine >= r.Least
	}
	return r.MaxAbs <= r.Bound
}

// String returns the line that the command build prints.
func (r Result) String() string {
	verdict := "ok"
	if !r.OK() {
		verdict = "FAIL"
	}
	if r.Rows > 0 {
		least := ""
		if r.Least > 0 {
			least = fmt.Sprintf(", want at least %v", r.Least)
		}
		digits := 6
		if !r.OK() {
			digits = 12 // the cosine may be just below the bound
		}
		return fmt.Sprintf("%-28s %-14s %-11s against %-22s cosine %.*f (mean %.*f)%s, max abs error %.2e, top-1 %d of %d  %s",
			r.Func, r.Output, r.Level, r.Judge, digits, r.Cosine, digits, r.Mean, least, r.MaxAbs, r.Top1, r.Rows, verdict)
	}
	return fmt.Sprintf("%-28s %-14s %-11s against %-22s max abs error %.2e, bound %.2e  %s", r.Func, r.Output, r.Level, r.Judge, r.MaxAbs, r.Bound, verdict)
}

// selfCheck checks the engine of a planned program. It returns vectors of expected outputs that
// the package will contain.
func (m *Model) selfCheck(e *engine.Engine, planned *ir.Program, how Check, opt Options) ([]Result, []task.Vector, error) {
	described, _, err := m.Lower(opt.Entries)
	if err != nil {
		return nil, nil, err
	}
	text := min(inputs.TextIDs, described.MaxT)
	work := int64(0)
	for _, f := range described.Funcs {
		work += ir.FuncCost(described, f, text).FLOPs
	}
	whole := how == Full || m.quick(work)

	s := m.Desc.Structure()
	c := &checker{text: text, vocab: s.Vocab(), rounds: roundingOf(planned)}
	best, err := c.outputs(e, planned, "")
	if err != nil {
		return nil, nil, err
	}
	generic, err := c.outputs(e, planned, "generic")
	if err != nil {
		return nil, nil, err
	}
	c.compare(best, generic, "generic")
	judge := generic
	if whole {
		opt.log("running the float64 interpreter (%.1f GFLOP)", float64(work)/1e9)
		exact, err := m.judge(c, best, described, "interpreter")
		if err != nil {
			return nil, nil, err
		}
		if !c.rounds.Coarse {
			judge = exact
		}
	} else if err := m.checkCut(c, opt); err != nil {
		return nil, nil, err
	}
	if err := m.onSamples(c, e, described, opt); err != nil {
		return nil, nil, err
	}
	var bad, inexact, wrong []string
	for _, r := range c.results {
		switch {
		case r.OK():
		case r.Rows > 0 && strings.HasPrefix(r.Judge, inputs.Exact):
			inexact = append(inexact, r.String())
		default:
			bad, wrong = append(bad, r.String()), append(wrong, r.Func)
		}
	}
	if bad == nil && inexact != nil {
		return c.results, nil, fmt.Errorf("precision %s is not accurate enough; nothing was written:\n%s\nuse another precision, or change `cosine` in the description", m.Desc.Precision, strings.Join(inexact, "\n"))
	}
	if bad != nil {
		judged := m
		if !whole {
			judged = m.cut()
		}
		return c.results, nil, fmt.Errorf("the compiled package is wrong; nothing was written:\n%s\n%splease report this with the model's description, unless you are changing the compiler",
			strings.Join(bad, "\n"), judged.wrongStep(c, slices.Compact(wrong), opt))
	}
	return c.results, vectors(judge, text, c.tolerance()), nil
}

// aim returns the least cosine with the model that outputs should have: the description's, or
// else its precision's unless tuning is off; 0: any.
func (m *Model) aim() float64 {
	if m.Desc.Tune == "off" {
		return m.Desc.Cosine
	}
	return cmp.Or(m.Desc.Cosine, m.Desc.Precision.Cosine())
}

// short lists the comparisons of rows whose cosine is below the aim.
func short(results []Result, aim float64) []string {
	var lines []string
	for _, r := range results {
		if r.Rows > 0 && r.Cosine < aim {
			lines = append(lines, r.String())
		}
	}
	return lines
}

// Allowed returns the largest accepted difference of a planned program's outputs from the
// interpreter's, as a share of the largest value. The interpreter runs the model with its
// weights as stored. If coarse is true, products round their inputs so coarsely that a last
// bit can change the outputs visibly, and the interpreter runs the model as described.
func Allowed(p *ir.Program) (share float64, coarse bool) {
	r := roundingOf(p)
	return max(Tolerance, r.Tolerance), r.Coarse
}

// roundingOf returns the rounding of the coarsest products of the planned program.
func roundingOf(p *ir.Program) precision.Rounding {
	var r precision.Rounding
	for _, w := range p.Weights {
		if w.Layout == asm.RowsLayout || !w.Type.DType.Rounds() {
			continue
		}
		x := precision.Stored(w.Type.DType).Rounding
		if r.Tolerance > 0 {
			x = precision.Rounding{Coarse: x.Coarse || r.Coarse, Tolerance: max(r.Tolerance, x.Tolerance), Least: min(r.Least, x.Least)}
		}
		r = x
	}
	return r
}

// judge compares the outputs got with the float64 interpreter on the program with its weights
// as stored, and, if these are not float32, on the program as described. It returns the first
// of the two.
func (m *Model) judge(c *checker, got []result, described *ir.Program, name string) ([]result, error) {
	stored, err := m.Stored(described)
	if err != nil {
		return nil, err
	}
	var want []result
	if !c.rounds.Coarse { // coarse products may round a number the other way
		if want, err = c.interpret(stored); err != nil {
			return nil, err
		}
		c.compare(got, want, name)
	}
	if stored == described {
		return want, nil
	}
	exact, err := c.interpret(described)
	if err != nil {
		return nil, err
	}
	c.angles(got, exact, inputs.Exact+strings.TrimPrefix(name, "interpreter"), max(m.Desc.Cosine, c.rounds.Least))
	return want, nil
}

// cut returns the model of the first layers.
func (m *Model) cut() *Model {
	cut := *m
	cut.Desc = m.Desc.Cut(cutLayers)
	return &cut
}

// checkCut compiles the first layers of the model and compares them with the interpreter.
func (m *Model) checkCut(c *checker, opt Options) error {
	cut := m.cut()
	d := cut.Desc
	opt.log("running the float64 interpreter on the first %d of %d layers", d.Sizes.Layers, m.Desc.Sizes.Layers)
	described, _, err := cut.Lower(opt.Entries)
	if err != nil {
		return err
	}
	planned, err := cut.Plan(described)
	if err != nil {
		return err
	}
	o, err := cut.options("", "")
	if err != nil {
		return err
	}
	e, err := engine.New(planned, o, "", opt.log)
	if err != nil {
		return err
	}
	defer e.Close()
	got, err := c.outputs(e, planned, "")
	if err != nil {
		return err
	}
	_, err = cut.judge(c, got, described, fmt.Sprintf("interpreter, %d layers", d.Sizes.Layers))
	return err
}

// onSamples compares the engine with the float64 interpreter on the user's own samples, if the
// description names any.
func (m *Model) onSamples(c *checker, e *engine.Engine, described *ir.Program, opt Options) error {
	s, err := m.samples()
	if err != nil || s == nil {
		return err
	}
	proc, err := e.Start("")
	if err != nil {
		return err
	}
	defer proc.Close()
	for _, f := range described.Funcs {
		list, why := s.Of(f)
		if why != "" {
			opt.log("%s is not checked on samples: %s", f.Name, why)
			continue
		}
		work := int64(0)
		for _, x := range list {
			work += ir.FuncCost(described, f, max(1, len(x.Seq.IDs))).FLOPs
		}
		opt.log("%s: running the float64 interpreter on %d samples (%.1f GFLOP)", f.Name, len(list), float64(work)/1e9)
		var got, want []result
		for i, x := range list {
			outs, err := proc.Run(f.Name, []rt.Seq{x.Seq})
			if err != nil {
				return err
			}
			in, t := inputs.Tensors(f, x.Seq)
			exact, err := described.Run(f.Name, t, in)
			if err != nil {
				return err
			}
			for k, o := range outs {
				w := exact[o.Name]
				if w == nil || len(w.F) != len(o.Seqs[0]) {
					return fmt.Errorf("%s: output %s of the package is missing in the interpreter or has another size; please report this", f.Name, o.Name)
				}
				if i == 0 {
					got = append(got, result{fn: f.Name, output: o.Name, level: proc.Level})
					want = append(want, result{cols: w.Shape[len(w.Shape)-1]})
				}
				for j, y := range w.F {
					got[k].values = append(got[k].values, float64(o.Seqs[0][j]))
					want[k].values = append(want[k].values, y)
				}
			}
		}
		c.angles(got, want, inputs.Exact+", samples", max(m.Desc.Cosine, c.rounds.Least))
	}
	return nil
}

// result is one output of one function on the sample.
type result struct {
	fn, output, level string
	cols              int // columns of a row
	values            []float64
}

type checker struct {
	text    int    // tokens of the sample's text
	vocab   int    // its token ids are below
	salt    string // seed of the sample
	rounds  precision.Rounding
	results []Result
}

// outputs starts the engine at a CPU level and returns the results of every function of p on its sample input.
func (c *checker) outputs(e *engine.Engine, p *ir.Program, level string) ([]result, error) {
	proc, err := e.Start(level)
	if err != nil {
		return nil, err
	}
	var all []result
	for _, f := range p.Funcs {
		if f.Stores() {
			if len(f.States()) == 0 {
				continue // checked by the steps, which read what it stores
			}
			pixels, tokens, err := c.caption(p)
			if err != nil {
				proc.Close()
				return nil, err
			}
			got, err := proc.Captions([][]float32{pixels}, engineproc.Caption{Mask: int32(c.vocab - 1), Tokens: tokens})
			if err != nil {
				proc.Close()
				return nil, fmt.Errorf("%s at level %s: %w", f.Name, proc.Level, err)
			}
			all = append(all, steps(f, proc.Level, got[0].Logits))
			continue
		}
		outs, err := proc.Run(f.Name, []rt.Seq{c.sample(f)})
		if err != nil {
			proc.Close()
			return nil, fmt.Errorf("%s at level %s: %w", f.Name, proc.Level, err)
		}
		for _, o := range outs {
			r := result{fn: f.Name, output: o.Name, level: proc.Level}
			for _, v := range f.Results {
				if v.Name == o.Name {
					r.cols = v.Type.Cols()
				}
			}
			for _, x := range o.Seqs[0] {
				r.values = append(r.values, float64(x))
			}
			all = append(all, r)
		}
	}
	return all, proc.Close()
}

// interpret runs every function on the sample in the float64 interpreter.
func (c *checker) interpret(p *ir.Program) ([]result, error) {
	var all []result
	for _, f := range p.Funcs {
		if f.Stores() {
			if len(f.States()) == 0 {
				continue
			}
			pixels, tokens, err := c.caption(p)
			if err != nil {
				return nil, err
			}
			m, err := inputs.NewInterpreted(p, int32(c.vocab-1), pixels)
			if err != nil {
				return nil, err
			}
			logits, err := caption.Force(m, tokens)
			if err != nil {
				return nil, err
			}
			all = append(all, steps(f, "interpreter", logits))
			continue
		}
		in, t := inputs.Tensors(f, c.sample(f))
		out, err := p.Run(f.Name, t, in)
		if err != nil {
			return nil, err
		}
		for _, v := range f.Results {
			all = append(all, result{f.Name, v.Name, "interpreter", v.Type.Cols(), out[v.Name].F})
		}
	}
	return all, nil
}

// caption returns the self-check's picture and tokens for the steps of a caption.
func (c *checker) caption(p *ir.Program) (pixels []float32, tokens []int32, err error) {
	image, step, err := inputs.Stateful(p)
	if err != nil {
		return nil, nil, err
	}
	return c.sample(image).Image, task.Sample(c.salt+step.Name, 0, c.text, c.vocab).IDs, nil
}

// steps returns the logits of all steps of a caption as one output.
func steps(f *ir.Func, level string, logits [][]float32) result {
	r := result{fn: f.Name, output: f.Results[0].Name, level: level, cols: f.Results[0].Type.Cols()}
	for _, row := range logits {
		for _, x := range row {
			r.values = append(r.values, float64(x))
		}
	}
	return r
}

// tolerance returns the largest difference to expect, as a share of the largest value.
func (c *checker) tolerance() float64 {
	return max(Tolerance, c.rounds.Tolerance)
}

// angles adds a line for each output that compares its rows by their cosines.
func (c *checker) angles(got, want []result, judge string, least float64) {
	for i, g := range got {
		w := want[i]
		r := Result{Func: g.fn, Output: g.output, Judge: judge, Level: g.level, Cosine: 1, Mean: 1, Least: least}
		inputs.Rows(g.values, w.values, w.cols, func(x, y []float64) {
			top, at := 0, 0
			for k := range x {
				if x[k] > x[top] {
					top = k
				}
				if y[k] > y[at] {
					at = k
				}
				if d := math.Abs(x[k] - y[k]); d > r.MaxAbs || d != d {
					r.MaxAbs = d
				}
			}
			r.Rows++
			if top == at {
				r.Top1++
			}
			cos := inputs.Cosine(x, y)
			r.Cosine = min(r.Cosine, cos)
			r.Mean += (cos - r.Mean) / float64(r.Rows)
		})
		c.results = append(c.results, r)
	}
}

// compare adds a line for each output that compares its values.
func (c *checker) compare(got, want []result, judge string) {
	for i, g := range got {
		w := want[i]
		r := Result{Func: g.fn, Output: g.output, Judge: judge, Level: g.level}
		peak := 0.0
		for j := range w.values {
			peak = max(peak, math.Abs(w.values[j]))
			if d := math.Abs(g.values[j] - w.values[j]); d > r.MaxAbs || d != d {
				r.MaxAbs = d
			}
		}
		r.Bound = Floor + c.tolerance()*peak
		c.results = append(c.results, r)
	}
}

// sample returns the self-check's input of a function.
func (c *checker) sample(f *ir.Func) rt.Seq { return inputs.Seeded(f, c.salt, c.text, c.vocab) }

// vectors returns the sample's outputs for the package. They are the same on every CPU, unless
// the last bit of the interpreter makes a number round the other way.
func vectors(rs []result, text int, tolerance float64) []task.Vector {
	var vs []task.Vector
	for _, r := range rs {
		v := task.Vector{Func: r.fn, Output: r.output, Text: text, Step: max(1, (len(r.values)+task.VectorValues-1)/task.VectorValues)}
		peak := 0.0
		for i, x := range r.values {
			peak = max(peak, math.Abs(float64(float32(x))))
			if i%v.Step == 0 {
				v.Values = append(v.Values, float32(x))
			}
		}
		v.Bound = Floor + float64(tolerance*peak)
		vs = append(vs, v)
	}
	return vs
}
