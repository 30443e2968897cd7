package tune

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

const (
	// smoothError is the quantisation error below which a norm is not smoothed: rows and weights
	// without outliers have less. smoothGain is the share of the error that a smoothing must remove.
	smoothError, smoothGain = 1.5e-4, 0.5
	// smoothSamples is the number of inputs of a function on which norms are observed, half of it
	// if they are much work. Smoothings are computed from one half of them and tried on the other.
	smoothSamples = 4
	// smoothRows bounds the rows of a norm that smoothings are tried on, and smoothChannels the
	// output channels of each linear. Rows and channels are rounded independently.
	smoothRows, smoothChannels = 48, 192
	// smoothReach bounds the ratio of the ranges of two columns: smaller ranges count as the largest over it.
	smoothReach = 1 << 10
	// smoothSide is the number of patches along a side of reduced images.
	smoothSide = 7
)

// smoothShare is the exponent of a column's range in its gain, the alpha of SmoothQuant.
const smoothShare = 0.5

// Smoothed is a norm with a gain and a bias for each column, which the linears that read it
// undo, so that rounding rows and weights to int8 causes a smaller error.
type Smoothed struct {
	Norm string
	// Before and After are the quantisation errors of the linears: the squared error over the
	// squared result, averaged over the linears.
	Before, After float64

	smoothing passes.Smoothing
	linears   []string
}

// String returns the line that the command build prints.
func (s Smoothed) String() string {
	return fmt.Sprintf("%-37s quantisation error of its products %.1e, without smoothing %.1e", "smoothed "+s.Norm, s.After, s.Before)
}

// smoothings returns the norms in the form of passes.Options.
func smoothings(norms []Smoothed) map[string]passes.Smoothing {
	all := map[string]passes.Smoothing{}
	for _, s := range norms {
		all[s.Norm] = s.smoothing
	}
	return all
}

// roundedTo returns the format of the first of the linears, given by their bundles, whose input
// rows are rounded to int8; ok is false if there is none.
func roundedTo(m precision.Map, linears []string) (precision.Format, bool) {
	for _, bundle := range linears {
		if format := m.Of(bundle + ".w"); format.DType.Scaled() {
			return format, true
		}
	}
	return precision.Format{}, false
}

// smooths reports whether norms may be smoothed.
func (t *tuner) smooths() bool { return t.Desc.Precision.Int8() && t.Desc.Smooth != "off" }

// smoothed returns the norms whose smoothing removes much error. It observes their rows on the
// user's own samples, and on seeded inputs for functions that do not take the samples. The
// result depends on the samples and the model alone.
func (t *tuner) smoothed() ([]Smoothed, error) {
	if !t.smooths() {
		return nil, nil
	}
	p, err := t.folded()
	if err != nil {
		return nil, err
	}
	all, err := t.look(p)
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		t.meter.say("trying what smoothing does to %d norms", len(all))
	}
	found := make([]*Smoothed, len(all))
	if err := each(len(all), func(i int) (err error) {
		found[i], err = all[i].choose(p)
		return err
	}); err != nil {
		return nil, err
	}
	var norms []Smoothed
	for _, s := range found {
		if s != nil {
			norms = append(norms, *s)
		}
	}
	return norms, nil
}

// folded returns the folded program in which norms are observed. Its images have full size,
// unless that is much work and the images are only seeded.
func (t *tuner) folded() (*ir.Program, error) {
	described, err := t.Lower(t.Desc, t.Entries)
	if err != nil {
		return nil, err
	}
	functions, err := t.functions()
	if err != nil {
		return nil, err
	}
	work := int64(0)
	for _, f := range described.Funcs {
		work = max(work, ir.FuncCost(described, f, min(tuneText, described.MaxT)).FLOPs)
	}
	small := t.Desc
	if work > sampledFLOPs && t.Samples == nil {
		small = t.Desc.Small(smoothSide)
	}
	if described, err = t.Lower(small, functions); err != nil && small != t.Desc {
		described, err = t.Lower(t.Desc, functions) // a small image does not fit the model's tables
	}
	if err != nil {
		return nil, err
	}
	p, err := passes.Run(described, passes.Options{Rows: t.Desc.Limits.Rows, Upto: passes.Fold.Name})
	if err != nil {
		return nil, err
	}
	hold(p)
	return p, nil
}

// look runs functions of a folded program and returns the observed rows of the norms that can be
// smoothed. It skips a function of much work if other functions have all its norms.
func (t *tuner) look(p *ir.Program) ([]*columns, error) {
	var all []*columns
	for _, n := range passes.Smoothable(p, precision.Map{}) {
		format, ok := roundedTo(t.Desc.Precision, n.Linears)
		if ok && !slices.ContainsFunc(all, func(c *columns) bool { return c.norm.Name == n.Name }) {
			all = append(all, newColumns(n, format.DType))
		}
	}
	for _, f := range p.Funcs {
		if f.Stores() {
			continue
		}
		work := ir.FuncCost(p, f, min(tuneText, p.MaxT)).FLOPs
		samples := smoothSamples
		if work > sampledFLOPs/smoothSamples {
			samples /= 2
		}
		norms, unseen := map[*ir.Value]*columns{}, false
		last := map[*columns]*ir.Value{} // the last value that computes a norm
		for _, v := range f.Values {
			if i := slices.IndexFunc(all, func(c *columns) bool { return c.norm.Has(v) }); i >= 0 {
				norms[v], last[all[i]] = all[i], v
				unseen = unseen || all[i].seen == 0
			}
		}
		if len(norms) == 0 || !unseen && samples < smoothSamples {
			continue
		}
		var ins []ir.Input
		for _, x := range t.inputs(p, f, samples) {
			in, text := inputs.Tensors(f, x)
			ins = append(ins, ir.Input{T: text, In: in})
		}
		values := map[*columns][][]*ir.Tensor{} // of each norm, until the last is there
		if _, err := p.RunAll(f.Name, ins, func(v *ir.Value, x []*ir.Tensor) {
			c := norms[v]
			if c == nil {
				return
			}
			if values[c] = append(values[c], x); last[c] == v {
				c.observe(values[c])
				delete(values, c)
			}
		}); err != nil {
			return nil, err
		}
		t.meter.did(float64(work) * float64(samples))
	}
	return slices.DeleteFunc(all, func(c *columns) bool { return c.seen == 0 }), nil
}

// inputs returns n inputs of a function, the user's own samples first.
func (t *tuner) inputs(p *ir.Program, f *ir.Func, n int) []rt.Seq {
	var seqs []rt.Seq
	if t.Samples != nil {
		list, _ := t.Samples.Of(f)
		for _, x := range inputs.Spread(list, n) {
			seqs = append(seqs, x.Seq)
		}
	}
	for i := 0; len(seqs) < n; i++ {
		seqs = append(seqs, t.seeded(p, f, fmt.Sprintf("smooth%d.", i), inputs.TextIDs+3*i))
	}
	return seqs
}

// columns has the statistics of a norm that has no gain and no bias.
type columns struct {
	norm      *passes.Norm
	to        ir.DType  // the format of the linears that read it
	seen      int       // number of rows in the statistics
	sum       []float64 // of each column, as low and high
	low, high []float64
	rows      [][]float64 // further rows, on which smoothings are tried
}

func newColumns(n *passes.Norm, to ir.DType) *columns {
	c := &columns{norm: n, to: to}
	for range n.Cols() {
		c.sum, c.low, c.high = append(c.sum, 0), append(c.low, math.Inf(1)), append(c.high, math.Inf(-1))
	}
	return c
}

// observe takes the values of the norm in a function, each a tensor for each input: inputs 0, 2, ... for the statistics, the
// others to try smoothings on.
func (c *columns) observe(values [][]*ir.Tensor) {
	for i := range values[0] {
		for _, x := range values {
			if i%2 == 0 {
				c.see(x[i].F)
			} else {
				c.take(x[i].F)
			}
		}
	}
}

// see adds rows to the statistics.
func (c *columns) see(x []float64) {
	for row := range slices.Chunk(x, c.norm.Cols()) {
		for j, v := range row {
			c.sum[j] += v
			c.low[j], c.high[j] = min(c.low[j], v), max(c.high[j], v)
		}
		c.seen++
	}
}

// take stores some of the rows, on which smoothings are tried.
func (c *columns) take(x []float64) {
	for _, row := range inputs.Spread(slices.Collect(slices.Chunk(x, c.norm.Cols())), smoothRows) {
		c.rows = append(c.rows, slices.Clone(row))
	}
}

// choose returns the smoothing of the norm, or nil if it does not remove enough of the linears'
// quantisation error.
func (c *columns) choose(p *ir.Program) (*Smoothed, error) {
	k := c.norm.Cols()
	t := &trial{to: c.to, rows: inputs.Spread(c.rows, smoothRows)}
	weight := make([]float64, k) // the largest weight of each column, as a share of the largest in its row
	for _, bundle := range c.norm.Linears {
		w := p.Field(bundle, "w")
		x, err := w.Load()
		if err != nil {
			return nil, err
		}
		rows := slices.Collect(slices.Chunk(x, k))
		for _, row := range rows {
			top := float64(max(slices.Max(row), -slices.Min(row)))
			for j, v := range row {
				if top > 0 {
					weight[j] = max(weight[j], math.Abs(float64(v))/top)
				}
			}
		}
		x = slices.Concat(inputs.Spread(rows, smoothChannels)...)
		some := *w
		some.Type, some.Load = ir.Mat(ir.C(len(x)/k), k), func() ([]float32, error) { return slices.Clone(x), nil }
		t.weights = append(t.weights, &some)
	}
	none := passes.Smoothing{Gain: slices.Repeat([]float32{1}, k), Bias: make([]float32, k)}
	before, err := t.error(none)
	if err != nil || before < smoothError || math.IsInf(before, 1) {
		return nil, err
	}
	s, ok := c.smoothing(weight)
	if !ok {
		return nil, nil
	}
	after, err := t.error(s)
	if err != nil || !(after < (1-smoothGain)*before) {
		return nil, err
	}
	return &Smoothed{Norm: c.norm.Name, Before: before, After: after, smoothing: s, linears: c.norm.Linears}, nil
}

// smoothing returns a bias that centres each column, and the gain
// weight^(1-smoothShare) / range^smoothShare of each column relative to the median one, which
// divides the differences of the columns' ranges between rows and weights. ok is false if all
// rows or all weights are zero. Gains are rounded to quarters of an octave, and biases to 32nds
// of a column's range, so that the last bits of the statistics do not matter.
func (c *columns) smoothing(weight []float64) (s passes.Smoothing, ok bool) {
	k := len(weight)
	middle, reach, octaves := make([]float64, k), make([]float64, k), make([]float64, k)
	for j := range k {
		middle[j] = c.sum[j] / float64(c.seen)
		reach[j] = max(c.high[j]-middle[j], middle[j]-c.low[j])
	}
	farthest, heaviest := slices.Max(reach), slices.Max(weight)
	if !(farthest > 0 && heaviest > 0 && farthest < math.MaxFloat32) {
		return s, false
	}
	for j := range k {
		reach[j] = max(reach[j], farthest/smoothReach)
		octaves[j] = float64((1-smoothShare)*math.Log2(max(weight[j], heaviest/smoothReach))) - float64(smoothShare*math.Log2(reach[j]))
	}
	usual := slices.Sorted(slices.Values(octaves))[k/2]
	for j := range k {
		gain := math.Exp2(math.Round(4*(octaves[j]-usual)) / 4)
		_, exp := math.Frexp(gain * reach[j])
		step := math.Ldexp(1, exp-5)
		s.Gain = append(s.Gain, float32(gain))
		s.Bias = append(s.Bias, float32(-math.Round(gain*middle[j]/step)*step))
	}
	return s, true
}

// trial holds rows and weights on which smoothings are tried.
type trial struct {
	to      ir.DType
	rows    [][]float64
	weights []*ir.Weight
	sizes   []float64 // the squared results of the first trial, by weight
}

// error returns the quantisation error of products of the smoothed rows with the weights that
// undo the smoothing: the squared error over the squared result of the first trial, averaged
// over the weights; +Inf for NaN.
func (t *trial) error(s passes.Smoothing) (float64, error) {
	k := len(s.Gain)
	x := &ir.Tensor{Shape: []int{len(t.rows), k}}
	for _, row := range t.rows {
		for j, v := range row {
			x.F = append(x.F, float64(v*float64(s.Gain[j]))+float64(s.Bias[j]))
		}
	}
	sum, first := 0.0, t.sizes == nil
	for i, w := range t.weights {
		w, _ := s.Linear(strings.TrimSuffix(w.Name, ".w"), w, nil)
		exact, err := product(w, x)
		if err != nil {
			return 0, err
		}
		got, err := product(passes.Narrowed(w, t.to), x)
		if err != nil {
			return 0, err
		}
		e, size := 0.0, 0.0
		for j, v := range exact.F {
			d := got.F[j] - v
			e, size = e+float64(d*d), size+float64(v*v)
		}
		if first {
			t.sizes = append(t.sizes, size)
		}
		if t.sizes[i] > 0 {
			sum += e / t.sizes[i] / float64(len(t.weights))
		}
	}
	if sum != sum {
		sum = math.Inf(1)
	}
	return sum, nil
}
