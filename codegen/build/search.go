package build

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// search looks for the cheapest words of units. What a choice does to a place is about
// what its units do alone, of each what its word leaves; every measurement tells better how
// much that is.
type search struct {
	units  []*unit
	noise  [][]float64 // by unit and place, of the word that was asked for
	places []place     // some of all; what follows has as many
	limits []float64
	funcs  []*ir.Func // of the joined program
	log    func(format string, args ...any)
	// try measures a function with the choice: a line for each of its outputs, and the error
	// of each of its places.
	try func(f *ir.Func, kept map[*module]precision.Word) ([]Result, []float64, error)

	seen []*measured // the first with nothing kept
	best *measured
}

// measured is what a choice came to.
type measured struct {
	rungs   []int          // of each unit
	results map[int]Result // by output, of all of the model
	errors  []float64      // by place; NaN where it was not measured
}

// near reports whether all errors are within their limits. One that is no number is not.
func near(errors, limits []float64) bool {
	for k, e := range errors {
		if !(e <= limits[k]) {
			return false
		}
	}
	return true
}

// searches parts the units by the functions that they do anything to: where no unit does
// to both, what is kept for one function is no matter to the other. What is near enough
// already is not searched.
func (t *tuner) searches(places []place, runs []*sampleRun, results []Result, errors, limits []float64) []*search {
	part := map[*ir.Func]int{}
	for i, f := range t.whole.Funcs {
		part[f] = i
	}
	first := make([]*ir.Func, len(t.units)) // a function that the unit does anything to
	for i, u := range t.units {
		for k, x := range u.noise {
			switch {
			case x == 0:
			case first[i] == nil:
				first[i] = places[k].f
			default:
				from, to := part[places[k].f], part[first[i]]
				for f := range part {
					if part[f] == from {
						part[f] = to
					}
				}
			}
		}
	}
	var all []*search
	for n := range t.whole.Funcs {
		s := &search{log: t.meter.say, try: func(f *ir.Func, kept map[*module]precision.Word) ([]Result, []float64, error) {
			return t.results(runsOf(runs, f), kept)
		}}
		asked := &measured{results: map[int]Result{}}
		var at []int // of its places
		for k, p := range places {
			if part[p.f] == n {
				at = append(at, k)
				s.places, s.limits = append(s.places, p), append(s.limits, limits[k])
				asked.results[p.of], asked.errors = results[p.of], append(asked.errors, errors[k])
			}
		}
		for _, f := range t.whole.Funcs {
			if part[f] == n {
				s.funcs = append(s.funcs, f)
			}
		}
		for i, u := range t.units {
			if first[i] != nil && part[first[i]] == n {
				noise := make([]float64, len(at))
				for j, k := range at {
					noise[j] = u.noise[k]
				}
				s.units, s.noise = append(s.units, u), append(s.noise, noise)
			}
		}
		if asked.rungs = make([]int, len(s.units)); !near(asked.errors, s.limits) {
			s.seen = []*measured{asked}
			all = append(all, s)
		}
	}
	return all
}

// cheapest returns the cheapest choice that was found near enough, or that of the finest
// words if there is none. What was measured last tells what to try next: cheaper words than
// those that were more than near enough, and dearer ones than those that were not.
func (s *search) cheapest() (*measured, error) {
	finest := make([]int, len(s.units))
	for i, u := range s.units {
		finest[i] = len(u.ladder) - 1
	}
	s.learn()
	share := 0.97
	for rounds := 0; s.best == nil || rounds < tuneRounds; {
		rungs := finest
		if share > 0.01 {
			rungs = pick(s.units, s.noise, s.targets(share))
		}
		known := s.known(rungs)
		switch {
		case s.best != nil && costOf(s.units, rungs) >= worthwhile*costOf(s.units, s.best.rungs):
			return s.best, s.relax()
		case known != nil && slices.Equal(rungs, finest):
			return known, nil
		case known != nil:
			share *= 0.9 // what should be enough is not
			continue
		}
		if err := s.measure(rungs); err != nil {
			return nil, err
		}
		s.learn()
		if rounds++; rounds >= tuneRounds {
			share *= 0.9
		}
	}
	return s.best, s.relax()
}

// relax makes the best choice cheaper where what was learned is too careful: by steps down
// of single units, as many as less noise than expected would allow, then by fewer of them
// until what is left is near enough.
func (s *search) relax() error {
	bad := map[[2]int]bool{} // steps that are too much alone
	var steps []step
	for range relaxRounds {
		if steps == nil {
			steps = s.slack(bad)
		}
		rungs, saved := slices.Clone(s.best.rungs), 0.0
		for _, d := range steps {
			rungs[d.unit] = d.to
			saved -= d.cost
		}
		if saved < (1-worthwhile)/2*costOf(s.units, s.best.rungs) {
			return nil
		}
		best := s.best
		if s.known(rungs) == nil {
			if err := s.measure(rungs); err != nil {
				return err
			}
			s.learn()
		}
		switch {
		case s.best != best:
			steps = nil
		case len(steps) == 1:
			bad[[2]int{steps[0].unit, steps[0].to}] = true
			steps = nil
		default:
			steps = steps[:len(steps)/2]
		}
	}
	return nil
}

// relaxRounds is how many choices are measured to relax the best one, and relaxShare what
// is taken to be true of the noise that is expected then.
const relaxRounds, relaxShare = 4, 0.7

// slack returns steps down from the best choice that save most for what they add, as many as
// its errors leave room for, but one of a unit and none that is bad.
func (s *search) slack(bad map[[2]int]bool) []step {
	p := &picker{units: s.units, noise: s.noise, bounds: s.limits, rungs: s.best.rungs, total: slices.Clone(s.best.errors)}
	all := slices.DeleteFunc(p.steps(), func(d step) bool { return d.cost >= 0 || bad[[2]int{d.unit, d.to}] })
	need := func(d step) float64 {
		most := 0.0
		for k, x := range d.add {
			most = max(most, x/max(1e-3*p.bounds[k], p.bounds[k]-p.total[k]))
		}
		return most / -d.cost
	}
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(need(a), need(b)) })
	var steps []step
	for _, d := range all {
		for k := range d.add {
			d.add[k] *= relaxShare
		}
		if p.fits(d) && !slices.ContainsFunc(steps, func(o step) bool { return o.unit == d.unit }) {
			for k, x := range d.add {
				p.total[k] += x
			}
			steps = append(steps, d)
		}
	}
	return steps
}

// worthwhile is the share of the least cost so far that a choice is measured for.
const worthwhile = 0.98

// targets are a share of the limits, but no less than what there is with nothing kept of
// outputs that are near enough already.
func (s *search) targets(share float64) []float64 {
	targets := make([]float64, len(s.limits))
	for k, l := range s.limits {
		targets[k] = share * l
		if e := s.seen[0].errors[k]; e <= l {
			targets[k] = max(targets[k], 1.02*e)
		}
	}
	return targets
}

// known returns what the choice came to if it was measured.
func (s *search) known(rungs []int) *measured {
	i := slices.IndexFunc(s.seen, func(m *measured) bool { return slices.Equal(m.rungs, rungs) })
	if i < 0 {
		return nil
	}
	return s.seen[i]
}

// learn scales the noise of units until it explains what was measured: by turns for each
// measurement, those of which most is left there most. Of errors that are too large to add up
// only the least tells something. No noise becomes none.
func (s *search) learn() {
	bounds := slices.Clone(s.seen[0].errors)
	for k := range bounds {
		least := math.Inf(1)
		for _, m := range s.seen {
			if m.errors[k] < least {
				least = m.errors[k]
			}
		}
		bounds[k] = max(least, straight)
	}
	for range learnRounds {
		for _, m := range s.seen {
			expected := expect(s.units, s.noise, m.rungs)
			for k, e := range m.errors {
				if !(e > 0) || expected[k] == 0 || e > bounds[k] {
					continue
				}
				most := 0.0
				for i, u := range s.units {
					if s.noise[i][k] > 0 {
						most = max(most, u.ladder[m.rungs[i]].left)
					}
				}
				for i, u := range s.units {
					if s.noise[i][k] > 0 {
						s.noise[i][k] = max(leastNoise, s.noise[i][k]*math.Pow(e/expected[k], u.ladder[m.rungs[i]].left/most))
					}
				}
			}
		}
	}
}

// straight is the error up to which those of units add up: rows that point anywhere are no
// further apart than 2. leastNoise is none, of a unit that may do something.
const straight, leastNoise = 0.05, 1e-30

// learnRounds is how often each measurement is looked at.
const learnRounds = 20

// measure runs functions with the choice, those first that are the least likely to be near
// enough, as long as they are, and remembers it if it is the best so far.
func (s *search) measure(rungs []int) error {
	kept, n := map[*module]precision.Word{}, 0
	for i, u := range s.units {
		if rungs[i] > 0 {
			n++
			word, _ := precision.Named(u.ladder[rungs[i]].word)
			for _, m := range u.modules {
				kept[m] = word
			}
		}
	}
	m := &measured{rungs, maps.Clone(s.seen[0].results), make([]float64, len(s.places))}
	for k := range m.errors {
		m.errors[k] = math.NaN()
	}
	expected := expect(s.units, s.noise, rungs)
	risk := map[*ir.Func]float64{}
	for k, p := range s.places {
		risk[p.f] = max(risk[p.f], expected[k]/s.limits[k])
	}
	order := slices.Clone(s.funcs)
	slices.SortStableFunc(order, func(a, b *ir.Func) int { return cmp.Compare(risk[b], risk[a]) })
	for _, f := range order {
		if err := s.function(m, f, kept); err != nil {
			return err
		}
		enough := true
		for k, p := range s.places {
			enough = enough && (p.f != f || near(m.errors[k:k+1], s.limits[k:k+1]))
		}
		if !enough {
			break
		}
	}
	s.log("%d of %d parts kept, time and bytes together %.1f %% more: %s", n, len(s.units), 100*costOf(s.units, rungs), listed(s.places, m.errors))
	s.seen = append(s.seen, m)
	if near(m.errors, s.limits) && (s.best == nil || costOf(s.units, rungs) < costOf(s.units, s.best.rungs)) {
		s.best = m
	}
	return nil
}

// function measures what the choice does to a function, unless another choice that was
// measured did the same to it.
func (s *search) function(m *measured, f *ir.Func, kept map[*module]precision.Word) error {
	i := slices.IndexFunc(s.seen, func(o *measured) bool { return s.alike(m, o, f) })
	if i >= 0 {
		for k, p := range s.places {
			if p.f == f {
				m.results[p.of], m.errors[k] = s.seen[i].results[p.of], s.seen[i].errors[k]
			}
		}
		return nil
	}
	results, errors, err := s.try(f, kept)
	if err != nil {
		return err
	}
	last := -1
	for k, p := range s.places {
		if p.f != f {
			continue
		}
		if p.of != last {
			m.results[p.of], results, last = results[0], results[1:], p.of
		}
		m.errors[k], errors = errors[0], errors[1:]
	}
	return nil
}

// alike reports whether o is the same choice for all units that do anything to f, and f was
// measured.
func (s *search) alike(m, o *measured, f *ir.Func) bool {
	for k, p := range s.places {
		if p.f != f {
			continue
		}
		if o.errors[k] != o.errors[k] {
			return false
		}
		for i := range s.units {
			if s.noise[i][k] != 0 && m.rungs[i] != o.rungs[i] {
				return false
			}
		}
	}
	return true
}

// listed lists the errors of places.
func listed(places []place, errors []float64) string {
	var parts []string
	for k, p := range places {
		if errors[k] == errors[k] {
			parts = append(parts, fmt.Sprintf("%v %.1e", p, errors[k]))
		}
	}
	return strings.Join(parts, ", ")
}

// costOf adds the costs of the rungs of units.
func costOf(units []*unit, rungs []int) float64 {
	sum := 0.0
	for i, u := range units {
		sum += u.ladder[rungs[i]].cost
	}
	return sum
}

// expect adds what the rungs of units leave of their noise, by place.
func expect(units []*unit, noise [][]float64, rungs []int) []float64 {
	var total []float64
	for i, u := range units {
		if total == nil {
			total = make([]float64, len(noise[i]))
		}
		for k, x := range noise[i] {
			total[k] += float64(x * u.ladder[rungs[i]].left)
		}
	}
	return total
}

// pick returns the rung of each unit so that the noise that is left is within the bound of
// every place, for about as little cost as can be: steps up that take away most for what
// they cost, as long as it takes; then steps of one unit or of two at once that make it
// cheaper. How much the cost of a step counts is tried several ways. If nothing is enough,
// all are the finest that help.
func pick(units []*unit, noise [][]float64, bounds []float64) []int {
	var best []int
	for _, weight := range []float64{1, 0.5, 2, 0} {
		p := &picker{units, noise, bounds, weight, make([]int, len(units)), nil}
		p.take()
		for p.up() {
		}
		for p.cheaper() {
		}
		if best == nil || costOf(units, p.rungs) < costOf(units, best) {
			best = p.rungs
		}
	}
	return best
}

type picker struct {
	units  []*unit
	noise  [][]float64
	bounds []float64
	weight float64 // the power of costs that gains are weighed against
	rungs  []int
	total  []float64 // noise that is left, by place
}

// step is a unit's change to another rung.
type step struct {
	unit, to int
	cost     float64
	add      []float64 // to the noise, by place
}

// steps lists the changes to other rungs.
func (p *picker) steps() []step {
	var all []step
	var adds []float64
	for i, u := range p.units {
		from := u.ladder[p.rungs[i]]
		for r, to := range u.ladder {
			if r == p.rungs[i] {
				continue
			}
			for _, x := range p.noise[i] {
				adds = append(adds, float64(x*(to.left-from.left)))
			}
			all = append(all, step{unit: i, to: r, cost: to.cost - from.cost})
		}
	}
	n := len(p.bounds)
	for i := range all {
		all[i].add = adds[i*n:][:n]
	}
	return all
}

// take makes the steps.
func (p *picker) take(steps ...step) {
	for _, s := range steps {
		p.rungs[s.unit] = s.to
	}
	p.total = expect(p.units, p.noise, p.rungs)
}

// up takes the step up that does most for its cost, and reports whether it is needed.
func (p *picker) up() bool {
	var best step
	most := 0.0
	for _, s := range p.steps() {
		if s.to < p.rungs[s.unit] {
			continue
		}
		gain := 0.0
		for k, x := range p.total {
			if x > p.bounds[k] {
				gain += min(-s.add[k], x-p.bounds[k]) / x
			}
		}
		if gain == 0 {
			continue
		}
		if gain /= math.Pow(1e-4+s.cost, p.weight); gain > most {
			best, most = s, gain
		}
	}
	if most == 0 {
		return false
	}
	p.take(best)
	return true
}

// manyPairs is how many pairs of steps are tried at least before one that saves something is
// taken; of few units that is all.
const manyPairs = 1 << 16

// cheaper takes the one or two steps that save most, of those that were tried, and reports
// whether there are any after which all is within bounds.
func (p *picker) cheaper() bool {
	if !near(p.total, p.bounds) {
		return false
	}
	all := p.steps()
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(a.cost, b.cost) })
	var best []step
	saved, tried := 1e-12, 0
	for _, a := range all {
		if -a.cost > saved && p.fits(a) {
			best, saved = []step{a}, -a.cost
		}
	}
	for i, a := range all {
		if best != nil && tried > manyPairs || -2*a.cost <= saved {
			break
		}
		for _, b := range all[i+1:] {
			if -(a.cost + b.cost) <= saved {
				break // what follows costs more
			}
			tried++
			if a.unit != b.unit && p.fits(a, b) {
				best, saved = []step{a, b}, -(a.cost + b.cost)
				break
			}
		}
	}
	p.take(best...)
	return best != nil
}

// fits reports whether all is within bounds after the steps.
func (p *picker) fits(steps ...step) bool {
	for k, x := range p.total {
		for _, s := range steps {
			x += s.add[k]
		}
		if !(x <= p.bounds[k]) {
			return false
		}
	}
	return true
}

// sum adds the noise of units, place by place.
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
