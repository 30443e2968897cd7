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
	// tuneRounds is how many choices are measured at most once one is near enough.
	tuneRounds = 4
	// tuneSide and judgeText are the inputs that a large model's modules are judged on one
	// by one: patches on a side of the image, and ids. The attention of longer texts is
	// another than the attention of a few ids.
	tuneSide, judgeText = 3, 16
	// tuneText is the ids of the shortest text that a choice is measured on.
	tuneText = 4
	// minorShare is the share of the error of all modules below which the modules of a layer are not
	// judged one by one.
	minorShare = 0.05
	// cached is the most bytes of weights that are held while modules are judged.
	cached = 3 << 29
	// localRows is how many rows of a matrix show what a format does to its product.
	localRows = 64
	// bytesWeight is what a share of all bytes weighs against the same share of the time of a
	// call: weights are downloaded, mapped and kept in caches by every process, also by those
	// that wait for memory rather than for arithmetic.
	bytesWeight = 1
	// overrideCost is what another format costs that costs no time and no bytes: it is one more.
	overrideCost = 1e-5
)

// Model is what a choice is made for.
type Model struct {
	Desc *model.Description
	// Lower returns the program of a description, Desc or one that differs in the size of its
	// images, with the weights bound; entries are as [model.Options] has them.
	Lower   func(d *model.Description, entries []string) (*ir.Program, error)
	Samples *inputs.Samples // the user's own; nil: none
	Random  bool            // whether the weights come from a seed
}

// Options say how a choice is made.
type Options struct {
	Entries []string // whose outputs count; nil: the description's
	Log     func(format string, args ...any)

	// What tests set; the zero values are the constants of their names.
	largeFLOPs int64
	tellFLOPs  float64
}

// Choose returns which norms of a model are smoothed, and which modules are stored more
// finely than its precision says, so that outputs of the entries reach the cosine that the
// description asks for, or else the precision itself. What the description says of a class or
// a module stays. It depends on the model alone, not on the machine: what a module costs is what
// it does on CPUs of the level that the description names, by [Speeds].
//
// Every module is judged by what its rounding does to the outputs, in the float64
// interpreter: of a large model on a small image, and layer by layer where that does
// little. What other formats would leave of it is told by what they do to its own products.
// Choices are made of the formats that take away most for what they cost in time and in
// bytes, and measured on other inputs, some of the user's own samples among them, and on
// images as they are; the cheapest that is near enough is it. What is kept of a small model
// is float32: there it costs next to nothing.
//
// Log, which may be nil, is told after the first run how long all takes about, and then what
// is under way and how far it is.
func Choose(m Model, o Options) (*Choice, error) {
	t := &tuner{Model: m, Options: o}
	var err error
	if t.meter, err = t.metered(); err != nil {
		return nil, err
	}
	if t.smooth, err = t.smoothed(); err != nil {
		return nil, err
	}
	c := &Choice{Precision: m.Desc.Precision.String(), Level: m.Desc.TuneLevel}
	chooses, err := t.prepare()
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

// prepare makes the programs that a choice is made with. It reports whether there is anything
// to choose.
func (t *tuner) prepare() (chooses bool, err error) {
	asked := t.Desc.Precision.Cosine()
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
	if err := t.weigh(); err != nil || len(t.modules) == 0 {
		return false, err
	}
	return true, t.programs()
}

// largeFLOPs is the work of a function above which a model is large.
const largeFLOPs = int64(5e7)

// tuner makes a choice.
type tuner struct {
	Model
	Options
	meter  *meter
	smooth []Smoothed // norms

	full    *ir.Program // as described
	large   bool
	allowed float64            // 1 - cosine
	speed   map[string]float64 // a row of Speeds

	modules []*module          // what is rounded
	size    int64              // bytes of all that is rounded
	time    map[string]float64 // by function: the time of its products and attention over their time at f32
	groups  []*group           // of modules

	wide  *joined // in float32, for small images if the model is large: modules are judged on it
	whole *joined // the same for images as they are: choices are measured on it
}

// Of what is allowed, rows of the samples may be as much as margin. Rows of a small model are
// short, and so differ more from sample to sample, where nothing else is asked for. What is
// computed of a head's row, such as the similarities of several images and texts, may be far
// more sensitive than it is, and a row of few numbers is itself: in a small model it costs
// nothing to make them nearer.
const margin, smallMargin, headMargin = 0.8, 0.25, 0.01

// limit is the error that is accepted of a segment.
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

// choose finds the cheapest formats for groups with which the outputs are near enough.
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
	t.meter.say("judging what rounding does to %d modules: %s", len(t.modules), listed(s.segments, none.errors))
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

// overrides are the formats of the modules that a choice stores finer.
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
