package compile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// What is kept is enough for the bound, no more than it takes, the same each time, and
// nothing that the description says otherwise.
func TestTuned(t *testing.T) {
	asmtest.Slow(t)
	tuned := func(more string) (*compile.Model, *compile.Choice) {
		m, c, err := open(t, tiny+more).Tuned(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return m, c
	}
	for _, word := range []string{"bf16", "int8\ntune: off"} {
		if m, c := tuned("precision: " + word + "\n"); c != nil || compile.Stored(m).Keep != nil {
			t.Errorf("%s keeps\n%v", word, c)
		}
	}
	_, loose := tuned("precision: int8\ncosine: 0.6\n")
	if len(loose.Kept) > 0 {
		t.Errorf("for a bound that is met anyway it %v", loose)
	}
	// Small models are held nearer than the precision asks for, but not than the description does.
	_, unasked := tuned("precision: int8\n")
	least := 1.0
	for _, r := range unasked.Before {
		least = min(least, r.Cosine)
	}
	if _, c := tuned(fmt.Sprintf("precision: int8\ncosine: %v\n", 1-2.5*(1-least))); len(c.Kept) > 0 || len(unasked.Kept) == 0 {
		t.Errorf("cosine %v with nothing kept: a lower bound\n%v\nnone\n%v", least, c, unasked)
	}
	before := 0
	for _, bound := range []string{"0.95", "0.9995", "0.9999999"} {
		m, c := tuned("precision: int8\ncosine: " + bound + "\n")
		if len(c.Kept) < before {
			t.Errorf("cosine %s keeps %d modules, a smaller one %d", bound, len(c.Kept), before)
		}
		before = len(c.Kept)
		for _, r := range c.Results {
			if r.Cosine < m.Desc.Cosine || r.Rows == 0 {
				t.Errorf("cosine %s: %v", bound, r)
			}
		}
		for _, k := range c.Kept {
			if w := compile.Stored(m).Of(k.Module + ".w"); w.Name != k.Word {
				t.Errorf("%s is stored as %s, the choice is %s", k.Module, w.Name, k.Word)
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
	for _, k := range c.Kept {
		if strings.HasPrefix(k.Module, "l0.attn") {
			t.Errorf("%s is kept, which the description stores as bytes", k.Module)
		}
	}
	if got := compile.Stored(m).Of("l0.attn.vision.q.w").Name; got != precision.Int8 {
		t.Errorf("l0.attn is stored as %s", got)
	}
}

// A large model keeps from int8 in the coarsest word that is enough, and is near enough on
// other inputs too, within a tenth of what is allowed.
func TestTunedLarge(t *testing.T) {
	asmtest.Slow(t)
	defer compile.SetTuneFLOPs(compile.SetTuneFLOPs(0))
	for bound, want := range map[string]string{"0.9998": precision.Int8X2, "0.99995": "f16", "0.9999999": precision.F32} {
		// Wider rows differ less from input to input.
		wide := strings.Replace(tiny, "dim: 24, heads: 2, ffn: 40", "dim: 256, heads: 4, ffn: 512", 1)
		word := "{default: int8, embedding: f32}"
		if want == precision.F32 {
			word = precision.Int8 // tables too, where nothing less does
		}
		m, c, err := open(t, wide+"cosine: "+bound+"\nprecision: "+word+"\n").Tuned(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		words := map[string]int{}
		for _, k := range c.Kept {
			words[k.Word]++
			if got := compile.Stored(m).Of(k.Module + ".w").Name; got != k.Word {
				t.Errorf("%s is stored as %s, the choice is %s", k.Module, got, k.Word)
			}
		}
		if words[want] == 0 {
			t.Errorf("cosine %s keeps nothing in %s:\n%v", bound, want, c)
		}
		described, _, err := m.Lower(nil)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := m.Stored(described)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range described.Funcs {
			for i := range 6 {
				image, text := 0, 0
				for _, p := range f.Params {
					if p.Type.DType == ir.I32 {
						text = 3 + i
					} else {
						image += int(p.Type.Elements(0))
					}
				}
				in, n := compile.Tensors(f, task.Sample(fmt.Sprint("other", i, f.Name), image, text, 50))
				want, err := described.Run(f.Name, n, in)
				if err != nil {
					t.Fatal(err)
				}
				got, err := stored.Run(f.Name, n, in)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range f.Results {
					if cos := compile.Cosine(got[v.Name].F, want[v.Name].F); 1-cos > 1.1*(1-m.Desc.Cosine) {
						t.Errorf("%s %s, input %d: cosine %v, want %s", f.Name, v.Name, i, cos, bound)
					}
				}
			}
		}
	}
}
