package compile

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// Rows below the aim of a precision give a warning; only rows below the description's cosine are an
// error.
func TestWriteWarnsOfLowCosine(t *testing.T) {
	asmtest.Slow(t)
	for _, c := range []struct {
		precision string
		want      bool
	}{
		{"int8", false},
		{"int8\ntune: off", false},
		{"{default: int8, patches: int8, projections: int8, ffn: int8, heads: int8}", true},
	} {
		m := OpenText(t, strings.NewReplacer("{default: int8, heads: f32}", c.precision, "layers: 4", "layers: 8").Replace(nlvr2Model))
		var warnings []string
		r, err := m.Write(Options{Dir: t.TempDir(), Log: func(format string, args ...any) {
			if strings.Contains(format, "aims at") {
				warnings = append(warnings, args[2].(string))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		least := 1.0
		for _, x := range r.Results {
			if x.Rows > 0 {
				least = min(least, x.Cosine)
			}
		}
		if got := len(warnings) > 0; got != c.want || c.want != (!strings.Contains(c.precision, "off") && least < 0.9995) || c.want && !strings.Contains(warnings[0], "the model in float64") {
			t.Errorf("%s, cosine %v: warnings %q", c.precision, least, warnings)
		}
	}
	exact := Result{Func: "f", MaxAbs: 1, Bound: 2}
	if lines := short([]Result{exact, {Rows: 1, Cosine: 0.9}, {Rows: 1, Cosine: 0.8}}, 0.9); len(lines) != 1 {
		t.Errorf("got %q", lines)
	}
}

const nlvr2Model = `model: 1
name: tiny
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 4, image: 16, patch: 8, vocab: 50, positions: 20}
seed: 7
tasks: [nlvr2]
limits: {text: 18}
precision: {default: int8, heads: f32}
`
