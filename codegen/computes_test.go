package codegen

import (
	"os"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/ir"
)

// The hash of a package's computation changes exactly if its results can change.
func TestHashOfComputation(t *testing.T) {
	text, err := os.ReadFile("testdata/tiny.ir")
	if err != nil {
		t.Fatal(err)
	}
	of := func(edit func(p *ir.Program, o *Options)) [32]byte {
		p, err := ir.Parse("tiny.ir", text)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Package: "a", From: "a.yaml", Rows: 32, Text: 6, Pixels: &pixel.Preprocess{Size: 4}, Tokenizer: []byte("x"),
			Tasks: []Task{{Name: "captioning", Labels: []string{"a"}, MaxNew: 9}}}
		edit(p, &o)
		return computes(p, &o)
	}
	value := func(p *ir.Program, op *ir.Op) *ir.Value {
		for _, f := range p.Funcs {
			for _, v := range f.Values {
				if v.Op == op {
					return v
				}
			}
		}
		t.Fatalf("no value of %s", op.Name)
		return nil
	}
	want := of(func(*ir.Program, *Options) {})
	for name, edit := range map[string]func(p *ir.Program, o *Options){
		"names":  func(p *ir.Program, o *Options) { p.Name, o.Package, o.From = "b", "b", "b.yaml" },
		"limits": func(_ *ir.Program, o *Options) { o.Rows, o.MaxPixels = 64, 9 },
		"labels": func(_ *ir.Program, o *Options) { o.Tasks[0].Labels = []string{"b"} },
		"weights' hash, place and layout": func(p *ir.Program, o *Options) {
			o.Hash, o.Weights, p.Weights[0].Layout, p.Weights[0].Offset = [32]byte{1}, File, "panel16", 64
		},
		"vectors and cases": func(_ *ir.Program, o *Options) { o.Vectors, o.Golden = []byte("[]"), []string{"x"} },
		"plan": func(p *ir.Program, _ *Options) {
			v := value(p, ir.OpLinear)
			v.Offset, v.Attrs = 64, v.Attrs.With(ir.Attr{Key: "kernel", Kind: ir.Symbol, Symbol: "gemm"}).With(ir.Attr{Key: "ld", Kind: ir.Int, Int: 32})
			p.Funcs[0].Arena = 640
		},
	} {
		if of(edit) != want {
			t.Errorf("%s: the hash changes", name)
		}
	}
	seen := map[[32]byte]string{want: "nothing"}
	for name, edit := range map[string]func(p *ir.Program, o *Options){
		"text limit":     func(_ *ir.Program, o *Options) { o.Text = 7 },
		"picture's size": func(_ *ir.Program, o *Options) { o.Pixels.Size = 5 },
		"crop":           func(_ *ir.Program, o *Options) { o.Pixels.Resize = pixel.Crop },
		"alpha":          func(_ *ir.Program, o *Options) { o.Pixels.Alpha = pixel.Drop },
		"filter":         func(_ *ir.Program, o *Options) { o.Pixels.Filter = pixel.Bilinear },
		"offset":         func(_ *ir.Program, o *Options) { o.Pixels.Offset = pixel.Floor },
		"order":          func(_ *ir.Program, o *Options) { o.Pixels.Order = pixel.ConvertLast },
		"mean":           func(_ *ir.Program, o *Options) { o.Pixels.Mean[1] = 0.25 },
		"deviation":      func(_ *ir.Program, o *Options) { o.Pixels.Std[2] = 0.25 },
		"no pictures":    func(_ *ir.Program, o *Options) { o.Pixels = nil },
		"tokenizer":      func(_ *ir.Program, o *Options) { o.Tokenizer = []byte("y") },
		"no tokenizer":   func(_ *ir.Program, o *Options) { o.Tokenizer = nil },
		"longer":         func(_ *ir.Program, o *Options) { o.Tasks[0].MaxNew = 10 },
		"bans":           func(_ *ir.Program, o *Options) { o.Tasks[0].Ban = []caption.IDs{{From: 1, To: 2}} },
		"stored as":      func(p *ir.Program, _ *Options) { p.Weights[0].Type.DType = ir.BF16 },
		"eps": func(p *ir.Program, _ *Options) {
			v := value(p, ir.OpLayerNorm)
			v.Attrs = v.Attrs.With(ir.Attr{Key: "eps", Kind: ir.Float, Float: 0.5})
		},
		"a function less": func(p *ir.Program, _ *Options) { p.Funcs = p.Funcs[1:] },
		"another op":      func(p *ir.Program, _ *Options) { value(p, ir.OpAdd).Op = ir.OpTanh },
	} {
		got := of(edit)
		if other, ok := seen[got]; ok {
			t.Errorf("%s: the hash is that of %s", name, other)
		}
		seen[got] = name
	}
}
