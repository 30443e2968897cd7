package tune

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// The overrides are enough for the bound, no more than needed, the same each time, and none is of a
// module whose format the description gives.
func TestTuned(t *testing.T) {
	asmtest.Slow(t)
	tuned := func(more string) (Model, *Choice) {
		m := open(t, tiny+more)
		return m, choose(t, m, Options{})
	}
	for _, format := range []string{"bf16", "int8\ntune: off"} {
		if _, c := tuned("precision: " + format + "\n"); c != nil {
			t.Errorf("%s keeps\n%v", format, c)
		}
	}
	_, loose := tuned("precision: int8\ncosine: 0.6\n")
	if len(loose.Overrides) > 0 {
		t.Errorf("for a bound that is met anyway it %v", loose)
	}
	// Small models get a smaller bound than the precision's, but not than the description's.
	_, unasked := tuned("precision: int8\n")
	least := 1.0
	for _, r := range unasked.Before {
		least = min(least, r.Cosine)
	}
	if _, c := tuned(fmt.Sprintf("precision: int8\ncosine: %v\n", 1-2.5*(1-least))); len(c.Overrides) > 0 || len(unasked.Overrides) == 0 {
		t.Errorf("cosine %v with nothing kept: a lower bound\n%v\nnone\n%v", least, c, unasked)
	}
	before := 0
	for _, bound := range []string{"0.95", "0.9995", "0.9999999"} {
		m, c := tuned("precision: int8\ncosine: " + bound + "\n")
		if len(c.Overrides) < before {
			t.Errorf("cosine %s keeps %d modules, a smaller one %d", bound, len(c.Overrides), before)
		}
		before = len(c.Overrides)
		for _, r := range c.Results {
			if r.Cosine < m.Desc.Cosine || r.Rows == 0 {
				t.Errorf("cosine %s: %v", bound, r)
			}
		}
		for _, k := range c.Overrides {
			if w := format(m, c, k.Module); w.Name != k.Format {
				t.Errorf("%s is stored as %s, the choice is %s", k.Module, w.Name, k.Format)
			}
		}
		_, again := tuned("precision: int8\ncosine: " + bound + "\n")
		if d := cmp.Diff(c, again); d != "" {
			t.Errorf("a second choice differs\n%s", d)
		}
	}
	if before == 0 {
		t.Fatal("no bound keeps anything")
	}
	m, c := tuned("precision: {default: int8, keep: {l0.attn: int8}}\ncosine: 0.9999999\n")
	for _, k := range c.Overrides {
		if strings.HasPrefix(k.Module, "l0.attn") {
			t.Errorf("%s is kept, which the description stores as bytes", k.Module)
		}
	}
	if got := format(m, c, "l0.attn.vision.q").Name; got != precision.Int8 {
		t.Errorf("l0.attn is stored as %s", got)
	}
}

// In a large model overrides have the coarsest format that is enough, and the errors on other inputs
// exceed the bound by at most a tenth.
func TestTunedLarge(t *testing.T) {
	asmtest.Slow(t)
	for bound, want := range map[string]string{"0.9998": precision.Int8X2, "0.99995": "f16", "0.9999999": precision.F32} {
		// Errors of wider rows vary less between inputs.
		wide := strings.Replace(tiny, "dim: 24, heads: 2, ffn: 40", "dim: 256, heads: 4, ffn: 512", 1)
		stored := "{default: int8, embedding: f32}"
		if want == precision.F32 {
			stored = precision.Int8 // tables too, where nothing less does
		}
		m := open(t, wide+"cosine: "+bound+"\nprecision: "+stored+"\n")
		c := choose(t, m, Options{largeFLOPs: 1})
		formats := map[string]int{}
		for _, k := range c.Overrides {
			formats[k.Format]++
			if got := format(m, c, k.Module).Name; got != k.Format {
				t.Errorf("%s is stored as %s, the choice is %s", k.Module, got, k.Format)
			}
		}
		if formats[want] == 0 {
			t.Errorf("cosine %s keeps nothing in %s:\n%v", bound, want, c)
		}
		described := lowered(t, m)
		rounded := run(t, m, c, described, passes.Narrow.Name)
		for _, f := range described.Funcs {
			for i := range 6 {
				in, n := inputs.Tensors(f, inputs.Seeded(f, fmt.Sprint("other", i), 3+i, 50))
				want, err := described.Run(f.Name, n, in)
				if err != nil {
					t.Fatal(err)
				}
				got, err := rounded.Run(f.Name, n, in)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range f.Results {
					if cos := inputs.Cosine(got[v.Name].F, want[v.Name].F); 1-cos > 1.1*(1-m.Desc.Cosine) {
						t.Errorf("%s %s, input %d: cosine %v, want %s", f.Name, v.Name, i, cos, bound)
					}
				}
			}
		}
	}
}

// A large model of int8 starts from int7 where its products are faster, but for classes and modules that the description names.
func TestTunedStartsCoarser(t *testing.T) {
	asmtest.Slow(t)
	wide := strings.Replace(tiny, "dim: 24, heads: 2, ffn: 40", "dim: 256, heads: 4, ffn: 512", 1)
	for level, want := range map[string]string{"avx2": precision.Int7, "avx512vnni": precision.Int8} {
		for _, stored := range []string{"int8", "{default: int8, ffn: int8}"} {
			m := open(t, wide+"cosine: 0.999\nprecision: "+stored+"\ntune: {level: "+level+"}\n")
			c := choose(t, m, Options{largeFLOPs: 1})
			got := c.Stored(m.Desc.Precision)
			if got.Default != want || (c.Default == "") != (want == precision.Int8) {
				t.Errorf("%s, %s: stored as %v, want %s", level, stored, got, want)
			}
			counts := map[string]int{}
			for _, w := range lowered(t, m).Weights {
				if strings.Contains(w.Name, ".ffn.") && strings.HasSuffix(w.Name, ".w") {
					counts[got.Of(w.Name).Name]++
				}
			}
			if stored == "int8" && counts[want] == 0 || stored != "int8" && counts[precision.Int8] == 0 || stored != "int8" && len(counts) > 1 {
				t.Errorf("%s, %s: matrices of ffn are stored as %v:\n%v", level, stored, counts, c)
			}
			for _, r := range c.Results {
				if r.Cosine < 0.999 {
					t.Errorf("%s, %s: %v", level, stored, r)
				}
			}
			if c.Default != "" && !strings.HasPrefix(c.String(), "int7 is faster on CPUs of level avx2;") {
				t.Errorf("%s, %s: %v", level, stored, c)
			}
		}
	}
	m := open(t, tiny+"precision: int8\n")
	if c := choose(t, m, Options{}); c.Default != "" {
		t.Errorf("a small model is stored as %s", c.Default)
	}
}

// A choice is measured on some of the user's own samples.
func TestTunedOnSamples(t *testing.T) {
	m := open(t, tiny)
	p := lowered(t, m)
	own := &inputs.Samples{Images: []inputs.Image{{Pixels: make([]float32, 3*16*16)}}}
	for range 2 * ownSamples {
		own.Texts = append(own.Texts, inputs.Text{IDs: []int32{1, 2}})
	}
	m.Samples = own
	runs := (&tuner{Model: m, whole: &joined{Program: p}}).own()
	if len(runs) != 1+ownSamples || runs[0].f != p.Funcs[0] {
		t.Errorf("%d runs measure a choice", len(runs))
	}
}

// The table has a speed, with two digits, for every precision and every level of descriptions.
func TestSpeeds(t *testing.T) {
	for _, l := range asm.Levels {
		_, err := model.Parse("model.yaml", []byte(tiny+"tune: {level: "+string(l.ISA)+"}\n"))
		row, known := Speeds[l.ISA]
		if known != (err == nil) {
			t.Errorf("%s: speeds are known: %v; a description that names it: %v", l.ISA, known, err)
		}
		for _, w := range precision.Formats {
			if x := row.Time[w.Name]; known && (x <= 0 || math.Abs(100*x-math.Round(100*x)) > 1e-9) {
				t.Errorf("%s: the time of %s is %v; run make speeds", l.ISA, w.Name, x)
			}
		}
		if known && (len(row.Time) != len(precision.Formats) || row.Time[precision.F32] != 1) {
			t.Errorf("%s: %v; run make speeds", l.ISA, row.Time)
		}
	}
}

// A choice uses the speeds of the description's level, and its report names the level.
func TestTuneLevel(t *testing.T) {
	asmtest.Slow(t)
	costs := map[string]float64{}
	for _, level := range []string{"avx2", "avx512vnni"} {
		m := open(t, tiny+"precision: int8\ncosine: 0.9995\ntune: {level: "+level+"}\n")
		if c := choose(t, m, Options{}); !strings.Contains(c.String(), " for CPUs of level "+level+"\n") {
			t.Errorf("%s: %v", level, c)
		}
		u := &tuner{Model: m}
		if _, err := u.prepare(); err != nil {
			t.Fatal(err)
		}
		f32, _ := precision.Named(precision.F32)
		costs[level] = u.cost(u.modules[0], f32)
	}
	if costs["avx2"] >= costs["avx512vnni"] {
		t.Errorf("float32 costs %v", costs)
	}
}
