package model

import (
	"fmt"

	"github.com/multiway-go/multiway/ir"
)

// The norms of VLMo that keep the epsilon of BERT, which they come from.
const bertEps = 1e-12

// vlmo is VLMo's arrangement: the text first, attention shared, one feed-forward
// expert a modality, and in the top layers one more for pairs. No half has a norm
// inside. Positions are a bias of the scores, or added to the rows.
func vlmo(s *Sizes) Structure {
	ms := visionLanguage(s)
	vision, language := ms[0], ms[1]
	vision.Anywhere, language.Anywhere = !s.Absolute, !s.Absolute
	language.Norm = bertEps
	t := Structure{
		Modalities: []Modality{language, vision},
		Final:      Shared,
		Types:      max(2, s.Types),
		Reach:      s.Reach,
		Keys: Keys{
			Code: VLMo, Prefix: "transformer.",
			Experts: map[string]string{"vision": "imag", "language": "text", "vl": "vl"},
		},
	}
	low := s.Layers - s.VLLayers
	if low > 0 {
		t.Layers = append(t.Layers, LayerRange{From: 0, To: low, Attn: Shared, FFN: Pooled, Norms: Pre, Scale: s.Scale})
	}
	if low < s.Layers {
		t.Layers = append(t.Layers, LayerRange{From: low, To: s.Layers, Attn: Shared, FFN: Joint, Norms: Pre, Scale: s.Scale, Experts: []Expert{{Name: "vl"}}})
	}
	return t
}

// into says that columns col to col+cols of rows row to row+rows of the tensor added
// last become one more weight; rows or cols 0 = all.
func (s *stateDict) into(weight string, row, rows, col, cols int, as ...int) {
	s.weights[weight] = &slot{shape: as, tensor: len(s.tensors) - 1, row: row, rows: rows, col: col, cols: cols}
}

// vlmo writes the trunk's state dict as VLMo's code names and splits it: q, k and v
// are one matrix, k has no bias, and one table holds the biases of all layers and
// heads. Of the text positions only as many as the longest text are kept.
func (t *trunk) vlmo(k *Keys, text int) {
	st, dim := t.state, t.dim
	var language, vision modality
	for _, m := range t.modalities {
		if m.Embedder == Token {
			language = m
		} else {
			vision = m
		}
	}
	if t.reach > 0 {
		side := vision.Height / vision.Patch
		image := (2*side-1)*(2*side-1) + 3
		columns := t.heads * t.depth
		st.tensor("relative_position_bias_table", []int{image + 2 + 2*t.reach, columns}, "")
		for i := range t.layers {
			table := func(field string, row, rows int) {
				st.into(layerName(i)+".relbias."+field, row, rows, i*t.heads, t.heads, rows, t.heads)
			}
			table("image", 0, image)
			table("cross", image, 2)
			table("text", image+2, 2*t.reach)
		}
	}
	st.tensor(k.Prefix+"cls_token", []int{1, 1, dim}, vision.Name+".embed.cls.w", 1, dim)
	if !vision.Anywhere {
		n := vision.fixed()
		st.tensor(k.Prefix+"pos_embed", []int{1, n, dim}, vision.Name+".embed.pos.w", n, dim)
		st.weights[vision.Name+".embed.pos.w"].grid = &ir.Grid{Extra: 1, Side: vision.Height / vision.Patch, Resize: t.resize}
	}
	st.tensor(k.Prefix+"patch_embed.proj.weight", []int{dim, vision.Channels, vision.Patch, vision.Patch},
		vision.Name+".embed.proj.w", dim, vision.Channels*vision.Patch*vision.Patch)
	st.tensor(k.Prefix+"patch_embed.proj.bias", []int{dim}, vision.Name+".embed.proj.b", dim)
	for i, l := range t.layers {
		key := fmt.Sprintf("%sblocks.%d.", k.Prefix, i)
		attn := layerName(i) + ".attn.shared."
		experts := t.branches(k, l, l.FFN)
		if l.Scale {
			st.tensor(key+"gamma_1", []int{dim}, attn+"gamma.g", dim)
			st.tensor(key+"gamma_2", []int{dim}, "")
			for _, b := range experts {
				st.into(layerName(i)+".ffn."+b.part+".gamma.g", 0, 0, 0, 0, dim)
			}
		}
		st.norm(key+"norm1", attn+"ln", dim)
		st.tensor(key+"attn.q_bias", []int{dim}, attn+"q.b", dim)
		st.tensor(key+"attn.v_bias", []int{dim}, attn+"v.b", dim)
		st.tensor(key+"attn.qkv.weight", []int{3 * dim, dim}, "")
		for n, part := range []string{"q", "k", "v"} {
			st.into(attn+part+".w", n*dim, dim, 0, 0, dim, dim)
		}
		st.linear(key+"attn.proj", attn+"out", dim, dim, true)
		for _, b := range experts {
			// branches write suffixes as torchscale has them: .text
			st.norm(key+"norm2_"+b.suffix[1:], layerName(i)+".ffn."+b.part+".ln", dim)
		}
		for _, b := range experts {
			st.linear(key+"mlp_"+b.suffix[1:]+".fc1", layerName(i)+".ffn."+b.part+".fc1", t.ffn, dim, true)
			st.linear(key+"mlp_"+b.suffix[1:]+".fc2", layerName(i)+".ffn."+b.part+".fc2", dim, t.ffn, true)
		}
	}
	st.norm(k.Prefix+"norm", "final.shared", dim)
	// The table of positions is there also where nothing reads it.
	st.tensor("text_embeddings.position_ids", []int{1, language.Positions}, "")
	st.tensor("text_embeddings.word_embeddings.weight", []int{language.Vocab, dim}, language.Name+".embed.tok.w", language.Vocab, dim)
	st.cut("text_embeddings.position_embeddings.weight", []int{language.Positions, dim}, language.Name+".embed.pos.w", 0, text, text, dim)
	st.cut("text_embeddings.token_type_embeddings.weight", []int{2, dim}, language.Name+".embed.type.w", 0, 1, 1, dim)
	st.norm("text_embeddings.LayerNorm", language.Name+".embed.ln", dim)
	st.tensor("token_type_embeddings.weight", []int{t.types, dim}, "types.w", t.types, dim)
	st.linear("pooler.dense", "pooler.dense", dim, dim, true)
}

// itc adds the heads of a contrastive branch: its logit scale and one projection a
// modality.
func itc(t *trunk, task, branch string) {
	t.state.tensor("logit"+branch+"_scale", []int{}, task+".logit_scale", 1)
	for _, m := range t.modalities {
		word := "image"
		if m.Embedder == Token {
			word = "text"
		}
		t.state.linear("itc"+branch+"_"+word+"_proj.fc", task+"."+m.Name, t.dim, t.dim, false)
	}
}

// twoLayers adds linear, norm, GELU, linear.
func twoLayers(t *trunk, key, task string, in, classes int) {
	t.state.linear(key+".0", task+".head.fc1", 2*t.dim, in, true)
	t.state.norm(key+".1", task+".head.norm", 2*t.dim)
	t.state.linear(key+".3", task+".head.fc2", classes, 2*t.dim, true)
}

// lowerTwoLayers writes them.
func lowerTwoLayers(w *writer, x *ir.Value, task string) *ir.Value {
	h := w.norm(w.linear(x, task+".head.fc1"), task+".head.norm", headEps)
	return w.output(w.linear(w.b.Gelu(h), task+".head.fc2"), "logits")
}

// pooled is the first row of the sequence through the pooler: cls_feats.
func pooled(w *writer, x *ir.Value) *ir.Value {
	return w.output(w.b.Tanh(w.linear(w.b.Select(x, ir.C(0)), "pooler.dense")), "cls_feats")
}

// vlmoTasks lists the tasks of VLMo's checkpoints, encode first. The pooler's first
// row of a pair is the text's.
func vlmoTasks() []task {
	alone := func(e entry) bool { return len(e.modalities) == 1 }
	pair := func(e entry) bool { return e.has(Patch, Token) }
	head := func(task string) func(w *writer, x *ir.Value) []*ir.Value {
		return func(w *writer, x *ir.Value) []*ir.Value {
			h := w.linear(w.b.Select(x, ir.C(0)), task+"."+w.entry.name)
			w.keep(task + ".logit_scale")
			return []*ir.Value{w.output(w.b.L2Norm(h, l2Floor), w.entry.name+"_cls")}
		}
	}
	features := func(w *writer) []*ir.Value {
		return []*ir.Value{w.b.Name(pooled(w, w.rows()), "features")}
	}
	all := []task{
		{
			// Pairs have their pooled first row too.
			name:    "encode",
			takes:   func(entry) bool { return true },
			tensors: func(*trunk, *Task) {},
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				if len(w.entry.modalities) == 1 {
					return []*ir.Value{w.output(x, "encoder_out")}
				}
				cls := pooled(w, x)
				return []*ir.Value{w.output(x, "encoder_out"), cls}
			}),
		},
		{
			name:    "vqa",
			keys:    []string{"vqa_classifier.3.weight"},
			takes:   pair,
			options: []string{"classes", "labels", "list"},
			check:   checkClasses,
			tensors: func(t *trunk, o *Task) { twoLayers(t, "vqa_classifier", "vqa", t.dim, o.Classes) },
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				return []*ir.Value{lowerTwoLayers(w, pooled(w, x), "vqa")}
			}),
		},
		{
			// The statement with either image, which are of different types.
			name:    "nlvr2",
			keys:    []string{"nlvr2_classifier.3.weight"},
			takes:   pair,
			options: []string{"classes", "labels", "list"},
			classes: 2, // false, true
			check:   checkTruth,
			tensors: func(t *trunk, o *Task) { twoLayers(t, "nlvr2_classifier", "nlvr2", 2*t.dim, o.Classes) },
			functions: []function{{lower: features}, {name: "pair_nlvr2_second", kind: "second", lower: func(w *writer) []*ir.Value {
				w.second = true
				return features(w)
			}}, {name: "reason_head", kind: "head", lower: func(w *writer) []*ir.Value {
				return []*ir.Value{lowerTwoLayers(w, w.b.Param("f", ir.Mat(ir.C(1), 2*w.trunk.dim)), "nlvr2")}
			}}},
		},
		{
			name:      "retrieval",
			keys:      []string{"itc_text_proj.fc.weight"},
			takes:     alone,
			tensors:   func(t *trunk, _ *Task) { itc(t, "retrieval", "") },
			functions: trunkTo(head("retrieval")),
		},
		{
			// The second branch of pretraining: the top layers take the expert of pairs.
			name:    "retrieval_vl",
			keys:    []string{"itc_vl_text_proj.fc.weight"},
			takes:   alone,
			tensors: func(t *trunk, _ *Task) { itc(t, "retrieval_vl", "_vl") },
			functions: []function{{lower: func(w *writer) []*ir.Value {
				w.joint = true
				return head("retrieval_vl")(w, w.rows())
			}}},
		},
		{
			// Class 1: the text describes the image.
			name:    "itm",
			keys:    []string{"itm_score.fc.weight"},
			takes:   pair,
			tensors: func(t *trunk, _ *Task) { t.state.linear("itm_score.fc", "itm.fc", 2, t.dim, true) },
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				return []*ir.Value{w.output(w.linear(pooled(w, x), "itm.fc"), "logits")}
			}),
		},
		{
			// The words that each row of the text could be.
			name:  "mlm",
			keys:  []string{"mlm_score.decoder.weight"},
			takes: pair,
			tensors: func(t *trunk, _ *Task) {
				t.state.linear("mlm_score.transform.dense", "mlm.dense", t.dim, t.dim, true)
				t.state.norm("mlm_score.transform.LayerNorm", "mlm.norm", t.dim)
				vocab := t.token().Vocab
				t.state.tensor("mlm_score.decoder.weight", []int{vocab, t.dim}, "mlm.decoder.w", vocab, t.dim)
				t.state.tensor("mlm_score.bias", []int{vocab}, "mlm.decoder.b", vocab)
			},
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				at := ir.Dim{}
				for _, m := range w.entry.modalities {
					if m.Embedder == Token {
						x = w.b.Rows(x, at, m.rows)
						break
					}
					at, _ = at.Plus(m.rows)
				}
				h := w.norm(w.b.Gelu(w.linear(x, "mlm.dense")), "mlm.norm", bertEps)
				return []*ir.Value{w.output(w.linear(h, "mlm.decoder"), "logits")}
			}),
		},
	}
	for i := range all {
		all[i].code, all[i].norm = VLMo, always
	}
	return all
}
