package checkpoint

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir"
)

func weight(name, key string, shape []int, dims ...int) *ir.Weight {
	w := &ir.Weight{Name: name, Type: ir.Type{DType: ir.F32}, Origin: &ir.Origin{Key: key, Shape: shape}}
	for _, d := range dims {
		w.Type.Shape = append(w.Type.Shape, ir.C(d))
	}
	return w
}

func floats(name string, shape ...int) Tensor {
	t := Tensor{Name: name, DType: F32, Shape: shape}
	for i := range (Info{Shape: shape}).Len() {
		t.Floats = append(t.Floats, float32(i))
	}
	return t
}

func TestBind(t *testing.T) {
	tensors := []Tensor{floats("qkv.weight", 6, 2), floats("proj.weight", 2, 3, 1, 1), floats("scale"), floats("optimizer.step", 2)}
	for i := range 3 {
		tensors = append(tensors, floats(fmt.Sprintf("trunk.%d.b.weight", i), 4), floats(fmt.Sprintf("trunk.%d.b.bias", i), 4), floats(fmt.Sprintf("trunk.%d.a", i), 1))
	}
	src, err := Memory("m.pth", tensors)
	if err != nil {
		t.Fatal(err)
	}
	k := weight("k.w", "qkv.weight", []int{6, 2}, 2, 2)
	k.Origin.Row, k.Origin.Rows = 2, 2
	p := &ir.Program{Weights: []*ir.Weight{
		k,
		weight("qkv.w", "qkv.weight", []int{6, 2}, 6, 2),
		weight("patch.w", "proj.weight", []int{2, 3, 1, 1}, 2, 3),
		weight("scale", "scale", []int{}, 1),
		weight("a0", "trunk.0.a", []int{1}, 1),
		weight("a1", "trunk.1.a", []int{1}, 1),
		weight("a2", "trunk.2.a", []int{1}, 1),
		{Name: "made", Type: ir.Of(ir.F32, ir.C(1))},
	}}
	r, err := Bind(p, src)
	if err != nil {
		t.Fatal(err)
	}
	want := &Report{Source: "m.pth", Used: 6, UsedBytes: 4 * (12 + 6 + 1 + 3), SurplusCount: 7, SurplusBytes: 4 * (2 + 24),
		Surplus: []Group{{"trunk.*.b", 6, 96}, {"optimizer", 1, 8}}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	asmtest.ErrorSays(t, r.Strict(), "surplus tensors are refused", "m.pth: 6 tensors used (88 bytes), 7 surplus (104 bytes):", "\n  trunk.*.b.*: 6 (96 bytes)")
	got, err := p.Weight("k.w").Load()
	if diff := cmp.Diff([]float32{4, 5, 6, 7}, got); err != nil || diff != "" {
		t.Errorf("rows 2 and 3: %v (-want +got):\n%s", err, diff)
	}
	got, err = p.Weight("patch.w").Load()
	if diff := cmp.Diff([]float32{0, 1, 2, 3, 4, 5}, got); err != nil || diff != "" {
		t.Errorf("reshaped: %v (-want +got):\n%s", err, diff)
	}
	if p.Weight("made").Load != nil {
		t.Error("a weight without origin got a loader")
	}
	gen, err := SeededFor(p, 3)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = Bind(p, gen); err != nil || r.Strict() != nil || r.Used != 6 {
		t.Errorf("seeded: %v, %v", r, err)
	}
}

func TestBindErrors(t *testing.T) {
	src, err := Memory("m.pth", []Tensor{
		floats("layers.0.fc1.weights", 4, 2), floats("layers.0.fc2.weight", 2, 4), floats("layers.1.fc2.weight", 2, 4),
		floats("head.weight", 10, 2), floats("head21.weight", 21, 2),
		{Name: "ids", DType: I64, Shape: []int{1}, Ints: []int64{0}},
		floats("fine", 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &ir.Program{Weights: []*ir.Weight{
		weight("l0.fc1.w", "layers.0.fc1.weight", []int{4, 2}, 4, 2),
		weight("l0.fc2.w", "layers.0.fc2.weight", []int{2, 4}, 2, 4),
		weight("head.w", "head.weight", []int{21, 2}, 21, 2),
		weight("ids", "ids", []int{1}, 1),
		weight("fine", "fine", []int{1}, 1),
		weight("again", "head.weight", []int{21, 2}, 21, 2),
	}}
	_, err = Bind(p, src)
	var be *BindError
	if !errors.As(err, &be) {
		t.Fatalf("error is %T %v, want a BindError", err, err)
	}
	want := `m.pth does not fit the model: of 5 tensors wanted, 1 missing and 2 of another shape or type; the file has 7
  "head.weight" is f32[10,2], want shape [21,2] for @head.w; nearest surplus: "head21.weight" f32[21,2]
  "ids" is i64[1], want f64, f32, f16 or bf16 for @ids
  "layers.0.fc1.weight" is missing, want [4,2] for @l0.fc1.w; nearest surplus: "layers.0.fc1.weights" f32[4,2], "layers.1.fc2.weight" f32[2,4]`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	for _, w := range p.Weights {
		if w.Load != nil {
			t.Errorf("@%s got a loader", w.Name)
		}
	}

	bad := weight("w", "fine", []int{1}, 2)
	_, err = Bind(&ir.Program{Weights: []*ir.Weight{bad}}, src)
	asmtest.ErrorSays(t, err, `@w is f32[2] with 2 elements, its origin "fine" gives 1`)
	bad = weight("w", "head.weight", []int{10, 2}, 2, 2)
	bad.Origin.Row, bad.Origin.Rows = 9, 2
	_, err = Bind(&ir.Program{Weights: []*ir.Weight{bad}}, src)
	asmtest.ErrorSays(t, err, `@w: tensor "head.weight" of shape [10,2] has no 2 rows from row 9`)
}

// A weight that the program keeps at 16 bits has values of that type.
func TestBindRounds(t *testing.T) {
	src, err := Memory("m.pth", []Tensor{{Name: "w", DType: F32, Shape: []int{4}, Floats: []float32{1.001, -3.14159, 1e-9, 70000}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to   ir.DType
		want []float32
	}{
		{ir.F32, []float32{1.001, -3.14159, 1e-9, 70000}},
		{ir.BF16, []float32{1, -3.140625, ir.FromBF16(ir.ToBF16(1e-9)), 70144}},
		{ir.F16, nil},
		{ir.I8, nil},
	} {
		w := weight("w", "w", []int{4}, 4)
		w.Type.DType = c.to
		if _, err = Bind(&ir.Program{Weights: []*ir.Weight{w}}, src); c.to == ir.I8 {
			asmtest.ErrorSays(t, err, "@w is i8[4]; weights of a checkpoint are f32, f16 or bf16")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Load()
		if c.want == nil {
			asmtest.ErrorSays(t, err, `m.pth: tensor "w": element [3] is 70000, which does not fit f16 of @w`)
			continue
		}
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%v: %v (-want +got):\n%s", c.to, err, diff)
		}
	}
}

// All names off by a prefix: one line says so, however many tensors there are.
func TestBindPrefixHint(t *testing.T) {
	for _, c := range []struct{ file, model, want string }{
		{"backbone.", "", "hint: it has sets of weights under other keys: \"backbone\" (300 tensors); `checkpoint: {file: FILE, key: backbone}` takes one"},
		{"", "beit3.", `hint: the names in the file lack "beit3.", which the model's start with; put it before them in Python`},
	} {
		var tensors []Tensor
		p := &ir.Program{}
		for i := range 300 {
			name := fmt.Sprintf("layers.%d.weight", i)
			tensors = append(tensors, floats(c.file+name, 2))
			p.Weights = append(p.Weights, weight(fmt.Sprint("w", i), c.model+name, []int{2}, 2))
		}
		src, err := Memory("m", tensors)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Bind(p, src)
		asmtest.ErrorSays(t, err, "of 300 tensors wanted, 300 missing and 0 of another shape", c.want)
		var bind *BindError
		if !errors.As(err, &bind) || len(bind.Mismatch) != 300 {
			t.Errorf("the error does not hold all 300 tensors: %v", err)
		}
		n := strings.Count(err.Error(), "is missing")
		asmtest.ErrorSays(t, err, fmt.Sprintf("\n  and %d more", 300-n))
		if n < 50 {
			t.Errorf("%d tensors are named, want 50 at least", n)
		}
	}
}

func TestNearest(t *testing.T) {
	src := goldenSeeded(t, "encode_t1")
	for _, c := range []struct{ name, want string }{
		{"beit3.encoder.layers.0.ffn.A.fc1.weigth", "beit3.encoder.layers.0.ffn.A.fc1.weight"},
		{"beit3.encoder.layers.2.self_attn.q_proj.weight", "beit3.encoder.layers.2.self_attn.q_proj.A.weight"},
		{"beit3.vision_embed.clstoken", "beit3.vision_embed.cls_token"},
	} {
		got := nearest(c.name, src.Tensors(), 2)
		if len(got) == 0 || got[0].Name != c.want {
			t.Errorf("nearest to %s is %s, want %s", c.name, quoted(got), c.want)
		}
	}
	if got := nearest("optimizer.state", src.Tensors(), 2); len(got) != 0 {
		t.Errorf("nearest to a stranger is %s", quoted(got))
	}
}
