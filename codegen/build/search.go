package build

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// search looks for the cheapest words of units. What a choice does to an output is about
// what its units do alone, of each what its word leaves; every measurement tells better how
// much that is.
type search struct {
	t       *tuner
	units   []*unit
	noise   [][]float64 // by unit and output, of the word that was asked for
	outputs []int       // among all of the model; what follows has as many
	names   []Result
	limits  []float64
	funcs   []*ir.Func // of the joined program
	runs    []*sampleRun

	seen []*measured // the first with nothing kept
	best *measured
}

// measured is what a choice came to.
type measured struct {
	rungs   []int     // of each unit
	results []Result  // by output
	errors  []float64 // NaN where it was not measured
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
func (t *tuner) searches(runs []*sampleRun, results []Result, errors, limits []float64) []*search {
	part := map[*ir.Func]int{}
	for i, f := range t.whole.Funcs {
		part[f] = i
	}
	of := make([]*ir.Func, len(results)) // the function that makes it
	for _, f := range t.whole.Funcs {
		for _, o := range t.whole.outputs[f.Name] {
			of[indexOf(results, o)] = f
		}
	}
	first := make([]*ir.Func, len(t.units)) // a function that the unit does anything to
	for i, u := range t.units {
		for k, x := range u.noise {
			switch {
			case x == 0:
			case first[i] == nil:
				first[i] = of[k]
			default:
				from, to := part[of[k]], part[first[i]]
				for f := range part {
					if part[f] == from {
						part[f] = to
					}
				}
			}
		}
	}
	var all []*search
	for p := range t.whole.Funcs {
		s := &search{t: t}
		asked := &measured{}
		for k, r := range results {
			if part[of[k]] == p {
				s.outputs, s.names, s.limits = append(s.outputs, k), append(s.names, r), append(s.limits, limits[k])
				asked.results, asked.errors = append(asked.results, r), append(asked.errors, errors[k])
			}
		}
		for _, f := range t.whole.Funcs {
			if part[f] == p {
				s.funcs = append(s.funcs, f)
			}
		}
		for _, x := range runs {
			if part[x.f] == p {
				s.runs = append(s.runs, x)
			}
		}
		for i, u := range t.units {
			if first[i] != nil && part[first[i]] == p {
				noise := make([]float64, len(s.outputs))
				for j, k := range s.outputs {
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

// indexOf returns which of the results is of the output.
func indexOf(results []Result, o output) int {
	return slices.IndexFunc(results, func(r Result) bool { return r.Func == o.fn && r.Output == o.name })
}

// cheapest returns the cheapest choice that was found near enough, or that of the finest
// words if there is none.
func (s *search) cheapest() (*measured, error) {
	finest := make([]int, len(s.units))
	for i, u := range s.units {
		finest[i] = len(u.ladder) - 1
	}
	s.learn()
	share := 0.97
	for rounds := 0; rounds < tuneRounds || s.best == nil; {
		rungs := finest
		if share > 0.01 {
			rungs = pick(s.units, s.noise, s.targets(share))
		}
		known := s.known(rungs)
		switch {
		case known != nil && (s.best != nil || slices.Equal(rungs, finest)),
			s.best != nil && costOf(s.units, rungs) >= worthwhile*costOf(s.units, s.best.rungs):
			if s.best == nil {
				return known, nil
			}
			return s.best, nil
		case known != nil:
			share *= 0.8 // what should be enough is not
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
	return s.best, nil
}

// worthwhile is the share of the least cost so far that a choice is measured for.
const worthwhile = 0.95

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
// measurement, those of which most is left there most.
func (s *search) learn() {
	for range learnRounds {
		for _, m := range s.seen {
			expected := expect(s.units, s.noise, m.rungs)
			for k, e := range m.errors {
				if !(e > 0) || expected[k] == 0 || math.IsInf(e, 1) {
					continue
				}
				most := 0.0
				for i, u := range s.units {
					if s.noise[i][k] > 0 {
						most = max(most, u.ladder[m.rungs[i]].left)
					}
				}
				for i, u := range s.units {
					s.noise[i][k] *= math.Pow(e/expected[k], u.ladder[m.rungs[i]].left/most)
				}
			}
		}
	}
}

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
	m := &measured{rungs, slices.Clone(s.seen[0].results), make([]float64, len(s.outputs))}
	for k := range m.errors {
		m.errors[k] = math.NaN()
	}
	expected := expect(s.units, s.noise, rungs)
	risk := map[*ir.Func]float64{}
	for _, f := range s.funcs {
		for _, o := range s.t.whole.outputs[f.Name] {
			k := indexOf(s.names, o)
			risk[f] = max(risk[f], expected[k]/s.limits[k])
		}
	}
	order := slices.Clone(s.funcs)
	slices.SortStableFunc(order, func(a, b *ir.Func) int {
		switch {
		case risk[a] > risk[b]:
			return -1
		case risk[a] < risk[b]:
			return 1
		}
		return 0
	})
	for _, f := range order {
		results, errors, err := s.t.results(runsOf(s.runs, f), kept)
		if err != nil {
			return err
		}
		enough := true
		for i, o := range s.t.whole.outputs[f.Name] {
			k := indexOf(s.names, o)
			m.results[k], m.errors[k] = results[i], errors[i]
			enough = enough && near(errors[i:i+1], s.limits[k:k+1])
		}
		if !enough {
			break
		}
	}
	s.t.log("%d of %d parts kept, which cost %.1f %%: %s", n, len(s.units), 100*costOf(s.units, rungs), listed(m.results, m.errors))
	s.seen = append(s.seen, m)
	if near(m.errors, s.limits) && (s.best == nil || costOf(s.units, rungs) < costOf(s.units, s.best.rungs)) {
		s.best = m
	}
	return nil
}

// listed lists the errors of outputs.
func listed(results []Result, errors []float64) string {
	var parts []string
	for k, r := range results {
		if errors[k] == errors[k] {
			parts = append(parts, fmt.Sprintf("%s %s %.1e", r.Func, r.Output, errors[k]))
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

// expect adds what the rungs of units leave of their noise, by output.
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
// every output, for about as little cost as can be: steps up that take away most for what
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
	total  []float64 // noise that is left, by output
}

// step is a unit's change to another rung.
type step struct {
	unit, to int
	cost     float64
}

// steps lists the changes to other rungs.
func (p *picker) steps() []step {
	var all []step
	for i, u := range p.units {
		for r := range u.ladder {
			if r != p.rungs[i] {
				all = append(all, step{i, r, u.ladder[r].cost - u.ladder[p.rungs[i]].cost})
			}
		}
	}
	return all
}

// change is what the step adds to an output.
func (p *picker) change(s step, k int) float64 {
	ladder := p.units[s.unit].ladder
	return float64(p.noise[s.unit][k] * (ladder[s.to].left - ladder[p.rungs[s.unit]].left))
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
				gain += min(-p.change(s, k), x-p.bounds[k]) / x
			}
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

// cheaper takes the one or two steps that save most, and reports whether there are any
// after which all is within bounds.
func (p *picker) cheaper() bool {
	if !near(p.total, p.bounds) {
		return false
	}
	var best []step
	saved := 1e-12
	all := p.steps()
	try := func(steps ...step) {
		cost := 0.0
		for _, s := range steps {
			cost += s.cost
		}
		if -cost <= saved {
			return
		}
		for k, x := range p.total {
			for _, s := range steps {
				x += p.change(s, k)
			}
			if !(x <= p.bounds[k]) {
				return
			}
		}
		best, saved = steps, -cost
	}
	for i, a := range all {
		try(a)
		for _, b := range all[:i] {
			if a.unit != b.unit {
				try(a, b)
			}
		}
	}
	if best == nil {
		return false
	}
	p.take(best...)
	return true
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
