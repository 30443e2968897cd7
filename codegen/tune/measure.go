package tune

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// sampledFLOPs bounds the work of all runs of a function if there are more than two; manySamples
// bounds their number.
const sampledFLOPs, manySamples = 1e10, 8

// manyRows is the number of rows in an output from which on one sample is enough to meet an error near the worst.
const manyRows = 64

// segment is a part of an output whose error has a limit of its own: the rows of one segment of
// the sequence, such as the image or the text of a pair, or all rows. Rounding a module of one
// segment has little effect on the rows of another.
type segment struct {
	name   string
	fn, of int      // index of the function, and of the output among all outputs
	f      *ir.Func // of the joined program
	out    output
	at     int // index of the segment in the output
}

// segments lists the segments of all functions, in their order.
func (j *joined) segments() []segment {
	var all []segment
	of := 0
	for fn, f := range j.Funcs {
		for _, o := range j.outputs[f.Name] {
			for i := range o.parts() {
				name := o.fn + " " + o.name
				if o.segments != nil {
					name += " " + o.segments[i].Name
				}
				all = append(all, segment{name, fn, of, f, o, i})
			}
			of++
		}
	}
	return all
}

// programs makes the program in which modules are judged and the one in which choices are measured. They share the weights
// that they hold.
func (t *tuner) programs() (err error) {
	if t.whole, err = t.joined(t.Desc); err != nil {
		return err
	}
	hold(t.whole.Program)
	t.wide = t.whole
	if !t.large {
		return nil
	}
	wide, err := t.joined(t.Desc.Small(tuneSide))
	if err != nil {
		return nil // a small image does not fit the model's tables: judge on the whole one
	}
	for _, w := range wide.Weights {
		if same := t.whole.Weight(w.Name); same != nil && same.Type.Equal(w.Type) {
			w.Load = same.Load
		}
	}
	t.wide = wide
	return nil
}

// functions returns the names of the functions that the entries need. In place of captioning's functions with a state it has
// the function that computes the same for all rows at once.
func (t *tuner) functions() ([]string, error) {
	whole, err := t.Desc.Whole(t.Entries)
	var names []string
	for _, f := range whole {
		names = append(names, f.Name)
	}
	return names, err
}

// joined returns the program of a description before products are fused and weights are
// rounded: in float32, with a value for each product.
func (t *tuner) joined(d *model.Description) (*joined, error) {
	functions, err := t.functions()
	if err != nil {
		return nil, err
	}
	described, err := t.Lower(d, functions)
	if err != nil {
		return nil, err
	}
	p, err := passes.Run(described, passes.Options{Rows: t.Desc.Limits.Rows, Smooth: smoothings(t.smooth), Upto: passes.Smooth.Name})
	if err != nil {
		return nil, err
	}
	return join(p, described), nil
}

// rounded adds the weights of module m, rounded to the format, to the map. For float32 it adds none, since they need no
// rounding.
func (t *tuner) rounded(weights map[string]*ir.Weight, m *module, format precision.Format) {
	for _, name := range m.weights {
		if w := t.wide.Weight(name); w != nil && format.DType != ir.F32 {
			weights[name] = passes.Narrowed(w, format.DType)
		}
	}
}

// hold keeps weights of p in memory once they are loaded: all if they have at most held bytes, otherwise only the vectors, many
// of which passes compute from whole matrices. The matrices of a large model are loaded for every run.
func hold(p *ir.Program) {
	total := int64(0)
	for _, w := range p.Weights {
		total += 4 * w.Type.Elements(0)
	}
	for _, w := range p.Weights {
		if w.Load == nil || len(w.Type.Shape) > 1 && total > held {
			continue
		}
		load := sync.OnceValues(w.Load)
		w.Load = func() ([]float32, error) {
			x, err := load()
			return slices.Clone(x), err
		}
	}
}

// sampleRun is a function's run on a sample.
type sampleRun struct {
	ir.Input
	f     *ir.Func
	exact map[string]*ir.Tensor
}

// runs returns runs of every function on at most samples random inputs. It takes fewer if their work would exceed
// sampledFLOPs, but not fewer than two, or than one if every output has manyRows rows. salt is part of the seed. The first
// input's text has text tokens, each further one three more, as far as the model allows.
func (t *tuner) runs(p *joined, salt string, samples, text int) []*sampleRun {
	var all []*sampleRun
	for _, f := range p.Funcs {
		work := ir.FuncCost(p.Program, f, min(tuneText, p.MaxT)).FLOPs
		least := 1
		for _, v := range f.Results {
			if v.Type.At(1)[0] < manyRows {
				least = 2
			}
		}
		for i := range min(samples, max(least, int(sampledFLOPs/max(1, work)))) {
			in, n := inputs.Tensors(f, t.seeded(p.Program, f, fmt.Sprintf("%s%d.", salt, i), text+3*i))
			all = append(all, &sampleRun{f: f, Input: ir.Input{T: n, In: in}})
		}
	}
	return all
}

// measured returns runs of every function on the inputs that choices are measured on.
func (t *tuner) measured() []*sampleRun {
	return append(t.runs(t.whole, "verify", manySamples, tuneText), t.own()...)
}

// judged returns runs of every function on the inputs that groups are judged on. One input is
// enough in a large model, where only the order of the groups' errors matters.
func (t *tuner) judged() []*sampleRun {
	samples := 2
	if t.large {
		samples = 1
	}
	return t.runs(t.wide, "tune", samples, judgeText)
}

// seeded returns an input of a function; its text has the given number of tokens, as far as the model allows.
func (t *tuner) seeded(p *ir.Program, f *ir.Func, salt string, text int) rt.Seq {
	s := t.Desc.Structure()
	return inputs.Seeded(f, salt, max(1, min(text, p.MaxT)), s.Vocab())
}

// own returns runs of every function on some of the user's own samples, if there are any.
func (t *tuner) own() []*sampleRun {
	var all []*sampleRun
	if t.Samples == nil {
		return nil
	}
	for _, f := range t.whole.Funcs {
		list, _ := t.Samples.Of(f)
		for _, x := range inputs.Spread(list, ownSamples) {
			in, n := inputs.Tensors(f, x.Seq)
			all = append(all, &sampleRun{f: f, Input: ir.Input{T: n, In: in}})
		}
	}
	return all
}

// ownSamples bounds the user's own samples that a choice is measured on. The self-check of the
// build takes all of them.
const ownSamples = 2

// runsOf returns the runs of the function f.
func runsOf(runs []*sampleRun, f *ir.Func) []*sampleRun {
	var of []*sampleRun
	for _, x := range runs {
		if x.f == f {
			of = append(of, x)
		}
	}
	return of
}

// runAll runs a function of the program on the inputs of its runs.
func runAll(p *ir.Program, runs []*sampleRun) ([]map[string]*ir.Tensor, error) {
	inputs := make([]ir.Input, len(runs))
	for i, x := range runs {
		inputs[i] = x.Input
	}
	return p.RunAll(runs[0].f.Name, inputs, nil)
}

// results runs a function of the whole program with all modules rounded, the overrides to their
// own formats, and compares with the exact results. It returns a line for each output, and the
// error of each segment's worst row.
func (t *tuner) results(runs []*sampleRun, overrides map[*module]precision.Format) ([]Result, []float64, error) {
	weights := map[string]*ir.Weight{}
	for _, m := range t.modules {
		format, ok := overrides[m]
		if !ok {
			format = m.formats[0]
		}
		t.rounded(weights, m, format)
	}
	got, err := runAll(t.whole.With(weights), runs)
	if err != nil {
		return nil, nil, err
	}
	t.meter.did(flops(t.whole.Program, runs))
	var all []Result
	var errors []float64
	for _, o := range t.whole.outputs[runs[0].f.Name] {
		sum := Result{Func: o.fn, Output: o.name, Judge: inputs.Exact, Cosine: 1}
		worst := make([]float64, o.parts())
		for i, x := range runs {
			got, want := got[i][o.value.Name], x.exact[o.value.Name]
			inputs.Rows(got.F, want.F, o.value.Type.Cols(), func(got, want []float64) {
				cos := inputs.Cosine(got, want)
				sum.Rows++
				sum.Cosine = min(sum.Cosine, cos)
				sum.Mean += (cos - sum.Mean) / float64(sum.Rows)
			})
			for j, e := range worst {
				worst[j] = max(e, worstRow(o.part(got, j, x.T), o.part(want, j, x.T)))
			}
		}
		all, errors = append(all, sum), append(errors, worst...)
	}
	return all, errors, nil
}

// worstRow returns 1 - the least cosine of a row.
func worstRow(got, want *ir.Tensor) float64 {
	worst := 0.0
	inputs.Rows(got.F, want.F, want.Shape[len(want.Shape)-1], func(got, want []float64) {
		worst = max(worst, 1-inputs.Cosine(got, want))
	})
	return worst
}

// each calls f(0) ... f(n-1) on all CPUs and returns the first error.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	ir.Parallel(n, func(i int) { errs[i] = f(i) })
	return cmp.Or(errs...)
}
