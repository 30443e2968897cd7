package passes

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
)

// TestRandomPrograms runs all passes on small multiway programs of one to three modalities: layers
// with pools, shared weights and experts of the whole sequence, deviations from the patterns of
// fusions, selected rows, several results.
func TestRandomPrograms(t *testing.T) {
	planned := 0
	for seed := range uint64(80) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			p := randomProgram(t, seed)
			irtest.RandomWeights(p)
			text := ir.Print(p)
			upto := "pack"
			if _, err := Run(p, Options{Rows: rows}); err == nil {
				upto = "plan"
				planned++
			}
			after, err := Run(p, Options{Rows: rows, Upto: upto})
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if got := ir.Print(p); got != text {
				t.Fatalf("Run changed its argument:\n%s\nwas\n%s", got, text)
			}
			irtest.Equivalent(t, p, after, Rounded.Tolerance())
			if upto == "plan" {
				simulate(t, p, after, rows)
			}
			again, err := Run(p, Options{Rows: rows, Upto: upto})
			if err != nil || ir.Print(again) != ir.Print(after) {
				t.Fatalf("a second run gives another program (error %v)", err)
			}
			smooth(t, p, upto, after)
			if t.Failed() {
				t.Logf("%s", text)
			}
		})
	}
	// Plan may refuse some programs, but not many.
	if planned < 60 {
		t.Errorf("%d of 80 programs were planned, want 60", planned)
	}
}

// smooth checks that a program keeps its results and ops if every possible norm is smoothed. A norm
// that several qkv share is repeated in each, with its weights.
func smooth(t *testing.T, p *ir.Program, upto string, plain *ir.Program) {
	t.Helper()
	folded, err := Run(p, Options{Rows: rows, Upto: "fold"})
	if err != nil {
		t.Fatal(err)
	}
	after, err := Run(p, Options{Rows: rows, Smooth: smoothings(folded), Upto: upto})
	if err != nil {
		t.Fatalf("smoothed: %v", err)
	}
	irtest.Equivalent(t, p, after, Rounded.Tolerance())
	ops := func(p *ir.Program) (list []string) {
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if v.Op != ir.OpLayerNorm {
					list = append(list, f.Name+" "+v.Name+" "+v.Op.Name)
				}
			}
		}
		return list
	}
	if diff := cmp.Diff(ops(plain), ops(after)); diff != "" {
		t.Errorf("ops smoothed (-plain +smoothed):\n%s", diff)
	}
}

// builder makes a random program.
type builder struct {
	*ir.Builder
	r     *rand.Rand
	d     int
	pairs bool
	joint bool // the feed-forward blocks of this layer have an expert of the whole sequence
}

func randomProgram(t *testing.T, seed uint64) *ir.Program {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	p := &ir.Program{Name: "random", MaxT: 4}
	layers := 1 + r.IntN(2)
	heads := 1 + r.IntN(2)
	d := heads * (1 + r.IntN(4))
	shared := r.IntN(2) == 0
	joint := layers // from this layer on
	if r.IntN(2) == 0 {
		joint = r.IntN(layers)
	}
	for _, entry := range []string{"vision", "language", "pair", "three"} {
		b := &builder{ir.NewBuilder(p, entry), r, d, entry == "pair", false}
		rows := ir.C(3)
		var x *ir.Value
		switch entry {
		case "vision":
			b.Segment("vision", ir.C(3))
			if x = b.Param("x", ir.Mat(ir.C(3), d)); r.IntN(2) == 0 {
				x = b.stem(b.Param("image", ir.Of(ir.F32, ir.C(2), ir.C(4), ir.C(12))))
			}
		case "language":
			rows = ir.T
			b.Segment("language", ir.T)
			b.Weight("language.embed.tok.w", ir.Mat(ir.C(9), d), nil)
			x = b.Lookup(b.Param("ids", ir.Of(ir.I32, ir.T)), "language.embed.tok")
		case "pair":
			rows = ir.Dim{C: 3, T: true}
			b.Segment("vision", ir.C(3))
			b.Segment("language", ir.T)
			if r.IntN(2) == 0 {
				x = b.Param("x", ir.Mat(rows, d))
			} else {
				x = b.Concat(b.Param("v", ir.Mat(ir.C(3), d)), b.Param("l", ir.Mat(ir.T, d)))
			}
		}
		if entry == "three" {
			segments := []ir.Segment{{Name: "vision", Len: ir.C(3)}, {Name: "audio", Len: ir.C(2)}, {Name: "language", Len: ir.T}}
			r.Shuffle(3, func(i, j int) { segments[i], segments[j] = segments[j], segments[i] })
			rows = ir.Dim{C: 5, T: true}
			var parts []*ir.Value
			for _, s := range segments {
				b.Segment(s.Name, s.Len)
				parts = append(parts, b.Param(s.Name[:1], ir.Mat(s.Len, d)))
			}
			x = b.Concat(parts...)
		}
		results := map[*ir.Value]bool{}
		for i := range layers {
			b.joint = i >= joint && len(b.F.Segments) > 1
			attn := fmt.Sprintf("l%d.attn.*", i)
			if shared {
				attn = fmt.Sprintf("l%d.attn.shared", i)
			}
			y := b.layer(x, attn, fmt.Sprintf("l%d.ffn.*", i), heads)
			if r.IntN(4) == 0 {
				results[b.Gelu(b.Add(x, y))] = true
			}
			x = y
		}
		if r.IntN(3) == 0 {
			x = b.norm(x, "final.*", 1e-5)
		}
		last := x
		switch r.IntN(4) {
		case 0:
			results[last] = true
		case 1:
			results[b.linear(b.Select(last, ir.C(0)), "head", 2)] = true
		case 2:
			row := ir.C(0) // the only one that a text is sure to have; else the last
			if rows.C > 0 {
				row = ir.Dim{C: r.IntN(rows.C), T: rows.T && r.IntN(2) == 0}
			}
			a, c := b.Select(last, ir.C(0)), b.Select(last, row)
			results[b.L2Norm(b.linear(b.HCat(a, c), "two", 2), 1e-12)] = true
			if r.IntN(2) == 0 {
				results[last] = true
			}
		case 3:
			results[b.linear(b.norm(b.Mean(last, 0), "pool", 1e-5), "head", 2)] = true
		}
		for _, v := range b.F.Values {
			if results[v] {
				b.Return(v)
			}
		}
		if _, err := b.Done(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	return p
}

// experts returns the bundles of a bundle that may be a pool.
func experts(bundle string) []string {
	if !ir.Pool(bundle) {
		return []string{bundle}
	}
	var all []string
	for _, e := range []string{"vision", "language", "audio", "vl"} {
		all = append(all, ir.Expert(bundle, e))
	}
	return all
}

// route returns the attribute of ops whose pool has an expert for the whole sequence.
func (b *builder) route(bundle string) ir.Attrs {
	if b.joint && ir.Pool(bundle) && strings.Contains(bundle, ".ffn.") {
		return ir.Attrs{ir.SymbolAttr("route", "vl")}
	}
	return nil
}

func (b *builder) linear(x *ir.Value, bundle string, out int) *ir.Value {
	for _, e := range experts(bundle) {
		b.Weight(e+".w", ir.Mat(ir.C(out), x.Type.Cols()), nil)
		if len(bundle)%3 > 0 { // a linear keeps its bias in every function
			b.Weight(e+".b", ir.Of(ir.F32, ir.C(out)), nil)
		}
	}
	return b.Op(ir.OpLinear, "", bundle, b.route(bundle), x)
}

func (b *builder) norm(x *ir.Value, bundle string, eps float64) *ir.Value {
	for _, e := range experts(bundle) {
		b.Weight(e+".g", ir.Of(ir.F32, ir.C(x.Type.Cols())), nil)
		b.Weight(e+".b", ir.Of(ir.F32, ir.C(x.Type.Cols())), nil)
	}
	return b.Op(ir.OpLayerNorm, "", bundle, append(b.route(bundle), ir.FloatAttr("eps", eps)), x)
}

// layer adds a pre-norm layer, in one of three cases with a deviation.
func (b *builder) layer(x *ir.Value, attn, ffn string, heads int) *ir.Value {
	odd := b.r.IntN(24)
	n := b.norm(x, attn+".ln", 1e-5)
	q, k, v := b.linear(n, attn+".q", b.d), b.linear(n, attn+".k", b.d), b.linear(n, attn+".v", b.d)
	switch odd {
	case 0:
		k = q
	case 1:
		v = b.Gelu(v)
	case 2:
		q = b.linear(x, attn+".other", b.d)
	}
	c := b.Attention(q, k, v, heads)
	if odd == 3 {
		c = b.Add(c, v)
	}
	o := b.linear(b.norm(c, attn+".sub", 1e-5), attn+".out", b.d)
	a := b.Add(x, o)
	if odd == 4 {
		a = b.Add(o, n)
	}
	m := b.norm(a, ffn+".ln", 1e-5)
	h := b.linear(m, ffn+".fc1", 2*b.d)
	g := b.Act(h, ir.Activations[odd%len(ir.Activations)].Name)
	if odd == 5 {
		g = b.Add(g, h)
	}
	switch odd {
	case 8: // of other rows
		g = b.Mul(g, b.linear(a, ffn+".gate", 2*b.d))
	case 9, 10, 11, 12:
		g = b.Mul(g, b.linear(m, ffn+".gate", 2*b.d))
	case 13, 14:
		g = b.Mul(b.linear(m, ffn+".gate", 2*b.d), g)
	}
	p := b.linear(b.norm(g, ffn+".sub", 1e-6), ffn+".fc2", b.d)
	if odd == 6 {
		p = b.Add(p, a)
	}
	if odd == 7 && b.pairs { // a segment of its own
		return b.Add(b.Add(a, p), b.Concat(b.Gelu(b.Rows(a, ir.C(0), ir.C(3))), b.Tanh(b.Rows(a, ir.C(3), ir.T))))
	}
	return b.Add(p, a)
}

// stem embeds a picture of 2 x 6 patches in two stages, as 3 rows; the norm of the first is missing in one of three.
func (b *builder) stem(image *ir.Value) *ir.Value {
	x := b.linear(b.Patches(image, 2), "vision.embed.stem0.proj", 2)
	if b.r.IntN(3) > 0 {
		x = b.norm(x, "vision.embed.stem0.ln", 1e-5)
	}
	if x = b.Gelu(x); b.r.IntN(2) == 0 {
		return b.linear(b.Join(x, 2, 6), "vision.embed.proj", b.d)
	}
	b.Weight("vision.embed.pos.w", ir.Mat(ir.C(3), b.d), nil)
	return b.AddRows(b.linear(b.Join(x, 2, 6), "vision.embed.proj", b.d), "vision.embed.pos", ir.Dim{})
}
