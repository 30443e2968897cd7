package tune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// greedy picks the steps that remove most error for their cost, enough of them, and none that later
// steps make unnecessary.
func TestGreedy(t *testing.T) {
	whole := func(cost float64) []candidate { return []candidate{{"int8", 1, 0}, {"f32", 0, cost}} }
	groups := []*group{
		{name: "dear", errors: []float64{5, 0}, front: whole(1)},
		{name: "cheap", errors: []float64{4, 0}, front: whole(0.1)},
		{name: "small", errors: []float64{1, 0}, front: whole(0.01)},
		{name: "other", errors: []float64{0, 3}, front: []candidate{{"int8", 1, 0}, {"int8x2", 0.5, 0.01}, {"f16", 0.1, 0.05}, {"f32", 0, 0.2}}},
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
		if d := cmp.Diff(c.want, greedy(groups, c.bounds)); d != "" {
			t.Errorf("bounds %v (-want +got)\n%s", c.bounds, d)
		}
	}
}

// NaN is never within a limit.
func TestNear(t *testing.T) {
	for _, c := range []struct {
		errors []float64
		want   bool
	}{{[]float64{1, 2}, true}, {[]float64{0, 2.1}, false}, {[]float64{math.NaN(), 0}, false}, {[]float64{math.Inf(1), 0}, false}} {
		if got := near(c.errors, []float64{1, 2}); got != c.want {
			t.Errorf("%v are near: %v", c.errors, got)
		}
	}
}

// Of formats that cost as much or less, only the one with the least remaining error is on the Pareto front.
func TestParetoFront(t *testing.T) {
	asked := candidate{"int8", 1, 0}
	got := paretoFront([]candidate{asked, {"f32", 0, 4}, {"dear", 0.4, 2}, {"x2", 0.4, 1}, {"worse", 1.2, 0.5}, {"does not fit", math.NaN(), 1}, {"f16", 0.1, 3}, {"bf16", 0.2, 3}})
	if want := []candidate{asked, {"x2", 0.4, 1}, {"f16", 0.1, 3}, {"f32", 0, 4}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// searching returns a search that estimates errors by groups, while measurements use the groups in is.
func searching(groups, is []*group, segments []segment, limits []float64) *search {
	none := &measured{picked: make([]int, len(groups)), results: make([]Result, len(segments)), errors: expect(is, make([]int, len(is)))}
	return &search{groups: groups, segments: segments, limits: limits, log: func(string, ...any) {}, seen: []*measured{none}}
}

// Measurements correct poor estimates: the result is within the limits and costs little more than the
// cheapest choice, and no function is measured twice with the same formats.
func TestCheapest(t *testing.T) {
	const groups, cases = 7, 60
	const f, g = 0, 1
	dearer, worst, most := 0.0, 1.0, 0
	for seed := range uint64(cases) {
		r := rand.New(rand.NewPCG(seed, 2))
		var all, is []*group // as they are estimated, and as they are
		for i := range groups {
			x, est := make([]float64, 3), make([]float64, 3)
			for k := range x {
				if (i < 2) == (k == 0) || i > 4 {
					x[k] = 0.01 * math.Pow(r.Float64(), 3)
					est[k] = x[k] * math.Exp2(4*r.Float64()-2)
				}
			}
			front := []candidate{{"", 1, 0}}
			for range 1 + r.IntN(3) {
				last := front[len(front)-1]
				front = append(front, candidate{"", last.remaining * r.Float64() / 2, last.cost + r.Float64()})
			}
			all, is = append(all, &group{errors: est, front: front}), append(is, &group{errors: x, front: front})
		}
		var limits []float64
		for _, e := range expect(is, make([]int, groups)) {
			limits = append(limits, 0.25*e)
		}
		s := searching(all, is, []segment{{fn: f, of: 0}, {fn: g, of: 1}, {fn: g, of: 1}}, limits)
		tried := map[string]bool{}
		s.try = func(h int, picked []int) ([]Result, []float64, error) {
			what := fmt.Sprint(h)
			for i := range groups {
				if i < 2 && h == f || i > 1 && i < 5 && h == g || i > 4 {
					what += fmt.Sprint(" ", picked[i])
				}
			}
			if tried[what] {
				t.Errorf("seed %d: %s is measured twice", seed, what)
			}
			tried[what] = true
			e := expect(is, picked)
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
		picked := make([]int, groups)
		for i := 0; i < groups; {
			if near(expect(is, picked), limits) {
				best = min(best, costOf(is, picked))
			}
			for i = 0; i < groups; i++ {
				if picked[i]++; picked[i] < len(is[i].front) {
					break
				}
				picked[i] = 0
			}
		}
		most = max(most, len(s.seen)-1)
		switch {
		case math.IsInf(best, 1):
			if near(got.errors, limits) {
				t.Errorf("seed %d: what is found is near enough, which nothing is", seed)
			}
			continue
		case !near(expect(is, got.picked), limits), got.results[0].Func != "f", got.results[1].Func != "g":
			t.Errorf("seed %d: found %v of errors %v, limits %v, results %v", seed, got.picked, got.errors, limits, got.results)
		}
		more := costOf(is, got.picked) / best
		dearer, worst = dearer+(more-1)/cases, max(worst, more)
	}
	if dearer > 0.075 || worst > 1.5 || most > 2*tuneRounds {
		t.Errorf("%.3f dearer in the mean, %.2f times as dear as the cheapest at worst, %d measurements at most", dearer, worst, most)
	}
}

// If a choice that is not accurate enough comes up again, the next round lowers the bounds, even though
// the last measurement, of another choice, suggests that it is accurate enough.
func TestCheapestGoesOn(t *testing.T) {
	a, b := []candidate{{"", 1, 0}, {"", 0.002, 0.45}}, []candidate{{"", 1, 0}, {"", 0.275, 0.13}, {"", 0.028, 0.31}, {"", 0, 2}}
	is := []*group{{errors: []float64{0.43e-3, 0.80e-3}, front: a}, {errors: []float64{0.07e-3, 9.91e-3}, front: b}}
	s := searching([]*group{{errors: []float64{0.14e-3, 0.99e-3}, front: a}, {errors: []float64{0.10e-3, 4.87e-3}, front: b}}, is,
		[]segment{{name: "x"}, {name: "y"}}, []float64{0.126e-3, 2.68e-3})
	s.try = func(_ int, picked []int) ([]Result, []float64, error) {
		return []Result{{}}, expect(is, picked), nil
	}
	got, err := s.cheapest()
	if err != nil || !slices.Equal(got.picked, []int{1, 2}) {
		t.Errorf("%v, %v", got, err)
	}
}
