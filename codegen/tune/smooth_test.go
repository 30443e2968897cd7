package tune

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// norms reports whether a tensor is the gain of a norm inside a layer.
func norms(name string) bool {
	return strings.Contains(name, ".layers.") && strings.HasSuffix(name, ".weight") &&
		(strings.Contains(name, "_layer_norm.") || strings.Contains(name, "attn_ln.") || strings.Contains(name, "ffn_layernorm."))
}

// outliers edits weights so that some columns have outliers, as in trained models.
var outliers = map[string]func(name string, row, col int, x float32) float32{
	// Norms that enlarge some columns, and so columns of the weights; but not before attention, which
	// would then attend to single rows.
	"large gains": func(name string, row, col int, x float32) float32 {
		if norms(name) && !strings.Contains(name, "self_attn_layer_norm") && col%31 == 7 {
			return 20 * x
		}
		return x
	},
	// Columns of the residual with a large constant.
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
	// Columns that vary more than others.
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

// With outliers, smoothing makes outputs more accurate and reduces overrides.
func TestSmoothed(t *testing.T) {
	asmtest.Slow(t)
	with, without := 0, 0
	for name, least := range map[string]float64{"constant": 20, "varying": 3, "large gains": 2} {
		t.Run(name, func(t *testing.T) {
			c := choose(t, standing(t, outlying, outliers[name]), Options{})
			off := choose(t, standing(t, outlying+"smooth: off\n", outliers[name]), Options{})
			for i, r := range c.Before {
				if got := (1 - off.Before[i].Mean) / (1 - r.Mean); got < least {
					t.Errorf("%s: 1 - cosine is %.3g times smaller with smoothing, want %g", r.Output, got, least)
				}
			}
			with, without = with+len(c.Overrides), without+len(off.Overrides)
			for _, s := range c.Smoothed {
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

// A model without outliers is not smoothed, nor one that turns it off or whose products do not round
// their inputs.
func TestSmoothedOnlyWhereItHelps(t *testing.T) {
	asmtest.Slow(t)
	for name, m := range map[string]Model{
		"seeded": open(t, outlying),
		"off":    standing(t, outlying+"smooth: off\n", outliers["constant"]),
		"bf16":   standing(t, strings.Replace(outlying, "int8", "bf16", 1), outliers["constant"]),
	} {
		t.Run(name, func(t *testing.T) {
			if c := choose(t, m, Options{}); c != nil && c.Smoothed != nil {
				t.Errorf("%v", c)
			}
		})
	}
}

// Columns of zeros, in rows or weights, numbers near the limits of float32, and products beyond them
// are handled.
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
			m := standing(t, outlying, change)
			c := choose(t, m, Options{})
			p := run(t, m, c, lowered(t, m), "")
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
