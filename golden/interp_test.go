package golden_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/multiway-go/multiway/golden/cases"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/model"
)

// maxInterp bounds the interpreter's distance to the truth. Both are float64 until
// the truth is rounded to float32, and no value of these cases exceeds 16, so half
// an ulp of 16 and a little for another order of summing.
const maxInterp = 1e-6

// The interpreter is what judges everything after it; PyTorch's float64 judges the
// interpreter, and with it the lowering and the readers of weights.
func TestInterpreter(t *testing.T) {
	for _, name := range []string{"encode_t1", "encode_d128", "retrieval", "classification"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := cases.Load(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			compared := 0
			for _, v := range c.Variants() {
				if v.Missing {
					continue
				}
				p := bound(t, c, v)
				for _, r := range c.RunsOf(v) {
					b, err := c.Batch(r)
					if err != nil {
						t.Fatal(err)
					}
					got, err := interpret(p, r, b)
					if err != nil {
						t.Fatalf("%s %s: %v", v.Name, r.Name, err)
					}
					for _, output := range r.OutputNames() {
						want, err := c.Reference(r, output)
						if err != nil {
							t.Fatal(err)
						}
						res, err := want.Compare(got[output])
						if err != nil {
							t.Fatalf("%s %s: %v", v.Name, r.Name, err)
						}
						if !res.OK || res.MaxAbs > maxInterp {
							t.Errorf("%s %s %s: %v, want at most %g", v.Name, r.Name, output, res, maxInterp)
						}
						compared += res.Compared
					}
				}
			}
			if compared == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

// bound lowers the case's model with taps and binds the variant's weights.
func bound(t *testing.T, c *cases.Case, v cases.Variant) *ir.Program {
	t.Helper()
	config, err := json.Marshal(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	d, err := model.FromGolden(config)
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.Lower(d, model.Options{Taps: true})
	if err != nil {
		t.Fatal(err)
	}
	src, err := c.OpenWeights(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	if _, err := checkpoint.Bind(p, src); err != nil {
		t.Fatal(err)
	}
	return p
}

// interpret runs a batch, a sequence at a time, and returns each output's rows of
// each sequence.
func interpret(p *ir.Program, r *cases.Run, b *cases.Batch) (map[string][][]float32, error) {
	var fns []string
	switch vision, language := b.Images["image"] != nil, b.IDs != nil; {
	case r.Kind == "retrieval":
		// A retrieval run with picture and text is two functions and their product.
		if vision {
			fns = append(fns, "vision_retrieval")
		}
		if language {
			fns = append(fns, "language_retrieval")
		}
	case vision && language:
		fns = []string{"pair"}
	case vision:
		fns = []string{"vision"}
	default:
		fns = []string{"language"}
	}
	if r.Kind != "retrieval" && r.Kind != "encode" {
		fns[0] += "_" + r.Kind
	}
	out := map[string][][]float32{}
	for s := range b.Size {
		n, in := 1, map[string]*ir.Tensor{}
		if b.IDs != nil {
			n = len(b.IDs[s])
			in["ids"] = &ir.Tensor{Shape: []int{n}, IDs: b.IDs[s]}
		}
		if images := b.Images["image"]; images != nil {
			side := int(math.Sqrt(float64(len(images[s]) / 3)))
			x := &ir.Tensor{Shape: []int{3, side, side}}
			for _, v := range images[s] {
				x.F = append(x.F, float64(v))
			}
			in["image"] = x
		}
		for _, fn := range fns {
			results, err := p.Run(fn, n, in)
			if err != nil {
				return nil, err
			}
			for name, x := range results {
				row := make([]float32, len(x.F))
				for i, v := range x.F {
					row[i] = float32(v)
				}
				out[name] = append(out[name], row)
			}
		}
	}
	if len(fns) == 2 {
		if err := logits(p, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// logits adds exp(logit_scale) * V L^T and its transpose.
func logits(p *ir.Program, out map[string][][]float32) error {
	w := p.Weight("retrieval.logit_scale")
	if w == nil {
		return fmt.Errorf("the program does not keep retrieval.logit_scale")
	}
	scale, err := w.Load()
	if err != nil {
		return err
	}
	product := func(rows, cols [][]float32) (m [][]float32) {
		for _, r := range rows {
			var row []float32
			for _, c := range cols {
				sum := 0.0
				for i := range r {
					sum += float64(r[i]) * float64(c[i])
				}
				row = append(row, float32(math.Exp(float64(scale[0]))*sum))
			}
			m = append(m, row)
		}
		return m
	}
	v, l := out["vision_cls"], out["language_cls"]
	out["logits_per_image"], out["logits_per_text"] = product(v, l), product(l, v)
	return nil
}
