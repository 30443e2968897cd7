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

const (
	// tuneRounds is how many sets of modules are measured in search of the cheapest, and
	// dropRounds how many more with one module less than it has.
	tuneRounds, dropRounds = 3, 1
	// tuneSide and tuneText are the inputs that a large model's modules are judged on one
	// by one: patches on a side of the picture, and ids.
	tuneSide, tuneText = 2, 4
	// minorShare is the share of all noise below which the modules of a layer are not
	// judged one by one.
	minorShare = 0.05
	// cached is the most bytes of weights that are held while modules are judged.
	cached = 1 << 30
)

// Choice is which modules of a model that rounds what it multiplies are stored otherwise.
type Choice struct {
	Precision string   // of the model
	Kept      []Kept   // by layer
	Before    []Result // of the interpreter with nothing kept
	Results   []Result // and with the choice
}

// Kept is a module that is stored otherwise than the model's precision says.
type Kept struct {
	precision.Keep
	Work  map[string]float64 // of each function's products and attention, the share that is the module's
	Bytes int64              // more than it had
}

// String is a table: of the modules, and of the outputs before and after.
func (c *Choice) String() string {
	var b strings.Builder
	if len(c.Kept) == 0 {
		fmt.Fprintf(&b, "precision %s: every module keeps it\n", c.Precision)
	} else {
		fmt.Fprintf(&b, "%-28s %-8s %9s  share of the work of\n", "kept from "+c.Precision, "as", "more MB")
	}
	row := func(name, word string, bytes int64, work map[string]float64) {
		var shares []string
		for _, f := range sorted(work) {
			shares = append(shares, fmt.Sprintf("%s %.1f %%", f, 100*work[f]))
		}
		fmt.Fprintf(&b, "%-28s %-8s %9.2f  %s\n", name, word, float64(bytes)/1e6, strings.Join(shares, ", "))
	}
	all, bytes := map[string]float64{}, int64(0)
	for _, k := range c.Kept {
		row(k.Module, k.Word, k.Bytes, k.Work)
		bytes += k.Bytes
		for f, x := range k.Work {
			all[f] += x
		}
	}
	if len(c.Kept) > 1 {
		row(fmt.Sprintf("%d modules", len(c.Kept)), "", bytes, all)
	}
	for i, r := range c.Results {
		was := ""
		if len(c.Kept) > 0 {
			was = fmt.Sprintf(", %.6f with nothing kept", c.Before[i].Cosine)
		}
		fmt.Fprintf(&b, "%-28s %-14s cosine to %s at least %.6f%s\n", r.Func, r.Output, r.Judge, r.Cosine, was)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Tuned returns the model with a choice of modules that are stored more finely than its
// precision says, so that outputs of the entries, nil for the description's, reach the
// cosine that the description asks for, or else the precision itself. What the description
// says of a class or a module stays. The choice is nil if the model's precision does not
// round what is multiplied. It depends on the model alone, not on the machine.
//
// Every module is judged by what its rounding does to the outputs, in the float64
// interpreter: of a large model on a small picture, and layer by layer where that does
// little. Sets of modules are made of those that do most for what they cost in time and in
// bytes, and measured on other inputs, some of the user's own samples among them, and on
// pictures as they are unless the model is very large; the cheapest set that is near enough
// is the choice.
//
// What was bytes becomes bf16dot, which is the fastest that is fine enough, and float32 only
// if that is not.
func (m *Model) Tuned(entries []string, log func(format string, args ...any)) (*Model, *Choice, error) {
	m, err := m.smoothed(entries, log)
	if err != nil {
		return nil, nil, err
	}
	asked := m.Desc.Precision.Cosine()
	if asked == 0 {
		return m, nil, nil
	}
	full, _, err := m.Lower(entries)
	if err != nil {
		return nil, nil, err
	}
	t := &tuner{m: m, log: log, full: full, allowed: 1 - cmp.Or(m.Desc.Cosine, asked)}
	if t.log == nil {
		t.log = func(string, ...any) {}
	}
	for _, f := range full.Funcs {
		t.entries = append(t.entries, f.Name)
		t.large = t.large || ir.FuncCost(full, f, min(tuneText, full.MaxT)).FLOPs > tuneFLOPs
	}
	if err := t.weigh(); err != nil {
		return nil, nil, err
	}
	if len(t.modules) == 0 {
		return m, nil, nil
	}
	if err := t.prepare(); err != nil {
		return nil, nil, err
	}
	return t.choose()
}

// wholeFLOPs is the work above which choices are verified on small pictures too.
const wholeFLOPs = 2e11

// sampledFLOPs is the work of a function up to which it is run on several samples, and
// manySamples how many they are at most.
const sampledFLOPs, manySamples = 1e10, 8

// manyRows of a sample show about the worst that there is.
const manyRows = 64

// tuneFLOPs is the work of a function above which a model is large; tests lower it.
var tuneFLOPs = int64(5e7)

type tuner struct {
	m       *Model
	log     func(format string, args ...any)
	entries []string
	full    *ir.Program // as described
	large   bool
	allowed float64 // 1 - cosine

	modules []*module           // that may be kept
	tables  map[string]ir.DType // what is rounded always: the tables of a large model, which are most of its size
	size    int64               // bytes of all that is rounded
	time    map[string]float64  // of each function: that of its products and attention over that at f32
	units   []*unit             // of modules

	wide  *ir.Program // in float32, for small pictures if the model is large
	whole *ir.Program // the same for pictures as they are, unless that is too much work
	note  string      // what is small
}

// module is what is stored in one way: the matrices of a product.
type module struct {
	name     string
	weights  []string
	elements int64
	from, to precision.Word     // how it is stored, and how it would be if it were kept
	work     map[string]float64 // by function: its share of the work of products and attention
}

// unit is modules that are kept together or not: one, or those of a layer.
type unit struct {
	name    string
	modules []*module
	noise   []float64 // 1 - cosine of the worst row of each output, with this unit alone rounded
	cost    float64   // what keeping it adds to the time of functions and to the bytes, as shares
}

// weigh finds the modules that are rounded, and their shares of the work.
func (t *tuner) weigh() error {
	every := precision.Map{Default: precision.Int8, Classes: map[precision.Class]string{}}
	for _, c := range precision.Classes {
		every.Classes[c] = precision.Int8
	}
	bytes, err := t.quantised(t.full, every)
	if err != nil {
		return err
	}
	described, modules := t.m.Desc.Precision, map[string]*module{}
	t.tables = map[string]ir.DType{}
	for _, w := range bytes.Weights {
		word := described.Of(w.Name)
		if w.Type.DType != ir.I8 || t.named(w.Name) || word.DType == ir.F32 || word.DType.Size() == 2 && w.Type.Cols()%2 != 0 ||
			word.DType.Bytes() && word.Cosine == 0 {
			continue
		}
		t.size += w.Type.Elements(0) * int64(word.DType.Size())
		if t.large && precision.ClassOf(w.Name) == precision.Embedding {
			t.tables[w.Name] = word.DType
			continue
		}
		name := precision.Module(w.Name)
		m := modules[name]
		if m == nil {
			m = &module{name: name, from: word, to: t.finer(word, w), work: map[string]float64{}}
			modules[name] = m
		}
		m.weights = append(m.weights, w.Name)
		m.elements += w.Type.Elements(0)
	}
	for _, name := range sorted(modules) {
		t.modules = append(t.modules, modules[name])
	}
	routed, err := passes.Run(t.full, passes.Options{Rows: t.m.Desc.Limits.Rows, Upto: passes.Prune.Name})
	if err != nil {
		return err
	}
	t.time = map[string]float64{}
	for _, f := range routed.Funcs {
		n := min(sampleText, routed.MaxT)
		all := float64(max(1, ir.FuncCost(routed, f, n).FLOPs))
		t.time[f.Name] = 1
		for _, v := range f.Values {
			if m := modules[precision.Module(v.Bundle+".w")]; v.Op == ir.OpLinear && m != nil {
				share := float64(ir.ValueCost(routed, f, v, n).FLOPs) / all
				m.work[f.Name] += share
				t.time[f.Name] -= float64(share * (1 - m.from.Time))
			}
		}
	}
	return nil
}

// finer is the word of what is kept. A small model costs next to nothing whatever it is
// stored in.
func (t *tuner) finer(word precision.Word, w *ir.Weight) precision.Word {
	to := precision.F32
	if t.large && word.DType.Bytes() && w.Type.Cols()%2 == 0 {
		to = precision.BF16Dot
	}
	finer, _ := precision.Named(to)
	return finer
}

// named reports whether the description says how the weight's module or class is stored.
func (t *tuner) named(weight string) bool {
	if _, ok := t.m.Desc.Precision.Classes[precision.ClassOf(weight)]; ok {
		return true
	}
	return slices.ContainsFunc(t.m.Desc.Precision.Keep, func(k precision.Keep) bool { return k.Names(weight) })
}

func (t *tuner) quantised(p *ir.Program, m precision.Map) (*ir.Program, error) {
	return passes.Run(p, passes.Options{Rows: t.m.Desc.Limits.Rows, Precision: m, Smooth: smoothings(t.m.smooth), Upto: passes.Quantise.Name})
}

// prepare makes the programs that modules are judged in.
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
	if t.wide, err = t.quantised(described, precision.Map{}); err != nil {
		return err
	}
	t.whole = t.wide
	hold(t.wide)
	if small.Desc == t.m.Desc {
		return nil
	}
	return t.enlarge()
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
	if t.whole, err = t.quantised(described, precision.Map{}); err != nil {
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

// rounded adds to weights those of the module as it is stored at the word.
func (t *tuner) rounded(weights map[string]*ir.Weight, m *module, word precision.Word) {
	for _, name := range m.weights {
		if w := t.wide.Weight(name); w != nil && word.DType != ir.F32 {
			weights[name] = passes.Narrowed(w, word.DType)
		}
	}
}

// judge measures what the rounding of each unit does alone.
func (t *tuner) judge(outputs []Result) error {
	samples := 2
	if t.large {
		samples = 1 // which of them do most is all that it has to tell
	}
	runs, err := t.runs(t.wide, "tune", samples)
	if err != nil {
		return err
	}
	traces := make([]*ir.Trace, len(runs))
	if err := each(len(runs), func(i int) (err error) {
		traces[i], err = t.wide.Trace(runs[i].f.Name, runs[i].text, runs[i].in)
		return err
	}); err != nil {
		return err
	}
	measure := func(units []*unit) error {
		return each(len(units), func(i int) error {
			u := units[i]
			u.noise = make([]float64, len(outputs))
			weights := map[string]*ir.Weight{}
			for _, m := range u.modules {
				t.rounded(weights, m, m.from)
				for _, f := range sorted(m.work) {
					u.cost += float64(m.work[f]*(m.to.Time-m.from.Time)) / t.time[f]
				}
				u.cost += float64(m.more()) / float64(t.size)
			}
			for j, x := range runs {
				got, err := traces[j].With(weights)
				if err != nil {
					return err
				}
				exact := traces[j].Results()
				for k, o := range outputs {
					if o.Func == x.f.Name {
						u.noise[k] += worstRow(got[o.Output], exact[o.Output])
					}
				}
			}
			return nil
		})
	}

	var alone, layers []*unit
	groups := map[string]*unit{}
	for _, m := range t.modules {
		alone = append(alone, &unit{name: m.name, modules: []*module{m}})
		// Experts that work for other functions are not kept for what one does.
		layer, _, _ := strings.Cut(m.name, ".")
		name := layer + " " + strings.Join(sorted(m.work), " ")
		if groups[name] == nil {
			groups[name] = &unit{name: name}
			layers = append(layers, groups[name])
		}
		groups[name].modules = append(groups[name].modules, m)
	}
	if !t.large {
		t.units = alone
		return measure(t.units)
	}
	if err := measure(layers); err != nil {
		return err
	}
	total := sum(layers)
	var apart []*unit
	t.units = nil
	for _, g := range layers {
		minor := true
		for i, x := range g.noise {
			minor = minor && x <= minorShare*total[i]
		}
		if minor || len(g.modules) == 1 {
			t.units = append(t.units, g)
			continue
		}
		for _, u := range alone {
			if slices.Contains(g.modules, u.modules[0]) {
				apart = append(apart, u)
			}
		}
	}
	t.units = append(t.units, apart...)
	return measure(apart)
}

// more is the bytes that the module has more if it is kept.
func (m *module) more() int64 { return m.elements * int64(m.to.DType.Size()-m.from.DType.Size()) }

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
	text  int
	in    map[string]*ir.Tensor
	exact map[string]*ir.Tensor
}

// runs is every function on samples: as many if that is little work, otherwise two, or one if
// its outputs have many rows.
func (t *tuner) runs(p *ir.Program, salt string, samples int) ([]*sampleRun, error) {
	var all []*sampleRun
	for _, f := range p.Funcs {
		if keeps(f) {
			continue
		}
		work := ir.FuncCost(p, f, min(tuneText, p.MaxT)).FLOPs
		least := 1
		for _, v := range f.Results {
			if v.Type.At(1)[0] < manyRows {
				least = 2
			}
		}
		for i := range min(samples, max(least, int(sampledFLOPs/max(1, work)))) {
			in, n := Tensors(f, t.checker(fmt.Sprintf("%s%d.", salt, i), i).sample(f))
			all = append(all, &sampleRun{f: f, text: n, in: in})
		}
	}
	return all, nil
}

// own is every function on some samples of the user's own, if there are any.
func (t *tuner) own() ([]*sampleRun, error) {
	s, err := t.m.samples()
	if err != nil || s == nil {
		return nil, err
	}
	var all []*sampleRun
	for _, f := range t.whole.Funcs {
		list, _ := s.Of(f)
		for _, x := range spread(list, ownSamples) {
			in, n := Tensors(f, x.Seq)
			all = append(all, &sampleRun{f: f, text: n, in: in})
		}
	}
	return all, nil
}

// ownSamples is how many of the user's own samples measure a choice; the check that follows
// takes all of them.
const ownSamples = 2

// limits are the errors that are accepted of outputs.
func (t *tuner) limits(results []Result) []float64 {
	limits := make([]float64, len(results))
	for k, r := range results {
		limits[k] = meanShare * t.allowed
		switch {
		case t.note != "":
			limits[k] *= 0.7
		case !t.large && t.rows(r) == 1:
			// What is computed of a head's row, such as the similarities of several pictures and
			// texts, may be far more sensitive than it is, and a row of few numbers is itself. In a
			// small model it costs nothing to make them nearer than was asked for.
			limits[k] = headShare * t.allowed
		case !t.large:
			limits[k] = smallShare * t.allowed
		}
	}
	return limits
}

// rows is how many an output has of an input of two tokens.
func (t *tuner) rows(r Result) int {
	for _, v := range t.whole.Func(r.Func).Results {
		if v.Name == r.Output {
			return v.Type.At(2)[0]
		}
	}
	return 1
}

// Of what is allowed, the mean of samples may be as much as meanShare, and the worst as much
// as worstShare. Rows of a small model are short, and so differ more from sample to sample.
const meanShare, worstShare, smallShare, headShare = 0.7, 0.8, 0.2, 0.005

// choose finds the cheapest units to keep with which the outputs are near enough.
func (t *tuner) choose() (*Model, *Choice, error) {
	runs, err := t.runs(t.whole, "verify", manySamples)
	if err != nil {
		return nil, nil, err
	}
	own, err := t.own()
	if err != nil {
		return nil, nil, err
	}
	runs = append(runs, own...)
	if err := each(len(runs), func(i int) (err error) {
		runs[i].exact, err = t.whole.Run(runs[i].f.Name, runs[i].text, runs[i].in)
		return err
	}); err != nil {
		return nil, nil, err
	}
	now, err := t.results(runs, nil)
	if err != nil {
		return nil, nil, err
	}
	limits := t.limits(now.results)
	c := &Choice{Precision: t.m.Desc.Precision.String(), Before: now.results}
	for more := true; more && !now.near(limits); {
		t.log("judging what rounding does to %d modules: %s", len(t.modules), now)
		if err := t.judge(now.results); err != nil {
			return nil, nil, err
		}
		before := &measured{results: now.results, errors: now.errors}
		now = &measured{results: slices.Clone(now.results), errors: slices.Clone(now.errors)}
		for _, s := range t.searches(runs, limits, before) {
			if s.near(before) {
				continue
			}
			s.learn(before)
			m, err := s.cheapest()
			if err != nil {
				return nil, nil, err
			}
			for k, r := range m.results {
				if s.runsOf(r.Func) {
					now.results[k], now.errors[k] = r, m.errors[k]
				}
			}
			now.units = append(now.units, m.units...)
		}
		more = t.keep(c, now.units)
	}
	c.Results = now.results
	slices.SortFunc(c.Kept, func(a, b Kept) int { return compareNames(a.Module, b.Module) })
	m, d := *t.m, *t.m.Desc
	var keep []precision.Keep
	for _, k := range c.Kept {
		keep = append(keep, k.Keep)
	}
	// What the description says comes after, and so wins.
	d.Precision.Keep = append(keep, d.Precision.Keep...)
	m.Desc, m.asked = &d, c.Precision
	return &m, c, nil
}

// keep adds the modules of the units to the choice and reports whether any could be finer
// still.
func (t *tuner) keep(c *Choice, units []*unit) bool {
	more := false
	for _, u := range units {
		for _, m := range u.modules {
			k := slices.IndexFunc(c.Kept, func(k Kept) bool { return k.Module == m.name })
			if k < 0 {
				k = len(c.Kept)
				c.Kept = append(c.Kept, Kept{Keep: precision.Keep{Module: m.name}, Work: m.work})
			}
			c.Kept[k].Word = m.to.Name
			c.Kept[k].Bytes += m.more()
			m.from = m.to
			m.to, _ = precision.Named(precision.F32)
			more = more || m.from.DType != ir.F32
		}
	}
	return more
}

// results compares runs with all modules rounded but those kept with what they are exactly:
// a line for each output, and its error: that of the worst row, the mean of all samples, or
// that of the worst sample as a share of what is allowed of it.
func (t *tuner) results(runs []*sampleRun, kept []*unit) (*measured, error) {
	weights := map[string]*ir.Weight{}
	for _, name := range sorted(t.tables) {
		if w := t.wide.Weight(name); w != nil {
			weights[name] = passes.Narrowed(w, t.tables[name])
		}
	}
	for _, m := range t.modules {
		word := m.from
		if slices.ContainsFunc(kept, func(u *unit) bool { return slices.Contains(u.modules, m) }) {
			word = m.to
		}
		t.rounded(weights, m, word)
	}
	p := t.whole.With(weights)
	lines := make([][]Result, len(runs))
	if err := each(len(runs), func(i int) error {
		x := runs[i]
		got, err := p.Run(x.f.Name, x.text, x.in)
		if err != nil {
			return err
		}
		c := &checker{}
		for _, v := range x.f.Results {
			r := result{x.f.Name, v.Name, "chosen", v.Type.Cols(), got[v.Name].F}
			c.angles([]result{r}, []result{{x.f.Name, v.Name, "", v.Type.Cols(), x.exact[v.Name].F}}, exactModel+t.note, 0)
		}
		lines[i] = c.results
		return nil
	}); err != nil {
		return nil, err
	}
	var all []Result
	var errors []float64
	samples := map[int]float64{}
	for _, r := range slices.Concat(lines...) {
		i := slices.IndexFunc(all, func(o Result) bool { return o.Func == r.Func && o.Output == r.Output })
		if i < 0 {
			i = len(all)
			all, errors = append(all, Result{Func: r.Func, Output: r.Output, Judge: r.Judge, Level: r.Level, Cosine: 1}), append(errors, 0)
		}
		o := &all[i]
		o.Cosine, o.MaxAbs = min(o.Cosine, r.Cosine), max(o.MaxAbs, r.MaxAbs)
		o.Mean = (float64(o.Mean*float64(o.Rows)) + float64(r.Mean*float64(r.Rows))) / float64(o.Rows+r.Rows)
		o.Rows, o.Top1 = o.Rows+r.Rows, o.Top1+r.Top1
		samples[i]++
		errors[i] += (1 - r.Cosine - errors[i]) / samples[i]
	}
	for i, r := range all {
		errors[i] = max(errors[i], (1-r.Cosine)*meanShare/worstShare)
	}
	return &measured{kept, all, errors}, nil
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
