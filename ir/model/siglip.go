package model

var siglipFamilies = []family{
	{
		name: "siglip", structure: siglip, layouts: []string{"siglip_hf", "siglip_open_clip"}, direct: true,
		positions: 64, eps: 1e-6, heads: faceHeads,
		act: "gelu_tanh", text: "gelu_tanh", fed: half,
		tokenizers: "SigLIP", vocabulary: "the SentencePiece model it was trained with: spiece.model, of SigLIP 2 tokenizer.model of Gemma",
		face: &siglipFace, traits: siglipTraits,
	},
}

// siglip returns the structure of SigLIP, and of SigLIP 2 for pictures of a fixed size. There is no class token, and a
// learned query pools the patches. Texts are padded to a fixed length; their last row, which is usually padding, is pooled.
func siglip(s *Sizes) Structure {
	vision, language, see, read := twoTowers(s)
	vision.Classless = true
	see.Pool = Pool{Row: PoolMap, Norm: NormBefore, Dim: s.Dim, Direct: true, Heads: s.Heads, FFN: s.FFN}
	language.Rows = s.Positions
	read.Pool = Pool{Row: PoolLast, Norm: NormBefore, Dim: s.Dim}
	t := contrast("siglip_hf", vision, language, see, read)
	t.Similarity = Similarity{Bias: true, Score: Sigmoid}
	return t
}

var siglipTraits = map[string][]any{"vision.timm_pool": {"map"}, "text.seen": {true}, "text.pool": {"last"}}

var siglipFace = faceClass{types: "siglip", configClass: configClass{name: "SiglipModel", usual: map[string]any{
	"text.dim": 768, "text.heads": 12, "text.ffn": 3072, "text.layers": 12, "vocab": 32000, "positions": 64, "text.act": "gelu_tanh", "text.eps": 1e-6,
	"vision.dim": 768, "vision.heads": 12, "vision.ffn": 3072, "vision.layers": 12, "channels": 3, "image": 224, "patch": 16, "vision.act": "gelu_tanh", "vision.eps": 1e-6,
}}}

var siglipLayouts = []layout{
	{name: "siglip_hf", code: Contrast, key: "vision_model.head.probe", rows: rows(scores, faceText, []row{
		each("token", linear("text_model.head", "embed dim", "retrieval.{m}")),
		each("patch",
			linear("vision_model.embeddings.patch_embedding", "dim channels patch patch", "{m}.embed.proj"),
			tensor("vision_model.embeddings.position_embedding.weight", "positions dim", whole("{m}.embed.pos.w")),
			faceLayers("vision_model."),
			norm("vision_model.post_layernorm", "dim", "final.{m}"),
			tensor("vision_model.head.probe", "1 1 dim", whole("retrieval.{m}.map.probe.w")),
			tensor("vision_model.head.attention.in_proj_weight", "3*dim dim", thirds("retrieval.{m}.map.attn.", "w")...),
			tensor("vision_model.head.attention.in_proj_bias", "3*dim", thirds("retrieval.{m}.map.attn.", "b")...),
			linear("vision_model.head.attention.out_proj", "dim dim", "retrieval.{m}.map.attn.out"),
			norm("vision_model.head.layernorm", "dim", "retrieval.{m}.map.ffn.ln"),
			linear("vision_model.head.mlp.fc1", "map_ffn dim", "retrieval.{m}.map.ffn.fc1"),
			linear("vision_model.head.mlp.fc2", "dim map_ffn", "retrieval.{m}.map.ffn.fc2"),
		),
	})},
	{name: "siglip_open_clip", code: Contrast, key: "visual.trunk.attn_pool.latent", rows: rows(scores, []row{
		each("patch",
			tensor("visual.trunk.pos_embed", "1 positions dim", whole("{m}.embed.pos.w")),
			linear("visual.trunk.patch_embed.proj", "dim channels patch patch", "{m}.embed.proj"),
			each("layer",
				norm("visual.trunk.blocks.{i}.norm1", "dim", "{l}.attn.{m}.ln"),
				tensor("visual.trunk.blocks.{i}.attn.qkv.weight", "3*dim dim", thirds("{l}.attn.{m}.", "w")...),
				tensor("visual.trunk.blocks.{i}.attn.qkv.bias", "3*dim", thirds("{l}.attn.{m}.", "b")...),
				linear("visual.trunk.blocks.{i}.attn.proj", "dim dim", "{l}.attn.{m}.out"),
				norm("visual.trunk.blocks.{i}.norm2", "dim", "{l}.ffn.{m}.ln"),
				linear("visual.trunk.blocks.{i}.mlp.fc1", "ffn dim", "{l}.ffn.{m}.fc1"),
				linear("visual.trunk.blocks.{i}.mlp.fc2", "dim ffn", "{l}.ffn.{m}.fc2"),
			),
			norm("visual.trunk.norm", "dim", "final.{m}"),
			tensor("visual.trunk.attn_pool.latent", "1 1 dim", whole("retrieval.{m}.map.probe.w")),
			linear("visual.trunk.attn_pool.q", "dim dim", "retrieval.{m}.map.attn.q"),
			tensor("visual.trunk.attn_pool.kv.weight", "2*dim dim", cut("retrieval.{m}.map.attn.k.w", "0", "dim"), cut("retrieval.{m}.map.attn.v.w", "dim", "dim")),
			tensor("visual.trunk.attn_pool.kv.bias", "2*dim", cut("retrieval.{m}.map.attn.k.b", "0", "dim"), cut("retrieval.{m}.map.attn.v.b", "dim", "dim")),
			linear("visual.trunk.attn_pool.proj", "dim dim", "retrieval.{m}.map.attn.out"),
			norm("visual.trunk.attn_pool.norm", "dim", "retrieval.{m}.map.ffn.ln"),
			linear("visual.trunk.attn_pool.mlp.fc1", "map_ffn dim", "retrieval.{m}.map.ffn.fc1"),
			linear("visual.trunk.attn_pool.mlp.fc2", "dim map_ffn", "retrieval.{m}.map.ffn.fc2"),
		),
	}, openText("text.", linear("text.text_projection", "embed dim", "retrieval.{m}")))},
}
