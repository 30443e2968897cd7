package model

var beitFamilies = []family{
	{
		name: "beit", structure: beit, layouts: []string{"beit_hf", "data2vec_hf", "beit_bare_hf"}, alone: true,
		eps: 1e-12, heads: faceHeads,
		fed:  halfBilinear,
		face: &beitFace, traits: beitTraits,
	},
}

// beit is the structure of BEiT and of data2vec's model of pictures: one tower, for pictures, whose layers have a relative
// position bias and a layer scale. The mean of the patches' rows is their embedding, after a norm.
func beit(s *Sizes) Structure {
	vision, _, see, _ := twoTowers(s)
	vision.Anywhere = true
	see.Layers[0].Scale = true
	see.Relative = true
	see.Pool = Pool{Row: PoolMean, Norm: NormAfter, Dim: s.Dim, Direct: true}
	return Structure{Modalities: []Modality{vision}, Towers: []Tower{see}, Keys: Keys{Code: Contrast, Layout: "beit_hf"}}
}

// beitRows returns the rows of BEiT in Hugging Face's classes.
func beitRows(prefix string) []row {
	layer := prefix + "encoder.layer.{i}."
	return []row{each("patch",
		tensor(prefix+"embeddings.cls_token", "1 1 dim", whole("{m}.embed.cls.w")),
		linear(prefix+"embeddings.patch_embeddings.projection", "dim channels patch patch", "{m}.embed.proj"),
		each("layer",
			tensor(layer+"lambda_1", "dim", whole("{l}.attn.{m}.gamma.g")),
			tensor(layer+"lambda_2", "dim", whole("{l}.ffn.{m}.gamma.g")),
			linear(layer+"attention.attention.query", "dim dim", "{l}.attn.{m}.q"),
			matrix(layer+"attention.attention.key", "dim dim", "{l}.attn.{m}.k"),
			linear(layer+"attention.attention.value", "dim dim", "{l}.attn.{m}.v"),
			tensor(layer+"attention.attention.relative_position_bias.relative_position_bias_table", "image_bias heads", whole("{l}.relbias.image")),
			linear(layer+"attention.output.dense", "dim dim", "{l}.attn.{m}.out"),
			linear(layer+"intermediate.dense", "ffn dim", "{l}.ffn.{m}.fc1"),
			linear(layer+"output.dense", "dim ffn", "{l}.ffn.{m}.fc2"),
			norm(layer+"layernorm_before", "dim", "{l}.attn.{m}.ln"),
			norm(layer+"layernorm_after", "dim", "{l}.ffn.{m}.ln"),
		),
		norm(prefix+"pooler.layernorm", "dim", "final.{m}"),
	)}
}

// beitLayouts has the layouts of models that classify, BeitForImageClassification and Data2VecVisionForImageClassification, and
// of models without their head, BeitModel and Data2VecVisionModel.
var beitLayouts = []layout{
	{name: "beit_hf", code: Contrast, key: "beit.encoder.layer.0.lambda_1", rows: beitRows("beit."), heads: beitHeads},
	{name: "data2vec_hf", code: Contrast, key: "data2vec_vision.encoder.layer.0.lambda_1", rows: beitRows("data2vec_vision."), heads: beitHeads},
	{name: "beit_bare_hf", code: Contrast, key: "encoder.layer.0.lambda_1", rows: beitRows("")},
}

var beitHeads = map[string][]row{"classification": {linear("classifier", "classes dim", "classification.head")}}

var beitTraits = map[string][]any{"vision.act": {"gelu"}}

var beitFace = faceClass{types: "beit data2vec-vision", configClass: configClass{name: "BeitModel", under: "vision_config.", usual: map[string]any{
	"vision.dim": 768, "vision.heads": 12, "vision.ffn": 3072, "vision.layers": 12, "channels": 3, "image": 224, "patch": 16, "vision.act": "gelu", "vision.eps": 1e-12,
}}}
