package ir_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/multiway-go/multiway/ir"
)

var close12 = cmpopts.EquateApprox(1e-12, 1e-12)

// program parses a text whose weights get the numbers of the map.
func program(t testing.TB, text string, weights map[string][]float32) *ir.Program {
	t.Helper()
	p, err := ir.Parse("x.ir", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range weights {
		p.Weight(name).Load = func() ([]float32, error) { return x, nil }
	}
	return p
}

func matrix(rows int, x ...float64) *ir.Tensor {
	return &ir.Tensor{Shape: []int{rows, len(x) / rows}, F: x}
}

// TestOps compares each primitive op with numbers worked out by hand. Every primitive op has a case.
func TestOps(t *testing.T) {
	r := math.Sqrt(1.0 / (1 + 1e-5)) // 1/sqrt(var+eps) of rows with variance 1
	gelu := func(x float64) float64 { return x * 0.5 * math.Erfc(-x*math.Sqrt(0.5)) }
	geluTanh := func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*math.Pow(x, 3))))
	}
	// softmax weights of the scores 0 and s
	soft := func(s float64) (a, b float64) { return 1 / (1 + math.Exp(s)), 1 / (1 + math.Exp(-s)) }
	a0, a1 := soft(2)          // q.k = 0 and 2 with scale 1 (d = 1)
	h0, h1 := soft(2 * 0.5)    // scale 0.5
	e0, e1 := 1.0/5, 4.0/5     // base 2: 2^0 : 2^2
	d0, d1 := soft(math.Sqrt2) // d = 2: score 2/sqrt(2)
	tests := []struct {
		op      string // the line after "y = ", with x (and z) as arguments
		in      string // type of the parameters
		t       int    // length of the text; 0: 1
		x, z    *ir.Tensor
		weights map[string][]float32
		want    *ir.Tensor
	}{
		{op: "linear x, @w : f32[2,3]", x: matrix(2, 1, 2, 3, 4),
			weights: map[string][]float32{"w.w": {1, 0, 0, 1, 1, -1}, "w.b": {10, 20, 30}}, want: matrix(2, 11, 22, 29, 13, 24, 29)},
		{op: "linear x, @w : f32[2,3]", x: matrix(2, 1, 2, 3, 4),
			weights: map[string][]float32{"w.w": {1, 0, 0, 1, 1, -1}}, want: matrix(2, 1, 2, -1, 3, 4, -1)},
		{op: "layernorm x {eps=1e-05} : f32[2,2]", x: matrix(2, 1, 3, 7, 5), want: matrix(2, -r, r, r, -r)},
		{op: "layernorm x, @w {eps=1e-05} : f32[2,2]", x: matrix(2, 1, 3, 7, 5),
			weights: map[string][]float32{"w.g": {2, 3}, "w.b": {1, -1}}, want: matrix(2, 1-2*r, 3*r-1, 1+2*r, -3*r-1)},
		{op: "scale x, @w : f32[2,2]", x: matrix(2, 1, 2, 3, 4), weights: map[string][]float32{"w.g": {10, -1}}, want: matrix(2, 10, -2, 30, -4)},
		{op: "addrow x, @w {row=1} : f32[2,2]", x: matrix(2, 1, 2, 3, 4),
			weights: map[string][]float32{"w.w": {9, 9, 10, 20}}, want: matrix(2, 11, 22, 13, 24)},
		{op: "gelu x : f32[1,3]", x: matrix(1, -1, 0, 2), want: matrix(1, gelu(-1), 0, gelu(2))},
		{op: "gelu x {act=gelu_tanh} : f32[1,3]", x: matrix(1, -1, 0, 2), want: matrix(1, geluTanh(-1), 0, geluTanh(2))},
		{op: "gelu x {act=quick_gelu} : f32[1,3]", x: matrix(1, -1, 0, 2), want: matrix(1, -1/(1+math.Exp(1.702)), 0, 2/(1+math.Exp(-3.404)))},
		{op: "tanh x : f32[1,2]", x: matrix(1, 0.5, -2), want: matrix(1, math.Tanh(0.5), math.Tanh(-2))},
		{op: "add x, z : f32[1,2]", x: matrix(1, 1, 2), z: matrix(1, 10, 20), want: matrix(1, 11, 22)},
		{op: "mul x, z : f32[2,2]", x: matrix(2, 1, 2, 3, 4), z: matrix(2, 10, -1, 0, 0.5), want: matrix(2, 10, -2, 0, 2)},
		{op: "concat x, z, x : f32[4,2]", x: matrix(1, 1, 2), z: matrix(2, 3, 4, 5, 6), want: matrix(4, 1, 2, 3, 4, 5, 6, 1, 2)},
		{op: "rows x {at=1 len=2} : f32[2,2]", x: matrix(4, 1, 2, 3, 4, 5, 6, 7, 8), want: matrix(2, 3, 4, 5, 6)},
		{op: "cols x {at=1 len=2} : f32[2,2]", x: matrix(2, 1, 2, 3, 4, 5, 6), want: matrix(2, 2, 3, 5, 6)},
		{op: "hcat x, z : f32[2,3]", x: matrix(2, 1, 2, 3, 4), z: matrix(2, 5, 6), want: matrix(2, 1, 2, 5, 3, 4, 6)},
		{op: "select x {row=2} : f32[1,2]", x: matrix(4, 1, 2, 3, 4, 5, 6, 7, 8), want: matrix(1, 5, 6)},
		{op: "select x {row=T-1} : f32[1,2]", in: "f32[T,2]", t: 3, x: matrix(3, 1, 2, 3, 4, 5, 6), want: matrix(1, 5, 6)},
		{op: "select x {row=T-1} : f32[1,2]", in: "f32[1+T,2]", t: 3, x: matrix(4, 1, 2, 3, 4, 5, 6, 7, 8), want: matrix(1, 5, 6)},
		{op: "select x {row=1+T} : f32[1,2]", in: "f32[2+T,2]", x: matrix(3, 1, 2, 3, 4, 5, 6), want: matrix(1, 5, 6)},
		// The pixels of a last row and column that fill no patch.
		{op: "patches x {patch=2} : f32[1,4]", in: "f32[1,3,3]", x: &ir.Tensor{Shape: []int{1, 3, 3}, F: []float64{0, 1, 2, 3, 4, 5, 6, 7, 8}}, want: matrix(1, 0, 1, 3, 4)},
		// A grid of 2 x 4 with columns r.c and -r.c of the row r and the column c, which becomes two squares.
		{op: "join x {side=2 width=4} : f32[2,8]", x: matrix(8, 0.0, 0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 1.0, -1.0, 1.1, -1.1, 1.2, -1.2, 1.3, -1.3),
			want: matrix(2, 0.0, 0.1, 1.0, 1.1, 0, -0.1, -1.0, -1.1, 0.2, 0.3, 1.2, 1.3, -0.2, -0.3, -1.2, -1.3)},
		{op: "join x {side=3 width=3} : f32[2,9]", x: matrix(18, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17),
			want: matrix(2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17)},
		{op: "mean x {from=1} : f32[1,2]", x: matrix(3, 9, 9, 1, 2, 3, 6), want: matrix(1, 2, 4)},
		{op: "mean x : f32[1,2]", x: matrix(2, 1, 2, 3, 6), want: matrix(1, 2, 4)},
		{op: "l2norm x {floor=1} : f32[2,2]", x: matrix(2, 3, 4, 0.3, 0.4), want: matrix(2, 0.6, 0.8, 0.3, 0.4)},
		{op: "const @w : f32[2,2]", x: matrix(1, 0), weights: map[string][]float32{"w.w": {1, 2, 3, 4}}, want: matrix(2, 1, 2, 3, 4)},
		{op: "addrows x, @w {at=1} : f32[2,2]", x: matrix(2, 1, 2, 3, 4),
			weights: map[string][]float32{"w.w": {9, 9, 10, 20, 30, 40}}, want: matrix(2, 11, 22, 33, 44)},
		{op: "addrows x, @w : f32[1,2]", x: matrix(1, 1, 2), weights: map[string][]float32{"w.w": {9, 9, 10, 20}}, want: matrix(1, 10, 11)},
		{op: "lookup x, @w : f32[3,2]", in: "i32[3]", x: &ir.Tensor{Shape: []int{3}, IDs: []int32{1, 0, 1}},
			weights: map[string][]float32{"w.w": {1, 2, 3, 4}}, want: matrix(3, 3, 4, 1, 2, 3, 4)},
		{op: "patches x {patch=2} : f32[2,8]", in: "f32[2,2,4]",
			x:    &ir.Tensor{Shape: []int{2, 2, 4}, F: []float64{0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17}},
			want: matrix(2, 0, 1, 4, 5, 10, 11, 14, 15, 2, 3, 6, 7, 12, 13, 16, 17)},
		// One query of 1 a head, keys 0 and 2, values of their own a head.
		{op: "attention x, z, z {heads=1} : f32[1,1]", x: matrix(1, 1), z: matrix(2, 0, 2), want: matrix(1, 2*a1+0*a0)},
		{op: "attention x, z, z {heads=1 scale=0.5} : f32[1,1]", x: matrix(1, 1), z: matrix(2, 0, 2), want: matrix(1, 2*h1+0*h0)},
		{op: "attention x, z, z {heads=1 base=2} : f32[1,1]", x: matrix(1, 1), z: matrix(2, 0, 2), want: matrix(1, 2*e1+0*e0)},
		{op: "attention x, z, z {heads=2 scale=1} : f32[1,2]", x: matrix(1, 1, 1), z: matrix(2, 0, 5, 2, 5), want: matrix(1, 2*a1, 5)},
		{op: "attention x, z, z {heads=1} : f32[1,2]", x: matrix(1, 1, 0), z: matrix(2, 0, 3, 2, 5), want: matrix(1, 2*d1, 3*d0+5*d1)},
		// One query of the prefix, which sees it alone, and one that sees itself too.
		{op: "attention x, z, z {heads=1 prefix=1} : f32[2,1]", x: matrix(2, 1, 1), z: matrix(2, 0, 2), want: matrix(2, 0, 2*a1)},
		{op: "attention x, z, z {heads=1 at=1 prefix=1} : f32[1,1]", x: matrix(1, 1), z: matrix(2, 0, 2), want: matrix(1, 2*a1)},
		{op: "attention x, z, z {heads=1 at=1 prefix=2} : f32[2,1]", x: matrix(2, 1, 1), z: matrix(3, 0, 2, 9), want: matrix(2, 2*a1, (2*math.Exp(2)+9*math.Exp(9))/(1+math.Exp(2)+math.Exp(9)))},
		{op: "store x {slot=0 rows=1} : f32[1,2]", x: matrix(2, 1, 2, 3, 4), want: matrix(1, 1, 2)},
	}
	tested := map[*ir.Op]bool{}
	for _, tt := range tests {
		t.Run(tt.op, func(t *testing.T) {
			var b strings.Builder
			fmt.Fprintln(&b, "program p T<=4")
			for name, x := range tt.weights {
				typ := fmt.Sprintf("f32[%d]", len(x))
				if strings.HasSuffix(name, ".w") {
					typ = fmt.Sprintf("f32[%d,2]", len(x)/2)
				}
				fmt.Fprintf(&b, "weight @%s %s\n", name, typ)
			}
			in := map[string]*ir.Tensor{"x": tt.x}
			if tt.in == "" {
				tt.in = fmt.Sprintf("f32[%d,%d]", tt.x.Shape[0], tt.x.Shape[1])
			}
			params := "x: " + tt.in
			if tt.z != nil {
				params += fmt.Sprintf(", z: f32[%d,%d]", tt.z.Shape[0], tt.z.Shape[1])
				in["z"] = tt.z
			}
			fmt.Fprintf(&b, "func f(%s) {\n  y = %s\n  return y\n}\n", params, tt.op)
			p := program(t, b.String(), tt.weights)
			op := p.Funcs[0].Values[0].Op
			tested[op] = true
			out, err := p.Run("f", max(1, tt.t), in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out["y"], close12); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := ir.Sections(p.Funcs[0]); err != nil && op != ir.OpRows {
				t.Error(err)
			}
		})
	}
	for _, op := range ir.Ops {
		if !op.Fused() && !tested[op] {
			t.Errorf("%s has no case: add one to tests above, in ir/eval_test.go", op.Name)
		}
	}
}

// TestMatmulShapes runs linear at sizes around the interpreter's tiles.
func TestMatmulShapes(t *testing.T) {
	for _, rows := range []int{1, 3, 4, 5} {
		for _, n := range []int{1, 2, 31, 32, 33, 65} {
			k := 3
			w := make([]float32, n*k)
			for i := range w {
				w[i] = float32(i%7 - 3)
			}
			x := &ir.Tensor{Shape: []int{rows, k}, F: make([]float64, rows*k)}
			for i := range x.F {
				x.F[i] = float64(i%5 - 2)
			}
			want := make([]float64, rows*n)
			for r := range rows {
				for j := range n {
					for i := range k {
						want[r*n+j] += x.F[r*k+i] * float64(w[j*k+i])
					}
				}
			}
			text := fmt.Sprintf("program p\nweight @q.w f32[%d,3]\nfunc f(x: f32[%d,3]) {\n y = linear x, @q : f32[%d,%d]\n return y\n}", n, rows, rows, n)
			out, err := program(t, text, map[string][]float32{"q.w": w}).Run("f", 1, map[string]*ir.Tensor{"x": x})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, out["y"].F); diff != "" {
				t.Errorf("%dx%d (-want +got):\n%s", rows, n, diff)
			}
		}
	}
}

func TestRunErrors(t *testing.T) {
	const text = `program p T<=4
weight @e.w f32[3,2]
func f(ids: i32[T], x: f32[1,2]) {
  e     = lookup ids, @e : f32[T,2]
  return e
}
`
	ok := func() map[string]*ir.Tensor {
		return map[string]*ir.Tensor{"ids": {Shape: []int{2}, IDs: []int32{0, 2}}, "x": matrix(1, 1, 2)}
	}
	tests := []struct {
		name, fn string
		t        int
		change   func(p *ir.Program, in map[string]*ir.Tensor)
		want     string
	}{
		{"function", "g", 2, nil, `program p has no function "g"; it has f`},
		{"length 0", "f", 0, nil, "f: text length 0 is not in 1..4"},
		{"length 5", "f", 5, nil, "f: text length 5 is not in 1..4"},
		{"missing input", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) { delete(in, "x") }, "f: input x is missing; got [ids]"},
		{"shape", "f", 3, nil, "f: input ids: shape is [2], want [3] for i32[T] with T=3"},
		{"kind", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) {
			in["ids"] = &ir.Tensor{Shape: []int{2}, F: []float64{1, 2}}
		},
			"f: input ids: it holds 0 ids, want 2 for i32[T]"},
		{"id", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) { in["ids"].IDs[1] = 3 }, "f: e = lookup ids, @e: token id 3 at position 1, want 0 to 2"},
		{"negative id", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) { in["ids"].IDs[0] = -1 }, "f: e = lookup ids, @e: token id -1 at position 0, want 0 to 2"},
		{"unbound", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) { p.Weight("e.w").Load = nil },
			"f: e = lookup ids, @e: weight @e.w has no data; bind a checkpoint first"},
		{"short weight", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) {
			p.Weight("e.w").Load = func() ([]float32, error) { return make([]float32, 5), nil }
		}, "f: e = lookup ids, @e: weight @e.w: got 5 elements, want 6 for f32[3,2]"},
		{"load", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) {
			p.Weight("e.w").Load = func() ([]float32, error) { return nil, errors.New("m.safetensors: cut off") }
		}, "f: e = lookup ids, @e: weight @e.w: m.safetensors: cut off"},
		{"unverified", "f", 2, func(p *ir.Program, in map[string]*ir.Tensor) { p.Funcs[0].Values[0].Bundle = "x" },
			"f: e = lookup ids, @x: there is no weight @x.w; lookup needs w"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := program(t, text, map[string][]float32{"e.w": {1, 2, 3, 4, 5, 6}})
			in := ok()
			if tt.change != nil {
				tt.change(p, in)
			}
			_, err := p.Run(tt.fn, tt.t, in)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRunRefusesHugeValues checks that a small text cannot ask for memory without end.
func TestRunRefusesHugeValues(t *testing.T) {
	var b strings.Builder
	b.WriteString("program p\nfunc f(x0: f32[1,4]) {\n")
	for i := range 27 {
		fmt.Fprintf(&b, "x%d = concat x%d, x%d : f32[%d,4]\n", i+1, i, i, 2<<i)
	}
	b.WriteString("return x27\n}\n")
	_, err := program(t, b.String(), nil).Run("f", 1, map[string]*ir.Tensor{"x0": matrix(1, 1, 2, 3, 4)})
	want := "f: x27 = concat x26, x26: f32[134217728,4] has 536870912 elements with T=1, more than the 268435456 that the interpreter takes"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestPoolOfLookup checks that ids are cut by segments like rows.
func TestPoolOfLookup(t *testing.T) {
	p := program(t, `program p T<=4
weight @e.a.w f32[2,1]
weight @e.b.w f32[2,1]
func f(ids: i32[1+T]) segments a=T, b=1 {
  y = lookup ids, @e.* : f32[1+T,1]
  return y
}
`, map[string][]float32{"e.a.w": {1, 2}, "e.b.w": {10, 20}})
	out, err := p.Run("f", 2, map[string]*ir.Tensor{"ids": {Shape: []int{3}, IDs: []int32{0, 1, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(matrix(3, 1, 2, 20), out["y"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRunLoadsOnlyWhatItNeeds checks that unused values and weights cost nothing.
func TestRunLoadsOnlyWhatItNeeds(t *testing.T) {
	p := program(t, `program p
weight @a.w f32[2,2]
weight @b.w f32[2,2]
func f(x: f32[1,2]) {
  y = linear x, @a : f32[1,2]
  z = linear x, @b : f32[1,2]
  return y
}
`, map[string][]float32{"a.w": {1, 0, 0, 1}})
	out, err := p.Run("f", 1, map[string]*ir.Tensor{"x": matrix(1, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]*ir.Tensor{"y": matrix(1, 1, 2)}, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCost(t *testing.T) {
	p, err := ir.Parse("x.ir", []byte(`program p T<=9
weight @a.q.w f16[6,4]
weight @a.k.w f32[6,4]
weight @a.v.w f32[6,4]
weight @a.v.b f32[6]
weight @t.w f32[100,4]
weight @m.a.w f32[4,4]
weight @m.b.w f32[4,4]
func f(ids: i32[T], x: f32[3,4]) segments a=3, b=T {
  e     = lookup ids, @t : f32[T,4]
  j     = concat x, e : f32[3+T,4]
  i     = qkv j, @a {heads=2} : f32[3+T,18]
  c     = selfattention i {heads=2} : f32[3+T,6]
  m     = linear j, @m.* : f32[3+T,4]
  n     = qkv j, @a {parts=q} : f32[3+T,6]
  return c, m, n
}
`))
	if err != nil {
		t.Fatal(err)
	}
	const rows = 3 + 5
	want := map[string]ir.Cost{
		"e": {WeightBytes: 5 * 4 * 4, InBytes: 5 * 4, OutBytes: 5 * 4 * 4},
		"j": {},
		"i": {FLOPs: 2 * rows * 4 * 18, WeightBytes: 6*4*2 + 2*6*4*4 + 6*4, InBytes: rows * 4 * 4, OutBytes: rows * 18 * 4},
		"c": {FLOPs: 4 * rows * rows * 6, InBytes: rows * 18 * 4, OutBytes: rows * 6 * 4},
		"m": {FLOPs: 2 * rows * 4 * 4, WeightBytes: 2 * 4 * 4 * 4, InBytes: rows * 4 * 4, OutBytes: rows * 4 * 4},
		"n": {FLOPs: 2 * rows * 4 * 6, WeightBytes: 6 * 4 * 2, InBytes: rows * 4 * 4, OutBytes: rows * 6 * 4},
	}
	f := p.Funcs[0]
	got := map[string]ir.Cost{}
	var sum ir.Cost
	for _, v := range f.Values {
		got[v.Name] = ir.ValueCost(p, f, v, 5)
		sum = sum.Plus(got[v.Name])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := ir.FuncCost(p, f, 5); got != sum {
		t.Errorf("FuncCost = %+v, want the sum %+v", got, sum)
	}
	var used []string
	for _, w := range p.Used(f, f.Values[5]) {
		used = append(used, w.Name)
	}
	if diff := cmp.Diff([]string{"a.q.w"}, used); diff != "" {
		t.Errorf("weights of parts=q (-want +got):\n%s", diff)
	}
}
