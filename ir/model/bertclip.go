package model

var bertFamilies = []family{
	{
		name: "cnclip", structure: cnclip, layouts: []string{"cnclip_hf", "cnclip"},
		positions: 512, limit: 52, eps: 1e-5, heads: faceHeads,
		act: "quick_gelu", text: "gelu", fed: squash,
		tokenizers: "WordPiece", vocabulary: "the WordPiece vocabulary it was trained with, vocab.txt",
		face: &cnclipFace,
	},
	{
		name: "xlmrclip", structure: xlmrclip, layouts: []string{"xlmr_open_clip"},
		positions: 514, limit: 77, eps: 1e-5, heads: faceHeads,
		act: "gelu", text: "gelu", fed: cropOpen,
		tokenizers: "Unigram", vocabulary: "the SentencePiece model of XLM-RoBERTa, sentencepiece.bpe.model",
		traits: xlmrTraits,
	},
}

// cnclip returns the structure of Chinese-CLIP: CLIP's vision tower, and BERT, whose first row is pooled.
func cnclip(s *Sizes) Structure {
	vision, language, see, read := twoTowers(s)
	vision.Norm = s.Eps
	see.Pool = Pool{Row: PoolFirst, Norm: NormAfter, Dim: s.Embed}
	bert(&language, &read, bertEps)
	read.Pool = Pool{Row: PoolFirst, Dim: s.Embed}
	return contrast("cnclip_hf", vision, language, see, read)
}

// xlmrclip returns the structure of open_clip's models with XLM-RoBERTa: CLIP's vision tower, and XLM-RoBERTa, whose mean row
// goes through a projection of two linears.
func xlmrclip(s *Sizes) Structure {
	vision, language, see, read := twoTowers(s)
	vision.Norm = s.Eps
	see.Pool = Pool{Row: PoolFirst, Norm: NormAfter, Dim: s.Embed}
	bert(&language, &read, s.Eps)
	language.Unused = 2
	read.Pool = Pool{Row: PoolMean, Dim: s.Embed, Hidden: (s.Text.Dim + s.Embed) / 2}
	return contrast("xlmr_open_clip", vision, language, see, read)
}

// bert sets the norms of a tower to BERT's: after the embedding and after every half layer.
func bert(language *Modality, read *Tower, eps float64) {
	language.Norm, read.Eps = eps, eps
	read.Layers[0].Norms = Post
	read.Final = ""
}

// bertText returns the rows of BERT and XLM-RoBERTa in Hugging Face's classes.
func bertText(prefix, types string, projection ...row) []row {
	const layer = "encoder.layer.{i}."
	return []row{each("token", append([]row{
		tensor(prefix+"embeddings.word_embeddings.weight", "vocab dim", whole("{m}.embed.tok.w")),
		tensor(prefix+"embeddings.position_embeddings.weight", "positions dim", cut("{m}.embed.pos.w", "unused", "kept")),
		tensor(prefix+"embeddings.token_type_embeddings.weight", types+" dim", cut("{m}.embed.type.w", "0", "1")),
		norm(prefix+"embeddings.LayerNorm", "dim", "{m}.embed.ln"),
		each("layer",
			linear(prefix+layer+"attention.self.query", "dim dim", "{l}.attn.{m}.q"),
			linear(prefix+layer+"attention.self.key", "dim dim", "{l}.attn.{m}.k"),
			linear(prefix+layer+"attention.self.value", "dim dim", "{l}.attn.{m}.v"),
			linear(prefix+layer+"attention.output.dense", "dim dim", "{l}.attn.{m}.out"),
			norm(prefix+layer+"attention.output.LayerNorm", "dim", "{l}.attn.{m}.post"),
			linear(prefix+layer+"intermediate.dense", "ffn dim", "{l}.ffn.{m}.fc1"),
			linear(prefix+layer+"output.dense", "dim ffn", "{l}.ffn.{m}.fc2"),
			norm(prefix+layer+"output.LayerNorm", "dim", "{l}.ffn.{m}.post"),
		),
	}, projection...)...)}
}

var cnclipFace = faceClass{types: "chinese_clip", configClass: configClass{name: "ChineseCLIPModel", usual: over(clipUsual, map[string]any{
	"text.dim": 768, "text.heads": 12, "text.ffn": 3072, "vocab": 30522, "positions": 512, "text.act": "gelu", "text.eps": 1e-12,
})}}

var xlmrTraits = map[string][]any{"vision.no_ln_pre": {false}, "vision.pool": {"tok"}, "text.proj": {"mlp"}, "text.pooler": {"mean_pooler"}}

var bertLayouts = []layout{
	{name: "cnclip_hf", code: Contrast, key: "text_model.encoder.layer.0.attention.self.query.weight",
		rows: rows(scores, bertText("text_model.", "2"), faceVision, faceProjections)},
	{name: "cnclip", code: Contrast, key: "bert.encoder.layer.0.attention.self.query.weight",
		rows: rows(openVision, bertText("bert.", "2", openProjection("text_projection")), scores)},
	{name: "xlmr_open_clip", code: Contrast, key: "text.transformer.encoder.layer.0.attention.self.query.weight",
		rows: rows(scores, openVision, bertText("text.transformer.", "1", matrix("text.proj.0", "hidden dim", "retrieval.{m}.head.fc1"), matrix("text.proj.2", "embed hidden", "retrieval.{m}.head.fc2")))},
}
