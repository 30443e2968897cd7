package build

import (
	"fmt"
	"slices"
	"strings"
)

// search looks for the cheapest units to keep. What is left to be rounded does about what
// its units do alone; every measurement tells better how much that is.
type search struct {
	t      *tuner
	units  []*unit
	runs   []*sampleRun
	limits []float64 // of errors, by output
	before *measured // with nothing kept
	seen   map[string]*measured
	best   *measured
}

// measured is what units to keep came to, by output.
type measured struct {
	units   []*unit
	results []Result
	errors  []float64
}

// near reports whether all outputs are near enough.
func (m *measured) near(limits []float64) bool {
	for k, e := range m.errors {
		if e > limits[k] {
			return false
		}
	}
	return true
}

// searches parts the units by the functions that they do anything to: where no unit does
// to both, what is kept for one function is no matter to the other.
func (t *tuner) searches(runs []*sampleRun, limits []float64, now *measured) []*search {
	part := map[string]int{}
	for i, r := range now.results {
		part[r.Func] = i
	}
	join := func(a, b string) {
		from, to := part[a], part[b]
		for f := range part {
			if part[f] == from {
				part[f] = to
			}
		}
	}
	of := func(u *unit) (funcs []string) {
		for k, x := range u.noise {
			if x > 0 {
				funcs = append(funcs, now.results[k].Func)
			}
		}
		return funcs
	}
	for _, u := range t.units {
		funcs := of(u)
		for i := 1; i < len(funcs); i++ {
			join(funcs[i], funcs[0])
		}
	}
	var all []*search
	parts := map[int]*search{}
	for _, r := range now.results {
		if p := part[r.Func]; parts[p] == nil {
			parts[p] = &search{t: t, limits: limits, before: now, seen: map[string]*measured{}}
			all = append(all, parts[p])
		}
	}
	for _, x := range runs {
		s := parts[part[x.f.Name]]
		s.runs = append(s.runs, x)
	}
	for _, u := range t.units {
		if funcs := of(u); len(funcs) > 0 {
			s := parts[part[funcs[0]]]
			s.units = append(s.units, u)
		}
	}
	return all
}

// cheapest returns the units of least cost that were found near enough, or all if there are
// none.
func (s *search) cheapest() (*measured, error) {
	for share := 0.97; len(s.seen) < tuneRounds || s.best == nil && share > 0.01; {
		targets := make([]float64, len(s.limits))
		for k, l := range s.limits {
			if targets[k] = share * l; s.before.errors[k] <= l {
				targets[k] = max(targets[k], 1.001*s.before.errors[k]) // nothing is kept for it
			}
		}
		units := pick(s.units, targets)
		if s.seen[keyOf(units)] == nil {
			m, err := s.measure(units)
			if err != nil {
				return nil, err
			}
			s.learn(m)
			if len(units) == len(s.units) {
				break
			}
			continue
		}
		if s.best != nil || share < 0.01 {
			break
		}
		share *= 0.8 // less than everything was not enough
	}
	if s.best == nil {
		return s.measure(s.units)
	}
	for range dropRounds {
		if err := s.drop(); err != nil {
			return nil, err
		}
	}
	return s.best, nil
}

// learn scales the noise of units by what was measured: of those left to what they do
// together, of those kept to what went with them.
func (s *search) learn(m *measured) {
	left := s.left(m.units)
	kept := sum(m.units)
	for k := range m.errors {
		for _, u := range s.units {
			switch {
			case !slices.Contains(m.units, u):
				if left[k] > 0 {
					u.noise[k] *= m.errors[k] / left[k]
				}
			case kept[k] > 0 && m.errors[k] < s.before.errors[k]:
				u.noise[k] *= (s.before.errors[k] - m.errors[k]) / kept[k]
			}
		}
	}
}

// left adds the noise of the units that are not kept.
func (s *search) left(kept []*unit) []float64 {
	total := make([]float64, len(s.before.errors))
	for _, u := range s.units {
		for k, x := range u.noise {
			if !slices.Contains(kept, u) {
				total[k] += x
			}
		}
	}
	return total
}

// measure keeps units and remembers them if they are the best so far.
func (s *search) measure(units []*unit) (*measured, error) {
	m, err := s.t.results(s.runs, units)
	if err != nil {
		return nil, err
	}
	s.t.log("%d of %d parts kept, which cost %.1f %%: %s", len(units), len(s.units), 100*costOf(units), m)
	// Other outputs are as they were.
	all := &measured{units, slices.Clone(s.before.results), slices.Clone(s.before.errors)}
	for i, r := range m.results {
		k := slices.IndexFunc(all.results, func(o Result) bool { return o.Func == r.Func && o.Output == r.Output })
		all.results[k], all.errors[k] = r, m.errors[i]
	}
	s.seen[keyOf(units)] = all
	if s.near(all) && (s.best == nil || costOf(units) < costOf(s.best.units)) {
		s.best = all
	}
	return all, nil
}

// near reports whether the outputs of the runs are near enough.
func (s *search) near(m *measured) bool {
	for k, r := range m.results {
		if s.runsOf(r.Func) && m.errors[k] > s.limits[k] {
			return false
		}
	}
	return true
}

// runsOf reports whether the search is about the function.
func (s *search) runsOf(fn string) bool {
	return slices.ContainsFunc(s.runs, func(x *sampleRun) bool { return x.f.Name == fn })
}

// String lists the errors of all outputs.
func (m *measured) String() string {
	var parts []string
	for k, r := range m.results {
		parts = append(parts, fmt.Sprintf("%s %s %.1e", r.Func, r.Output, m.errors[k]))
	}
	return strings.Join(parts, ", ")
}

// keyOf tells sets of units apart.
func keyOf(units []*unit) string {
	var names []string
	for _, u := range units {
		names = append(names, u.name)
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// drop tries the best without the unit that costs most of those that should not be needed.
func (s *search) drop() error {
	now := s.left(s.best.units)
	var try []*unit
	for i := range s.best.units {
		kept := slices.Delete(slices.Clone(s.best.units), i, i+1)
		if try != nil && costOf(kept) >= costOf(try) || s.seen[keyOf(kept)] != nil {
			continue
		}
		enough := true
		for k, x := range s.left(kept) {
			enough = enough && (now[k] == 0 || s.best.errors[k]*x/now[k] <= s.limits[k])
		}
		if enough {
			try = kept
		}
	}
	if try == nil {
		return nil
	}
	_, err := s.measure(try)
	return err
}

// costOf adds the costs of units.
func costOf(units []*unit) float64 {
	sum := 0.0
	for _, u := range units {
		sum += u.cost
	}
	return sum
}

// pick returns which units to keep so that the noise of the others is within the bound of
// every output: those that do most for their cost, and none that the others make needless.
func pick(units []*unit, bounds []float64) []*unit {
	left := slices.Clone(units)
	var picked []*unit
	for {
		total := sum(left)
		best, most := -1, 0.0
		for i, u := range left {
			gain := 0.0
			for k, x := range u.noise {
				if total[k] > bounds[k] {
					gain += min(x, total[k]-bounds[k]) / total[k]
				}
			}
			if gain /= 1e-4 + u.cost; gain > most {
				best, most = i, gain
			}
		}
		if best < 0 {
			break
		}
		picked = append(picked, left[best])
		left = slices.Delete(left, best, best+1)
	}
	for i := 0; i < len(picked); {
		with := sum(append(slices.Clone(left), picked[i]))
		needless := true
		for k, x := range with {
			needless = needless && x <= bounds[k]
		}
		if !needless {
			i++
			continue
		}
		left = append(left, picked[i])
		picked = slices.Delete(picked, i, i+1)
	}
	return picked
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
