package model

import (
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// contrastTasks lists the tasks of models of towers whose pooled rows are embeddings.
func contrastTasks() []task {
	all := []task{
		{
			name:  "encode",
			takes: func(entry) bool { return true },
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				if w.tower.Final != "" && w.tower.Pool.Row != PoolMean {
					x = w.finalNorm(x)
				}
				return []*ir.Value{w.output(x, "encoder_out")}
			}),
		},
		{
			name:  "retrieval",
			takes: func(e entry) bool { return len(e.modalities) == 1 },
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				w.keep("retrieval.logit_scale")
				w.keep("retrieval.logit_bias")
				features := w.b.Name(w.pool(x), "features")
				w.tap(features, "features")
				return []*ir.Value{w.output(w.b.L2Norm(features, l2Floor), w.entry.name+"_cls")}
			}),
		},
		{
			// The embedding goes through a linear before it is scaled to length 1. The layout has the head's tensors.
			name:    "classification",
			takes:   func(e entry) bool { return e.has(Patch) },
			options: []string{"classes", "labels", "list"},
			check:   checkClasses,
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				return []*ir.Value{w.output(w.linear(w.pool(x), "classification.head"), "logits")}
			}),
		},
	}
	for i := range all {
		all[i].code = Contrast
	}
	return all
}

// pool lowers the pooling of the tower's rows to its embedding, before it is scaled to length 1. A mean does not include
// the rows before the first patch.
func (w *writer) pool(x *ir.Value) *ir.Value {
	m, p := w.entry.modalities[0], &w.tower.Pool
	if p.Norm == NormBefore {
		x = w.finalNorm(x)
	}
	switch p.Row {
	case PoolFirst:
		x = w.b.Select(x, ir.C(0))
	case PoolLast:
		x = w.last(x, m)
	case PoolMean:
		first := 0
		if m.Embedder == Patch {
			first = m.class()
		}
		x = w.b.Mean(x, first)
	case PoolMap:
		x = w.poolMap(x)
	}
	if p.Norm == NormAfter {
		x = w.finalNorm(x)
	}
	bundle := "retrieval." + m.Name
	switch {
	case p.Direct:
		return x
	case p.Hidden > 0:
		return w.linear(w.act(w.linear(x, bundle+".head.fc1")), bundle+".head.fc2")
	}
	return w.linear(x, bundle)
}

// last returns the last row of x, whose rows are those of modality m.
func (w *writer) last(x *ir.Value, m modality) *ir.Value {
	if !m.rows.T {
		return w.b.Select(x, ir.C(m.rows.C-1))
	}
	return w.b.Select(x, ir.Dim{C: -1, T: true})
}

// poolMap lowers the attention of a learned query to all rows, and a feed-forward block. The attention has no residual, since
// the query is not a row of the model.
func (w *writer) poolMap(x *ir.Value) *ir.Value {
	bundle := "retrieval." + w.entry.modalities[0].Name + ".map."
	w.declare(bundle + "probe")
	q := w.linear(w.b.Const(bundle+"probe"), bundle+"attn.q")
	k, v := w.linear(x, bundle+"attn.k"), w.linear(x, bundle+"attn.v")
	y := w.linear(w.b.Attention(q, k, v, w.tower.Pool.Heads), bundle+"attn.out")
	h := w.act(w.linear(w.norm(y, bundle+"ffn.ln", w.tower.Eps), bundle+"ffn.fc1"))
	return w.b.Add(y, w.linear(h, bundle+"ffn.fc2"))
}

// twoTowers returns the vision and the language modality with their towers, see and read, for the given sizes. Layers have
// one norm before each half, and a norm follows the last one.
func twoTowers(s *Sizes) (vision, language Modality, see, read Tower) {
	vision = Modality{Name: "vision", Embedder: Patch, Height: s.Image, Width: s.Image, Patch: s.Patch, Channels: s.Channels}
	language = Modality{Name: "language", Embedder: Token, Vocab: s.Vocab, Positions: s.Positions}
	t := &s.Text
	see = Tower{Name: vision.Name, Among: []string{vision.Name}, Dim: s.Dim, Heads: s.Heads, FFN: s.FFN, Eps: s.Eps, Act: s.Act, Layers: alike(s.Layers, Pre), Final: Shared}
	read = Tower{Name: language.Name, Among: []string{language.Name}, Dim: t.Dim, Heads: t.Heads, FFN: t.FFN, Eps: s.Eps, Act: t.Act, Layers: alike(t.Layers, Pre), Final: Shared}
	return vision, language, see, read
}

// alike returns n layers, in which all modalities of a tower share their weights.
func alike(n int, norms Norms) []LayerRange {
	return []LayerRange{{From: 0, To: n, Attn: Shared, FFN: Shared, Norms: norms}}
}

// contrast returns a structure of two towers with the layout of its checkpoint.
func contrast(layout string, vision, language Modality, see, read Tower) Structure {
	return Structure{Modalities: []Modality{vision, language}, Towers: []Tower{see, read}, Similarity: Similarity{Score: Softmax}, Keys: Keys{Code: Contrast, Layout: layout}}
}

// Rows of several layouts.

// scores has the layout rows of the learned scale and bias that turn a cosine into a score.
var scores = []row{
	tensor("logit_scale", "", whole("retrieval.logit_scale")),
	when("logit_bias", tensor("logit_bias", "", whole("retrieval.logit_bias"))),
}

// rows joins lists of rows.
func rows(lists ...[]row) []row { return slices.Concat(lists...) }
