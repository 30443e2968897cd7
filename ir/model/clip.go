package model

var clipFamilies = []family{
	{
		name: "clipa", structure: clipa, lacks: "embed_norm", layouts: []string{"clip_open_clip", "clip_open_clip_text"},
		positions: 32, eps: 1e-5, heads: faceHeads,
		act: "gelu", text: "gelu", fed: squashImageNet,
		tokenizers: "WordPiece", vocabulary: "the WordPiece vocabulary it was trained with, vocab.txt",
		unreached: 32000 - 30522, // the vocabulary of bert-base-uncased in a table of 32000 rows
		traits:    clipaTraits,
	},
	{
		name: "clip", structure: clipStructure, layouts: []string{"clip_hf", "clip_open_clip", "clip_open_clip_text"},
		positions: 77, limit: 77, eps: 1e-5, heads: faceHeads,
		act: "quick_gelu", text: "quick_gelu", fed: cropOpen,
		tokenizers: "CLIP Unigram", vocabulary: "the vocabulary it was trained with: CLIP's, bpe_simple_vocab_16e6.txt.gz as OpenAI and open_clip have it, vocab.json with merges.txt or tokenizer.json as Hugging Face has it; of MetaCLIP 2 the SentencePiece model of XLM-V",
		face: &clipFace, traits: clipTraits,
	},
}

// clipStructure returns the structure of CLIP. The vision tower has a class token and a norm before its layers. The text
// tower is causal, and its last row is pooled: a text ends at its end token, so no padding is computed.
func clipStructure(s *Sizes) Structure {
	vision, language, see, read := twoTowers(s)
	vision.Norm = s.Eps
	see.Pool = Pool{Row: PoolFirst, Norm: NormAfter, Dim: s.Embed}
	read.Causal = true
	read.Pool = Pool{Row: PoolLast, Norm: NormBefore, Dim: s.Embed}
	return contrast("clip_hf", vision, language, see, read)
}

// clipa returns the structure of CLIPA. The vision tower has no norm before its layers, and the mean of its patches is
// pooled. Texts are padded, and their attention is not causal.
func clipa(s *Sizes) Structure {
	vision, language, see, read := twoTowers(s)
	see.Pool = Pool{Row: PoolMean, Norm: NormAfter, Dim: s.Embed}
	language.Rows = s.Positions
	read.Pool = Pool{Row: PoolLast, Norm: NormBefore, Dim: s.Embed}
	return contrast("clip_open_clip", vision, language, see, read)
}

// openBlocks returns the rows of layers in OpenAI's code, which open_clip shares.
func openBlocks(prefix string) row {
	prefix += "transformer.resblocks.{i}."
	return each("layer",
		norm(prefix+"ln_1", "dim", "{l}.attn.{m}.ln"),
		tensor(prefix+"attn.in_proj_weight", "3*dim dim", thirds("{l}.attn.{m}.", "w")...),
		tensor(prefix+"attn.in_proj_bias", "3*dim", thirds("{l}.attn.{m}.", "b")...),
		linear(prefix+"attn.out_proj", "dim dim", "{l}.attn.{m}.out"),
		norm(prefix+"ln_2", "dim", "{l}.ffn.{m}.ln"),
		linear(prefix+"mlp.c_fc", "ffn dim", "{l}.ffn.{m}.fc1"),
		linear(prefix+"mlp.c_proj", "dim ffn", "{l}.ffn.{m}.fc2"),
	)
}

// openVision has the rows of the vision tower in OpenAI's code.
var openVision = []row{each("patch",
	when("class", tensor("visual.class_embedding", "dim", whole("{m}.embed.cls.w"))),
	tensor("visual.positional_embedding", "positions dim", whole("{m}.embed.pos.w")),
	openProjection("visual.proj"),
	tensor("visual.conv1.weight", "dim channels patch patch", whole("{m}.embed.proj.w")),
	when("embed_norm", norm("visual.ln_pre", "dim", "{m}.embed.ln")),
	openBlocks("visual."),
	norm("visual.ln_post", "dim", "final.{m}"),
)}

// openText returns the rows of the text tower in OpenAI's code. open_clip adds a prefix to its keys if a model's text tower differs
// from OpenAI's.
func openText(prefix string, projection row) []row {
	return []row{each("token",
		tensor(prefix+"positional_embedding", "positions dim", cut("{m}.embed.pos.w", "0", "kept")),
		projection,
		tensor(prefix+"token_embedding.weight", "vocab dim", whole("{m}.embed.tok.w")),
		openBlocks(prefix),
		norm(prefix+"ln_final", "dim", "final.{m}"),
	)}
}

// openProjection returns the row of a projection whose matrix is stored transposed, as [in,out].
func openProjection(key string) row {
	return tensor(key, "dim embed", target{weight: "retrieval.{m}.w", transposed: true})
}

// faceLayers returns the rows of layers in Hugging Face's classes for CLIP and SigLIP.
func faceLayers(prefix string) row {
	prefix += "encoder.layers.{i}."
	return each("layer",
		linear(prefix+"self_attn.k_proj", "dim dim", "{l}.attn.{m}.k"),
		linear(prefix+"self_attn.v_proj", "dim dim", "{l}.attn.{m}.v"),
		linear(prefix+"self_attn.q_proj", "dim dim", "{l}.attn.{m}.q"),
		linear(prefix+"self_attn.out_proj", "dim dim", "{l}.attn.{m}.out"),
		norm(prefix+"layer_norm1", "dim", "{l}.attn.{m}.ln"),
		linear(prefix+"mlp.fc1", "ffn dim", "{l}.ffn.{m}.fc1"),
		linear(prefix+"mlp.fc2", "dim ffn", "{l}.ffn.{m}.fc2"),
		norm(prefix+"layer_norm2", "dim", "{l}.ffn.{m}.ln"),
	)
}

// faceText has the rows of the text tower in Hugging Face's classes for CLIP and SigLIP.
var faceText = []row{each("token",
	tensor("text_model.embeddings.token_embedding.weight", "vocab dim", whole("{m}.embed.tok.w")),
	tensor("text_model.embeddings.position_embedding.weight", "positions dim", cut("{m}.embed.pos.w", "0", "kept")),
	faceLayers("text_model."),
	norm("text_model.final_layer_norm", "dim", "final.{m}"),
)}

// faceVision has the rows of the vision tower in Hugging Face's classes for CLIP.
var faceVision = []row{each("patch",
	tensor("vision_model.embeddings.class_embedding", "dim", whole("{m}.embed.cls.w")),
	matrix("vision_model.embeddings.patch_embedding", "dim channels patch patch", "{m}.embed.proj"),
	tensor("vision_model.embeddings.position_embedding.weight", "positions dim", whole("{m}.embed.pos.w")),
	norm("vision_model.pre_layrnorm", "dim", "{m}.embed.ln"),
	faceLayers("vision_model."),
	norm("vision_model.post_layernorm", "dim", "final.{m}"),
)}

var faceProjections = []row{
	each("patch", matrix("visual_projection", "embed dim", "retrieval.{m}")),
	each("token", matrix("text_projection", "embed dim", "retrieval.{m}")),
}

// CLIP's texts end with the end token, which has the largest id or, in MetaCLIP 2, an id of its own.
var clipTraits = map[string][]any{"vision.no_ln_pre": {false}, "vision.pool": {"tok"}, "text.seen": {false}, "text.pool": {"argmax", "eos"}}

var clipaTraits = map[string][]any{"vision.no_ln_pre": {true}, "vision.pool": {"avg"}, "vision.norm_after": {true}, "text.seen": {true}, "text.pool": {"last"}}

var clipFace = faceClass{types: "clip metaclip_2", configClass: configClass{name: "CLIPModel", usual: clipUsual}}

var clipUsual = map[string]any{
	"embed":    512,
	"text.dim": 512, "text.heads": 8, "text.ffn": 2048, "text.layers": 12, "vocab": 49408, "positions": 77, "text.act": "quick_gelu", "text.eps": 1e-5,
	"vision.dim": 768, "vision.heads": 12, "vision.ffn": 3072, "vision.layers": 12, "channels": 3, "image": 224, "patch": 32, "vision.act": "quick_gelu", "vision.eps": 1e-5,
}

var clipLayouts = []layout{
	{name: "clip_hf", code: Contrast, key: "vision_model.embeddings.class_embedding", rows: rows(scores, faceText, faceVision, faceProjections)},
	{name: "clip_open_clip_text", code: Contrast, key: "text.token_embedding.weight", rows: rows(openText("text.", openProjection("text.text_projection")), scores, openVision)},
	{name: "clip_open_clip", code: Contrast, key: "visual.conv1.weight", rows: rows(openText("", openProjection("text_projection")), scores, openVision)},
}
