package build

import (
	"math"
	"slices"
	"testing"
)

// What is picked is what does most for its cost, as much as it takes, and nothing that the
// rest makes needless.
func TestPick(t *testing.T) {
	units := []*unit{
		{name: "dear", noise: []float64{5, 0}, cost: 1},
		{name: "cheap", noise: []float64{4, 0}, cost: 0.1},
		{name: "small", noise: []float64{1, 0}, cost: 0.01},
		{name: "other", noise: []float64{0, 3}, cost: 0.1},
	}
	for _, c := range []struct {
		bounds []float64
		want   []string
	}{
		{[]float64{10, 3}, nil},
		{[]float64{9.5, 3}, []string{"small"}},
		{[]float64{6, 3}, []string{"cheap"}}, // small is the first, and needless then
		{[]float64{5, math.Inf(1)}, []string{"cheap", "small"}},
		{[]float64{4, 3}, []string{"cheap", "dear"}},
		{[]float64{10, 2}, []string{"other"}},
		{[]float64{0, 0}, []string{"cheap", "dear", "other", "small"}},
	} {
		var got []string
		for _, u := range pick(units, c.bounds) {
			got = append(got, u.name)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("bounds %v pick %v, want %v", c.bounds, got, c.want)
		}
	}
}

// Functions that share a module's noise are searched together, others apart.
func TestSearches(t *testing.T) {
	now := &measured{results: []Result{{Func: "a"}, {Func: "b"}, {Func: "c"}, {Func: "c"}}, errors: make([]float64, 4)}
	tune := &tuner{units: []*unit{
		{name: "ab", noise: []float64{1, 2, 0, 0}},
		{name: "b", noise: []float64{0, 1, 0, 0}},
		{name: "c", noise: []float64{0, 0, 1, 1}},
		{name: "none", noise: make([]float64, 4)},
	}}
	all := tune.searches(nil, make([]float64, 4), now)
	var got [][]string
	for _, s := range all {
		var names []string
		for _, u := range s.units {
			names = append(names, u.name)
		}
		got = append(got, names)
	}
	if len(got) != 2 || !slices.Equal(got[0], []string{"ab", "b"}) || !slices.Equal(got[1], []string{"c"}) {
		t.Errorf("parts %v, want [ab b] and [c]", got)
	}
}
