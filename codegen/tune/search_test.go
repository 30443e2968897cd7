package tune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is picked is what does most for its cost, as much as it takes, and nothing that the
// rest makes needless.
func TestGreedy(t *testing.T) {
	whole := func(cost float64) []rung { return []rung{{"int8", 1, 0}, {"f32", 0, cost}} }
	units := []*unit{
		{name: "dear", noise: []float64{5, 0}, ladder: whole(1)},
		{name: "cheap", noise: []float64{4, 0}, ladder: whole(0.1)},
		{name: "small", noise: []float64{1, 0}, ladder: whole(0.01)},
		{name: "other", noise: []float64{0, 3}, ladder: []rung{{"int8", 1, 0}, {"int8x2", 0.5, 0.01}, {"f16", 0.1, 0.05}, {"f32", 0, 0.2}}},
	}
	for _, c := range []struct {
		bounds []float64
		want   []int
	}{
		{[]float64{10, 3}, []int{0, 0, 0, 0}},
		{[]float64{9.5, 3}, []int{0, 0, 1, 0}},
		{[]float64{6, 3}, []int{0, 1, 0, 0}}, // small is the first, and needless then
		{[]float64{5, math.Inf(1)}, []int{0, 1, 1, 0}},
		{[]float64{4, 3}, []int{1, 0, 1, 0}},
		{[]float64{10, 2}, []int{0, 0, 0, 1}},
		{[]float64{10, 1}, []int{0, 0, 0, 2}},
		{[]float64{0, 0}, []int{1, 1, 1, 3}},
		{[]float64{10, -1}, []int{0, 0, 0, 3}}, // never enough
	} {
		if d := cmp.Diff(c.want, greedy(units, noiseOf(units), c.bounds)); d != "" {
			t.Errorf("bounds %v (-want +got)\n%s", c.bounds, d)
		}
	}
}

func noiseOf(units []*unit) (noise [][]float64) {
	for _, u := range units {
		noise = append(noise, slices.Clone(u.noise))
	}
	return noise
}

// What is picked is within the bounds whenever something is, and hardly dearer than the
// cheapest of all choices.
func TestGreedyOptimum(t *testing.T) {
	const units, outputs, cases = 6, 2, 200
	worst, exact, possible := 1.0, 0, 0
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 1))
		var all []*unit
		for i := range units {
			u := &unit{name: fmt.Sprint(i), ladder: []rung{{"int8", 1, 0}}}
			for range outputs {
				u.noise = append(u.noise, math.Pow(r.Float64(), 3))
			}
			for range 1 + r.IntN(3) {
				last := u.ladder[len(u.ladder)-1]
				u.ladder = append(u.ladder, rung{"", last.left * r.Float64(), last.cost + r.Float64()})
			}
			all = append(all, u)
		}
		noise, bounds := noiseOf(all), make([]float64, outputs)
		for k, x := range sum(all) {
			bounds[k] = x * r.Float64()
		}
		best := math.Inf(1)
		rungs := make([]int, units)
		for i := 0; i < units; {
			if near(expect(all, noise, rungs), bounds) {
				best = min(best, costOf(all, rungs))
			}
			for i = 0; i < units; i++ {
				if rungs[i]++; rungs[i] < len(all[i].ladder) {
					break
				}
				rungs[i] = 0
			}
		}
		got := greedy(all, noise, bounds)
		if again := greedy(all, noise, bounds); !slices.Equal(got, again) {
			t.Errorf("seed %d: %v, then %v", seed, got, again)
		}
		enough, cost := near(expect(all, noise, got), bounds), costOf(all, got)
		if enough {
			possible++
		}
		switch {
		case enough != !math.IsInf(best, 1):
			t.Errorf("seed %d: picked is near enough: %v; the best costs %v", seed, enough, best)
		case enough && cost < best-1e-9:
			t.Errorf("seed %d: costs %v, less than the cheapest, %v", seed, cost, best)
		case enough && cost < best+1e-9:
			exact++
		case enough:
			worst = max(worst, cost/best)
		}
	}
	if worst > 1.5 || exact < possible*8/10 || possible < cases/2 {
		t.Errorf("%d of %d are the cheapest, the worst costs %.2f times as much", exact, possible, worst)
	}
}

// An error that is no number is never near enough.
func TestNear(t *testing.T) {
	limits := []float64{1, 2}
	for _, c := range []struct {
		errors []float64
		want   bool
	}{
		{[]float64{1, 2}, true},
		{[]float64{0, 2.1}, false},
		{[]float64{1.1, 0}, false},
		{[]float64{math.NaN(), 0}, false},
		{[]float64{0, math.NaN()}, false},
		{[]float64{math.Inf(1), 0}, false},
		{nil, true},
	} {
		if got := near(c.errors, limits); got != c.want {
			t.Errorf("%v are near: %v", c.errors, got)
		}
	}
}

// Of words that cost as much or less, only the one that leaves least is on a ladder.
func TestClimb(t *testing.T) {
	asked := rung{"int8", 1, 0}
	got := climb([]rung{asked, {"f32", 0, 4}, {"dear", 0.4, 2}, {"x2", 0.4, 1}, {"worse", 1.2, 0.5}, {"does not fit", math.NaN(), 1}, {"f16", 0.1, 3}, {"bf16", 0.2, 3}})
	want := []rung{asked, {"x2", 0.4, 1}, {"f16", 0.1, 3}, {"f32", 0, 4}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Where first estimates are poor, what was measured mends them: what is found is near enough,
// hardly dearer than the cheapest of all choices, and no function is measured twice with what
// is the same to it.
func TestCheapest(t *testing.T) {
	const units, cases = 7, 60
	const f, g = 0, 1
	dearer, worst, most := 0.0, 1.0, 0
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 2))
		var is [][]float64 // what units really do
		s := &search{funcs: []int{f, g}, places: []place{{fn: f, of: 0}, {fn: g, of: 1}, {fn: g, of: 1}}, log: func(string, ...any) {}}
		for i := range units {
			u := &unit{name: fmt.Sprint(i), ladder: []rung{{"", 1, 0}}}
			x, est := make([]float64, 3), make([]float64, 3)
			for k := range x {
				if (i < 2) == (k == 0) || i > 4 {
					x[k] = 0.01 * math.Pow(r.Float64(), 3)
					est[k] = x[k] * math.Exp2(4*r.Float64()-2)
				}
			}
			for range 1 + r.IntN(3) {
				last := u.ladder[len(u.ladder)-1]
				u.ladder = append(u.ladder, rung{"", last.left * r.Float64() / 2, last.cost + r.Float64()})
			}
			s.units, s.noise, is = append(s.units, u), append(s.noise, est), append(is, x)
		}
		asked := &measured{rungs: make([]int, units), results: map[int]Result{}}
		asked.errors = expect(s.units, is, asked.rungs)
		for _, e := range asked.errors {
			s.limits = append(s.limits, 0.25*e)
		}
		s.seen = []*measured{asked}
		tried := map[string]bool{}
		s.try = func(h int, rungs []int) ([]Result, []float64, error) {
			what := fmt.Sprint(h)
			for i := range s.units {
				if i < 2 && h == f || i > 1 && i < 5 && h == g || i > 4 {
					what += fmt.Sprint(" ", rungs[i])
				}
			}
			if tried[what] {
				t.Errorf("seed %d: %s is measured twice", seed, what)
			}
			tried[what] = true
			e := expect(s.units, is, rungs)
			if h == f {
				return []Result{{Func: "f"}}, e[:1], nil
			}
			return []Result{{Func: "g"}}, e[1:], nil
		}
		got, err := s.cheapest()
		if err != nil {
			t.Fatal(err)
		}
		best := math.Inf(1)
		rungs := make([]int, units)
		for i := 0; i < units; {
			if near(expect(s.units, is, rungs), s.limits) {
				best = min(best, costOf(s.units, rungs))
			}
			for i = 0; i < units; i++ {
				if rungs[i]++; rungs[i] < len(s.units[i].ladder) {
					break
				}
				rungs[i] = 0
			}
		}
		most = max(most, len(s.seen)-1)
		switch {
		case math.IsInf(best, 1):
			if near(got.errors, s.limits) {
				t.Errorf("seed %d: what is found is near enough, which nothing is", seed)
			}
			continue
		case !near(expect(s.units, is, got.rungs), s.limits), got.results[0].Func != "f", got.results[1].Func != "g":
			t.Errorf("seed %d: found %v of errors %v, limits %v, results %v", seed, got.rungs, got.errors, s.limits, got.results)
		}
		more := costOf(s.units, got.rungs) / best
		dearer, worst = dearer+(more-1)/cases, max(worst, more)
	}
	t.Logf("%.3f dearer in the mean, %.2f times as dear as the cheapest at worst, %d measurements at most", dearer, worst, most)
	if dearer > 0.1 || worst > 1.5 || most > 2*tuneRounds {
		t.Errorf("%.3f dearer in the mean, %.2f times as dear as the cheapest at worst, %d measurements at most", dearer, worst, most)
	}
}

// Functions that share a module's noise are searched together, others apart, and what is
// near enough already is not.
func TestSearches(t *testing.T) {
	places := []place{{"a", 0, 0}, {"b vision", 1, 1}, {"b language", 1, 1}, {"c", 2, 2}, {"c2", 2, 3}, {"d", 3, 4}}
	units := []*unit{
		{name: "ab", noise: []float64{1, 0, 2, 0, 0, 0}},
		{name: "b", noise: []float64{0, 1, 1, 0, 0, 0}},
		{name: "c", noise: []float64{0, 0, 0, 1, 1, 0}},
		{name: "d", noise: []float64{0, 0, 0, 0, 0, 1}},
		{name: "none", noise: make([]float64, 6)},
	}
	var got [][]string
	for _, s := range searches(units, places, make([]Result, 5), []float64{0, 2, 2, 0, 2, 0}, []float64{1, 1, 1, 1, 1, 1}) {
		var names []string
		for _, u := range s.units {
			names = append(names, u.name)
		}
		for _, p := range s.places {
			names = append(names, p.name)
		}
		got = append(got, names)
	}
	if d := cmp.Diff([][]string{{"ab", "b", "a", "b vision", "b language"}, {"c", "c", "c2"}}, got); d != "" {
		t.Errorf("units and places of each (-want +got)\n%s", d)
	}
}

// A choice that comes up again and is not enough asks for less in the next round, though the
// last measurement, of another, says that it should be.
func TestCheapestGoesOn(t *testing.T) {
	s := &search{
		units:  []*unit{{ladder: []rung{{"", 1, 0}, {"", 0.002, 0.45}}}, {ladder: []rung{{"", 1, 0}, {"", 0.275, 0.13}, {"", 0.028, 0.31}, {"", 0, 2}}}},
		noise:  [][]float64{{0.14e-3, 0.99e-3}, {0.10e-3, 4.87e-3}},
		places: []place{{name: "x"}, {name: "y"}},
		limits: []float64{0.126e-3, 2.68e-3},
		funcs:  []int{0},
		log:    func(string, ...any) {},
	}
	is := [][]float64{{0.43e-3, 0.80e-3}, {0.07e-3, 9.91e-3}} // what units really do
	s.try = func(_ int, rungs []int) ([]Result, []float64, error) {
		return []Result{{}}, expect(s.units, is, rungs), nil
	}
	none := make([]int, len(s.units))
	s.seen = []*measured{{none, map[int]Result{}, expect(s.units, is, none)}}
	got, err := s.cheapest()
	if err != nil || !slices.Equal(got.rungs, []int{1, 2}) {
		t.Errorf("%v, %v", got, err)
	}
}
