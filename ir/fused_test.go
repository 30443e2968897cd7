package ir_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
)

// TestFused compares each fused op, in every variant, with primitives written out
// by hand. Every fused op has a case.
func TestFused(t *testing.T) {
	const ln, sub = "e.ln.g e.ln.b ", "e.sub.g e.sub.b "
	type test struct{ name, weights, params, fused, plain string }
	tests := []test{
		{"qkv", ln + "e.q.w e.q.b e.k.w e.v.w e.v.b", "x: f32[2+T,4]",
			"y = qkv x, @e {eps=0.25 heads=2} : f32[2+T,12]",
			`n = layernorm x, @e.ln {eps=0.25} : f32[2+T,4]
			q = linear n, @e.q : f32[2+T,4]
			k = linear n, @e.k : f32[2+T,4]
			v = linear n, @e.v : f32[2+T,4]
			y = hcat q, k, v : f32[2+T,12]`},
		{"qkv parts=q, bare norm", "e.q.w e.q.b e.k.w e.v.w", "x: f32[3,4]",
			"y = qkv x, @e {eps=0.25 parts=q} : f32[3,4]",
			`n = layernorm x {eps=0.25} : f32[3,4]
			y = linear n, @e.q : f32[3,4]`},
		{"qkv parts=kv, no norm", "e.k.w e.v.w e.v.b", "x: f32[3,4]",
			"y = qkv x, @e {parts=kv} : f32[3,8]",
			`k = linear x, @e.k : f32[3,4]
			v = linear x, @e.v : f32[3,4]
			y = hcat k, v : f32[3,8]`},
		{"selfattention", "", "x: f32[1+T,12]",
			"y = selfattention x {heads=2} : f32[1+T,4]",
			`q = cols x {at=0 len=4} : f32[1+T,4]
			k = cols x {at=4 len=4} : f32[1+T,4]
			v = cols x {at=8 len=4} : f32[1+T,4]
			y = attention q, k, v {heads=2} : f32[1+T,4]`},
		{"selfattention base 2", "", "x: f32[5,12]",
			"y = selfattention x {heads=2 scale=1 base=2 kernel=fast tmp=64} : f32[5,4]",
			`q = cols x {at=0 len=4} : f32[5,4]
			k = cols x {at=4 len=4} : f32[5,4]
			v = cols x {at=8 len=4} : f32[5,4]
			y = attention q, k, v {heads=2 scale=1 base=2} : f32[5,4]`},
		{"selfattention of a prefix", "", "x: f32[3+T,12]",
			"y = selfattention x {heads=2 prefix=3} : f32[3+T,4]",
			`q = cols x {at=0 len=4} : f32[3+T,4]
			k = cols x {at=4 len=4} : f32[3+T,4]
			v = cols x {at=8 len=4} : f32[3+T,4]
			y = attention q, k, v {heads=2 prefix=3} : f32[3+T,4]`},
		{"crossattention of a state", "", "q: f32[2,4], x: f32[2,8], state s: f32[3+T,8]",
			"y = crossattention q, s, x {heads=2 at=3+T prefix=3+T} : f32[2,4]",
			`c = cols s {at=0 len=4} : f32[3+T,4]
			d = cols s {at=4 len=4} : f32[3+T,4]
			k = cols x {at=0 len=4} : f32[2,4]
			v = cols x {at=4 len=4} : f32[2,4]
			ks = concat c, k : f32[5+T,4]
			vs = concat d, v : f32[5+T,4]
			y = attention q, ks, vs {heads=2 at=3+T prefix=3+T} : f32[2,4]`},
		{"crossattention", "", "q: f32[1,4], x: f32[1+T,8]",
			"y = crossattention q, x {heads=4 scale=0.5} : f32[1,4]",
			`k = cols x {at=0 len=4} : f32[1+T,4]
			v = cols x {at=4 len=4} : f32[1+T,4]
			y = attention q, k, v {heads=4 scale=0.5} : f32[1,4]`},
		{"attnout", sub + "e.out.w e.out.b", "c: f32[T,4], x: f32[T,4]",
			"y = attnout c, x, @e {eps=0.5} : f32[T,4]",
			`n = layernorm c, @e.sub {eps=0.5} : f32[T,4]
			o = linear n, @e.out : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"attnout bare norm", "e.out.w", "c: f32[T,4], x: f32[T,4]",
			"y = attnout c, x, @e {eps=0.5} : f32[T,4]",
			`n = layernorm c {eps=0.5} : f32[T,4]
			o = linear n, @e.out : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"attnout no norm", "e.out.w e.out.b", "c: f32[T,4], x: f32[T,4]",
			"y = attnout c, x, @e : f32[T,4]",
			`o = linear c, @e.out : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"ffn", ln + sub + "e.fc1.w e.fc1.b e.fc2.w e.fc2.b", "x: f32[T,4]",
			"y = ffn x, @e {eps=0.5 sub=0.25} : f32[T,4]",
			`n = layernorm x, @e.ln {eps=0.5} : f32[T,4]
			h = linear n, @e.fc1 : f32[T,4]
			g = gelu h : f32[T,4]
			s = layernorm g, @e.sub {eps=0.25} : f32[T,4]
			o = linear s, @e.fc2 : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"ffn of another activation", ln + sub + "e.fc1.w e.fc1.b e.fc2.w e.fc2.b", "x: f32[T,4]",
			"y = ffn x, @e {eps=0.5 sub=0.25 act=quick_gelu} : f32[T,4]",
			`n = layernorm x, @e.ln {eps=0.5} : f32[T,4]
			h = linear n, @e.fc1 : f32[T,4]
			g = gelu h {act=quick_gelu} : f32[T,4]
			s = layernorm g, @e.sub {eps=0.25} : f32[T,4]
			o = linear s, @e.fc2 : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"ffn with a gate", ln + sub + "e.fc1.w e.fc1.b e.gate.w e.gate.b e.fc2.w e.fc2.b", "x: f32[T,4]",
			"y = ffn x, @e {eps=0.5 sub=0.25 act=gelu_tanh} : f32[T,4]",
			`n = layernorm x, @e.ln {eps=0.5} : f32[T,4]
			h = linear n, @e.fc1 : f32[T,4]
			g = gelu h {act=gelu_tanh} : f32[T,4]
			f = linear n, @e.gate : f32[T,4]
			u = mul g, f : f32[T,4]
			s = layernorm u, @e.sub {eps=0.25} : f32[T,4]
			o = linear s, @e.fc2 : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"ffn with a gate, bare", "e.fc1.w e.gate.w e.fc2.w", "x: f32[T,4]",
			"y = ffn x, @e : f32[T,4]",
			`h = linear x, @e.fc1 : f32[T,4]
			g = gelu h : f32[T,4]
			f = linear x, @e.gate : f32[T,4]
			u = mul g, f : f32[T,4]
			o = linear u, @e.fc2 : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"ffn bare norms", "e.fc1.w e.fc2.w", "x: f32[T,4]",
			"y = ffn x, @e {eps=0.5 sub=0.25} : f32[T,4]",
			`n = layernorm x {eps=0.5} : f32[T,4]
			h = linear n, @e.fc1 : f32[T,4]
			g = gelu h : f32[T,4]
			s = layernorm g {eps=0.25} : f32[T,4]
			o = linear s, @e.fc2 : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"ffn no norms", "e.fc1.w e.fc2.w", "x: f32[T,4]",
			"y = ffn x, @e : f32[T,4]",
			`h = linear x, @e.fc1 : f32[T,4]
			g = gelu h : f32[T,4]
			o = linear g, @e.fc2 : f32[T,4]
			y = add x, o : f32[T,4]`},
		{"embed", "e.tok.w e.pos.w", "ids: i32[T]",
			"y = embed ids, @e : f32[T,4]",
			`x = lookup ids, @e.tok : f32[T,4]
			y = addrows x, @e.pos : f32[T,4]`},
		{"embed from a position", "e.tok.w e.pos.w", "ids: i32[2], state s: f32[3+T,4]",
			"x = embed ids, @e {pos=3+T} : f32[2,4]\ny = add x, x : f32[2,4]",
			`z = lookup ids, @e.tok : f32[2,4]
			x = addrows z, @e.pos {at=3+T} : f32[2,4]
			y = add x, x : f32[2,4]`},
		{"embed without positions", "e.tok.w", "ids: i32[T]",
			"y = embed ids, @e : f32[T,4]",
			`y = lookup ids, @e.tok : f32[T,4]`},
		{"embed_patches", "e.proj.w e.proj.b e.cls.w e.pos.w", "image: f32[1,2,4]",
			"y = embed_patches image, @e {patch=2} : f32[6,4]",
			`p = patches image {patch=2} : f32[2,4]
			h = linear p, @e.proj : f32[2,4]
			w = const @e.cls : f32[4,4]
			j = concat w, h : f32[6,4]
			y = addrows j, @e.pos : f32[6,4]`},
		{"embed_patches without class row, bias and last pixels", "e.proj.w e.pos.w", "image: f32[1,3,5]",
			"y = embed_patches image, @e {patch=2} : f32[2,4]",
			`p = patches image {patch=2} : f32[2,4]
			h = linear p, @e.proj : f32[2,4]
			y = addrows h, @e.pos : f32[2,4]`},
		{"embed_patches of patches alone", "e.proj.w e.proj.b", "image: f32[1,3,5]",
			"y = embed_patches image, @e {patch=2} : f32[2,4]",
			`p = patches image {patch=2} : f32[2,4]
			y = linear p, @e.proj : f32[2,4]`},
		{"embed_rows", "e.proj.w e.proj.b e.cls.w e.pos.w", "x: f32[2,4]",
			"y = embed_rows x, @e : f32[6,4]",
			`h = linear x, @e.proj : f32[2,4]
			w = const @e.cls : f32[4,4]
			j = concat w, h : f32[6,4]
			y = addrows j, @e.pos : f32[6,4]`},
		{"embed_rows without class row and bias", "e.proj.w e.pos.w", "x: f32[2,4]",
			"y = embed_rows x, @e : f32[2,4]",
			`h = linear x, @e.proj : f32[2,4]
			y = addrows h, @e.pos : f32[2,4]`},
		{"embed_rows without positions", "e.proj.w e.cls.w", "x: f32[2,4]",
			"y = embed_rows x, @e : f32[6,4]",
			`h = linear x, @e.proj : f32[2,4]
			w = const @e.cls : f32[4,4]
			y = concat w, h : f32[6,4]`},
		{"crossattention of the last row", "", "q: f32[1,4], x: f32[T,8]",
			"y = crossattention q, x {heads=2 at=T-1 prefix=1} : f32[1,4]",
			`k = cols x {at=0 len=4} : f32[T,4]
			v = cols x {at=4 len=4} : f32[T,4]
			y = attention q, k, v {heads=2 at=T-1 prefix=1} : f32[1,4]`},
		// Pools: each expert on its own rows, whatever op reads them.
		{"pool of linear", "e.a.w e.b.w", "x: f32[2+T,4], SEGMENTS",
			"y = linear x, @e.* : f32[2+T,4]",
			`r = rows x {at=0 len=2} : f32[2,4]
			s = rows x {at=2 len=T} : f32[T,4]
			t = linear r, @e.a : f32[2,4]
			u = linear s, @e.b : f32[T,4]
			y = concat t, u : f32[2+T,4]`},
		{"pool of ffn", "e.a.fc1.w e.a.fc2.w e.b.fc1.w e.b.fc2.w", "x: f32[2+T,4], SEGMENTS",
			"y = ffn x, @e.* {eps=1} : f32[2+T,4]",
			`r = rows x {at=0 len=2} : f32[2,4]
			s = rows x {at=2 len=T} : f32[T,4]
			t = ffn r, @e.a {eps=1} : f32[2,4]
			u = ffn s, @e.b {eps=1} : f32[T,4]
			y = concat t, u : f32[2+T,4]`},
		{"routed pool", "e.a.w e.b.w e.vl.w", "x: f32[2+T,4], SEGMENTS",
			"y = linear x, @e.* {route=vl} : f32[2+T,4]",
			"y = linear x, @e.vl : f32[2+T,4]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			parse := func(body string) *ir.Program {
				var b strings.Builder
				fmt.Fprintln(&b, "program p T<=4")
				for w := range strings.FieldsSeq(tt.weights) {
					typ := "f32[4]"
					switch {
					case w == "e.pos.w":
						typ = "f32[9,4]"
					case strings.HasSuffix(w, ".w"):
						typ = "f32[4,4]"
					}
					fmt.Fprintf(&b, "weight @%s %s\n", w, typ)
				}
				params, pool := strings.CutSuffix(tt.params, ", SEGMENTS")
				segments := ""
				if pool {
					segments = "segments a=2, b=T "
				}
				fmt.Fprintf(&b, "func f(%s) %s{\n%s\nreturn y\n}\n", params, segments, body)
				return program(t, b.String(), nil)
			}
			irtest.Equivalent(t, parse(tt.plain), parse(tt.fused), 1e-12)
		})
	}
	for _, op := range ir.Ops {
		if op.Fused() && !slices.ContainsFunc(tests, func(tt test) bool { return strings.Contains(tt.fused, "= "+op.Name+" ") }) {
			t.Errorf("%s has no case: add one to tests above, in ir/fused_test.go, with the primitives that it stands for", op.Name)
		}
	}
}

// inline replaces every fused value of p by its expansion.
func inline(t *testing.T, p *ir.Program) *ir.Program {
	q := *p
	q.Funcs = nil
	for _, f := range p.Funcs {
		now := map[*ir.Value]*ir.Value{}
		g := &ir.Func{Name: f.Name, Params: f.Params}
		add := func(v *ir.Value, name string, to map[*ir.Value]*ir.Value) {
			u := *v
			u.Name = name
			u.Args = make([]*ir.Value, len(v.Args))
			for i, a := range v.Args {
				u.Args[i] = to[a]
			}
			to[v] = &u
			g.Values = append(g.Values, &u)
		}
		for _, v := range f.Params {
			now[v] = v
		}
		for _, v := range f.Values {
			if !v.Op.Fused() {
				add(v, v.Name, now)
				continue
			}
			e, err := p.Expand(v)
			if err != nil {
				t.Fatal(err)
			}
			in := map[*ir.Value]*ir.Value{}
			for i, a := range v.Args {
				in[e.Params[i]] = now[a]
			}
			for _, u := range e.Values {
				add(u, v.Name+"."+u.Name, in)
			}
			now[v] = in[e.Results[0]]
			now[v].Name = v.Name
		}
		for _, v := range f.Results {
			g.Results = append(g.Results, now[v])
		}
		q.Funcs = append(q.Funcs, g)
	}
	return &q
}

// TestRandomPrograms builds random chains of fused ops and compares them with
// their expansions.
func TestRandomPrograms(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := &ir.Program{Name: "random", MaxT: 3}
		b := ir.NewBuilder(p, "f")
		const d = 4
		rows := ir.Dim{C: r.IntN(3), T: true}
		x := b.Param("x", ir.Mat(rows, d))
		lin := func(name string, n, k int) {
			b.Weight(name+".w", ir.Mat(ir.C(n), k), nil)
			if r.IntN(2) == 0 {
				b.Weight(name+".b", ir.Of(ir.F32, ir.C(n)), nil)
			}
		}
		// norm adds, or not, the attribute and the weights of a norm.
		norm := func(a ir.Attrs, key, name string, n int) ir.Attrs {
			if r.IntN(3) == 0 {
				return a
			}
			if r.IntN(2) == 0 {
				b.Weight(name+".g", ir.Of(ir.F32, ir.C(n)), nil)
				b.Weight(name+".b", ir.Of(ir.F32, ir.C(n)), nil)
			}
			return a.With(ir.FloatAttr(key, 1e-5))
		}
		for i := range 4 {
			at, ff := fmt.Sprintf("l%d.attn", i), fmt.Sprintf("l%d.ffn", i)
			for _, m := range []string{".q", ".k", ".v", ".out"} {
				lin(at+m, d, d)
			}
			attrs := norm(nil, "eps", at+".ln", d)
			heads := ir.Attrs{ir.IntAttr("heads", 1<<r.IntN(3))}
			var c *ir.Value
			if r.IntN(2) == 0 {
				c = b.Op(ir.OpSelfAttention, "", "", heads, b.Op(ir.OpQKV, "", at, attrs, x))
			} else {
				q := b.Op(ir.OpQKV, "", at, attrs.With(ir.SymbolAttr("parts", "q")), x)
				kv := b.Op(ir.OpQKV, "", at, attrs.With(ir.SymbolAttr("parts", "kv")), x)
				c = b.Op(ir.OpCrossAttention, "", "", heads.With(ir.IntAttr("base", 2)), q, kv)
			}
			x = b.Op(ir.OpAttnOut, "", at, norm(nil, "eps", at+".sub", d), c, x)
			hidden := 1 + r.IntN(40)
			lin(ff+".fc1", hidden, d)
			lin(ff+".fc2", d, hidden)
			x = b.Op(ir.OpFFN, "", ff, norm(norm(nil, "eps", ff+".ln", d), "sub", ff+".sub", hidden), x)
		}
		b.Return(x)
		if _, err := b.Done(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		plain := inline(t, p)
		if err := ir.Verify(plain); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		irtest.Equivalent(t, p, plain, 1e-12)
	}
}
