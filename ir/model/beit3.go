package model

import (
	"fmt"

	"github.com/multiway-go/multiway/ir"
)

// beit3 expands the released arrangement: every weight of a layer exists once a
// modality, only the attention pattern mixes them, and both halves have a norm
// inside (torchscale's BEiT3 with subln).
func beit3(d *Description, norm bool) *trunk {
	s := &d.Sizes
	n := s.patches()
	t := &trunk{
		dim: s.Dim, heads: s.Heads, eps: s.Eps,
		modalities: []modality{
			{name: "vision", input: "image", embed: patches, rows: ir.C(n + 1), image: s.Image, patch: s.Patch, channels: s.Channels},
			{name: "language", input: "ids", embed: tokens, rows: ir.T, vocab: s.Vocab},
		},
		final: pooled,
		state: &stateDict{weights: map[string]*slot{}},
	}
	for range s.Layers {
		t.layers = append(t.layers, layer{attn: pooled, ffn: pooled, sub: true})
	}

	// The state dict, in the official order. The first two rows of a position table are
	// never read; of the text positions only as many as the longest text are kept.
	dim, text := s.Dim, d.Limits.Text
	branches := []struct{ letter, expert string }{{"A", "vision"}, {"B", "language"}}
	st := t.state
	st.tensor("beit3.text_embed.weight", []int{s.Vocab, dim}, "language.embed.tok.w", s.Vocab, dim)
	st.tensor("beit3.vision_embed.mask_token", []int{1, 1, dim}, "")
	st.tensor("beit3.vision_embed.cls_token", []int{1, 1, dim}, "vision.embed.cls.w", 1, dim)
	st.tensor("beit3.vision_embed.proj.weight", []int{dim, s.Channels, s.Patch, s.Patch}, "vision.embed.proj.w", dim, s.Channels*s.Patch*s.Patch)
	st.tensor("beit3.vision_embed.proj.bias", []int{dim}, "vision.embed.proj.b", dim)
	st.cut("beit3.encoder.embed_positions.A.weight", []int{n + 1 + firstPosition, dim}, "vision.embed.pos.w", firstPosition, n+1, n+1, dim)
	st.cut("beit3.encoder.embed_positions.B.weight", []int{s.Positions, dim}, "language.embed.pos.w", firstPosition, text, text, dim)
	for i := range s.Layers {
		key := fmt.Sprintf("beit3.encoder.layers.%d.", i)
		attn := func(expert string) string { return layerName(i) + ".attn." + expert + "." }
		ffn := func(expert string) string { return layerName(i) + ".ffn." + expert + "." }
		for _, m := range []string{"k", "v", "q", "out"} {
			for _, b := range branches {
				st.linear(key+"self_attn."+m+"_proj."+b.letter, attn(b.expert)+m, dim, dim, true)
			}
		}
		for _, b := range branches {
			st.norm(key+"self_attn.inner_attn_ln."+b.letter, attn(b.expert)+"sub", dim)
		}
		for _, b := range branches {
			st.norm(key+"self_attn_layer_norm."+b.letter, attn(b.expert)+"ln", dim)
		}
		for _, b := range branches {
			st.linear(key+"ffn."+b.letter+".fc1", ffn(b.expert)+"fc1", s.FFN, dim, true)
			st.linear(key+"ffn."+b.letter+".fc2", ffn(b.expert)+"fc2", dim, s.FFN, true)
			st.norm(key+"ffn."+b.letter+".ffn_layernorm", ffn(b.expert)+"sub", s.FFN)
		}
		for _, b := range branches {
			st.norm(key+"final_layer_norm."+b.letter, ffn(b.expert)+"ln", dim)
		}
	}
	if norm {
		for _, b := range branches {
			st.norm("beit3.encoder.layer_norm."+b.letter, "final."+b.expert, dim)
		}
	}
	return t
}
