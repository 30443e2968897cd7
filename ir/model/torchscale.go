package model

var torchscaleFamilies = []family{
	{
		name: "beit3", structure: beit3, lacks: "shared attn", layouts: []string{"beit3"},
		positions: defaultPositions, eps: 1e-5, heads: torchscaleHeads,
		tokenizers: "Unigram", vocabulary: torchscaleVocabulary,
	},
	{
		name: "mwt", structure: mwt, layouts: []string{"beit3"}, joint: true,
		positions: defaultPositions, eps: 1e-5, heads: torchscaleHeads,
		tokenizers: "Unigram", vocabulary: torchscaleVocabulary,
	},
}

// torchscaleVocabulary is family.vocabulary of models that BEiT-3's reference implementation reads.
const torchscaleVocabulary = "the SentencePiece model it was trained with; the released models use beit3.spm, of 64000 pieces"

// torchscaleHeads is the name of the number of heads in BEiT-3's reference implementation.
const torchscaleHeads = "encoder_attention_heads"

// beit3 is the structure of the released models: every weight of a layer exists once per
// modality, and only attention mixes the modalities.
func beit3(s *Sizes) Structure {
	return Structure{
		Modalities: visionLanguage(s),
		Tower: Tower{
			Layers: []LayerRange{{From: 0, To: s.Layers, Attn: Pooled, FFN: Pooled, Norms: Sub}},
			Final:  Pooled,
		},
		Keys: official,
	}
}

// mwt is the structure of the paper: attention is shared, the feed-forward blocks are
// experts, and the top layers have one more expert, for pairs.
func mwt(s *Sizes) Structure {
	t := Structure{Modalities: visionLanguage(s), Tower: Tower{Final: Shared}, Keys: official}
	low := s.Layers - s.VLLayers
	if low > 0 {
		t.Layers = append(t.Layers, LayerRange{From: 0, To: low, Attn: Shared, FFN: Pooled, Norms: Sub})
	}
	if low < s.Layers {
		t.Layers = append(t.Layers, LayerRange{From: low, To: s.Layers, Attn: Shared, FFN: Joint, Norms: Sub, Experts: []Expert{{Name: "vl"}}})
	}
	return t
}

// official has the names of tensors in the reference implementation.
var official = Keys{Prefix: "beit3.", Mask: true, Experts: map[string]string{"vision": "A", "language": "B", "vl": "VL"}}

func visionLanguage(s *Sizes) []Modality {
	return []Modality{
		{Name: "vision", Embedder: Patch, Height: s.Image, Width: s.Image, Patch: s.Patch, Channels: s.Channels, Unused: firstPosition},
		{Name: "language", Embedder: Token, Vocab: s.Vocab, Positions: s.Positions, Unused: firstPosition},
	}
}

// torchscaleLayouts has the layout of BEiT-3's reference implementation, of families beit3 and mwt. A pooled weight has a tensor
// per expert. The first rows of a position table are never read; of the text's table only the rows of the longest text are used.
var torchscaleLayouts = []layout{{name: "beit3", key: "beit3.encoder.embed_positions.A.weight", rows: []row{
	each("token", tensor("{p}text_embed.weight", "vocab dim", whole("{m}.embed.tok.w"))),
	each("patch",
		when("mask", tensor("{p}{m}_embed.mask_token", "1 1 dim")),
		tensor("{p}{m}_embed.cls_token", "1 1 dim", whole("{m}.embed.cls.w")),
		each("stem",
			linear("{p}{m}_embed.stem.{s}.proj", "stem_dim inputs side side", "{m}.embed.stem{s}.proj"),
			when("stem_norm", norm("{p}{m}_embed.stem.{s}.norm", "stem_dim", "{m}.embed.stem{s}.ln")),
		),
		linear("{p}{m}_embed.proj", "dim inputs side side", "{m}.embed.proj"),
	),
	each("modality", tensor("{p}encoder.embed_positions.{e}.weight", "positions dim", cut("{m}.embed.pos.w", "unused", "kept"))),
	each("layer",
		each("attn", linear("{p}encoder.layers.{i}.self_attn.k_proj{.e}", "dim dim", "{l}.attn.{b}.k")),
		each("attn", linear("{p}encoder.layers.{i}.self_attn.v_proj{.e}", "dim dim", "{l}.attn.{b}.v")),
		each("attn", linear("{p}encoder.layers.{i}.self_attn.q_proj{.e}", "dim dim", "{l}.attn.{b}.q")),
		each("attn", linear("{p}encoder.layers.{i}.self_attn.out_proj{.e}", "dim dim", "{l}.attn.{b}.out")),
		when("sub", each("attn", norm("{p}encoder.layers.{i}.self_attn.inner_attn_ln{.e}", "dim", "{l}.attn.{b}.sub"))),
		when("!norms_shared", each("attn", norm("{p}encoder.layers.{i}.self_attn_layer_norm{.e}", "dim", "{l}.attn.{b}.{n}"))),
		when("norms_shared", sharedNorm("{p}encoder.layers.{i}.self_attn_layer_norm", "attn")),
		each("ffn",
			linear("{p}encoder.layers.{i}.ffn{.e}.fc1", "ffn dim", "{l}.ffn.{b}.fc1"),
			when("gate", linear("{p}encoder.layers.{i}.ffn{.e}.gate", "ffn dim", "{l}.ffn.{b}.gate")),
			linear("{p}encoder.layers.{i}.ffn{.e}.fc2", "dim ffn", "{l}.ffn.{b}.fc2"),
			when("sub", norm("{p}encoder.layers.{i}.ffn{.e}.ffn_layernorm", "ffn", "{l}.ffn.{b}.sub")),
		),
		when("!norms_shared", each("ffn", norm("{p}encoder.layers.{i}.final_layer_norm{.e}", "dim", "{l}.ffn.{b}.{n}"))),
		when("norms_shared", sharedNorm("{p}encoder.layers.{i}.final_layer_norm", "ffn")),
	),
	when("norm", each("final", norm("{p}encoder.layer_norm{.e}", "dim", "final.{b}"))),
}}}

// sharedNorm returns rows for the norm before or after a half, attn or ffn, that is one for all experts: each has its weights.
func sharedNorm(key, half string) row {
	return row{rows: []row{
		tensor(key+".weight", "dim"), each(half, part(whole("{l}."+half+".{b}.{n}.g"))),
		tensor(key+".bias", "dim"), each(half, part(whole("{l}."+half+".{b}.{n}.b"))),
	}}
}
