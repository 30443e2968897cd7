package compile_test

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

// standing is the model of a description with changed weights, by the names and the columns
// of tensors.
func standing(t *testing.T, description string, change func(name string, row, col int, x float32) float32) *compile.Model {
	t.Helper()
	m := open(t, description)
	p, _, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.SeededFor(p, *m.Desc.Seed)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for _, info := range src.Tensors() {
		x, err := checkpoint.Load(src, info.Name)
		if err != nil {
			t.Fatal(err)
		}
		cols := 1
		if n := len(info.Shape); n > 0 {
			cols = info.Shape[n-1]
		}
		for i := range x {
			x[i] = change(info.Name, i/cols, i%cols, x[i])
		}
		tensors = append(tensors, checkpoint.Tensor{Name: info.Name, DType: checkpoint.F32, Shape: info.Shape, Floats: x})
	}
	if m.Source, err = checkpoint.Memory("changed", tensors); err != nil {
		t.Fatal(err)
	}
	return m
}

// norms reports whether a tensor is the gain of a norm inside a layer.
func norms(name string) bool {
	return strings.Contains(name, ".layers.") && strings.HasSuffix(name, ".weight") &&
		(strings.Contains(name, "_layer_norm.") || strings.Contains(name, "attn_ln.") || strings.Contains(name, "ffn_layernorm."))
}

// outliers are weights that make some columns stand out, as those of trained models do.
var outliers = map[string]func(name string, row, col int, x float32) float32{
	// Norms that make some columns, and so columns of the weights, larger; but not before
	// attention, which would attend to single rows.
	"large gains": func(name string, row, col int, x float32) float32 {
		if norms(name) && !strings.Contains(name, "self_attn_layer_norm") && col%31 == 7 {
			return 20 * x
		}
		return x
	},
	// Columns of the residual with a constant that dwarfs the others.
	"constant": func(name string, row, col int, x float32) float32 {
		switch {
		case col%31 != 7:
		case norms(name):
			return x / 20
		case strings.HasSuffix(name, "layers.0.ffn.A.fc2.bias"), strings.HasSuffix(name, "embed_positions.A.weight"):
			return x + 30*float32(col%2*2-1)
		}
		return x
	},
	// Columns that vary more than the others do.
	"varying": func(name string, row, col int, x float32) float32 {
		switch {
		case norms(name) && col%31 == 7:
			return x / 20
		case strings.HasSuffix(name, "fc2.weight") && row%31 == 7, strings.HasSuffix(name, "out_proj.A.weight") && row%31 == 7:
			return x * 20
		case strings.HasSuffix(name, "fc1.weight") && row%31 == 7:
			return x * 8
		}
		return x
	},
}

const outlying = `model: 1
name: outlying
family: beit3
sizes: {dim: 96, heads: 3, ffn: 192, layers: 3, image: 32, patch: 8, vocab: 50, positions: 24}
seed: 7
tasks: [encode]
entries: [vision]
precision: int8
`

// Where columns stand out, smoothing brings outputs nearer and less is kept.
func TestSmoothed(t *testing.T) {
	asmtest.Slow(t)
	with, without := 0, 0
	for name, least := range map[string]float64{"constant": 20, "varying": 3, "large gains": 2} {
		t.Run(name, func(t *testing.T) {
			tuned := func(more string) (*compile.Model, *compile.Choice) {
				m, c, err := standing(t, outlying+more, outliers[name]).Tuned(nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				return m, c
			}
			m, c := tuned("")
			_, off := tuned("smooth: off\n")
			for i, r := range c.Before {
				if got := (1 - off.Before[i].Mean) / (1 - r.Mean); got < least {
					t.Errorf("%s: 1 - cosine is %.3g times smaller with smoothing, want %g", r.Output, got, least)
				}
			}
			with, without = with+len(c.Kept), without+len(off.Kept)
			for _, s := range m.Smoothed() {
				if !(s.After <= s.Before/2 && s.After > 0) {
					t.Errorf("%v", s)
				}
			}
		})
	}
	if with >= without {
		t.Errorf("%d modules are kept in all, %d without smoothing", with, without)
	}
}

// A model in which nothing stands out stays as it is, and so does one that says so or that
// rounds no rows.
func TestSmoothedNot(t *testing.T) {
	asmtest.Slow(t)
	for name, m := range map[string]*compile.Model{
		"seeded": open(t, outlying),
		"off":    standing(t, outlying+"smooth: off\n", outliers["constant"]),
		"bf16":   standing(t, strings.Replace(outlying, "int8", "bf16", 1), outliers["constant"]),
	} {
		t.Run(name, func(t *testing.T) {
			at, _, err := m.Tuned(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if s := at.Smoothed(); len(s) > 0 {
				t.Errorf("%v", s)
			}
		})
	}
}

// Columns of zeros, on either side, numbers that float32 hardly holds, and products that it
// does not hold give a model like any other.
func TestSmoothedExtremes(t *testing.T) {
	asmtest.Slow(t)
	extremes := map[string]func(name string, row, col int, x float32) float32{
		"zero gains": func(name string, row, col int, x float32) float32 {
			if norms(name) && col%3 == 0 {
				return 0
			}
			return x
		},
		"zero weights": func(name string, row, col int, x float32) float32 {
			if strings.HasSuffix(name, "fc1.weight") || strings.HasSuffix(name, "k_proj.A.weight") && col%2 == 0 {
				return 0
			}
			return x
		},
		"far apart": func(name string, row, col int, x float32) float32 {
			if norms(name) {
				return x * []float32{1e-20, 1, 1e15}[col%3]
			}
			return x
		},
		"too large": func(name string, row, col int, x float32) float32 {
			if norms(name) || strings.HasSuffix(name, "fc2.weight") {
				return x * 1e30
			}
			return x
		},
	}
	for name, change := range extremes {
		t.Run(name, func(t *testing.T) {
			at, c, err := standing(t, outlying, change).Tuned(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := at.Lower(nil)
			if err != nil {
				t.Fatal(err)
			}
			if p, err = at.Plan(p); err != nil {
				t.Fatal(err)
			}
			for _, w := range p.Weights {
				x, err := w.Load()
				if err != nil {
					t.Fatal(err)
				}
				parts := strings.Split(w.Name, ".")
				if norm := parts[len(parts)-2]; norm != "ln" && norm != "sub" {
					continue
				}
				for i, v := range x {
					if v-v != 0 || parts[len(parts)-1] == "g" && v <= 0 {
						t.Fatalf("@%s[%d] is %v\n%v", w.Name, i, v, c)
					}
				}
			}
		})
	}
}

// What is built of a smoothed model computes what the interpreter does, where nothing is
// kept too.
func TestSmoothedBuild(t *testing.T) {
	asmtest.Slow(t)
	for _, word := range []string{"int8\ntune: off", "int8x2"} {
		t.Run(word, func(t *testing.T) {
			m := standing(t, strings.Replace(outlying, "int8", word, 1), outliers["constant"])
			r, err := m.Write(compile.Options{Dir: t.TempDir(), Weights: codegen.File, Check: compile.Full})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Smoothed) == 0 {
				t.Error("nothing is smoothed")
			}
			for _, x := range r.Results {
				if x.Rows > 0 && x.Cosine < 0.9999 {
					t.Errorf("%v", x)
				}
			}
		})
	}
}
