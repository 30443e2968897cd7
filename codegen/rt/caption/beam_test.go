package caption_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/multiway-go/multiway/codegen/rt/caption"
)

// fake is a model whose logits are a function of the words so far.
type fake struct {
	logits func(words []int32) []float32
	beams  [][]int32
	given  []int32
	steps  int
	err    error // of step 3
}

func newFake(f func(words []int32) []float32) *fake { return &fake{logits: f, beams: [][]int32{nil}} }

func (f *fake) Next(words []int32) ([][]float32, error) {
	if f.steps++; f.steps == 3 && f.err != nil {
		return nil, f.err
	}
	if len(words) != len(f.beams) {
		return nil, fmt.Errorf("%d words for %d beams", len(words), len(f.beams))
	}
	f.given = slices.Clone(words)
	var all [][]float32
	for i, w := range words {
		all = append(all, f.logits(append(slices.Clone(f.beams[i]), w)))
	}
	return all, nil
}

func (f *fake) Advance(parents []int) error {
	var next [][]int32
	for _, p := range parents {
		next = append(next, append(slices.Clone(f.beams[p]), f.given[p]))
	}
	f.beams = next
	return nil
}

// noise is a model of v ids whose logits look random.
func noise(seed, v int, eos float64) func(words []int32) []float32 {
	return func(words []int32) []float32 {
		out := make([]float32, v)
		for id := range out {
			h := fnv.New64a()
			fmt.Fprint(h, seed, words, id)
			out[id] = float32(h.Sum64()>>40) / (1 << 22)
			if id == 2 {
				out[id] += float32(eos)
			}
		}
		return out
	}
}

func TestGreedy(t *testing.T) {
	// Id n is followed by n+1; 5 by 2, the end.
	chain := func(words []int32) []float32 {
		out := make([]float32, 8)
		next := words[len(words)-1] + 1
		switch next {
		case 1:
			next = 3
		case 6:
			next = 2
		case 8:
			next = 7
		}
		out[next], out[7] = 3, 2
		return out
	}
	flat := func([]int32) []float32 { return make([]float32, 4) }
	nan := func([]int32) []float32 { return []float32{float32(math.NaN()), 0} }
	base := caption.Options{BOS: 0, EOS: 2, MaxLen: 9}
	with := func(f func(o *caption.Options)) caption.Options { o := base; f(&o); return o }
	for _, c := range []struct {
		name   string
		logits func([]int32) []float32
		o      caption.Options
		want   []int32
		err    string
	}{
		{"to the end", chain, base, []int32{0, 3, 4, 5, 2}, ""},
		{"cut off", chain, with(func(o *caption.Options) { o.MaxLen = 3 }), []int32{0, 3, 4}, ""},
		{"one word", chain, with(func(o *caption.Options) { o.MaxLen = 2 }), []int32{0, 3}, ""},
		{"no word", chain, with(func(o *caption.Options) { o.MaxLen = 1 }), nil, "at most 1 ids has no word"},
		{"banned", chain, with(func(o *caption.Options) { o.MaxLen = 4; o.Ban = []caption.IDs{{3, 5}, {-4, 0}, {90, 99}} }), []int32{0, 7, 7, 7}, ""},
		{"all banned", chain, with(func(o *caption.Options) { o.Ban = []caption.IDs{{0, 8}} }), nil, "no word can come next"},
		{"equals", flat, with(func(o *caption.Options) { o.MaxLen = 3 }), []int32{0, 0, 0}, ""},
		{"no numbers", nan, base, nil, "no word can come next"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := caption.Greedy(newFake(c.logits), c.o)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got.IDs); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	if got, _ := caption.Greedy(newFake(flat), with(func(o *caption.Options) { o.MaxLen = 3 })); math.Abs(got.Score+2*math.Log(4)) > 1e-12 {
		t.Errorf("score %v, want two words of probability 1/4", got.Score)
	}
	m := newFake(chain)
	m.err = errors.New("broken")
	if _, err := caption.Greedy(m, base); err != m.err {
		t.Errorf("error %v, want the model's", err)
	}
}

// search is the protocol written plainly: every beam's words are run anew, and all
// candidates are sorted.
func search(logits func([]int32) []float32, o caption.Options) caption.Caption {
	type beam struct {
		ids   []int32
		score float64
	}
	beams := []beam{{[]int32{o.BOS}, 0}}
	for len(beams) < o.Beams {
		beams = append(beams, beam{[]int32{o.BOS}, -1e9})
	}
	var best *caption.Caption
	for cur := 2; cur < o.MaxLen; cur++ {
		var all []beam
		for _, b := range beams {
			x := logits(b.ids)
			sum := 0.0
			for _, v := range x {
				sum += math.Exp(float64(v))
			}
			for id, v := range x {
				all = append(all, beam{append(slices.Clone(b.ids), int32(id)), b.score + float64(v) - math.Log(sum)})
			}
		}
		slices.SortStableFunc(all, func(a, b beam) int {
			switch {
			case a.score > b.score:
				return -1
			case a.score < b.score:
				return 1
			}
			return 0
		})
		all = all[:min(len(all), 3*o.Beams)]
		if best != nil && best.Score >= all[0].score/math.Pow(float64(o.MaxLen-1), o.Penalty) {
			break
		}
		var next []beam
		for _, c := range all {
			if len(next) == o.Beams {
				break
			}
			n := len(c.ids) - 1
			if c.ids[n] == o.EOS || cur+1 == o.MaxLen {
				if s := c.score / math.Pow(float64(cur), o.Penalty); best == nil || s > best.Score {
					best = &caption.Caption{IDs: c.ids[:n], Score: s}
				}
				continue
			}
			next = append(next, c)
		}
		beams = next
	}
	return *best
}

func TestBeam(t *testing.T) {
	for seed := range 60 {
		v := []int{9, 24, 7, 30}[seed%4]
		o := caption.Options{BOS: 0, EOS: 2, MaxLen: 3 + seed%9, Beams: 1 + seed%3, Penalty: []float64{0.6, 0, 1.5, -0.5}[seed/4%4]}
		logits := noise(seed, v, float64(seed%5)/2-0.5)
		got, err := caption.Beam(newFake(logits), o)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(search(logits, o), got, cmpopts.EquateApprox(1e-9, 1e-9)); d != "" {
			t.Errorf("seed %d, %+v (-want +got)\n%s", seed, o, d)
		}
	}
}

// With hardly any ids there are fewer captions than beams.
func TestBeamFewIDs(t *testing.T) {
	for _, v := range []int{1, 2, 3} {
		for beams := 1; beams <= 5; beams++ {
			c, err := caption.Beam(newFake(noise(1, v, 0)), caption.Options{EOS: 2, MaxLen: 6, Beams: beams, Penalty: 0.6})
			if err != nil || len(c.IDs) < 1 || len(c.IDs) > 5 {
				t.Errorf("%d ids, %d beams: %v, %v", v, beams, c, err)
			}
		}
	}
}

func TestBeamErrors(t *testing.T) {
	o := caption.Options{EOS: 2, MaxLen: 6, Beams: 2, Penalty: 0.6}
	broken := newFake(noise(1, 9, -9))
	broken.err = errors.New("broken")
	for _, c := range []struct {
		name string
		m    *fake
		o    func(o *caption.Options)
		want string
	}{
		{"no beams", nil, func(o *caption.Options) { o.Beams = 0 }, "0 beams, want 1 to 64"},
		{"many beams", nil, func(o *caption.Options) { o.Beams = 65 }, "65 beams"},
		{"penalty", nil, func(o *caption.Options) { o.Penalty = math.NaN() }, "length penalty NaN"},
		{"no word", nil, func(o *caption.Options) { o.MaxLen = 0 }, "no word"},
		{"all banned", newFake(noise(1, 9, 0)), func(o *caption.Options) { o.Ban = []caption.IDs{{0, 9}} }, "no word can come next"},
		{"the model", broken, func(*caption.Options) {}, "broken"},
	} {
		x := o
		c.o(&x)
		if _, err := caption.Beam(c.m, x); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestForce(t *testing.T) {
	logits := noise(3, 5, 0)
	words := []int32{0, 4, 1}
	got, err := caption.Force(newFake(logits), words)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]float32{logits(words[:1]), logits(words[:2]), logits(words)}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
