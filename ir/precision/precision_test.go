package precision_test

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

func TestOf(t *testing.T) {
	mixed := precision.Map{
		Default: "bf16", Classes: map[precision.Class]string{precision.FFN: "int8", precision.Embedding: "f16"},
		Overrides: []precision.Override{{Module: "l1", Format: "f32"}, {Module: "l1.attn.qkv", Format: "bf16"}, {Module: "ffn.language.fc2", Format: "f16"}},
	}
	int8, bf16, dot, twice := precision.Uniform("int8"), precision.Uniform("bf16"), precision.Uniform("bf16dot"), precision.Uniform("int8x2")
	whole := precision.Map{Default: "bf16dot", Classes: map[precision.Class]string{precision.Projections: "bf16dot"}, Overrides: []precision.Override{{Module: "l0.attn.out", Format: "f16"}}}
	for _, c := range []struct {
		m            precision.Map
		weight, want string
	}{
		{precision.Map{}, "l0.ffn.vision.fc1.w", "f32"},
		{bf16, "l0.ffn.vision.fc1.w", "bf16"},
		{bf16, "retrieval.vision.w", "bf16"},
		{bf16, "vision.embed.proj.w", "f32"},
		{int8, "l0.attn.shared.q.w", "int8"},
		{int8, "l11.attn.vision~f.out.w", "int8"},
		{int8, "l0.ffn.vl.fc2.w", "int8"},
		{int8, "vision.embed.proj.w", "int8"},
		{int8, "language.embed.tok.w", "int8"},
		{int8, "retrieval~f.vision.w", "int8x2"},
		{int8, "retrieval_vl.language.w", "int8x2"},
		{int8, "captioning.head.w", "int8"},
		{twice, "l0.attn.shared.q.w", "int8x2"},
		{twice, "language.embed.tok.w", "int8"},
		{twice, "retrieval.vision.w", "int8x2"},
		{dot, "l0.attn.vision.k.w", "f32"},
		{dot, "l10.attn.vision~f.k.w", "bf16dot"},
		{dot, "l0.ffn.vision.fc1.w", "bf16dot"},
		{dot, "vision.embed.proj.w", "f32"},
		{dot, "language.embed.tok.w", "bf16"},
		{dot, "retrieval.vision.w", "bf16"},
		{whole, "l0.attn.vision.k.w", "bf16dot"},
		{whole, "l0.attn.vision.out.w", "f16"},
		{mixed, "l0.attn.vision.k.w", "bf16"},
		{mixed, "l0.ffn.vision~f2.fc1.w", "int8"},
		{mixed, "l10.ffn.vision.fc1.w", "int8"}, // l1 is no beginning of l10
		{mixed, "l1.ffn.vision.fc1.w", "f32"},
		{mixed, "l1.ffn.language~f.fc2.w", "f16"},
		{mixed, "l1.attn.language~f.v.w", "bf16"},
		{mixed, "l1.attn.language.out.w", "f32"},
		{mixed, "language.embed.tok.w", "f16"},
		{mixed, "vision.embed.proj.w", "f32"},
		{mixed, "retrieval.vision.w", "bf16"},
		{mixed, "vqa.head.fc1.w", "bf16"},
	} {
		if got := c.m.Of(c.weight).Name; got != c.want {
			t.Errorf("%v: %s is stored as %s, want %s", c.m, c.weight, got, c.want)
		}
	}
	if got, want := mixed.String(), "bf16 (embedding f16, ffn int8, l1 f32, l1.attn.qkv bf16, ffn.language.fc2 f16)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExact(t *testing.T) {
	for _, c := range []struct {
		m           precision.Map
		exact, int8 bool
	}{
		{precision.Map{}, true, false},
		{precision.Uniform("f32"), true, false},
		{precision.Uniform("f16"), false, false},
		{precision.Uniform("int8"), false, true},
		{precision.Map{Overrides: []precision.Override{{Module: "l0", Format: "bf16"}}}, false, false},
		{precision.Map{Classes: map[precision.Class]string{precision.Embedding: "int8"}}, false, true},
	} {
		if c.m.Exact() != c.exact || c.m.Int8() != c.int8 {
			t.Errorf("%v: exact %v, int8 %v; want %v and %v", c.m, c.m.Exact(), c.m.Int8(), c.exact, c.int8)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		m    precision.Map
		want string
	}{
		{precision.Uniform("int4"), `precision "int4", want ` + strings.Join(precision.Names(), ", ")},
		{precision.Map{Classes: map[precision.Class]string{"norms": "bf16"}}, `precision of "norms", want a class of weights`},
		{precision.Map{Classes: map[precision.Class]string{"ffn": ""}}, `precision of ffn "", want`},
		{precision.Map{Overrides: []precision.Override{{Module: "l0", Format: "f4"}}}, `precision of l0 "f4", want`},
		{precision.Map{Overrides: []precision.Override{{Module: "l0..ffn", Format: "f32"}}}, "want parts of a weight's name"},
		{precision.Map{Overrides: []precision.Override{{Module: "l0.attn.v", Format: "f32"}}}, "want qkv for q, k, v"},
	} {
		if err := c.m.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	for _, w := range precision.Names() {
		if err := precision.Uniform(w).Check(); err != nil {
			t.Error(err)
		}
	}
}

// Every row says what it is, and what it stores is a type of weights.
func TestFormats(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range precision.Formats {
		if w.Name == "" || w.Doc == "" || w.DType == ir.I32 || seen[w.Name] {
			t.Errorf("row %+v", w)
		}
		seen[w.Name] = true
	}
	if _, ok := precision.Named("f64"); ok {
		t.Error("f64 is a precision")
	}
}

// What outputs are to reach is what the coarsest format of a map asks for, if any does.
func TestCosine(t *testing.T) {
	for want, maps := range map[float64][]precision.Map{
		0:      {{}, {Default: "bf16", Classes: map[precision.Class]string{precision.FFN: "f16"}}},
		0.9999: {{Default: "bf16dot"}, {Default: "f32", Overrides: []precision.Override{{Module: "l1", Format: "bf16dot"}}}},
		0.9995: {{Default: "int8"}, {Default: "bf16dot", Classes: map[precision.Class]string{precision.FFN: "int8"}}},
	} {
		for _, m := range maps {
			if got := m.Cosine(); got != want {
				t.Errorf("%v asks for %v, want %v", m, got, want)
			}
		}
	}
}

// A weight's module names it.
func TestModule(t *testing.T) {
	for weight, want := range map[string]string{
		"l0.attn.vision~f.q.w":   "l0.attn.vision.qkv",
		"l10.ffn.vl~f~2.fc2.w":   "l10.ffn.vl.fc2",
		"vision.embed.proj.w":    "vision.embed.proj",
		"classification.head~.w": "classification.head",
	} {
		got := precision.Module(weight)
		k := precision.Override{Module: got, Format: "bf16"}
		if got != want || k.Check() != nil || !k.Names(weight) {
			t.Errorf("the module of %s is %s, want %s (%v)", weight, got, want, k.Check())
		}
	}
}
