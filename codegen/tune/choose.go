package tune

import (
	"cmp"
	"slices"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/ir/precision"
)

const (
	// tuneRounds bounds the measured choices. If none of them is within the limits, up to twice as many are measured.
	tuneRounds = 4
	// tuneSide and judgeText are the size of the inputs on which a large model's modules are
	// judged one by one: patches along a side of the image, and tokens. Shorter texts would
	// not represent the attention of long ones.
	tuneSide, judgeText = 3, 16
	// tuneText is the tokens of the shortest text that a choice is measured on.
	tuneText = 4
	// minorShare bounds the layers whose modules are not judged one by one: such a layer causes at
	// most this share of the error of all layers.
	minorShare = 0.05
	// held bounds the bytes of weights that are held in memory between runs, besides vectors.
	held = 32 << 20
	// localRows is the number of input rows on which the error of a module's product is measured for each format.
	localRows = 64
	// bytesWeight is the cost of a share of the model's bytes over the cost of the same share of
	// the time of a call: every process has to load weights and hold them in its caches.
	bytesWeight = 1
	// overrideCost is the cost of an override that takes no more time and no more bytes.
	overrideCost = 1e-5
)

// Model is the model that a choice is made for.
type Model struct {
	Desc *model.Description
	// Lower returns the program of a description, with its weights bound. The description is
	// Desc, or Desc with images of another size; entries are those of [model.Options].
	Lower   func(d *model.Description, entries []string) (*ir.Program, error)
	Samples *inputs.Samples // the user's own; nil: none
	Random  bool            // whether the weights come from a seed
}

// Options say how a choice is made.
type Options struct {
	Entries []string // whose outputs count; nil: the description's
	Log     func(format string, args ...any)

	// Tests set the fields below. Zero stands for the constant of the same name.
	largeFLOPs int64
	tellFLOPs  float64
}

// Choose returns the norms of a model to smooth, and the modules to store in finer formats
// than its precision, so that the outputs of the entries reach the cosine of the
// description, or else of the precision. Formats that the description gives a class or a
// module stay. The choice depends on the model, not on the machine: the cost of a format is
// its cost on CPUs of the level that the description names, from [Speeds]. Where products of
// int7 are faster there than those of int8, a large model of int8 starts from int7, and int8 is
// the first of its finer formats.
//
// For every module it measures how much the outputs change, in the float64 interpreter, if
// only this module is rounded; in a large model it uses a small image, and modules of layers
// that matter little are measured together. How much of that error another format leaves is
// estimated from the error of the module's own products. A search then picks the formats that
// remove most error for their cost in time and bytes. Each choice is measured on other inputs
// of full size, some of the user's own samples among them, and the cheapest one that is
// accurate enough is returned. Overrides of a small model are float32, which costs little there.
//
// Log, which may be nil, gets a line with the estimated time after the first run, and then
// lines of progress.
func Choose(m Model, o Options) (*Choice, error) {
	t := &tuner{Model: m, Options: o}
	var err error
	if t.meter, err = t.metered(); err != nil {
		return nil, err
	}
	if t.smooth, err = t.smoothed(); err != nil {
		return nil, err
	}
	chooses, err := t.prepare()
	c := &Choice{Precision: t.base.String(), Level: m.Desc.TuneLevel}
	if t.base.Default != m.Desc.Precision.Default {
		c.Default = t.base.Default
	}
	if err == nil && chooses {
		err = t.choose(c)
	}
	for _, s := range t.smooth {
		if _, ok := roundedTo(c.Stored(m.Desc.Precision), s.linears); ok {
			c.Smoothed = append(c.Smoothed, s)
		}
	}
	if err != nil || c.Smoothed == nil && !chooses {
		return nil, err
	}
	return c, nil
}

// prepare lowers the programs that a choice needs. It reports whether there is anything to
// choose.
func (t *tuner) prepare() (chooses bool, err error) {
	t.base = t.Desc.Precision
	asked := t.base.Cosine()
	if asked == 0 || t.Desc.Tune == "off" {
		return false, nil
	}
	t.speed = Speeds[asm.ISA(t.Desc.TuneLevel)].Time
	if t.full, err = t.Lower(t.Desc, t.Entries); err != nil {
		return false, err
	}
	t.allowed = 1 - cmp.Or(t.Desc.Cosine, asked)
	t.modules, t.size = nil, 0
	for _, f := range t.full.Funcs {
		t.large = t.large || ir.FuncCost(t.full, f, min(tuneText, t.full.MaxT)).FLOPs > cmp.Or(t.largeFLOPs, largeFLOPs)
	}
	if coarser, ok := t.base.Coarser(); ok && t.large && t.speed[coarser.Default] < t.speed[t.base.Default] {
		t.base = coarser
	}
	if err := t.weigh(); err != nil || len(t.modules) == 0 {
		return false, err
	}
	return true, t.programs()
}

// largeFLOPs is the number of floating-point operations of one run of a function above which its model counts as large.
const largeFLOPs = int64(5e7)

// tuner makes a choice.
type tuner struct {
	Model
	Options
	meter  *meter
	smooth []Smoothed // the norms to smooth

	base    precision.Map // the formats of modules that are not stored finer
	full    *ir.Program   // as described
	large   bool
	allowed float64            // 1 - cosine
	speed   map[string]float64 // a row of Speeds

	modules []*module          // the modules whose weights are rounded
	size    int64              // bytes of all rounded modules
	time    map[string]float64 // by function: the time of its products and attention, as a share of their time at f32
	groups  []*group           // of modules

	wide  *joined // for judging modules: in float32, with small images if the model is large
	whole *joined // for measuring choices: in float32, with images of full size
}

// The error of the samples may be this share of the allowed error: margin if the model is
// large or the description gives a cosine, otherwise smallMargin, since errors of a small
// model's short rows vary more from sample to sample. headMargin is for the one row of a small
// model's head: values computed from it, such as similarities, may be far more sensitive, and
// accuracy is cheap there.
const margin, smallMargin, headMargin = 0.8, 0.25, 0.01

// limit is the largest error of a segment that is accepted.
func (t *tuner) limit(p segment) float64 {
	switch {
	case t.large || t.Desc.Cosine > 0:
		return margin * t.allowed
	case p.out.value.Type.At(2)[0] == 1:
		return headMargin * t.allowed
	default:
		return smallMargin * t.allowed
	}
}

// choose finds the cheapest formats of groups with which all outputs are within their limits.
func (t *tuner) choose(c *Choice) error {
	runs := t.measured()
	none := &measured{}
	for _, f := range t.whole.Funcs {
		list := runsOf(runs, f)
		exact, err := runAll(t.whole.Program, list)
		if err != nil {
			return err
		}
		for i, x := range list {
			x.exact = exact[i]
		}
		t.meter.did(flops(t.whole.Program, list))
		r, e, err := t.results(list, nil)
		if err != nil {
			return err
		}
		none.results, none.errors = append(none.results, r...), append(none.errors, e...)
	}
	s := &search{segments: t.whole.segments(), log: t.meter.say}
	for _, p := range s.segments {
		s.limits = append(s.limits, t.limit(p))
	}
	c.Before, c.Results = none.results, none.results
	if near(none.errors, s.limits) {
		return nil
	}
	t.meter.say("measuring the effect of rounding on each of %d modules; with all rounded: %s", len(t.modules), listed(s.segments, none.errors))
	if err := t.judge(); err != nil {
		return err
	}
	none.picked = make([]int, len(t.groups))
	s.groups, s.seen = t.groups, []*measured{none}
	s.try = func(fn int, picked []int) ([]Result, []float64, error) {
		return t.results(runsOf(runs, t.whole.Funcs[fn]), overrides(t.groups, picked))
	}
	best, err := s.cheapest()
	if err != nil {
		return err
	}
	c.Results = best.results
	for m, format := range overrides(t.groups, best.picked) {
		c.Overrides = append(c.Overrides, Override{Override: precision.Override{Module: m.name, Format: format.Name}, Work: m.work, Bytes: m.more(format)})
	}
	slices.SortFunc(c.Overrides, func(a, b Override) int { return compareNames(a.Module, b.Module) })
	return nil
}

// overrides returns the formats of the modules that a choice stores finer.
func overrides(groups []*group, picked []int) map[*module]precision.Format {
	all := map[*module]precision.Format{}
	for i, u := range groups {
		if picked[i] > 0 {
			format, _ := precision.Named(u.front[picked[i]].format)
			for _, m := range u.modules {
				all[m] = format
			}
		}
	}
	return all
}
