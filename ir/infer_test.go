package ir_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

// TestInferErrors gives each op arguments and weights that do not fit. Every op has a case.
func TestInferErrors(t *testing.T) {
	const head = `program p T<=8
weight @m.w f32[4,4]
weight @m.b f32[5]
weight @v.w f32[4]
weight @n.g f32[4]
weight @n5.g f32[5]
weight @n5.b f32[5]
weight @wide.w f32[9,6]
weight @r.image f32[4,2]
weight @r.text f32[16,2]
weight @r9.text f32[14,2]
weight @f.ln.g f32[4]
weight @f.ln.b f32[4]
weight @f.out.w f32[4,4]
weight @f.q.w f32[4,4]
weight @f.fc1.w f32[4,4]
weight @f.fc2.w f32[4,4]
weight @e.proj.w f32[4,4]
weight @u.fc1.w f32[4,4]
weight @u.gate.w f32[5,4]
weight @u.fc2.w f32[4,4]
func f(x: f32[3,4], y: f32[3+T,5], img: f32[3,4,4], ids: i32[T], s: f32[2,4], t: f32[T,4], c: f32[2+T,4], q5: f32[5,4]) {
`
	tests := []struct{ line, want string }{
		{"linear ids, @m", "ids is i32[T], want an f32 matrix"},
		{"linear img, @m", "img is f32[3,4,4], want an f32 matrix"},
		{"linear x, @v", "@v.w is f32[4], want 2 dimensions of numbers"},
		{"linear x, @m", "@m.b is f32[5], want 4 elements"},
		{"linear x, @a.*.*", "bundle @a.*.*, want names joined by dots, at most one of them *"},
		{"layernorm x, @n {eps=0}", "@n has one of g and b, want both or neither"},
		{"layernorm x, @n5 {eps=0}", "@n5.g is f32[5], want 4 elements"},
		{"layernorm x {eps=-1}", "eps is -1, want 0 or more"},
		{"layernorm x", `attribute "eps" is missing`},
		{"layernorm x {eps=0 eps=1}", `attribute "eps" is given twice`},
		{"gelu ids", "ids is i32[T], want an f32 matrix"},
		{"tanh ids", "ids is i32[T], want an f32 matrix"},
		{"add x, y", "y is f32[3+T,5], want f32[3,4] as x"},
		{"mul x, y", "y is f32[3+T,5], want f32[3,4] as x"},
		{"concat x, y", "y is f32[3+T,5], want 4 columns to match x: f32[3,4]"},
		{"hcat x, y", "y is f32[3+T,5], want 3 rows to match x: f32[3,4]"},
		{"rows y {at=4 len=T}", "T row(s) from row 4 on are not inside 3+T rows when T is 1"},
		{"rows y {at=T len=T}", "T row(s) from row T on are not inside 3+T rows when T is 8"},
		{"rows y {at=0 len=0}", "0 row(s) from row 0 on are not inside 3+T rows when T is 1"},
		{"cols x {at=-1 len=1}", "columns from -1 on, 1 of them, are not inside x: f32[3,4]"},
		{"select x {row=3}", "1 row(s) from row 3 on are not inside 3 rows when T is 1"},
		{"select x {row=T}", "1 row(s) from row T on are not inside 3 rows when T is 8"},
		{"mean y {from=4}", "no row of y: f32[3+T,5] is at or after row 4"},
		{"store x {slot=1024 rows=1}", "slot is 1024, want 0 to 1023"},
		{"store x {slot=0 rows=4}", "4 row(s) from row 0 on are not inside 3 rows when T is 1"},
		{"l2norm x {floor=0}", "floor is 0, want more than 0"},
		{"lookup x, @m", "x is f32[3,4], want ids i32[rows]"},
		{"lookup ids, @v", "@v.w is f32[4], want 2 dimensions of numbers"},
		{"const @v", "@v.w is f32[4], want 2 dimensions of numbers"},
		{"addrows x, @wide {at=2}", "@wide.w is f32[9,6], want 4 columns to match x: f32[3,4]"},
		{"addrows x, @m {at=2}", "@m.w is f32[4,4]: 3 row(s) from row 2 on are not inside 4 rows when T is 1"},
		{"patches x {patch=2}", "x is f32[3,4], want an image f32[channels,height,width]"},
		{"patches img {patch=0}", "patch is 0, want 1 to the height and width of img: f32[3,4,4]"},
		{"join ids {side=2 width=2}", "ids is i32[T], want an f32 matrix"},
		{"join t {side=1 width=1}", "t is f32[T,4], want a constant number of rows"},
		{"join x {side=1 width=0}", "width is 0, want a divisor of the 3 rows of x: f32[3,4]"},
		{"join x {side=1 width=2}", "width is 2, want a divisor of the 3 rows of x: f32[3,4]"},
		{"join x {side=0 width=3}", "side is 0, want a divisor of both sides of the grid of x, which is 1 x 3"},
		{"join x {side=3 width=3}", "side is 3, want a divisor of both sides of the grid of x, which is 1 x 3"},
		{"join x {side=3 width=1}", "side is 3, want a divisor of both sides of the grid of x, which is 3 x 1"},
		{"attention x, y, y {heads=2}", "y is f32[3+T,5], want 4 columns to match x: f32[3,4]"},
		{"attention x, x, y {heads=2}", "y is f32[3+T,5], want 3 rows to match x: f32[3,4]"},
		{"attention x, x, x {heads=3}", "heads is 3, want a divisor of 4 and of 4 columns"},
		{"attention x, x, x {heads=2 base=10}", "base is 10, want 2, or no attribute base for e"},
		{"attention x, x, x {heads=2 at=1}", "at=1 is the position of the first query, which only matters with a bias or a prefix; remove at, or give one of them"},
		{"attention x, x, x, @m {heads=2}", "bundle @m has none of the weights of attention (text? image? cross?); without weights name no bundle"},
		{"attention x, x, x, @r {heads=2}", "the image has 3 tokens, want a class token and a square of patches"},
		{"attention s, s, s, @r {heads=1}", "@r.image is f32[4,2], want 1 columns, one per head"},
		{"attention s, s, s, @r {heads=2 at=1}", "2 row(s) from row 1 on are not inside 2 rows when T is 1"},
		{"attention c, c, c, @r {heads=2}", "there is no weight @r.cross; the bias of 2+T positions needs it"},
		{"attention t, t, t, @r9 {heads=2}", "@r9.text is f32[14,2], want an even number of rows, at least 16 for texts of 8 tokens"},
		{"attention q5, q5, q5, @r {heads=2}", "@r.image is f32[4,2], want 12 rows"},
		{"select x {row=T-1}", "1 row(s) from row T-1 on are not inside 3 rows when T is 8"},
		{"select t {row=T-2}", "1 row(s) from row T-2 on are not inside T rows when T is 1"},
		{"scale x, @n5", "@n5.g is f32[5], want 4 elements"},
		{"addrow x, @wide", "@wide.w is f32[9,6], want 4 columns to match x: f32[3,4]"},
		{"addrow x, @m {row=4}", "@m.w is f32[4,4], it has no row 4"},
		{"selfattention x {heads=2}", "x is f32[3,4], want an f32 matrix whose columns divide into 3 equal parts"},
		{"crossattention x, y {heads=2}", "y is f32[3+T,5], want an f32 matrix whose columns divide into 2 equal parts"},
		{"qkv x, @f {eps=0 parts=k}", "parts=k, want parts=q, parts=kv, or no attribute parts for all three"},
		{"qkv x, @f {eps=0}", "h2 = linear n, @f.k: there is no weight @f.k.w; linear needs w b?"},
		{"qkv x, @f {eps=0 heads=3 parts=q}", "heads is 3, want a divisor of 4 columns"},
		{"ffn x, @f", `@f.ln has norm weights, but there is no attribute "eps"`},
		{"attnout x, y, @f", "a = add y, h: h is f32[3,4], want f32[3+T,5] as y"},
		{"embed_patches img, @f {patch=2}", "there is no weight @f.proj.w; embed_patches needs proj.w proj.b? cls.w? pos.w?"},
		{"embed_rows x, @f", "there is no weight @f.proj.w; embed_rows needs proj.w proj.b? cls.w? pos.w?"},
		{"embed_rows t, @e", "t is f32[T,4], want a constant number of rows"},
		{"embed ids, @f", "there is no weight @f.tok.w; embed needs tok.w pos.w?"},
		{"gelu x {act=relu}", "unknown activation act=relu; the activations are gelu, gelu_tanh, quick_gelu"},
		{"gelu x {act=gelu}", "act=gelu is the default of gelu; leave it out"},
		{"ffn x, @f {eps=1 act=relu}", "g = gelu h {act=relu}: unknown activation act=relu; the activations are gelu, gelu_tanh, quick_gelu"},
		{"ffn x, @u", "u = mul g, h2: h2 is f32[3,5], want f32[3,4] as g"},
		{"gelu x {kernel=a/b}", "SYNTAX"},
		{"gelu x {kernel=9}", `attribute "kernel": got "9", want a symbol: a letter, then letters, digits, _ and -`},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			_, err := ir.Parse("x.ir", []byte(head+"z = "+tt.line+" : f32[3,4]\nreturn z\n}\n"))
			if err == nil {
				t.Fatal("no error")
			}
			if tt.want == "SYNTAX" {
				if !strings.HasPrefix(err.Error(), "x.ir:23:21: found") {
					t.Errorf("got %v, want a syntax error", err)
				}
				return
			}
			want := "x.ir:23:1: f: z = " + tt.line + ": " + tt.want
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	for _, op := range ir.Ops {
		if !slices.ContainsFunc(tests, func(tt struct{ line, want string }) bool { return strings.HasPrefix(tt.line, op.Name+" ") }) {
			t.Errorf("%s has no case: add one to tests above, in ir/infer_test.go", op.Name)
		}
	}
}

// TestVerifyStructure damages programs in ways that no text can.
func TestVerifyStructure(t *testing.T) {
	tests := []struct {
		name   string
		damage func(p *ir.Program, f *ir.Func)
		want   string
	}{
		{"order", func(p *ir.Program, f *ir.Func) { f.Values[0], f.Values[1] = f.Values[1], f.Values[0] },
			"pair: h = linear n, @l0.attn.*.q: n is not defined above"},
		{"stranger", func(p *ir.Program, f *ir.Func) { c := *f.Params[0]; f.Values[0].Args[0] = &c },
			"pair: n = layernorm x, @l0.attn.*.ln {eps=1e-05}: x is not defined above"},
		{"result", func(p *ir.Program, f *ir.Func) { c := *f.Params[0]; f.Results[0] = &c }, "pair: return: x is not defined"},
		{"no op", func(p *ir.Program, f *ir.Func) { f.Values[0].Op = nil }, "pair: n: a value needs an op; parameters stand in the header"},
		{"parameter with op", func(p *ir.Program, f *ir.Func) { f.Params[0].Op = ir.OpGelu }, "pair: x = gelu: a parameter has no op"},
		{"parameter of weights' type", func(p *ir.Program, f *ir.Func) { f.Params[0].Type.DType = ir.BF16 }, "pair: x: parameter is bf16[3+T,4], want f32 or i32"},
		{"name", func(p *ir.Program, f *ir.Func) { f.Values[0].Name = "n n" },
			`pair: n n = layernorm x, @l0.attn.*.ln {eps=1e-05}: name "n n": want letters, digits, _ and . after a letter`},
		{"name return", func(p *ir.Program, f *ir.Func) { f.Params[0].Name = "return" }, `pair: return: name "return": want letters, digits, _ and . after a letter`},
		{"program name", func(p *ir.Program, f *ir.Func) { p.Name = "" }, `program name "": want letters, digits, _ . and - after a letter`},
		{"function name", func(p *ir.Program, f *ir.Func) { f.Name = "a.b" }, `a.b: function name "a.b": want letters, digits and _ after a letter`},
		{"bound", func(p *ir.Program, f *ir.Func) { p.MaxT = -1 }, "program tiny: T<=-1, want 1 to 1048576"},
		{"layout", func(p *ir.Program, f *ir.Func) { p.Weights[0].Layout = "x y" }, `weight @l0.attn.vision.ln.g: layout is "x y", want a symbol: a letter, then letters, digits, _ and -`},
		{"dtype", func(p *ir.Program, f *ir.Func) { p.Weights[0].Type.DType = 99 }, "weight @l0.attn.vision.ln.g is dtype(99)[4]: unknown element type"},
		{"scalar", func(p *ir.Program, f *ir.Func) { p.Weights[0].Type.Shape = nil }, "weight @l0.attn.vision.ln.g is f32[]: it has 0 dimensions, want 1 to 4"},
		{"kind", func(p *ir.Program, f *ir.Func) { f.Values[0].Attrs = ir.Attrs{ir.IntAttr("eps", 1)} },
			`pair: n = layernorm x, @l0.attn.*.ln {eps=1}: attribute "eps" is a whole number, want a number`},
		{"length", func(p *ir.Program, f *ir.Func) {
			f.Values[0] = &ir.Value{Name: "n", Op: ir.OpRows, Args: f.Params, Attrs: ir.Attrs{ir.DimAttr("at", ir.C(-1)), ir.DimAttr("len", ir.C(1))}}
		}, `pair: n = rows x {at=-1 len=1}: attribute "at": -1 is out of range`},
		{"segments", func(p *ir.Program, f *ir.Func) { f.Segments = make([]ir.Segment, 17) }, "pair: 17 segments, want at most 16"},
		{"segment name", func(p *ir.Program, f *ir.Func) { f.Segments[0].Name = "a.b" }, `pair: segment name "a.b": want letters, digits and _ after a letter`},
		{"twin weight", func(p *ir.Program, f *ir.Func) { p.Weights = append(p.Weights, p.Weights[0]) }, "weight @l0.attn.vision.ln.g is declared twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := layer(t)
			tt.damage(p, p.Funcs[0])
			err := ir.Verify(p)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}
