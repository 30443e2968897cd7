package codegen

import (
	"reflect"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/onnx"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/ir"
)

// everyFused has a value of every op that is fused or has scratch.
const everyFused = `program ops T<=4
weight @v.proj.w f32[8,12]
weight @v.cls.w f32[1,8]
weight @v.pos.w f32[5,8]
weight @l.tok.w f32[9,8]
weight @l.pos.w f32[4,8]
weight @a.q.w f32[8,8]
weight @a.k.w f32[8,8]
weight @a.v.w f32[8,8]
weight @a.out.w f32[8,8]
weight @f.fc1.w f32[16,8]
weight @f.fc2.w f32[8,16]
func f(image: f32[3,4,4], ids: i32[T]) {
  x = embed_patches image, @v {patch=2} : f32[5,8]
  l = embed ids, @l : f32[T,8]
  i = qkv l, @a {heads=2} : f32[T,24]
  c = selfattention i {heads=2} : f32[T,8]
  q = qkv x, @a {heads=2 parts=q} : f32[5,8]
  k = qkv c, @a {heads=2 parts=kv} : f32[T,16]
  d = crossattention q, k {heads=2} : f32[5,8]
  a = attnout d, x, @a : f32[5,8]
  y = ffn a, @f : f32[5,8]
  return y
}
`

// TestOps holds the tables that have ops together: ir's rows, the catalogue of kernels, what the runtime has steps for, and
// what ONNX has a form for.
func TestOps(t *testing.T) {
	p, err := ir.Parse("ops.ir", []byte(everyFused))
	if err != nil {
		t.Fatal(err)
	}
	fused, inside := map[*ir.Op]*ir.Value{}, map[*ir.Op]bool{}
	for _, v := range p.Funcs[0].Values {
		f, err := p.Expand(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range f.Values {
			inside[u.Op] = true
		}
		fused[v.Op] = v
	}
	for _, op := range ir.Ops {
		v := fused[op]
		if v == nil && (op.Fused() || op.Scratch != nil) {
			t.Fatalf("%s: everyFused has no value of it", op.Name)
		}
		if op.Scratch != nil {
			for _, s := range op.Scratch(p, v) {
				noted := slices.ContainsFunc(ir.CommonAttrs, func(a ir.AttrSpec) bool { return a.Key == s.Key && a.Kind == ir.Int })
				if !noted || s.Rows == (ir.Dim{}) || s.Cols < 1 {
					t.Errorf("%s: scratch %+v", op.Name, s)
				}
			}
		}
		for _, i := range op.InPlace {
			if i < 0 || i >= op.Args || op.View {
				t.Errorf("%s: no argument %d to write over", op.Name, i)
			}
		}
		if op.View != (op.Kernels == nil) {
			t.Errorf("%s: kernels %q, and view is %v", op.Name, op.Kernels, op.View)
		}
		for _, k := range op.Kernels {
			known := slices.ContainsFunc(asm.Ops, func(r asm.OpRow) bool { return string(r.Op) == k })
			if !known && (k != ir.PlainGo || len(op.Kernels) > 1) {
				t.Errorf("%s: kernel %q is not in the catalogue", op.Name, k)
			}
		}
		step, ok := stepOf(op)
		switch {
		case ok && op.View != (step == nil):
			t.Errorf("%s: view is %v, and its step is nil: %v", op.Name, op.View, step == nil)
		case !ok && !inside[op]:
			t.Errorf("%s: no step, and no fused op stands for it", op.Name)
		}
		if s := op.Step; s.Method != "" {
			m, ok := reflect.TypeFor[*exec.Exec]().MethodByName(s.Method)
			want := 2 + op.Args + len(s.Parts) // with the runtime itself and the result
			if op.Scratch != nil {
				want += len(op.Scratch(p, v))
			}
			if !ok || m.Type.NumIn() != want && op.Args >= 0 {
				t.Errorf("%s: the runtime has no %s of %d arguments", op.Name, s.Method, want-1)
			}
		}
		if onnx.Writes(op) == op.Fused() {
			t.Errorf("%s: written as ONNX: %v, fused: %v", op.Name, onnx.Writes(op), op.Fused())
		}
	}
	for op := range steps {
		if !slices.Contains(ir.Ops, op) {
			t.Errorf("a step of %q, which is no row of ir.Ops", op.Name)
		}
	}
}
