package passes_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

const narrowText = `program tiny T<=4
weight @embed.text.w f32[9,4]
weight @ln.g f32[4]
weight @ln.b f32[4]
weight @fc1.w f32[3,4]
weight @fc1.b f32[3]
weight @fc2.w f32[2,3]

func f(ids: i32[T]) {
  x = lookup ids, @embed.text : f32[T,4]
  n = layernorm x, @ln {eps=1e-05} : f32[T,4]
  h = linear n, @fc1 : f32[T,3]
  y = linear h, @fc2 : f32[T,2]
  return y
}
`

// Matrices and tables are stored in 16 bits; the norm before one keeps its gain.
func TestNarrow(t *testing.T) {
	p, err := ir.Parse("tiny.ir", []byte(narrowText))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range p.Weights {
		w.Load = func() ([]float32, error) {
			x := make([]float32, w.Type.Elements(0))
			for i := range x {
				x[i] = 1 + 1.0/256 + float32(i)/32
			}
			return x, nil
		}
	}
	q, err := passes.Run(p, passes.Options{Precision: precision.Uniform("bf16")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, w := range q.Weights {
		got[w.Name] = w.Type.String()
	}
	want := map[string]string{
		"embed.text.w": "bf16[9,4]", "ln.g": "f32[4]", "ln.b": "f32[4]",
		"fc1.w": "bf16[3,4]", "fc1.b": "f32[3]", "fc2.w": "bf16[2,3]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	x, err := q.Weight("fc1.w").Load()
	if err != nil || x[0] != 1 || x[1] != 1+1.0/32 { // 1+1/256 is half way between two values: to the even one
		t.Errorf("fc1.w = %v, %v", x, err)
	}
	kernels := map[string]string{}
	for _, v := range q.Funcs[0].Values {
		kernels[v.Name] = v.Attrs.Symbol("kernel")
	}
	if d := cmp.Diff(map[string]string{"x": "go", "n": "layernorm_f32", "h": "gemm_f32xbf16", "y": "gemm_f32xbf16"}, kernels); d != "" {
		t.Errorf("kernels (-want +got)\n%s", d)
	}
	if _, err := passes.Run(p, passes.Options{Precision: precision.Uniform("f4")}); err == nil || !strings.Contains(err.Error(), "want "+strings.Join(precision.Names(), ", ")) {
		t.Errorf("f4: %v", err)
	}
	dot := precision.Uniform(precision.BF16Dot)
	dot.Classes = map[precision.Class]string{precision.Embedding: precision.BF16Dot, precision.Heads: precision.BF16Dot}
	if q, err = passes.Run(p, passes.Options{Precision: dot}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"embed.text.w": "bf16[9,4]", "fc1.w": "bf16dot[3,4]", "fc2.w": "bf16dot[2,3]"} {
		if got := q.Weight(name).Type.String(); got != want {
			t.Errorf("bf16dot: @%s is %s, want %s", name, got, want)
		}
	}
	if got := q.Funcs[0].Values[2].Attrs.Symbol("kernel"); got != "gemm_bf16dot" {
		t.Errorf("bf16dot: kernel is %s", got)
	}
	if x, err := q.Weight("fc1.w").Load(); err != nil || x[0] != 1 || x[1] != 1+1.0/32 {
		t.Errorf("bf16dot: fc1.w = %v, %v", x, err)
	}
	twice := precision.Uniform(precision.Int8X2)
	twice.Classes = map[precision.Class]string{precision.Embedding: precision.Int8X2}
	if q, err = passes.Run(p, passes.Options{Precision: twice}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"embed.text.w": "i8[9,4]", "fc1~f.w": "i8x2[3,4]", "fc2.w": "i8x2[2,3]"} {
		if got := q.Weight(name).Type.String(); got != want {
			t.Errorf("int8x2: @%s is %s, want %s", name, got, want)
		}
	}
	if got := q.Funcs[0].Values[2].Attrs.Symbol("kernel"); got != "gemm_i8" {
		t.Errorf("int8x2: kernel is %s", got)
	}
	p.Weight("fc1.w").Load = func() ([]float32, error) { return []float32{1, 70000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, nil }
	if q, err = passes.Run(p, passes.Options{Precision: precision.Uniform("f16")}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Weight("fc1.w").Load(); err == nil || !strings.Contains(err.Error(), "element 1 is 70000, which f16 cannot hold; use bf16 or f32") {
		t.Errorf("70000 as f16: %v", err)
	}
}
