package tune

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// search looks for the cheapest formats of groups. It models the error of a segment as the sum
// of each group's own error times the share that its format leaves of it, times a factor that
// is calibrated by the last measurement.
type search struct {
	groups   []*group
	segments []segment
	limits   []float64 // by segment
	log      func(format string, args ...any)
	// try measures a function with the picked candidates: a line for each of its outputs, and
	// the error of each of its segments.
	try func(fn int, picked []int) ([]Result, []float64, error)

	seen []*measured // all choices that were measured; the first has no overrides
	best *measured   // the cheapest one within the limits
}

// measured is a choice with its measured errors.
type measured struct {
	picked  []int     // the candidate of each group
	results []Result  // by output
	errors  []float64 // by segment; NaN where it was not measured
	factors []float64 // by segment: those with which the model picked it; nil: it did not
}

// near reports whether all errors are within their limits; NaN is not.
func near(errors, limits []float64) bool {
	for k, e := range errors {
		if !(e <= limits[k]) {
			return false
		}
	}
	return true
}

// cheapest returns the cheapest measured choice within the limits, or, if there is none, the
// choice of the finest formats. After each measurement a segment's factor is set to the ratio
// of its measured to its modelled error. Once that picks no new choice, factors between those of
// the best choice and of a cheaper one that is not accurate enough do.
func (s *search) cheapest() (*measured, error) {
	finest := make([]int, len(s.groups))
	for i, g := range s.groups {
		if slices.Max(g.errors) > 0 {
			finest[i] = len(g.front) - 1
		}
	}
	factor := slices.Repeat([]float64{1}, len(s.limits))
	calibrate := func(m *measured) {
		expected := expect(s.groups, m.picked)
		for k, e := range m.errors {
			if e > 0 && e < straight && expected[k] > 0 {
				factor[k] = e / expected[k]
			}
		}
	}
	calibrate(s.seen[0])
	for round := 0; round < tuneRounds || s.best == nil && round < 2*tuneRounds; round++ {
		picked := s.pick(factor)
		switch known := s.known(picked); {
		case known != nil && s.best != nil:
			if picked = s.between(factor); picked == nil {
				return s.best, nil
			}
		case known != nil && slices.Equal(picked, finest):
			return known, nil
		case known != nil:
			// The model picks a choice that was measured to be not accurate enough: make it expect larger errors.
			for k := range factor {
				factor[k] *= 1.25
			}
			continue
		}
		m, err := s.measure(picked)
		if err != nil {
			return nil, err
		}
		m.factors = slices.Clone(factor)
		calibrate(m)
	}
	if s.best != nil {
		return s.best, nil
	}
	if known := s.known(finest); known != nil {
		return known, nil
	}
	return s.measure(finest)
}

// pick returns the choice that the model picks with the factors.
func (s *search) pick(factors []float64) []int {
	bounds := make([]float64, len(s.limits))
	for k, l := range s.limits {
		bounds[k] = boundShare * l
		if e := s.seen[0].errors[k]; e <= l { // a segment within its limit without overrides needs none
			bounds[k] = max(bounds[k], 1.02*e)
		}
		bounds[k] /= factors[k]
	}
	return greedy(s.groups, bounds)
}

// between returns a choice that was not measured, which the model picks with factors between those of the best choice and of
// the dearest cheaper one that is not accurate enough, and sets factors to them. It returns nil if there is none.
func (s *search) between(factors []float64) []int {
	var failed *measured
	for _, m := range s.seen {
		cost := costOf(s.groups, m.picked)
		if m.factors != nil && cost < costOf(s.groups, s.best.picked) && (failed == nil || cost > costOf(s.groups, failed.picked)) {
			failed = m
		}
	}
	if failed == nil {
		return nil
	}
	good, bad := slices.Clone(s.best.factors), slices.Clone(failed.factors)
	for range halvings {
		for k := range factors {
			factors[k] = math.Sqrt(good[k] * bad[k])
		}
		picked := s.pick(factors)
		switch m := s.known(picked); {
		case m == nil:
			return picked
		case near(m.errors, s.limits):
			copy(good, factors)
		default:
			copy(bad, factors)
		}
	}
	return nil
}

// halvings bounds the search for factors between two.
const halvings = 8

// boundShare is the share of a limit that the modelled error may reach.
const boundShare = 0.97

// straight is the error up to which a measurement calibrates the model. Larger errors of groups
// do not add up, since 1 - cosine is at most 2.
const straight = 0.05

// known returns the measurement of the choice, or nil.
func (s *search) known(picked []int) *measured {
	i := slices.IndexFunc(s.seen, func(m *measured) bool { return slices.Equal(m.picked, picked) })
	if i < 0 {
		return nil
	}
	return s.seen[i]
}

// measure measures the errors of the choice picked and adds them to s.seen. It runs the functions in order of their modelled
// errors relative to the limits, largest first, and stops at the first that exceeds a limit; errors of the others are NaN. If
// the choice is the cheapest within the limits so far, it becomes s.best.
func (s *search) measure(picked []int) (*measured, error) {
	m := &measured{picked: picked, results: slices.Clone(s.seen[0].results), errors: slices.Repeat([]float64{math.NaN()}, len(s.segments))}
	expected := expect(s.groups, picked)
	risk := make([]float64, s.segments[len(s.segments)-1].fn+1) // by function: the largest expected error over its limit
	order := make([]int, len(risk))
	for k, p := range s.segments {
		order[p.fn] = p.fn
		risk[p.fn] = max(risk[p.fn], expected[k]/s.limits[k])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(risk[b], risk[a]) })
	for _, f := range order {
		first := slices.IndexFunc(s.segments, func(p segment) bool { return p.fn == f })
		results, errors, err := s.function(m, f)
		if err != nil {
			return nil, err
		}
		copy(m.results[s.segments[first].of:], results)
		copy(m.errors[first:], errors)
		if !near(errors, s.limits[first:]) {
			break
		}
	}
	kept := 0
	for _, r := range picked {
		kept += min(r, 1)
	}
	s.log("%d of %d groups of modules finer, time and bytes together %.1f %% more: %s", kept, len(s.groups), 100*costOf(s.groups, picked), listed(s.segments, m.errors))
	s.seen = append(s.seen, m)
	if near(m.errors, s.limits) && (s.best == nil || costOf(s.groups, picked) < costOf(s.groups, s.best.picked)) {
		s.best = m
	}
	return m, nil
}

// function measures a function with the choice, or returns the measurement of another choice
// that is the same for this function.
func (s *search) function(m *measured, f int) (results []Result, errors []float64, err error) {
	for _, o := range s.seen {
		if results, errors = nil, nil; !s.alike(m, o, f) {
			continue
		}
		for k, p := range s.segments {
			if p.fn == f {
				if k == 0 || p.of != s.segments[k-1].of {
					results = append(results, o.results[p.of])
				}
				errors = append(errors, o.errors[k])
			}
		}
		return results, errors, nil
	}
	return s.try(f, m.picked)
}

// alike reports whether f was measured with o, and o picks the same as m for all groups that
// affect f.
func (s *search) alike(m, o *measured, f int) bool {
	for k, p := range s.segments {
		for i, g := range s.groups {
			if p.fn == f && (math.IsNaN(o.errors[k]) || g.errors[k] != 0 && m.picked[i] != o.picked[i]) {
				return false
			}
		}
	}
	return true
}

// listed formats the errors of segments as text.
func listed(segments []segment, errors []float64) string {
	var parts []string
	for k, p := range segments {
		if !math.IsNaN(errors[k]) {
			parts = append(parts, fmt.Sprintf("%s %.1e", p.name, errors[k]))
		}
	}
	return strings.Join(parts, ", ")
}

// costOf returns the sum of the costs of the picked candidates.
func costOf(groups []*group, picked []int) float64 {
	sum := 0.0
	for i, g := range groups {
		sum += g.front[picked[i]].cost
	}
	return sum
}

// expect returns the modelled error of each segment: the sum of all groups' remaining errors.
func expect(groups []*group, picked []int) []float64 {
	total := make([]float64, len(groups[0].errors))
	for i, g := range groups {
		for k, x := range g.errors {
			total[k] += float64(x * g.front[picked[i]].remaining)
		}
	}
	return total
}

// greedy picks a candidate for each group so that the modelled error of every segment is within
// its bound. It repeats the step that removes most error for its cost until all errors are, or
// no step helps. Then it undoes steps that later ones made unnecessary, the most expensive
// groups first.
func greedy(groups []*group, bounds []float64) []int {
	picked := make([]int, len(groups))
	for {
		i, to := up(groups, bounds, picked)
		if to == 0 {
			break
		}
		picked[i] = to
	}
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(groups[b].front[picked[b]].cost, groups[a].front[picked[a]].cost)
	})
	for _, i := range order {
		was := picked[i]
		for picked[i] = 0; picked[i] < was && !near(expect(groups, picked), bounds); picked[i]++ {
		}
	}
	return picked
}

// up returns the best step from a choice: the index of a group and of a finer candidate for it. A step is the better the more
// it decreases the modelled errors above the bounds, each as a share of its segment's error, for its cost. to is 0 if no step
// decreases them.
func up(groups []*group, bounds []float64, picked []int) (group, to int) {
	total, most := expect(groups, picked), 0.0
	for i, g := range groups {
		from := g.front[picked[i]]
		for r := picked[i] + 1; r < len(g.front); r++ {
			gain := 0.0
			for k, x := range total {
				if x > bounds[k] {
					gain += min(g.errors[k]*(from.remaining-g.front[r].remaining), x-bounds[k]) / x
				}
			}
			if gain /= 1e-4 + g.front[r].cost - from.cost; gain > most {
				group, to, most = i, r, gain
			}
		}
	}
	return group, to
}
