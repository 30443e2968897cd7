package compile

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

const (
	// tuneRounds is how many choices are measured at most once one is near enough.
	tuneRounds = 8
	// tuneSide and judgeText are the inputs that a large model's modules are judged on one
	// by one: patches on a side of the picture, and ids. The attention of longer texts is
	// another than that of a few ids.
	tuneSide, judgeText = 3, 16
	// tuneText is the ids of the shortest text that a choice is measured on.
	tuneText = 4
	// minorShare is the share of all noise below which the modules of a layer are not
	// judged one by one.
	minorShare = 0.05
	// cached is the most bytes of weights that are held while modules are judged.
	cached = 3 << 29
	// localRows is how many rows of a matrix show what a word does to its product.
	localRows = 64
	// bytesWeight is what a share of all bytes weighs against the same share of the time of a
	// call: weights are downloaded, mapped and kept in caches by every process, also by those
	// that wait for memory rather than for arithmetic.
	bytesWeight = 1
	// keepCost is what another word costs that costs no time and no bytes: it is one more.
	keepCost = 1e-5
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

// whole lists functions of the planned program of which all products are kept at f32.
func (c *Choice) whole(p *ir.Program) []string {
	var names []string
	for _, f := range p.Funcs {
		kept := c != nil && slices.ContainsFunc(c.Kept, func(k Kept) bool { return k.Work[f.Name] > 0 })
		if kept && !slices.ContainsFunc(f.Values, func(v *ir.Value) bool { return reduced(p, f, v) }) {
			names = append(names, f.Name)
		}
	}
	return names
}

// reduced reports whether v is a product of weights of another type than float32.
func reduced(p *ir.Program, f *ir.Func, v *ir.Value) bool {
	return slices.ContainsFunc(p.Used(f, v), func(w *ir.Weight) bool {
		return w.Type.DType != ir.F32 && w.Layout != "" && w.Layout != asm.RowsWord
	})
}

// work is of each function's products and attention the share that is that of all modules.
func (c *Choice) work() map[string]float64 {
	all := map[string]float64{}
	for _, k := range c.Kept {
		for f, x := range k.Work {
			all[f] += x
		}
	}
	return all
}

// shares lists shares of the work of functions.
func shares(work map[string]float64) string {
	var list []string
	for _, f := range sorted(work) {
		list = append(list, fmt.Sprintf("%s %.1f %%", f, 100*work[f]))
	}
	return strings.Join(list, ", ")
}

// Summary is a line: how many modules are kept, and their share of the work.
func (c *Choice) Summary() string {
	if len(c.Kept) == 0 {
		return "no module is kept from " + c.Precision
	}
	return fmt.Sprintf("%d modules are kept from %s: %s of the work", len(c.Kept), c.Precision, shares(c.work()))
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
		fmt.Fprintf(&b, "%-28s %-8s %9.2f  %s\n", name, word, float64(bytes)/1e6, shares(work))
	}
	bytes := int64(0)
	for _, k := range c.Kept {
		row(k.Module, k.Word, k.Bytes, k.Work)
		bytes += k.Bytes
	}
	if len(c.Kept) > 1 {
		row(fmt.Sprintf("%d modules", len(c.Kept)), "", bytes, c.work())
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
// little. What other words would leave of it is told by what they do to its own products.
// Choices are made of the words that take away most for what they cost in time and in
// bytes, and measured on other inputs, some of the user's own samples among them, and on
// pictures as they are unless the model is very large; the cheapest that is near enough is
// it. What is kept of a small model is float32: there it costs next to nothing.
//
// log, which may be nil, is told before it begins how long it takes about, and then what is
// under way and how far it is.
func (m *Model) Tuned(entries []string, log func(format string, args ...any)) (*Model, *Choice, error) {
	var p prospect
	var err error
	if log != nil {
		if p, err = m.prospect(entries); err != nil {
			return nil, nil, err
		}
	}
	k, err := p.meter(log)
	if err != nil {
		return nil, nil, err
	}
	m.announce(k, p)
	if m, err = m.smoothed(entries, k.say); err != nil {
		return nil, nil, err
	}
	k.did(p.smooth)
	t, err := m.tuner(entries, k)
	if err != nil {
		return nil, nil, err
	}
	if t == nil {
		return m, nil, nil
	}
	return t.choose()
}

// tuner makes the programs that a choice is made with; nil where there is nothing to choose.
func (m *Model) tuner(entries []string, k *meter) (*tuner, error) {
	asked := m.Desc.Precision.Cosine()
	if asked == 0 || m.Desc.Tune == "off" {
		return nil, nil
	}
	full, _, err := m.Lower(entries)
	if err != nil {
		return nil, err
	}
	t := &tuner{m: m, meter: k, full: full, allowed: 1 - cmp.Or(m.Desc.Cosine, asked)}
	for _, f := range full.Funcs {
		t.entries = append(t.entries, f.Name)
		t.large = t.large || ir.FuncCost(full, f, min(tuneText, full.MaxT)).FLOPs > tuneFLOPs
	}
	if err := t.weigh(); err != nil || len(t.modules) == 0 {
		return nil, err
	}
	return t, t.prepare()
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
	meter   *meter
	entries []string
	full    *ir.Program // as described
	large   bool
	allowed float64 // 1 - cosine

	modules []*module          // what is rounded
	size    int64              // bytes of all that is rounded
	time    map[string]float64 // of each function: that of its products and attention over that at f32
	units   []*unit            // of modules

	wide  *joined // in float32, for small pictures if the model is large
	whole *joined // the same for pictures as they are, unless that is too much work
	note  string  // what is small
}

// place is rows of an output that are judged apart: those of a segment, such as a picture's
// with a text, or all. What is rounded for the one does little to the other.
type place struct {
	f    *ir.Func // of the joined program
	out  output
	part int // which segment
	of   int // which of all outputs
}

func (p place) String() string {
	s := p.out.fn + " " + p.out.name
	if p.out.segments != nil {
		s += " " + p.out.segments[p.part].Name
	}
	return s
}

// places lists those of all functions, in their order.
func (j *joined) places() []place {
	var all []place
	n := 0
	for _, f := range j.Funcs {
		for _, o := range j.outputs[f.Name] {
			for i := range o.parts() {
				all = append(all, place{f, o, i, n})
			}
			n++
		}
	}
	return all
}

// module is what is stored in one way: the matrices of a product.
type module struct {
	name     string
	weights  []string
	elements int64
	words    []precision.Word   // how it is stored, and how it could be if it were kept
	work     map[string]float64 // by function: its share of the work of products and attention
}

// unit is modules that are stored alike: one, or those of a layer.
type unit struct {
	name    string
	modules []*module
	noise   []float64 // 1 - cosine of the worst row of each place, with this unit alone rounded
	ladder  []rung    // the first is the word that was asked for
}

// rung is a word for a unit.
type rung struct {
	word string
	left float64 // of the unit's noise, as a share
	cost float64 // what it adds to the time of functions and to the bytes, as shares
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
	for _, w := range bytes.Weights {
		word := described.Of(w.Name)
		if w.Type.DType != ir.I8 || t.named(w.Name) || word.DType == ir.F32 || word.DType.Size() == 2 && w.Type.Cols()%2 != 0 {
			continue
		}
		t.size += w.Type.Elements(0) * int64(word.DType.Size())
		name := precision.Module(w.Name)
		m := modules[name]
		if m == nil {
			m = &module{name: name, words: t.words(word, w), work: map[string]float64{}}
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
				t.time[f.Name] -= float64(share * (1 - m.words[0].Time))
			}
		}
	}
	return nil
}

// words lists the word of a matrix and those that it could be kept in: of a large model all
// that take no less time and no less bytes.
func (t *tuner) words(asked precision.Word, w *ir.Weight) []precision.Word {
	words := []precision.Word{asked}
	for _, x := range precision.Words {
		known := slices.ContainsFunc(words, func(y precision.Word) bool { return y.DType == x.DType })
		odd := x.DType.Size() == 2 && w.Type.Cols()%2 != 0
		if !known && !odd && x.Time >= asked.Time && x.DType.Size() >= asked.DType.Size() && (t.large || x.DType == ir.F32) {
			words = append(words, x)
		}
	}
	return words
}

// named reports whether the description says how the weight's module or class is stored.
func (t *tuner) named(weight string) bool {
	if _, ok := t.m.Desc.Precision.Classes[precision.ClassOf(weight)]; ok {
		return true
	}
	return slices.ContainsFunc(t.m.Desc.Precision.Keep, func(k precision.Keep) bool { return k.Names(weight) })
}

func (t *tuner) quantised(p *ir.Program, m precision.Map) (*ir.Program, error) {
	return passes.Run(p, passes.Options{Rows: t.m.Desc.Limits.Rows, Precision: m, Smooth: smoothings(t.m.tuned.smooth), Upto: passes.Narrow.Name})
}

// prepare makes the programs that modules are judged in.
func (t *tuner) prepare() error {
	small := *t.m
	if t.large {
		small.Desc = t.m.Desc.Small(tuneSide)
	}
	described, _, err := small.Lower(functions(t.entries))
	if err != nil && small.Desc != t.m.Desc {
		small.Desc = t.m.Desc // its tables do not fit a small picture
		described, _, err = small.Lower(functions(t.entries))
	}
	if err != nil {
		return err
	}
	if t.wide, err = t.joined(described); err != nil {
		return err
	}
	t.whole = t.wide
	hold(t.wide.Program)
	if small.Desc == t.m.Desc {
		return nil
	}
	return t.enlarge()
}

// joined returns the program with the weights that are rounded, in float32, each product
// a value of its own.
func (t *tuner) joined(described *ir.Program) (*joined, error) {
	p, err := passes.Run(described, passes.Options{Rows: t.m.Desc.Limits.Rows, Smooth: smoothings(t.m.tuned.smooth), Upto: passes.Smooth.Name})
	if err != nil {
		return nil, err
	}
	return join(p, described), nil
}

// enlarge makes the program for pictures as they are. It has the weights of the other one,
// which are loaded already.
func (t *tuner) enlarge() error {
	t.note = ", small pictures"
	described, _, err := t.m.Lower(functions(t.entries))
	if err != nil {
		return err
	}
	whole, err := t.joined(described)
	if err != nil {
		return err
	}
	work := int64(0)
	for _, f := range whole.Funcs {
		work += ir.FuncCost(whole.Program, f, min(tuneText, whole.MaxT)).FLOPs
	}
	if work > wholeFLOPs {
		return nil
	}
	t.whole = whole
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

// judged is how many samples units are judged on: of a large model which of them do most is
// all that they have to tell.
func (t *tuner) judged() int {
	if t.large {
		return 1
	}
	return 2
}

// judge measures what the rounding of each unit does alone, and makes the ladders.
func (t *tuner) judge() error {
	runs, err := t.runs(t.wide, "tune", t.judged(), judgeText)
	if err != nil {
		return err
	}
	t.meter.did(effortOf(t.wide.Program, runs))
	traces := make([]*ir.Trace, len(runs))
	if err := each(len(runs), func(i int) (err error) {
		traces[i], err = t.wide.Trace(runs[i].f.Name, runs[i].T, runs[i].In)
		return err
	}); err != nil {
		return err
	}
	places := t.wide.places()
	measure := func(units []*unit) error {
		sets := make([]map[string]*ir.Weight, len(units))
		for i, u := range units {
			u.noise, sets[i] = make([]float64, len(places)), map[string]*ir.Weight{}
			for _, m := range u.modules {
				t.rounded(sets[i], m, m.words[0])
			}
		}
		for j, x := range runs {
			got, err := traces[j].With(sets)
			if err != nil {
				return err
			}
			exact := traces[j].Results()
			for k, p := range places {
				if p.f != x.f {
					continue
				}
				name := p.out.value.Name
				for i, u := range units {
					u.noise[k] += worstRow(p.out.part(got[i][name], p.part, x.T), p.out.part(exact[name], p.part, x.T))
				}
			}
		}
		for _, u := range units {
			t.meter.did(t.after(runs, u))
		}
		return nil
	}
	alone, layers := t.grouped()
	t.units = alone
	if t.large {
		if err := measure(layers); err != nil {
			return err
		}
		t.units = apart(alone, layers)
		t.meter.say("judging modules of layers that do much")
	}
	var again []*unit
	for _, u := range t.units {
		if u.noise == nil {
			again = append(again, u)
		}
	}
	if err := measure(again); err != nil {
		return err
	}
	return t.ladders(runs, traces)
}

// grouped makes units of the modules alone, and of those of a layer.
func (t *tuner) grouped() (alone, layers []*unit) {
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
	return alone, layers
}

// apart returns the units of layers, but in the place of those that do much the units of
// their modules alone.
func apart(alone, layers []*unit) []*unit {
	total := sum(layers)
	var units, parts []*unit
	for _, g := range layers {
		minor := true
		for i, x := range g.noise {
			minor = minor && x <= minorShare*total[i]
		}
		if minor || len(g.modules) == 1 {
			units = append(units, g)
			continue
		}
		for _, u := range alone {
			if slices.Contains(g.modules, u.modules[0]) {
				parts = append(parts, u)
			}
		}
	}
	return append(units, parts...)
}

// ladders makes those of all units.
func (t *tuner) ladders(runs []*sampleRun, traces []*ir.Trace) error {
	left := make([][]float64, len(t.modules)) // of noise, by module and word; NaN: does not fit
	if err := each(len(t.modules), func(i int) (err error) {
		left[i], err = t.local(t.modules[i], runs, traces)
		return err
	}); err != nil {
		return err
	}
	for _, u := range t.units {
		u.ladder = nil
		var all []rung
		for _, w := range u.modules[0].words {
			r, noise := rung{word: w.Name}, 0.0
			for _, m := range u.modules {
				at := slices.Index(t.modules, m)
				k := slices.IndexFunc(m.words, func(x precision.Word) bool { return x.Name == w.Name })
				if k < 0 {
					r.left = math.NaN()
					break
				}
				r.left += left[at][k]
				noise += left[at][0]
				if len(all) > 0 {
					r.cost += t.cost(m, w)
				}
			}
			switch r.left /= noise; {
			case len(all) == 0:
				r.left = 1
			case w.DType == ir.F32:
				r.left = 0
			}
			all = append(all, r)
		}
		u.ladder = climb(all)
	}
	return nil
}

// climb returns the first rung and those of the others that leave less than all that cost
// no more do, by cost.
func climb(all []rung) []rung {
	ladder := all[:1:1]
	rest := slices.Clone(all[1:])
	slices.SortStableFunc(rest, func(a, b rung) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.left, b.left)) })
	for _, r := range rest {
		if r.left < ladder[len(ladder)-1].left {
			ladder = append(ladder, r)
		}
	}
	return ladder
}

// cost is what keeping the module in the word adds to the time of functions, in the mean,
// and to the bytes, as shares.
func (t *tuner) cost(m *module, to precision.Word) float64 {
	c := 0.0
	for _, f := range sorted(m.work) {
		c += float64(m.work[f]*(to.Time-m.words[0].Time)) / t.time[f] / float64(len(t.time))
	}
	return c + bytesWeight*float64(m.more(to))/float64(t.size) + keepCost
}

// local tells what the words of the module do to its products, as shares of what they are:
// the square of the distance. NaN stands for a word that some of its weights do not fit.
func (t *tuner) local(m *module, runs []*sampleRun, traces []*ir.Trace) ([]float64, error) {
	noise := make([]float64, len(m.words))
	for _, name := range m.weights {
		w := t.wide.Weight(name)
		if w == nil {
			continue
		}
		x, err := w.Load()
		if err != nil {
			return nil, err
		}
		bits := uint32(0) // numbers without their sign are ordered as their bits are
		for _, v := range x {
			bits = max(bits, math.Float32bits(v)&^(1<<31))
		}
		peak := math.Float32frombits(bits)
		cols := w.Type.Cols()
		rows := min(localRows, w.Type.Rows().C)
		few := &ir.Weight{Name: name, Type: ir.Of(ir.F32, ir.C(rows), ir.C(cols)), Load: func() ([]float32, error) { return x[:rows*cols], nil }}
		for i, r := range runs {
			for _, v := range r.f.Values {
				if v.Op != ir.OpLinear || v.Bundle+".w" != name {
					continue
				}
				in := traces[i].Value(v.Args[0])
				exact, err := product(few, in)
				if err != nil {
					return nil, err
				}
				for k, word := range m.words {
					if ir.Round([]float32{peak}, word.DType) >= 0 {
						noise[k] = math.NaN()
						continue
					}
					got, err := product(passes.Narrowed(few, word.DType), in)
					if err != nil {
						return nil, err
					}
					noise[k] += distance(got.F, exact.F)
				}
			}
		}
	}
	return noise, nil
}

// product multiplies rows by a matrix as the interpreter does.
func product(w *ir.Weight, x *ir.Tensor) (*ir.Tensor, error) {
	bundle := strings.TrimSuffix(w.Name, ".w")
	in := &ir.Value{Name: "x", Type: ir.Mat(ir.C(x.Shape[0]), w.Type.Cols())}
	out := &ir.Value{Name: "y", Op: ir.OpLinear, Args: []*ir.Value{in}, Bundle: bundle, Type: ir.Mat(ir.C(x.Shape[0]), w.Type.Rows().C)}
	p := &ir.Program{Name: "product", Weights: []*ir.Weight{w}, Funcs: []*ir.Func{{Name: "f", Params: []*ir.Value{in}, Values: []*ir.Value{out}, Results: []*ir.Value{out}}}}
	y, err := p.Run("f", 1, map[string]*ir.Tensor{"x": x})
	if err != nil {
		return nil, err
	}
	return y["y"], nil
}

// distance is the square of that of two vectors as a share of the second's length.
func distance(x, y []float64) float64 {
	d, n := 0.0, 0.0
	for i := range x {
		d += float64((x[i] - y[i]) * (x[i] - y[i]))
		n += float64(y[i] * y[i])
	}
	if n == 0 {
		return 0
	}
	return d / n
}

// more is the bytes that the module has more in a word.
func (m *module) more(to precision.Word) int64 {
	return m.elements * int64(to.DType.Size()-m.words[0].DType.Size())
}

// functions is entries with captions as one function, not as steps that have states.
func functions(entries []string) []string {
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e, "caption_") {
			e = "caption_full"
		}
		if !slices.Contains(names, e) {
			names = append(names, e)
		}
	}
	return names
}

// checker makes inputs with texts of a length, if they may be that long.
func (t *tuner) checker(salt string, text int) *checker {
	s := t.m.Desc.Structure()
	return &checker{text: max(1, min(text, t.full.MaxT)), vocab: s.Vocab(), salt: salt}
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
	ir.Input
	f     *ir.Func
	exact map[string]*ir.Tensor
}

// runs is every function on samples: as many if that is little work, otherwise two, or one if
// its outputs have many rows.
func (t *tuner) runs(p *joined, salt string, samples, text int) ([]*sampleRun, error) {
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
			in, n := Tensors(f, t.checker(fmt.Sprintf("%s%d.", salt, i), text+3*i).sample(f))
			all = append(all, &sampleRun{f: f, Input: ir.Input{T: n, In: in}})
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
			all = append(all, &sampleRun{f: f, Input: ir.Input{T: n, In: in}})
		}
	}
	return all, nil
}

// ownSamples is how many of the user's own samples measure a choice; the check that follows
// takes all of them.
const ownSamples = 2

// limits are the errors that are accepted of places.
func (t *tuner) limits() []float64 {
	places := t.whole.places()
	limits := make([]float64, len(places))
	for k, p := range places {
		limits[k] = meanShare * t.allowed
		switch {
		case t.note != "":
			limits[k] *= 0.7
		case t.large:
		case t.m.Desc.Cosine > 0: // what the description asks for is what it means
			limits[k] = askedShare * t.allowed
		case p.out.value.Type.At(2)[0] == 1:
			// What is computed of a head's row, such as the similarities of several pictures and
			// texts, may be far more sensitive than it is, and a row of few numbers is itself. In a
			// small model it costs nothing to make them nearer than precisions ask for.
			limits[k] = headShare * t.allowed
		default:
			limits[k] = smallShare * t.allowed
		}
	}
	return limits
}

// Of what is allowed, the mean of samples may be as much as meanShare, and the worst as much
// as worstShare. Rows of a small model are short, and so differ more from sample to sample:
// askedShare is for a cosine of the description's own.
const meanShare, worstShare, askedShare, smallShare, headShare = 0.7, 0.8, 0.5, 0.2, 0.005

// choose finds the cheapest words for units with which the outputs are near enough.
func (t *tuner) choose() (*Model, *Choice, error) {
	runs, err := t.runs(t.whole, "verify", manySamples, tuneText)
	if err != nil {
		return nil, nil, err
	}
	own, err := t.own()
	if err != nil {
		return nil, nil, err
	}
	runs = append(runs, own...)
	var results []Result
	var errors []float64
	for _, f := range t.whole.Funcs {
		list := runsOf(runs, f)
		exact, err := runAll(t.whole.Program, list)
		if err != nil {
			return nil, nil, err
		}
		for i, x := range list {
			x.exact = exact[i]
		}
		t.meter.did(effortOf(t.whole.Program, list))
		r, e, err := t.results(list, nil)
		if err != nil {
			return nil, nil, err
		}
		results, errors = append(results, r...), append(errors, e...)
	}
	places, limits := t.whole.places(), t.limits()
	c := &Choice{Precision: t.m.Desc.Precision.String(), Before: results, Results: slices.Clone(results)}
	if !near(errors, limits) {
		t.meter.say("judging what rounding does to %d modules: %s", len(t.modules), listed(places, errors))
		if err := t.judge(); err != nil {
			return nil, nil, err
		}
		for _, s := range t.searches(places, runs, results, errors, limits) {
			best, err := s.cheapest()
			if err != nil {
				return nil, nil, err
			}
			for k, r := range best.results {
				c.Results[k] = r
			}
			t.keep(c, s.units, best.rungs)
		}
	}
	slices.SortFunc(c.Kept, func(a, b Kept) int { return compareNames(a.Module, b.Module) })
	m := *t.m
	for _, k := range c.Kept {
		m.tuned.keep = append(m.tuned.keep, k.Keep)
	}
	return &m, c, nil
}

// keep adds the modules of the units that are kept to the choice.
func (t *tuner) keep(c *Choice, units []*unit, rungs []int) {
	for i, u := range units {
		if rungs[i] == 0 {
			continue
		}
		word, _ := precision.Named(u.ladder[rungs[i]].word)
		for _, m := range u.modules {
			c.Kept = append(c.Kept, Kept{Keep: precision.Keep{Module: m.name, Word: word.Name}, Work: m.work, Bytes: m.more(word)})
		}
	}
}

// runsOf returns those of a function.
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
	return p.RunAll(runs[0].f.Name, inputs)
}

// results compares runs of a function of the whole program with what they are exactly, with
// all modules rounded, those of kept to other words: a line for each output, and the errors
// of its places, those of the worst row: the mean of all samples, or that of the worst sample
// as a share of what is allowed of it.
func (t *tuner) results(runs []*sampleRun, kept map[*module]precision.Word) ([]Result, []float64, error) {
	weights := map[string]*ir.Weight{}
	for _, m := range t.modules {
		word, ok := kept[m]
		if !ok {
			word = m.words[0]
		}
		t.rounded(weights, m, word)
	}
	got, err := runAll(t.whole.With(weights), runs)
	if err != nil {
		return nil, nil, err
	}
	t.meter.did(effortOf(t.whole.Program, runs))
	var all []Result
	var errors []float64
	for _, o := range t.whole.outputs[runs[0].f.Name] {
		sum := Result{Func: o.fn, Output: o.name, Judge: exactModel + t.note, Level: "chosen", Cosine: 1}
		mean, worst := make([]float64, o.parts()), make([]float64, o.parts())
		for i, x := range runs {
			name, cols := o.value.Name, o.value.Type.Cols()
			c := &checker{}
			c.angles([]result{{o.fn, o.name, "", cols, got[i][name].F}}, []result{{o.fn, o.name, "", cols, x.exact[name].F}}, "", 0)
			r := c.results[0]
			sum.Cosine, sum.MaxAbs = min(sum.Cosine, r.Cosine), max(sum.MaxAbs, r.MaxAbs)
			sum.Mean = (float64(sum.Mean*float64(sum.Rows)) + float64(r.Mean*float64(r.Rows))) / float64(sum.Rows+r.Rows)
			sum.Rows, sum.Top1 = sum.Rows+r.Rows, sum.Top1+r.Top1
			for j := range mean {
				e := worstRow(o.part(got[i][name], j, x.T), o.part(x.exact[name], j, x.T))
				mean[j] += (e - mean[j]) / float64(i+1)
				worst[j] = max(worst[j], e)
			}
		}
		all = append(all, sum)
		for j, e := range mean {
			errors = append(errors, max(e, worst[j]*meanShare/worstShare))
		}
	}
	return all, errors, nil
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
