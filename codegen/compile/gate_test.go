package compile_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/inputs"
)

// gated is a model with gates and norms that all experts share: a layer with a norm inside the halves, and one without.
const gated = `model: 1
name: gate
seed: 3
sizes: {dim: 40, heads: 2, ffn: 72}
modalities:
  - {name: language, embedder: token, vocab: 50, positions: 14}
  - {name: vision, embedder: patch, size: 16, patch: 8}
layers:
  - {range: 0..1, attn: shared, ffn: pooled, gate: true, norms_of: shared}
  - {range: 1..2, attn: pooled, ffn: joint, norms: pre, gate: true, norms_of: shared, experts: vl}
limits: {text: 9, rows: 64}
`

// The half of a layer with a gate is y = a + fc2(sub(gelu(fc1 n) * gate n)) with n = ln a, by the expert of each row.
func TestGateByHand(t *testing.T) {
	p, _, err := compile.OpenText(t, gated).WithTaps().Lower([]string{"pair"})
	if err != nil {
		t.Fatal(err)
	}
	load := func(name string) []float32 {
		w := p.Weight(name)
		if w == nil {
			return nil
		}
		x, err := w.Load()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	linear := func(x []float64, bundle string) []float64 {
		w, b := load(bundle+".w"), load(bundle+".b")
		y := make([]float64, len(b))
		for i := range y {
			y[i] = float64(b[i])
			for k, v := range x {
				y[i] += v * float64(w[i*len(x)+k])
			}
		}
		return y
	}
	norm := func(x []float64, bundle string) []float64 {
		g, b := load(bundle+".g"), load(bundle+".b")
		if g == nil {
			return x
		}
		n, mean, square := float64(len(x)), 0.0, 0.0
		for _, v := range x {
			mean, square = mean+v/n, square+v*v/n
		}
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = (v-mean)/math.Sqrt(square-mean*mean+1e-5)*float64(g[i]) + float64(b[i])
		}
		return y
	}
	const text, pair, width = 3, 3 + 5, 40
	f := p.Func("pair")
	in, n := inputs.Tensors(f, inputs.Seeded(f, "x", text, 50))
	out, err := p.Run("pair", n, in)
	if err != nil {
		t.Fatal(err)
	}
	for layer, experts := range [][]string{{"language", "vision"}, {"vl", "vl"}} {
		before, after := out[fmt.Sprintf("layers.%d.attn", layer)].F, out[fmt.Sprintf("layers.%d.ffn", layer)].F
		if len(before) != pair*width || len(after) != pair*width {
			t.Fatalf("%d and %d values, want %d rows of %d", len(before), len(after), pair, width)
		}
		for r := range pair {
			expert := experts[0]
			if r >= text {
				expert = experts[1]
			}
			bundle := fmt.Sprintf("l%d.ffn.%s.", layer, expert)
			a := before[r*width:][:width]
			n := norm(a, bundle+"ln")
			h, factors := linear(n, bundle+"fc1"), linear(n, bundle+"gate")
			for i, x := range h {
				h[i] = x / 2 * (1 + math.Erf(x/math.Sqrt2)) * factors[i]
			}
			for i, x := range linear(norm(h, bundle+"sub"), bundle+"fc2") {
				if got, want := after[r*width+i], a[i]+x; !(math.Abs(got-want) <= 1e-9*(1+math.Abs(want))) {
					t.Fatalf("layer %d, row %d, column %d: %g, want %g", layer, r, i, got, want)
				}
			}
		}
	}
}

// A compiled model with gates computes what the interpreter does, in every kind of format.
func TestGate(t *testing.T) {
	asmtest.Slow(t)
	m := compile.OpenText(t, gated)
	for _, word := range []string{"f32", "bf16", "bf16dot", "int8", "int8x2"} {
		t.Run(word, func(t *testing.T) {
			m, err := m.AtPrecision(word)
			if err != nil {
				t.Fatal(err)
			}
			r, err := m.Write(compile.Options{Dir: t.TempDir(), Check: compile.Full})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.Results {
				if t.Log(x); !x.OK() {
					t.Errorf("%v", x)
				}
			}
		})
	}
}
