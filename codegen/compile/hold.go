package compile

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/engineproc"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/model"
)

// computer runs a function of a model on one input and returns its results by name.
type computer func(fn string, in rt.Seq) (map[string][]float64, error)

func interpreted(p *ir.Program) computer {
	return func(fn string, in rt.Seq) (map[string][]float64, error) {
		f := p.Func(fn)
		tensors, t := inputs.Tensors(f, in)
		out, err := p.Run(fn, t, tensors)
		if err != nil {
			return nil, err
		}
		all := map[string][]float64{}
		for name, v := range out {
			all[name] = v.F
		}
		return all, nil
	}
}

func compiled(proc *engineproc.Client) computer {
	return func(fn string, in rt.Seq) (map[string][]float64, error) {
		outs, err := proc.Run(fn, []rt.Seq{in})
		all := map[string][]float64{}
		for _, o := range outs {
			for _, v := range o.Seqs[0] {
				all[o.Name] = append(all[o.Name], float64(v))
			}
		}
		return all, err
	}
}

// gap describes the difference between a tensor of the file and the computed one: the largest difference, the sum of squared
// differences, and the largest value of the tensor.
type gap struct {
	off, squares, peak float64
	rows               []float64 // the computed values of the whole batch
}

// compare runs the functions of the tensors for which of is true. It returns a gap for each tensor, nil for the others.
func (x *Expected) compare(run computer, images [][]float32, of func(w *expected) bool) ([]*gap, error) {
	all := make([]*gap, len(x.want))
	for _, fn := range x.functions(of) {
		f := x.funcNamed(fn)
		for b := range x.batch(f) {
			var in rt.Seq
			for _, p := range f.Params {
				if p.Type.DType == ir.I32 {
					in.IDs = x.ids[min(b, len(x.ids)-1)]
				} else {
					in.Image = images[min(b, len(images)-1)]
				}
			}
			out, err := run(fn, in)
			if err != nil {
				return nil, err
			}
			for i := range x.want {
				w := &x.want[i]
				if w.fn.Name != fn || !of(w) || out[w.result] == nil {
					continue
				}
				if all[i] == nil {
					all[i] = &gap{}
				}
				all[i].rows = append(all[i].rows, out[w.result]...)
			}
		}
	}
	for i, d := range all {
		if d == nil {
			continue
		}
		w := x.want[i]
		if len(d.rows) != len(w.values) {
			return nil, fmt.Errorf("%s: %s has %d numbers, the computed tensor %d", file.Quote(x.path), file.Quote(w.name), len(w.values), len(d.rows))
		}
		for j, v := range w.values {
			d.peak = max(d.peak, math.Abs(float64(v)))
			off := math.Abs(float64(v) - d.rows[j])
			if off > d.off || off != off {
				d.off = off
			}
			d.squares += float64(off * off)
		}
	}
	return all, nil
}

func (x *Expected) funcNamed(name string) *ir.Func {
	i := slices.IndexFunc(x.want, func(w expected) bool { return w.fn.Name == name })
	return x.want[i].fn
}

// ok reports whether a tensor is as expected.
func (x *Expected) ok(d *gap) bool { return d.off <= x.share*d.peak }

// Hold compares the model with tensors that a user's own code computed: the engine of a planned program, and the float64
// interpreter if that is quick or how asks for it. A model at another precision than f32 is also compiled at f32 for this,
// and its own package is compared by the cosine of each row. It returns a line for each tensor and reference, and an error
// that names the first tensor that differs and the usual causes.
func (m *Model) Hold(x *Expected, e *engine.Engine, entries []string, how Check, log func(format string, args ...any)) ([]Result, error) {
	if log == nil {
		log = func(string, ...any) {}
	}
	taps, err := m.checked(x, entries)
	if err != nil {
		return nil, err
	}
	opt, err := m.CodeOptions()
	if err != nil {
		return nil, err
	}
	h := &holder{Expected: x, name: filepath.Base(x.path)}
	if x.given != nil && x.picture != nil {
		r := x.preprocessing(opt.Pixels)
		r.Judge = h.name
		h.add(finding{Result: r, tensor: "image"})
	}
	if h.images, err = x.images(opt.Pixels); err != nil {
		return nil, err
	}
	built, err := m.Desc.Functions(entries)
	if err != nil {
		return nil, err
	}
	outputs := func(w *expected) bool { // whether the package has the tensor as an output
		return !isTap(w.result) && slices.ContainsFunc(built, func(f model.Function) bool { return f.Name == w.fn.Name })
	}
	proc, err := e.Start("")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	exact := m.Desc.Precision.Exact()
	if exact {
		if err := h.judge(compiled(proc), proc.Level, outputs); err != nil {
			return nil, err
		}
	}
	any := func(*expected) bool { return true }
	work := int64(0)
	for _, fn := range x.functions(any) {
		work += x.work(taps, fn)
	}
	more := slices.ContainsFunc(x.want, func(w expected) bool { return !outputs(&w) })
	switch {
	case how == Full || m.quick(work):
		log("comparing the float64 interpreter with %s (%.1f GFLOP)", h.name, float64(work)/1e9)
		err = h.judge(interpreted(taps), "interpreter", any)
	case more || !exact:
		log("compiling the model in float32 with the rows after each layer, to compare them with %s", h.name)
		err = m.holdCompiled(taps, log, func(run computer, level string) error { return h.judge(run, level, any) })
	}
	if err == nil && !exact {
		err = h.judgeAngles(proc, outputs, m.Desc.Cosine)
	}
	switch {
	case err != nil:
		return nil, err
	case h.bad == nil:
		return h.results, m.nearer(x, h.images, log)
	}
	return h.results, m.differs(x, h.bad, h.images, log)
}

// holder collects the results of Hold.
type holder struct {
	*Expected
	name    string // of the file, as the reference in reports
	images  [][]float32
	results []Result
	bad     []finding
}

func (h *holder) add(f finding) {
	h.results = append(h.results, f.Result)
	if !f.OK() {
		h.bad = append(h.bad, f)
	}
}

// judge compares the expected tensors with what run computes from the inputs.
func (h *holder) judge(run computer, level string, of func(w *expected) bool) error {
	all, err := h.compare(run, h.images, of)
	if err != nil {
		return err
	}
	for i, d := range all {
		if d == nil {
			continue
		}
		w := h.want[i]
		r := Result{Func: w.fn.Name, Output: strings.TrimSuffix(w.result, ".ffn"), Judge: h.name, Level: level, MaxAbs: d.off, Bound: h.share * d.peak}
		h.add(finding{r, w.name, d.peak, i})
	}
	return nil
}

// judgeAngles compares the tensors with the outputs of a package at another precision than f32, by the cosine of each row.
func (h *holder) judgeAngles(proc *engineproc.Client, of func(w *expected) bool, cosine float64) error {
	all, err := h.compare(compiled(proc), h.images, of)
	if err != nil {
		return err
	}
	c := &checker{}
	for i, d := range all {
		if d == nil {
			continue
		}
		w := h.want[i]
		want := result{cols: h.resultOf(&w).Type.Cols()}
		for _, v := range w.values {
			want.values = append(want.values, float64(v))
		}
		c.angles([]result{{fn: w.fn.Name, output: w.result, level: proc.Level, values: d.rows}}, []result{want}, h.name, cosine)
	}
	for _, r := range c.results {
		h.add(finding{Result: r})
	}
	return nil
}

func (x *Expected) resultOf(w *expected) *ir.Value {
	i := slices.IndexFunc(w.fn.Results, func(v *ir.Value) bool { return v.Name == w.result })
	return w.fn.Results[i]
}

// preprocessing compares the pictures as p preprocesses them with the expected images.
func (x *Expected) preprocessing(p *pixel.Preprocess) Result {
	r := Result{Func: "preprocess", Output: "image", Level: "package"}
	made, err := x.made(p)
	if err != nil || len(made) != len(x.given) {
		r.MaxAbs = math.Inf(1)
		return r
	}
	peak := 0.0
	for b, f := range x.given {
		for i, v := range f {
			peak = max(peak, math.Abs(float64(v)))
			r.MaxAbs = max(r.MaxAbs, math.Abs(float64(v)-float64(made[b][i])))
		}
	}
	r.Bound = x.share * peak
	return r
}

// holdCompiled compiles a program with taps in float32 and calls do with a function that runs it.
func (m *Model) holdCompiled(taps *ir.Program, log func(format string, args ...any), do func(run computer, level string) error) error {
	plain := *m
	d := *m.Desc
	plain.Desc, plain.Choice = &d, nil
	if err := d.SetPrecision("f32"); err != nil {
		return err
	}
	planned, err := plain.Plan(taps)
	if err != nil {
		return err
	}
	opt, err := plain.CodeOptions()
	if err != nil {
		return err
	}
	e, err := engine.New(planned, opt, "", log)
	if err != nil {
		return err
	}
	defer e.Close()
	proc, err := e.Start("")
	if err != nil {
		return err
	}
	defer proc.Close()
	return do(compiled(proc), proc.Level)
}
