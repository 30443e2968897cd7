package ir_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

// declareLayer declares the weights of layer 0 for every expert, D=4, F=8.
func declareLayer(b *ir.Builder, experts ...string) {
	for _, e := range experts {
		vec := func(name string, n int) { b.Weight(name, ir.Of(ir.F32, ir.C(n)), nil) }
		lin := func(name string, n, k int) {
			b.Weight(name+".w", ir.Mat(ir.C(n), k), nil)
			vec(name+".b", n)
		}
		ln := func(name string, n int) { vec(name+".g", n); vec(name+".b", n) }
		ln("l0.attn."+e+".ln", 4)
		for _, m := range []string{"q", "k", "v", "out"} {
			lin("l0.attn."+e+"."+m, 4, 4)
		}
		ln("l0.attn."+e+".sub", 4)
		ln("l0.ffn."+e+".ln", 4)
		lin("l0.ffn."+e+".fc1", 8, 4)
		ln("l0.ffn."+e+".sub", 8)
		lin("l0.ffn."+e+".fc2", 4, 8)
	}
}

// layer returns a program of one BEiT-3 layer as described, before any pass.
func layer(t testing.TB) *ir.Program {
	t.Helper()
	p := &ir.Program{Name: "tiny", MaxT: 4}
	b := ir.NewBuilder(p, "pair")
	declareLayer(b, "vision", "language")
	x := b.Param("x", ir.Mat(ir.Dim{C: 3, T: true}, 4))
	b.Segment("vision", ir.C(3))
	b.Segment("language", ir.T)
	n := b.LayerNorm(x, "l0.attn.*.ln", 1e-5)
	c := b.Attention(b.Linear(n, "l0.attn.*.q"), b.Linear(n, "l0.attn.*.k"), b.Linear(n, "l0.attn.*.v"), 2)
	a := b.Add(x, b.Linear(b.LayerNorm(c, "l0.attn.*.sub", 1e-5), "l0.attn.*.out"))
	h := b.Gelu(b.Linear(b.LayerNorm(a, "l0.ffn.*.ln", 1e-5), "l0.ffn.*.fc1"))
	y := b.Add(a, b.Linear(b.LayerNorm(h, "l0.ffn.*.sub", 1e-5), "l0.ffn.*.fc2"))
	b.Return(b.Name(y, "y"))
	if _, err := b.Done(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuilderLayer(t *testing.T) {
	want := `func pair(x: f32[3+T,4]) segments vision=3, language=T {
  n     = layernorm x, @l0.attn.*.ln {eps=1e-05} : f32[3+T,4]
  h     = linear n, @l0.attn.*.q : f32[3+T,4]
  h2    = linear n, @l0.attn.*.k : f32[3+T,4]
  h3    = linear n, @l0.attn.*.v : f32[3+T,4]
  c     = attention h, h2, h3 {heads=2} : f32[3+T,4]
  n2    = layernorm c, @l0.attn.*.sub {eps=1e-05} : f32[3+T,4]
  h4    = linear n2, @l0.attn.*.out : f32[3+T,4]
  a     = add x, h4 : f32[3+T,4]
  n3    = layernorm a, @l0.ffn.*.ln {eps=1e-05} : f32[3+T,4]
  h5    = linear n3, @l0.ffn.*.fc1 : f32[3+T,8]
  g     = gelu h5 : f32[3+T,8]
  n4    = layernorm g, @l0.ffn.*.sub {eps=1e-05} : f32[3+T,8]
  h6    = linear n4, @l0.ffn.*.fc2 : f32[3+T,4]
  y     = add a, h6 : f32[3+T,4]
  return y
}
`
	p := layer(t)
	if diff := cmp.Diff(want, ir.PrintFunc(p.Funcs[0])); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if err := ir.Verify(p); err != nil {
		t.Error(err)
	}
}

func TestBuilderErrors(t *testing.T) {
	x := ir.Mat(ir.Dim{C: 3, T: true}, 4)
	tests := []struct {
		name  string
		build func(b *ir.Builder, x *ir.Value)
		want  string
	}{
		{"columns", func(b *ir.Builder, x *ir.Value) {
			b.Weight("l0.q.vision.w", ir.Mat(ir.C(4), 6), nil)
			b.Name(b.Linear(x, "l0.q.vision"), "q")
		}, "f: h = linear x, @l0.q.vision: @l0.q.vision.w is f32[4,6], want 4 columns to match x: f32[3+T,4]"},
		{"attribute", func(b *ir.Builder, x *ir.Value) {
			b.Op(ir.OpAttention, "q", "", ir.Attrs{ir.IntAttr("head", 2)}, x, x, x)
		}, `f: q = attention x, x, x {head=2}: unknown attribute "head"; attention has heads, scale, base, at, prefix`},
		{"first error only", func(b *ir.Builder, x *ir.Value) {
			y := b.L2Norm(x, 0)
			b.Attention(y, y, y, 7)
		}, "f: u = l2norm x {floor=0}: floor is 0, want more than 0"},
		{"fused", func(b *ir.Builder, x *ir.Value) {
			b.Weight("f.fc1.w", ir.Mat(ir.C(8), 4), nil)
			b.Weight("f.fc2.w", ir.Mat(ir.C(4), 9), nil)
			b.Op(ir.OpFFN, "", "f", nil, x)
		}, "f: y = ffn x, @f: h2 = linear g, @f.fc2: @f.fc2.w is f32[4,9], want 8 columns to match g: f32[3+T,8]"},
		{"activation", func(b *ir.Builder, x *ir.Value) { b.Act(b.Act(x, "gelu"), "relu") },
			"f: g2 = gelu g {act=relu}: unknown activation act=relu; the activations are gelu, gelu_tanh, quick_gelu"},
		{"missing expert", func(b *ir.Builder, x *ir.Value) {
			b.Segment("vision", ir.C(3))
			b.Segment("language", ir.T)
			b.Weight("q.vision.w", ir.Mat(ir.C(4), 4), nil)
			b.Linear(x, "q.*")
		}, "f: h = linear x, @q.*: expert vision has @q.vision.w, but expert language has no w"},
		{"no segments", func(b *ir.Builder, x *ir.Value) { b.Linear(x, "q.*") },
			"f: h = linear x, @q.*: @q.* is an expert pool, but f has no segments to choose experts by"},
		{"declared twice", func(b *ir.Builder, x *ir.Value) {
			b.Weight("q.w", ir.Mat(ir.C(4), 4), &ir.Origin{Key: "a", Shape: []int{4, 4}})
			b.Weight("q.w", ir.Mat(ir.C(4), 4), &ir.Origin{Key: "b", Shape: []int{4, 4}})
		}, "f: weight @q.w is declared with origins a [4 4] and b [4 4]"},
		{"no result", func(b *ir.Builder, x *ir.Value) {}, "f: nothing is returned"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := ir.NewBuilder(&ir.Program{Name: "tiny", MaxT: 4}, "f")
			tt.build(b, b.Param("x", x))
			_, err := b.Done()
			if err == nil {
				t.Fatal("no error")
			}
			place, msg, _ := strings.Cut(err.Error(), ": ")
			if diff := cmp.Diff(tt.want, msg); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(place, "builder_test.go:") {
				t.Errorf("place is %q, want a line of builder_test.go", place)
			}
		})
	}
}
