package tune

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// search looks for the cheapest words of units. What a choice does to a place is about
// what its units do alone, of each what its word leaves, times a factor that the last
// measurement gives.
type search struct {
	units  []*unit
	noise  [][]float64 // by unit and place, of the word that was asked for
	places []place     // some of all; what follows has as many
	limits []float64
	funcs  []int // that the places are of
	log    func(format string, args ...any)
	// try measures a function with the choice: a line for each of its outputs, and the error
	// of each of its places.
	try func(fn int, rungs []int) ([]Result, []float64, error)

	seen []*measured // the first with nothing kept
	best *measured
}

// place is what is judged apart.
type place struct {
	name   string
	fn, of int // which function and which output of all
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
func searches(units []*unit, places []place, results []Result, errors, limits []float64) []*search {
	part := make([]int, places[len(places)-1].fn+1) // by function
	for i := range part {
		part[i] = i
	}
	first := make([]int, len(units)) // a function that the unit does anything to; -1: none
	for i, u := range units {
		first[i] = -1
		for k, x := range u.noise {
			switch {
			case x == 0:
			case first[i] < 0:
				first[i] = places[k].fn
			default:
				from, to := part[places[k].fn], part[first[i]]
				for f := range part {
					if part[f] == from {
						part[f] = to
					}
				}
			}
		}
	}
	var all []*search
	for n := range part {
		s := &search{}
		asked := &measured{results: map[int]Result{}}
		var at []int // of its places
		for k, p := range places {
			if part[p.fn] == n {
				at = append(at, k)
				s.places, s.limits = append(s.places, p), append(s.limits, limits[k])
				asked.results[p.of], asked.errors = results[p.of], append(asked.errors, errors[k])
			}
		}
		for f := range part {
			if part[f] == n {
				s.funcs = append(s.funcs, f)
			}
		}
		for i, u := range units {
			if first[i] >= 0 && part[first[i]] == n {
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
// words if there is none. What the last measurement came to, over what was expected of it, is
// the factor by which the next choice expects more or less of each place.
func (s *search) cheapest() (*measured, error) {
	finest := make([]int, len(s.units))
	for i, u := range s.units {
		finest[i] = len(u.ladder) - 1
	}
	factor := slices.Repeat([]float64{1}, len(s.limits))
	calibrate := func(m *measured) {
		expected := expect(s.units, s.noise, m.rungs)
		for k, e := range m.errors {
			if e > 0 && e < straight && expected[k] > 0 {
				factor[k] = e / expected[k]
			}
		}
	}
	calibrate(s.seen[0])
	for round := 0; round < tuneRounds || s.best == nil && round < 2*tuneRounds; round++ {
		bounds := make([]float64, len(s.limits))
		for k, l := range s.limits {
			// Of what is near enough with nothing kept, nothing is wanted.
			bounds[k] = max(boundShare*l, 1.02*s.within(k)) / factor[k]
		}
		rungs := greedy(s.units, s.noise, bounds)
		known := s.known(rungs)
		switch {
		case known == nil:
			if err := s.measure(rungs); err != nil {
				return nil, err
			}
			calibrate(s.seen[len(s.seen)-1])
			continue
		case s.best != nil:
			return s.best, nil
		case slices.Equal(rungs, finest):
			return known, nil
		}
		// What should be enough is not.
		for k := range factor {
			factor[k] *= 1.25
		}
	}
	if s.best != nil {
		return s.best, nil
	}
	if known := s.known(finest); known != nil {
		return known, nil
	}
	err := s.measure(finest)
	return s.seen[len(s.seen)-1], err
}

// boundShare is the share of a limit that a choice aims at.
const boundShare = 0.97

// within is the error of a place with nothing kept if that is within its limit, else 0.
func (s *search) within(k int) float64 {
	if e := s.seen[0].errors[k]; e <= s.limits[k] {
		return e
	}
	return 0
}

// known returns what the choice came to if it was measured.
func (s *search) known(rungs []int) *measured {
	i := slices.IndexFunc(s.seen, func(m *measured) bool { return slices.Equal(m.rungs, rungs) })
	if i < 0 {
		return nil
	}
	return s.seen[i]
}

// straight is the error up to which those of units add up: rows that point anywhere are no
// further apart than 2.
const straight = 0.05

// measure runs functions with the choice, those first that are the least likely to be near
// enough, as long as they are, and remembers it if it is the best so far.
func (s *search) measure(rungs []int) error {
	n := 0
	for _, r := range rungs {
		n += min(r, 1)
	}
	m := &measured{rungs, maps.Clone(s.seen[0].results), make([]float64, len(s.places))}
	for k := range m.errors {
		m.errors[k] = math.NaN()
	}
	expected := expect(s.units, s.noise, rungs)
	risk := map[int]float64{}
	for k, p := range s.places {
		risk[p.fn] = max(risk[p.fn], expected[k]/s.limits[k])
	}
	order := slices.Clone(s.funcs)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(risk[b], risk[a]) })
	for _, f := range order {
		if err := s.function(m, f); err != nil {
			return err
		}
		enough := true
		for k, p := range s.places {
			enough = enough && (p.fn != f || near(m.errors[k:k+1], s.limits[k:k+1]))
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
func (s *search) function(m *measured, f int) error {
	i := slices.IndexFunc(s.seen, func(o *measured) bool { return s.alike(m, o, f) })
	if i >= 0 {
		for k, p := range s.places {
			if p.fn == f {
				m.results[p.of], m.errors[k] = s.seen[i].results[p.of], s.seen[i].errors[k]
			}
		}
		return nil
	}
	results, errors, err := s.try(f, m.rungs)
	if err != nil {
		return err
	}
	last := -1
	for k, p := range s.places {
		if p.fn != f {
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
func (s *search) alike(m, o *measured, f int) bool {
	for k, p := range s.places {
		if p.fn != f {
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
			parts = append(parts, fmt.Sprintf("%s %.1e", p.name, errors[k]))
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

// greedy returns the rung of each unit so that the noise that is left is within the bound of
// every place: steps up that take away most for what they cost, as long as it takes, and then
// back down what the others made needless, the dearest first. If nothing is enough, all are
// the finest that help.
func greedy(units []*unit, noise [][]float64, bounds []float64) []int {
	rungs := make([]int, len(units))
	for {
		i, to := up(units, noise, bounds, rungs)
		if to == 0 {
			break
		}
		rungs[i] = to
	}
	order := make([]int, len(units))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(units[b].ladder[rungs[b]].cost, units[a].ladder[rungs[a]].cost)
	})
	for _, i := range order {
		was := rungs[i]
		for rungs[i] = 0; rungs[i] < was && !near(expect(units, noise, rungs), bounds); rungs[i]++ {
		}
	}
	return rungs
}

// up returns the unit and its rung of the step that takes away most for what it costs, of
// what is too much; rung 0 if there is none.
func up(units []*unit, noise [][]float64, bounds []float64, rungs []int) (unit, to int) {
	total, most := expect(units, noise, rungs), 0.0
	for i, u := range units {
		from := u.ladder[rungs[i]]
		for r := rungs[i] + 1; r < len(u.ladder); r++ {
			gain := 0.0
			for k, x := range total {
				if x > bounds[k] {
					gain += min(noise[i][k]*(from.left-u.ladder[r].left), x-bounds[k]) / x
				}
			}
			if gain /= 1e-4 + u.ladder[r].cost - from.cost; gain > most {
				unit, to, most = i, r, gain
			}
		}
	}
	return unit, to
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
