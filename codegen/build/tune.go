package build

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// DefaultCosine is what every row of an output is to reach against the model in float64,
// where products of bytes are built and the description asks for nothing else.
const DefaultCosine = 0.9995

const (
	// tuneRounds is how often a choice that turns out too coarse is made anew.
	tuneRounds = 5
	// tuneSide and tuneText are the inputs that a large model's modules are judged on one
	// by one: patches on a side of the picture, and ids.
	tuneSide, tuneText = 2, 4
	// minorShare is the share of all noise below which the modules of a layer are not
	// judged one by one.
	minorShare = 0.2
	// cached is the most bytes of weights that are held while modules are judged.
	cached = 1 << 30
)

// Choice is which modules of a model that multiplies bytes are kept in another type.
type Choice struct {
	Kept    []precision.Keep
	Share   map[string]float64 // of the work of each function's products that they are
	Results []Result           // of the interpreter with that choice, on other inputs than it was made on
}

// String is the choice in a line.
func (c *Choice) String() string {
	if len(c.Kept) == 0 {
		return "kept from products of bytes: nothing"
	}
	var names, shares []string
	for _, k := range c.Kept {
		names = append(names, k.Module)
	}
	for _, f := range sorted(c.Share) {
		if s := c.Share[f]; s > 0 {
			shares = append(shares, fmt.Sprintf("%.1f %% of %s", 100*s, f))
		}
	}
	return fmt.Sprintf("kept in %s: %s (%s)", c.Kept[0].Word, strings.Join(names, ", "), strings.Join(shares, ", "))
}

// Tuned returns the model with a choice of modules that are not multiplied as bytes, so
// that outputs of the entries, nil for the description's, keep the cosine that the
// description asks for (DefaultCosine if it does not). What the description says of a
// module by name stays. The choice is nil if the model multiplies no bytes. It depends on
// the model alone, not on the machine.
//
// Every module is judged by what its rounding does to the outputs, in the float64
// interpreter: of a large model on a small picture, and layer by layer where that does
// little. Modules are kept in the order of what they do by the work they are, until what is
// left is within the bound. Then what is left is rounded together, on other inputs and on
// pictures as they are unless the model is very large, and the choice is made anew with a
// smaller bound if it was too coarse.
func (m *Model) Tuned(entries []string, log func(format string, args ...any)) (*Model, *Choice, error) {
	if !m.Desc.Precision.Bytes() {
		return m, nil, nil
	}
	full, _, err := m.Lower(entries)
	if err != nil {
		return nil, nil, err
	}
	t := &tuner{m: m, log: log, full: full, allowed: 1 - cmp.Or(m.Desc.Cosine, DefaultCosine)}
	if t.log == nil {
		t.log = func(string, ...any) {}
	}
	for _, f := range full.Funcs {
		t.entries = append(t.entries, f.Name)
		t.large = t.large || ir.FuncCost(full, f, min(tuneText, full.MaxT)).FLOPs > tuneFLOPs
	}
	// A small model costs next to nothing whatever it is stored in.
	if t.word = precision.F32; t.large {
		t.word = "bf16"
	}
	if err := t.weigh(); err != nil {
		return nil, nil, err
	}
	if len(t.work) == 0 {
		return m, nil, nil
	}
	if err := t.prepare(); err != nil {
		return nil, nil, err
	}
	return t.choose()
}

// wholeFLOPs is the work above which choices are verified on small pictures too.
const wholeFLOPs = 1e11

// tuneFLOPs is the work of a function above which a model is large; tests lower it.
var tuneFLOPs = int64(5e7)

type tuner struct {
	m       *Model
	log     func(format string, args ...any)
	entries []string
	full    *ir.Program // as described
	large   bool
	allowed float64 // 1 - cosine
	word    string  // how what is kept is stored

	work  map[string]map[string]float64 // of a module, by function: its share of the work of products
	units []*unit

	wide    *ir.Program // with f32 in the place of bytes, for small pictures if the model is large
	whole   *ir.Program // the same for pictures as they are, unless that is too much work
	modules []*unit
	outputs []Result // what the elements of a unit's noise are of: functions and outputs
	note    string   // what is small
}

// unit is what is kept or not: a module, or the modules of a layer.
type unit struct {
	name    string
	modules []string
	weights map[string]*ir.Weight // as bytes
	noise   []float64             // 1 - cosine of the worst row of each output and sample, with this unit alone as bytes
}

// weigh finds the modules that are multiplied as bytes, and their shares of the work.
func (t *tuner) weigh() error {
	bytes, err := t.quantised(t.full, t.m.Desc.Precision)
	if err != nil {
		return err
	}
	t.work = map[string]map[string]float64{}
	for _, w := range bytes.Weights {
		if name := precision.Module(w.Name); t.judges(w) {
			t.work[name] = map[string]float64{}
		}
	}
	routed, err := passes.Run(t.full, passes.Options{Rows: t.m.Desc.Limits.Rows, Upto: passes.Prune.Name})
	if err != nil {
		return err
	}
	for _, f := range routed.Funcs {
		n := min(sampleText, routed.MaxT)
		all := float64(max(1, ir.FuncCost(routed, f, n).FLOPs))
		for _, v := range f.Values {
			if work := t.work[precision.Module(v.Bundle+".w")]; v.Op == ir.OpLinear && work != nil {
				work[f.Name] += float64(ir.ValueCost(routed, f, v, n).FLOPs) / all
			}
		}
	}
	return nil
}

// named reports whether the description says how the weight's module or class is stored.
func (t *tuner) named(weight string) bool {
	if _, ok := t.m.Desc.Precision.Classes[precision.ClassOf(weight)]; ok {
		return true
	}
	return slices.ContainsFunc(t.m.Desc.Precision.Keep, func(k precision.Keep) bool { return k.Names(weight) })
}

// judges reports whether w is stored as bytes and may be kept from it. The tables of a large
// model may not: they are most of its size.
func (t *tuner) judges(w *ir.Weight) bool {
	return w.Type.DType == ir.I8 && !t.named(w.Name) && !(t.large && precision.ClassOf(w.Name) == precision.Embedding)
}

func (t *tuner) quantised(p *ir.Program, m precision.Map) (*ir.Program, error) {
	return passes.Run(p, passes.Options{Rows: t.m.Desc.Limits.Rows, Precision: m, Upto: passes.Quantise.Name})
}

// prepare makes the program that the modules are judged in, and finds their bytes.
func (t *tuner) prepare() error {
	small := *t.m
	if t.large {
		small.Desc = t.m.Desc.Small(tuneSide)
	}
	described, _, err := small.Lower(t.functions())
	if err != nil && small.Desc != t.m.Desc {
		small.Desc = t.m.Desc // its tables do not fit a small picture
		described, _, err = small.Lower(t.functions())
	}
	if err != nil {
		return err
	}
	wide, err := t.quantised(described, t.m.Desc.Precision.Wide())
	if err != nil {
		return err
	}
	bytes, err := t.quantised(described, t.m.Desc.Precision)
	if err != nil {
		return err
	}
	t.wide, t.whole = wide, wide
	hold(wide)
	if small.Desc != t.m.Desc {
		if err := t.enlarge(); err != nil {
			return err
		}
	}
	modules := map[string]*unit{}
	for _, w := range bytes.Weights {
		name := precision.Module(w.Name)
		if !t.judges(w) {
			continue
		}
		if modules[name] == nil {
			modules[name] = &unit{name: name, modules: []string{name}, weights: map[string]*ir.Weight{}}
		}
		modules[name].weights[w.Name] = w
	}
	for _, name := range sorted(modules) {
		t.modules = append(t.modules, modules[name])
	}
	return nil
}

// enlarge makes the program for pictures as they are. It has the weights of the other one,
// which are loaded already.
func (t *tuner) enlarge() error {
	t.note = ", small pictures"
	work := int64(0)
	for _, f := range t.full.Funcs {
		work += ir.FuncCost(t.full, f, min(tuneText, t.full.MaxT)).FLOPs
	}
	if work > wholeFLOPs {
		return nil
	}
	described, _, err := t.m.Lower(t.functions())
	if err != nil {
		return err
	}
	if t.whole, err = t.quantised(described, t.m.Desc.Precision.Wide()); err != nil {
		return err
	}
	for _, w := range t.whole.Weights {
		if same := t.wide.Weight(w.Name); same != nil && same.Type.Equal(w.Type) {
			w.Load = same.Load
		}
	}
	t.note = ""
	return nil
}

// judge measures what the rounding of each unit does alone.
func (t *tuner) judge() error {
	t.log("judging what bytes do to %d modules", len(t.work))
	samples := 4
	if t.large {
		samples = 1
	}
	runs, err := t.runs(t.wide, "tune", samples)
	if err != nil {
		return err
	}
	for _, x := range runs {
		for _, v := range x.f.Results {
			t.outputs = append(t.outputs, Result{Func: x.f.Name, Output: v.Name})
		}
	}
	measure := func(units []*unit) error {
		return each(len(units), func(i int) error {
			u := units[i]
			u.noise = nil
			for _, x := range runs {
				got, err := x.trace.With(u.weights)
				if err != nil {
					return err
				}
				for _, v := range x.f.Results {
					u.noise = append(u.noise, worstRow(got[v.Name], x.exact[v.Name]))
				}
			}
			return nil
		})
	}

	if !t.large {
		t.units = t.modules
		return measure(t.units)
	}
	groups := map[string]*unit{}
	for _, u := range t.modules {
		name, _, _ := strings.Cut(u.name, ".")
		g := groups[name]
		if g == nil {
			g = &unit{name: name, weights: map[string]*ir.Weight{}}
			groups[name] = g
		}
		g.modules = append(g.modules, u.name)
		for _, k := range sorted(u.weights) {
			g.weights[k] = u.weights[k]
		}
	}
	var layers []*unit
	for _, name := range sorted(groups) {
		layers = append(layers, groups[name])
	}
	if err := measure(layers); err != nil {
		return err
	}
	total := sum(layers)
	var apart []*unit
	for _, g := range layers {
		minor := true
		for i, x := range g.noise {
			minor = minor && x <= minorShare*total[i]
		}
		if minor {
			t.units = append(t.units, g)
			continue
		}
		for _, u := range t.modules {
			if slices.Contains(g.modules, u.name) {
				apart = append(apart, u)
			}
		}
	}
	t.units = append(t.units, apart...)
	return measure(apart)
}

// functions is the entries with captions as one function, not as steps that have states.
func (t *tuner) functions() []string {
	var names []string
	for _, e := range t.entries {
		if strings.HasPrefix(e, "caption_") {
			e = "caption_full"
		}
		if !slices.Contains(names, e) {
			names = append(names, e)
		}
	}
	return names
}

// checker makes inputs; the i-th has a text of its own length.
func (t *tuner) checker(salt string, i int) *checker {
	text := max(1, min(tuneText+3*i, t.full.MaxT))
	s := t.m.Desc.Structure()
	return &checker{text: text, vocab: s.Vocab(), salt: salt}
}

// hold has the weights of p loaded once, if they are not too many. Nobody may change what
// they load then.
func hold(p *ir.Program) {
	total := int64(0)
	for _, w := range p.Weights {
		total += 4 * w.Type.Elements(0)
	}
	if total > cached {
		return
	}
	for _, w := range p.Weights {
		if w.Load != nil {
			w.Load = sync.OnceValues(w.Load)
		}
	}
}

// sampleRun is a function's run on a sample.
type sampleRun struct {
	f     *ir.Func
	trace *ir.Trace
	exact map[string]*ir.Tensor
}

// runs evaluates every function on samples.
func (t *tuner) runs(p *ir.Program, salt string, samples int) ([]*sampleRun, error) {
	var all []*sampleRun
	for _, f := range p.Funcs {
		if keeps(f) {
			continue
		}
		for i := range samples {
			in, n := Tensors(f, t.checker(fmt.Sprintf("%s%d.", salt, i), i).sample(f))
			tr, err := p.Trace(f.Name, n, in)
			if err != nil {
				return nil, err
			}
			all = append(all, &sampleRun{f, tr, tr.Results()})
		}
	}
	return all, nil
}

// choose keeps units until the others together are near enough.
func (t *tuner) choose() (*Model, *Choice, error) {
	// What is computed of a model's outputs, such as the similarities of several pictures and
	// texts, may be far more sensitive than they are. So where it costs nothing, outputs are
	// made nearer than was asked for.
	accept, samples := 0.02*t.allowed, 8
	if t.large {
		accept, samples = 0.5*t.allowed, 1
		if t.note == "" {
			accept = 0.8 * t.allowed
		}
	}
	runs, err := t.runs(t.whole, "verify", samples)
	if err != nil {
		return nil, nil, err
	}
	var units []*unit
	for bound, round := accept, 0; ; round++ {
		results, err := t.results(runs, units)
		if err != nil {
			return nil, nil, err
		}
		worst := 0.0
		for _, r := range results {
			worst = max(worst, 1-r.Cosine)
		}
		if worst <= accept || round == tuneRounds || round > 0 && len(units) == len(t.units) {
			m, c := t.keep(units)
			c.Results = results
			return m, c, nil
		}
		t.log("cosine %.6f at least with %d modules in %s; keeping more", 1-worst, len(units), t.word)
		if round == 0 {
			if err := t.judge(); err != nil {
				return nil, nil, err
			}
			t.scale(results)
		} else {
			bound *= max(0.1, 0.8*accept/worst)
		}
		units = t.pick(bound)
	}
}

// scale has the noise of all units add up to what they do together on the whole model.
func (t *tuner) scale(together []Result) {
	total := sum(t.units)
	for i, at := range t.outputs {
		j := slices.IndexFunc(together, func(r Result) bool { return r.Func == at.Func && r.Output == at.Output })
		if j < 0 || total[i] == 0 {
			continue
		}
		for _, u := range t.units {
			u.noise[i] *= (1 - together[j].Cosine) / total[i]
		}
	}
}

// results compares runs with all units as bytes but those kept with what they are exactly:
// a line for each output.
func (t *tuner) results(runs []*sampleRun, kept []*unit) ([]Result, error) {
	bytes := map[string]*ir.Weight{}
	for _, u := range t.modules {
		if !slices.ContainsFunc(kept, func(k *unit) bool { return slices.Contains(k.modules, u.name) }) {
			for name, w := range u.weights {
				bytes[name] = w
			}
		}
	}
	lines := make([][]Result, len(runs))
	if err := each(len(runs), func(i int) error {
		x := runs[i]
		got, err := x.trace.With(bytes)
		if err != nil {
			return err
		}
		c := &checker{}
		for _, v := range x.f.Results {
			r := result{x.f.Name, v.Name, "int8", v.Type.Cols(), got[v.Name].F}
			c.angles([]result{r}, []result{{x.f.Name, v.Name, "", v.Type.Cols(), x.exact[v.Name].F}}, exactModel+t.note, 0)
		}
		lines[i] = c.results
		return nil
	}); err != nil {
		return nil, err
	}
	var all []Result
	for _, r := range slices.Concat(lines...) {
		i := slices.IndexFunc(all, func(o Result) bool { return o.Func == r.Func && o.Output == r.Output })
		if i < 0 {
			all = append(all, r)
			continue
		}
		o := &all[i]
		o.Cosine, o.MaxAbs = min(o.Cosine, r.Cosine), max(o.MaxAbs, r.MaxAbs)
		o.Mean = (float64(o.Mean*float64(o.Rows)) + float64(r.Mean*float64(r.Rows))) / float64(o.Rows+r.Rows)
		o.Rows, o.Top1 = o.Rows+r.Rows, o.Top1+r.Top1
	}
	return all, nil
}

// pick returns the units to keep so that the noise of the others is within the bound in
// every output.
func (t *tuner) pick(bound float64) []*unit {
	left := slices.Clone(t.units)
	var picked []*unit
	for {
		total := sum(left)
		best, most := -1, 0.0
		for i, u := range left {
			gain, cost := 0.0, 1e-4
			for k, x := range u.noise {
				if total[k] > bound {
					gain += x / total[k]
				}
			}
			for _, name := range u.modules {
				for _, f := range sorted(t.work[name]) {
					cost += t.work[name][f]
				}
			}
			if gain/cost > most {
				best, most = i, gain/cost
			}
		}
		if best < 0 {
			return picked
		}
		picked = append(picked, left[best])
		left = slices.Delete(left, best, best+1)
	}
}

// sum adds the noise of units, output by output.
func sum(units []*unit) []float64 {
	var total []float64
	for _, u := range units {
		if total == nil {
			total = make([]float64, len(u.noise))
		}
		for i, x := range u.noise {
			total[i] += x
		}
	}
	return total
}

// keep returns the model with the units kept. What the description says comes after, and
// so wins.
func (t *tuner) keep(units []*unit) (*Model, *Choice) {
	c := &Choice{Share: map[string]float64{}}
	var names []string
	for _, u := range units {
		names = append(names, u.modules...)
	}
	slices.SortFunc(names, compareNames)
	for _, name := range names {
		c.Kept = append(c.Kept, precision.Keep{Module: name, Word: t.word})
		for f, x := range t.work[name] {
			c.Share[f] += x
		}
	}
	m, d := *t.m, *t.m.Desc
	d.Precision.Keep = slices.Concat(c.Kept, d.Precision.Keep)
	m.Desc = &d
	return &m, c
}

// compareNames orders names of modules by layer.
func compareNames(a, b string) int {
	layer := func(s string) int {
		n := -1
		if _, err := fmt.Sscanf(s, "l%d.", &n); err != nil {
			return -1
		}
		return n
	}
	return cmp.Or(cmp.Compare(layer(a), layer(b)), strings.Compare(a, b))
}

// worstRow is 1 - the least cosine of a row.
func worstRow(got, want *ir.Tensor) float64 {
	worst, n := 0.0, want.Shape[len(want.Shape)-1]
	for i := 0; i+n <= len(want.F); i += n {
		worst = max(worst, 1-cosine(got.F[i:i+n], want.F[i:i+n]))
	}
	return worst
}

// cosine of two rows: 1 if both are zero, -1 if one is not finite.
func cosine(x, y []float64) float64 {
	dot, a, b := 0.0, 0.0, 0.0
	for k := range x {
		dot, a, b = dot+float64(x[k]*y[k]), a+float64(x[k]*x[k]), b+float64(y[k]*y[k])
	}
	if a == 0 && b == 0 {
		return 1
	}
	c := dot / math.Sqrt(a*b)
	if c != c {
		return -1
	}
	return c
}

// sorted lists the keys of a map in order.
func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// each calls f(0) ... f(n-1) on all CPUs and returns the first error.
func each(n int, f func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, n)
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = f(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
