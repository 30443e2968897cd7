package model

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
		each("attn", norm("{p}encoder.layers.{i}.self_attn_layer_norm{.e}", "dim", "{l}.attn.{b}.ln")),
		each("ffn",
			linear("{p}encoder.layers.{i}.ffn{.e}.fc1", "ffn dim", "{l}.ffn.{b}.fc1"),
			linear("{p}encoder.layers.{i}.ffn{.e}.fc2", "dim ffn", "{l}.ffn.{b}.fc2"),
			when("sub", norm("{p}encoder.layers.{i}.ffn{.e}.ffn_layernorm", "ffn", "{l}.ffn.{b}.sub")),
		),
		each("ffn", norm("{p}encoder.layers.{i}.final_layer_norm{.e}", "dim", "{l}.ffn.{b}.ln")),
	),
	when("norm", each("final", norm("{p}encoder.layer_norm{.e}", "dim", "final.{b}"))),
}}}
