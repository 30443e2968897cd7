package model

import "github.com/multiway-go/multiway/ir"

var vlmoFamilies = []family{
	{
		name: "vlmo", structure: vlmo, keeps: true, layouts: []string{"vlmo"}, joint: true, bias: true,
		positions: 40, eps: 1e-6, heads: "num_heads",
		tokenizers: "WordPiece", vocabulary: "the WordPiece vocabulary it was trained with: vocab.txt of bert-base-uncased",
	},
}

// bertEps is the epsilon of the norms that VLMo takes from BERT.
const bertEps = 1e-12

// vlmo is VLMo's structure: the text first, attention shared, one feed-forward expert per
// modality, and in the top layers one more for pairs. No half has a norm inside. Positions are
// a bias of the scores, or position embeddings.
func vlmo(s *Sizes) Structure {
	ms := visionLanguage(s)
	vision, language := ms[0], ms[1]
	vision.Anywhere, language.Anywhere = !s.Absolute, !s.Absolute
	vision.Unused, language.Unused = 0, 0
	language.Norm = bertEps
	t := Structure{
		Modalities: []Modality{language, vision},
		Tower:      Tower{Final: Shared, Types: max(2, s.Types), Relative: s.Reach > 0, Reach: s.Reach},
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

// vlmoLayouts has the layout of VLMo's checkpoints: q, k and v are one matrix, k has no bias, and one table has the position
// biases of all layers and heads. Only the text positions that the longest text needs are used. The checkpoint has a table of
// text positions even if the model does not use it.
var vlmoLayouts = []layout{{name: "vlmo", code: VLMo, key: "transformer.blocks.0.mlp_imag.fc1.weight", rows: []row{
	when("bias", tensor("relative_position_bias_table", "image_bias+2+2*reach depth*heads"), each("layer",
		part(target{weight: "{l}.relbias.image", rows: "image_bias", col: "i*heads", cols: "heads"}),
		part(target{weight: "{l}.relbias.cross", row: "image_bias", rows: "2", col: "i*heads", cols: "heads"}),
		part(target{weight: "{l}.relbias.text", row: "image_bias+2", rows: "2*reach", col: "i*heads", cols: "heads"}),
	)),
	each("patch",
		tensor("{p}cls_token", "1 1 dim", whole("{m}.embed.cls.w")),
		when("!anywhere", tensor("{p}pos_embed", "1 positions dim", whole("{m}.embed.pos.w"))),
		linear("{p}patch_embed.proj", "dim channels patch patch", "{m}.embed.proj"),
	),
	each("layer",
		when("scale",
			tensor("{p}blocks.{i}.gamma_1", "dim", whole("{l}.attn.shared.gamma.g")),
			tensor("{p}blocks.{i}.gamma_2", "dim"),
			each("ffn", part(whole("{l}.ffn.{b}.gamma.g"))),
		),
		norm("{p}blocks.{i}.norm1", "dim", "{l}.attn.shared.ln"),
		tensor("{p}blocks.{i}.attn.q_bias", "dim", whole("{l}.attn.shared.q.b")),
		tensor("{p}blocks.{i}.attn.v_bias", "dim", whole("{l}.attn.shared.v.b")),
		tensor("{p}blocks.{i}.attn.qkv.weight", "3*dim dim", thirds("{l}.attn.shared.", "w")...),
		linear("{p}blocks.{i}.attn.proj", "dim dim", "{l}.attn.shared.out"),
		each("ffn", norm("{p}blocks.{i}.norm2_{e}", "dim", "{l}.ffn.{b}.ln")),
		each("ffn",
			linear("{p}blocks.{i}.mlp_{e}.fc1", "ffn dim", "{l}.ffn.{b}.fc1"),
			linear("{p}blocks.{i}.mlp_{e}.fc2", "dim ffn", "{l}.ffn.{b}.fc2"),
		),
	),
	norm("{p}norm", "dim", "final.shared"),
	each("token",
		tensor("text_embeddings.position_ids", "1 positions"),
		tensor("text_embeddings.word_embeddings.weight", "vocab dim", whole("{m}.embed.tok.w")),
		tensor("text_embeddings.position_embeddings.weight", "positions dim", cut("{m}.embed.pos.w", "0", "kept")),
		tensor("text_embeddings.token_type_embeddings.weight", "2 dim", cut("{m}.embed.type.w", "0", "1")),
		norm("text_embeddings.LayerNorm", "dim", "{m}.embed.ln"),
	),
	tensor("token_type_embeddings.weight", "types dim", whole("types.w")),
	linear("pooler.dense", "dim dim", "pooler.dense"),
}}}

// branchHeads returns the rows of a contrastive head: its logit scale and one projection per modality.
func branchHeads(task, branch string) []row {
	return []row{
		tensor("logit"+branch+"_scale", "", whole(task+".logit_scale")),
		each("modality", matrix("itc"+branch+"_{in}_proj.fc", "dim dim", task+".{m}")),
	}
}

// twoLayers returns the rows of a head of linear, norm, GELU, linear.
func twoLayers(key, task, in string) []row {
	return []row{
		linear(key+".0", "2*dim "+in, task+".head.fc1"),
		norm(key+".1", "2*dim", task+".head.norm"),
		linear(key+".3", "classes 2*dim", task+".head.fc2"),
	}
}

// lowerTwoLayers lowers the head of twoLayers.
func lowerTwoLayers(w *writer, x *ir.Value, task string) *ir.Value {
	h := w.norm(w.linear(x, task+".head.fc1"), task+".head.norm", headEps)
	return w.output(w.linear(w.b.Gelu(h), task+".head.fc2"), "logits")
}

// pooled lowers VLMo's pooler, a linear and tanh, on the first row of the sequence. Its output is called cls_feats.
func pooled(w *writer, x *ir.Value) *ir.Value {
	return w.output(w.b.Tanh(w.linear(w.b.Select(x, ir.C(0)), "pooler.dense")), "cls_feats")
}

// vlmoTasks lists the tasks of VLMo's checkpoints, encode first. The first row of a pair,
// which the pooler takes, is a text row.
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
			// Pairs also return the pooled first row.
			name:  "encode",
			takes: func(entry) bool { return true },
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
			takes:   pair,
			options: []string{"classes", "labels", "list"},
			check:   checkClasses,
			rows:    twoLayers("vqa_classifier", "vqa", "dim"),
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				return []*ir.Value{lowerTwoLayers(w, pooled(w, x), "vqa")}
			}),
		},
		{
			// One run for each image, with the statement; the images have different modality types.
			name:    "nlvr2",
			takes:   pair,
			options: []string{"classes", "labels", "list"},
			classes: 2, // false, true
			check:   checkTruth,
			rows:    twoLayers("nlvr2_classifier", "nlvr2", "2*dim"),
			functions: []function{{lower: features}, {name: "pair_nlvr2_second", kind: "second", lower: func(w *writer) []*ir.Value {
				w.second = true
				return features(w)
			}}, {name: "reason_head", kind: "head", lower: func(w *writer) []*ir.Value {
				return []*ir.Value{lowerTwoLayers(w, w.b.Param("f", ir.Mat(ir.C(1), 2*w.tower.Dim)), "nlvr2")}
			}}},
		},
		{
			name:      "retrieval",
			takes:     alone,
			rows:      branchHeads("retrieval", ""),
			functions: trunkTo(head("retrieval")),
		},
		{
			// The second contrastive branch of pretraining: the top layers use the expert for pairs.
			name:  "retrieval_vl",
			takes: alone,
			rows:  branchHeads("retrieval_vl", "_vl"),
			functions: []function{{lower: func(w *writer) []*ir.Value {
				w.joint = true
				return head("retrieval_vl")(w, w.rows())
			}}},
		},
		{
			// Class 1 means that the text describes the image.
			name:  "itm",
			takes: pair,
			rows:  []row{linear("itm_score.fc", "2 dim", "itm.fc")},
			functions: trunkTo(func(w *writer, x *ir.Value) []*ir.Value {
				return []*ir.Value{w.output(w.linear(pooled(w, x), "itm.fc"), "logits")}
			}),
		},
		{
			// The logits of the masked token at each row of the text.
			name:  "mlm",
			takes: pair,
			rows: []row{
				linear("mlm_score.transform.dense", "dim dim", "mlm.dense"),
				norm("mlm_score.transform.LayerNorm", "dim", "mlm.norm"),
				matrix("mlm_score.decoder", "vocab dim", "mlm.decoder"),
				tensor("mlm_score.bias", "vocab", whole("mlm.decoder.b")),
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
