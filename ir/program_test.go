package ir

import (
	"fmt"
	"testing"
)

func named(name string) *Weight { return &Weight{Name: name, Type: Of(F32, C(1)), Offset: -1} }

// After any change of a program all of its weights, and only these, are found by name.
func TestWeightIsFound(t *testing.T) {
	check := func(p *Program, what string, present string, absent string) {
		t.Helper()
		for _, r := range present {
			name := string(r) + ".w"
			if w := p.Weight(name); w == nil || w.Name != name || p.Field(string(r), "w") != w {
				t.Errorf("%s: %s is not found", what, name)
			}
		}
		for _, r := range absent {
			if w := p.Weight(string(r) + ".w"); w != nil {
				t.Errorf("%s: %c.w is found as %s", what, r, w.Name)
			}
		}
	}
	p := &Program{Weights: []*Weight{named("a.w"), named("b.w")}}
	check(p, "put together by hand", "ab", "cde")
	if err := p.AddWeight(named("c.w")); err != nil || !p.known() {
		t.Errorf("adding c.w: %v", err)
	}
	check(p, "added", "abc", "de")
	if p.AddWeight(named("b.w")) == nil {
		t.Errorf("b.w is added twice")
	}
	q := *p
	if err := q.AddWeight(named("d.w")); err != nil {
		t.Error(err)
	}
	check(&q, "copy", "abcd", "e")
	check(p, "original of a copy that got a weight", "abc", "de")
	if err := p.AddWeight(named("e.w")); err != nil {
		t.Error(err)
	}
	check(p, "original and copy got a weight", "abce", "d")
	p.SetWeights(p.Weights[:1:1])
	check(p, "set", "a", "bcde")
	p.Weights = append(p.Weights, named("f.w"))
	check(p, "appended by hand", "af", "bcde")
	p.Weights = []*Weight{named("g.w"), named("h.w")}
	check(p, "put in place by hand", "gh", "abcdef")
	r := p.With(map[string]*Weight{"g.w": named("g.w")})
	check(r, "with another", "gh", "abcdef")
	if r.Weight("g.w") == p.Weight("g.w") || !r.known() {
		t.Errorf("With keeps the old weight, or no index")
	}
}

// Every function that makes a program also makes its index, so that passes never search.
func TestProgramsAreIndexed(t *testing.T) {
	p, err := Parse("x", []byte("program x\nweight @a.w f32[1]\nweight @b.w f32[1]\n"))
	if err != nil || !p.known() {
		t.Errorf("parsed: %v, known %v", err, p.known())
	}
	b := NewBuilder(&Program{Name: "x"}, "f")
	for i := range 3 {
		b.Weight(fmt.Sprintf("a%d.w", i), Of(F32, C(1)), nil)
		if !b.P.known() {
			t.Errorf("built, %d weights: no index", i+1)
		}
	}
}
