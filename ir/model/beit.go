package model

// beit is the structure of BEiT, BEiT v2 and data2vec's vision model: VLMo's layers with one expert and no text. The norm of
// the head has the epsilon of the other norms.
func beit(s *Sizes) Structure {
	layers := alike(s.Layers, Pre)
	layers[0].Scale = true
	vision := Modality{Name: "vision", Embedder: Patch, Height: s.Image, Width: s.Image, Patch: s.Patch, Channels: s.Channels, Anywhere: true}
	return Structure{
		Modalities: []Modality{vision},
		Tower:      Tower{Layers: layers, Relative: true, HeadEps: s.Eps},
		Keys:       Keys{Layout: "beit_hf"},
	}
}

const beitLayer = "beit.encoder.layer.{i}."

// beitLayouts has the layout of BEiT checkpoints of Hugging Face's transformers that have a relative position bias and
// classify the mean of the patches.
var beitLayouts = []layout{{
	name: "beit_hf", key: "beit.encoder.layer.0.lambda_1",
	rows: []row{each("patch",
		tensor("beit.embeddings.cls_token", "1 1 dim", whole("{m}.embed.cls.w")),
		linear("beit.embeddings.patch_embeddings.projection", "dim channels patch patch", "{m}.embed.proj"),
		each("layer",
			tensor(beitLayer+"lambda_1", "dim", whole("{l}.attn.shared.gamma.g")),
			tensor(beitLayer+"lambda_2", "dim", whole("{l}.ffn.shared.gamma.g")),
			linear(beitLayer+"attention.attention.query", "dim dim", "{l}.attn.shared.q"),
			matrix(beitLayer+"attention.attention.key", "dim dim", "{l}.attn.shared.k"),
			linear(beitLayer+"attention.attention.value", "dim dim", "{l}.attn.shared.v"),
			tensor(beitLayer+"attention.attention.relative_position_bias.relative_position_bias_table", "image_bias heads", whole("{l}.relbias.image")),
			linear(beitLayer+"attention.output.dense", "dim dim", "{l}.attn.shared.out"),
			linear(beitLayer+"intermediate.dense", "ffn dim", "{l}.ffn.shared.fc1"),
			linear(beitLayer+"output.dense", "dim ffn", "{l}.ffn.shared.fc2"),
			norm(beitLayer+"layernorm_before", "dim", "{l}.attn.shared.ln"),
			norm(beitLayer+"layernorm_after", "dim", "{l}.ffn.shared.ln"),
		),
	)},
	heads: map[string][]row{"classification": {
		norm("beit.pooler.layernorm", "dim", "classification.norm"),
		linear("classifier", "classes dim", "classification.head"),
	}},
}}
