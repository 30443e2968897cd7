package ir_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

// planned is a printed text with everything that a text can hold.
const planned = `program beit3-tiny.1 T<=64
weight @l0.vision~f.q.w bf16[4,4] layout=panel16 at 4096
weight @l0.vision~f.q.b f32[4]
weight @retrieval.logit_scale f32[1] keep
weight @language.embed.tok.w f16[7,4] keep layout=rows at 0

func vision(x: f32[3,4] at 64, y: f32[3,4]) {
  q     = linear x, @l0.vision~f.q {kernel=gemm_f32 ld=16} : f32[3,4] at 128
  a     = add q, y : f32[3,4]
  a.much.longer_name = l2norm a {floor=1e-12} : f32[3,4]
  return q, a.much.longer_name
}

func pair(ids: i32[T], x: f32[3,4]) segments vision=3, language=T {
  e     = lookup ids, @language.embed.tok : f32[T,4]
  j     = concat x, e : f32[3+T,4]
  r     = rows j {at=3 len=T} : f32[T,4]
  s     = select j {row=2+T} : f32[1,4]
  w     = const @language.embed.tok : f32[7,4]
  c     = attention s, j, j {heads=2 scale=0.25 base=2} : f32[1,4]
  return r, c, w
}
`

func TestRoundTrip(t *testing.T) {
	for _, text := range []string{planned, ir.Print(layer(t))} {
		p, err := ir.Parse("x.ir", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, ir.Print(p)); diff != "" {
			t.Errorf("Print(Parse(x)) (-x +got):\n%s", diff)
		}
	}
}

// TestLooseText checks that blanks, comments and the order of attributes are free.
func TestLooseText(t *testing.T) {
	loose := strings.NewReplacer("  ", "\t", "{heads=2 scale=0.25 base=2}", "{ base=2 heads=2\tscale=.25 }", "return q, a", "return q,\ta", "\n", " // note\r\n", " = ", "=").Replace(planned)
	p, err := ir.Parse("x.ir", []byte("// first\n\n"+loose))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(planned, ir.Print(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	const head = "program p T<=4\nweight @q.w f32[4,4]\n"
	var ops []string
	for _, op := range ir.Ops {
		ops = append(ops, op.Name)
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", "x.ir:1:1: the text holds no program; begin with: program NAME T<=64"},
		{"no program", "weight @a.w f32[1]", `x.ir:1:1: found "weight"; a text begins with: program NAME T<=64`},
		{"bound", "program p T<=0", "x.ir:1:14: bound T<=0, want 1 to 1048576"},
		{"huge bound", "program p T<=99999999999999999999", `x.ir:1:14: found "99999999999999999999", want a whole number of 0 or more`},
		{"dtype", "program p\nweight @a.w f31[1]", `x.ir:2:13: unknown element type "f31"`},
		{"state ids", "program p T<=4\nfunc f(state s: i32[2]) {\n  y = gelu s : f32[2]\n  return y\n}", "x.ir:2:1: f: s: state is i32[2], want an f32 matrix"},
		{"bare T beside a state", "program p T<=4\nfunc f(x: f32[T,4], state s: f32[2+T,4]) {\n  y = gelu x : f32[T,4]\n  return y\n}",
			"x.ir:2:1: f: x: parameter is f32[T,4]; a function with states may run at T = 0, so its values need a constant number of rows besides T"},
		{"rows missing at T = 0", "program p T<=4\nfunc f(state s: f32[2+T,4]) {\n  y = rows s {at=0 len=3} : f32[3,4]\n  return y\n}",
			"x.ir:3:1: f: y = rows s {at=0 len=3}: 3 row(s) from row 0 on are not inside 2+T rows when T is 0"},
		{"dimension", "program p\nweight @a.w f32[1, 2x]", `x.ir:2:20: dimension "2x", want a number, T, or number+T`},
		{"negative", "program p\nweight @a.w f32[-1]", `x.ir:2:17: dimension "-1", want a number, T, or number+T`},
		{"offset as a dimension", "program p T<=3\nfunc f(x: f32[T-1,4]) {\n  return x\n}", "x.ir:2:1: f: x: parameter is f32[T-1,4]: dimension T-1 is not in 1..268435456"},
		{"no offset", head + "func f(x: f32[3+T,4]) {\n  y = select x {row=T-0} : f32[1,4]\n  return y\n}", `x.ir:4:21: attribute "row" is "T-0", want a length (a number, T, number+T or T-number)`},
		{"zero", "program p\nweight @a.w f32[0]", "x.ir:2:1: weight @a.w is f32[0]: dimension 0 is not in 1..268435456"},
		{"huge", "program p\nweight @a.w f32[268435456,268435456,268435456,268435456]", "x.ir:2:1: weight @a.w is f32[268435456,268435456,268435456,268435456]: it has more than 2^36 elements"},
		{"weight with T", "program p T<=2\nweight @a.w f32[T]", "x.ir:2:1: weight @a.w is f32[T]: a weight's dimensions are constant"},
		{"weight twice", head + "weight @q.w f32[4,4]", "x.ir:3:1: weight @q.w is declared twice"},
		{"weight name", "program p\nweight @q f32[4,4]", "x.ir:2:1: weight name @q: want a bundle, a dot and a field, such as @l0.attn.q.w"},
		{"pool weight", "program p\nweight @q.*.w f32[4,4]", "x.ir:2:1: weight name @q.*.w: want a bundle, a dot and a field, such as @l0.attn.q.w"},
		{"word", "program p\nwieght @a.w f32[1]", `x.ir:2:1: found "wieght", want weight or func`},
		{"trailing", "program p\nweight @a.w f32[1] kept", `x.ir:2:20: found "kept" after the end of the line's text`},
		{"op", head + "func f(x: f32[3,4]) {\n  y = liner x, @q : f32[3,4]\n", `x.ir:4:7: unknown op "liner"; the ops are ` + strings.Join(ops, ", ")},
		{"undefined", head + "func f(x: f32[3,4]) {\n  y = gelu z : f32[3,4]\n", "x.ir:4:12: z is not defined above in func f"},
		{"attribute", head + "func f(x: f32[3,4]) {\n  y = l2norm x {flor=1} : f32[3,4]\n", `x.ir:4:17: unknown attribute "flor"; l2norm has floor`},
		{"attribute value", head + "func f(x: f32[3,4]) {\n  y = l2norm x {floor=T} : f32[3,4]\n", `x.ir:4:23: attribute "floor" is "T", want a number`},
		{"attribute infinite", head + "func f(x: f32[3,4]) {\n  y = l2norm x {floor=Inf} : f32[3,4]\n  return y\n}", `x.ir:4:1: f: y = l2norm x {floor=+Inf}: attribute "floor" is +Inf, want a finite number`},
		{"no colon", head + "func f(x: f32[3,4]) {\n  y = gelu x\n", `x.ir:4:13: found "end of line", want ","`},
		{"no return", head + "func f(x: f32[3,4]) {\n}\n", "x.ir:4:1: the function returns nothing; end it with: return NAME"},
		{"no end", head + "func f(x: f32[3,4]) {\n  return x\n", "x.ir:5:1: func f has no end; close it with }"},
		{"after return", head + "func f(x: f32[3,4]) {\n  return x\n  y = gelu x : f32[3,4]\n}\n", "x.ir:5:3: found text between return and }, want }"},
		{"type", head + "func f(x: f32[3,4]) {\n  y = gelu x : f32[4,4]\n  return y\n}", "x.ir:4:1: f: y = gelu x: type is f32[4,4], want f32[3,4]"},
		{"twice", head + "func f(x: f32[3,4]) {\n  x = gelu x : f32[3,4]\n  return x\n}", "x.ir:4:1: f: x = gelu x: x is defined twice"},
		{"param twice", head + "func f(x: f32[3,4], x: f32[3,4]) {\n  return x\n}", "x.ir:3:1: f: x: x is defined twice"},
		{"func twice", head + "func f(x: f32[3,4]) {\n  return x\n}\nfunc f(x: f32[3,4]) {\n  return x\n}", "x.ir:6:1: f: function is defined twice"},
		{"returned twice", head + "func f(x: f32[3,4]) {\n  return x, x\n}", "x.ir:3:1: f: return: x is returned twice"},
		{"no bound", "program p\nfunc f(x: f32[T,4]) {\n  return x\n}", "x.ir:2:1: f: x: parameter is f32[T,4]: it holds T, but the program states no bound; write T<=N after the program's name"},
		{"T inside", "program p T<=3\nfunc f(x: f32[4,T]) {\n  return x\n}", "x.ir:2:1: f: x: parameter is f32[4,T]: only the first dimension may hold T"},
		{"segments", head + "func f(x: f32[3,4]) segments a=T, b=2+T {\n  return x\n}", "x.ir:3:1: f: segments: want one length with T at most and a sum of 268435456 at most"},
		{"arena zero", head + "func f(x: f32[3,4]) arena=0 {\n  return x\n}", "x.ir:3:27: arena is \"0\", want a number of bytes"},
		{"segment twice", head + "func f(x: f32[3,4]) segments a=1, a=2 {\n  return x\n}", "x.ir:3:1: f: segment a is named twice"},
		{"segment zero", head + "func f(x: f32[3,4]) segments a=0 {\n  return x\n}", "x.ir:3:1: f: segment a=0: dimension 0 is not in 1..268435456"},
		{"not whole", head + "weight @q.a.w f32[4,4]\nfunc f(x: f32[3,4]) segments a=2 {\n  y = linear x, @q.* : f32[3,4]\n  return y\n}", "x.ir:5:1: f: y = linear x, @q.*: x: f32[3,4] is not the whole sequence of 2 rows, so @q.* has no segments to choose experts by"},
		{"pool of const", head + "weight @q.a.w f32[2,4]\nfunc f(x: f32[2,4]) segments a=2 {\n  y = const @q.* : f32[2,4]\n  return y\n}", "x.ir:5:1: f: y = const @q.*: const mixes rows, so it takes no expert pool; name one expert instead of @q.*"},
		{"unequal experts", head + "weight @q.a.w f32[4,4]\nweight @q.b.w f32[5,4]\nfunc f(x: f32[3,4]) segments a=2, b=1 {\n  y = linear x, @q.* : f32[3,4]\n  return y\n}", "x.ir:6:1: f: y = linear x, @q.*: @q.a.w is f32[4,4], but @q.b.w is f32[5,4]; experts of a pool have equal types"},
		{"arguments", head + "func f(x: f32[3,4]) {\n  y = add x : f32[3,4]\n  return y\n}", "x.ir:4:1: f: y = add x: add takes 2 arguments, not 1"},
		{"variadic", head + "func f(x: f32[3,4]) {\n  y = concat x : f32[3,4]\n  return y\n}", "x.ir:4:1: f: y = concat x: concat takes two or more arguments, not 1"},
		{"two T", "program p T<=3\nfunc f(x: f32[T,4]) {\n  y = concat x, x : f32[T,4]\n  return y\n}", "x.ir:3:1: f: y = concat x, x: T and T rows of x have no sum; want T once and 268435456 rows at most"},
		{"weights of none", head + "func f(x: f32[3,4]) {\n  y = gelu x, @q : f32[3,4]\n  return y\n}", "x.ir:4:1: f: y = gelu x, @q: gelu takes no weights, got @q"},
		{"missing weights", head + "func f(x: f32[3,4]) {\n  y = linear x, @k : f32[3,4]\n  return y\n}", "x.ir:4:1: f: y = linear x, @k: there is no weight @k.w; linear needs w b?"},
		{"no bundle", head + "func f(x: f32[3,4]) {\n  y = linear x : f32[3,4]\n  return y\n}", "x.ir:4:1: f: y = linear x: linear needs a weight bundle with w b?"},
		{"bare bundle", head + "func f(x: f32[3,4]) {\n  y = layernorm x, @k {eps=1} : f32[3,4]\n  return y\n}", "x.ir:4:1: f: y = layernorm x, @k {eps=1}: bundle @k has none of the weights of layernorm (g? b?); without weights name no bundle"},
		{"rows outside", head + "func f(x: f32[3+T,4]) {\n  y = rows x {at=3 len=1+T} : f32[1+T,4]\n  return y\n}", "x.ir:4:1: f: y = rows x {at=3 len=1+T}: 1+T row(s) from row 3 on are not inside 3+T rows when T is 1"},
		{"positions", "program p T<=9\nweight @q.w f32[4,4]\nfunc f(x: f32[T,4]) {\n  y = addrows x, @q : f32[T,4]\n  return y\n}", "x.ir:4:1: f: y = addrows x, @q: @q.w is f32[4,4]: T row(s) from row 0 on are not inside 4 rows when T is 9"},
		{"cols outside", head + "func f(x: f32[3,4]) {\n  y = cols x {at=3 len=2} : f32[3,2]\n  return y\n}", "x.ir:4:1: f: y = cols x {at=3 len=2}: columns from 3 on, 2 of them, are not inside x: f32[3,4]"},
		{"patches", head + "func f(x: f32[3,8,8]) {\n  y = patches x {patch=9} : f32[3,2]\n  return y\n}", "x.ir:4:1: f: y = patches x {patch=9}: patch is 9, want 1 to the height and width of x: f32[3,8,8]"},
		{"long line", "program p\n// " + strings.Repeat("x", 1<<15), "x.ir:2:16385: the line is too long, want at most 16384 bytes"},
		{"many lines", strings.Repeat("\n", 1<<19), "x.ir: the text has 524288 lines, want at most 262144"},
		{"bytes", "program p\n\x00\xff", `x.ir:2:1: found "\x00\xff", want weight or func`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ir.Parse("x.ir", []byte(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzParse checks that any text parses or fails in an orderly way, and that what
// parses prints to a text that parses to itself.
func FuzzParse(f *testing.F) {
	f.Add(planned)
	f.Add(ir.Print(layer(f)))
	f.Add("program p T<=4\nweight @a.*.w f32[T,0]\nfunc f(x: i8[1,2,3,4,5]) segments a=T {\n return x\n}")
	f.Add("program p\nweight @f.fc1.w f32[8,4]\nweight @f.fc2.w f32[4,8]\nfunc f(x: f32[2,4]) {\n y = ffn x, @f {sub=1e-300} : f32[2,4]\n return y\n}")
	f.Add("program p\nfunc f(x: f32[2,6]) {\n y = selfattention x {heads=0 base=-2} : f32[2,2]\n return y\n}")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ir.Parse("x.ir", []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.ir:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		printed := ir.Print(p)
		q, err := ir.Parse("printed", []byte(printed))
		if err != nil {
			t.Fatalf("%v in\n%s", err, printed)
		}
		if diff := cmp.Diff(printed, ir.Print(q)); diff != "" {
			t.Errorf("(-printed +again):\n%s", diff)
		}
		for _, fn := range p.Funcs {
			ir.FuncCost(p, fn, 1)
		}
	})
}

// Errors are short, however long the words of a text are.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("a", 16_000)
	const head = "program x\nweight @l.w f32[2,2]\n"
	for name, text := range map[string]string{
		"program":   "program " + long,
		"word":      head + long,
		"weight":    head + "weight @" + long + " f32[1]",
		"type":      head + "weight @b.w " + long + "[1]",
		"shape":     head + "weight @b.w f32[" + strings.Repeat("1,", 8_000) + "1]",
		"parameter": head + "func f(" + long + ": f32[1])",
		"value":     head + "func f(x: f32[1,2]) {\n" + long + " = linear x, @l : f32[1,2]",
		"use":       head + "func f(x: f32[1,2]) {\ny = linear " + long + ", @l : f32[1,2]",
		"attribute": head + "func f(x: f32[1,2]) {\ny = linear x, @l {" + long + "=1} : f32[1,2]",
		"arguments": head + "func f(x: f32[1,2]) {\ny = add x" + strings.Repeat(", x", 5_000) + " : f32[1,2]\nreturn y\n}",
		"number":    head + "func f(x: f32[1,2]) {\ny = linear x, @l : f32[1,2] at " + strings.Repeat("9", 16_000),
	} {
		if _, err := ir.Parse("x.ir", []byte(text)); err == nil || len(err.Error()) > 2_000 {
			t.Errorf("%s: an error of %d bytes: %.200v", name, len(fmt.Sprint(err)), err)
		}
	}
}
