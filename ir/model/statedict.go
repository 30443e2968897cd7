package model

import (
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/ir"
)

// Tensor is one tensor of a checkpoint: its key and shape. A scalar has no dimensions.
type Tensor struct {
	Name  string
	Shape []int
}

// Tensors lists the tensors of the description's official checkpoint in order,
// those that inference never reads included. The description must be complete, as
// the constructors return it.
func Tensors(d *Description) []Tensor { return d.trunk().state.tensors }

// stateDict is a checkpoint's tensors in their official order, and what each becomes.
type stateDict struct {
	tensors []Tensor
	weights map[string]*slot // by weight name
}

// slot is a weight before it is declared: its shape and the tensor it is cut from.
type slot struct {
	shape     []int
	tensor    int // index in tensors
	row, rows int // of the tensor's first axis; rows 0 = all
	col, cols int // of a matrix; cols 0 = all
	grid      *ir.Grid
}

// tensor adds a tensor. weight names what it becomes, in shape as; "" = nothing.
func (s *stateDict) tensor(key string, shape []int, weight string, as ...int) {
	s.cut(key, shape, weight, 0, 0, as...)
}

// cut adds a tensor of which only rows of the first axis become a weight.
func (s *stateDict) cut(key string, shape []int, weight string, row, rows int, as ...int) {
	if weight != "" {
		s.weights[weight] = &slot{shape: as, tensor: len(s.tensors), row: row, rows: rows}
	}
	s.tensors = append(s.tensors, Tensor{key, shape})
}

// linear adds y = x W^T + b with W [out,in]; bundle "" adds what nothing uses.
func (s *stateDict) linear(key, bundle string, out, in int, bias bool) {
	s.tensor(key+".weight", []int{out, in}, dot(bundle, "w"), out, in)
	if bias {
		s.tensor(key+".bias", []int{out}, dot(bundle, "b"), out)
	}
}

// norm adds the gain and bias of a layer norm over n columns.
func (s *stateDict) norm(key, bundle string, n int) {
	s.tensor(key+".weight", []int{n}, dot(bundle, "g"), n)
	s.tensor(key+".bias", []int{n}, dot(bundle, "b"), n)
}

func dot(bundle, field string) string {
	if bundle == "" {
		return ""
	}
	return bundle + "." + field
}

// origin says where a slot's elements are in the checkpoint.
func (s *stateDict) origin(sl *slot) *ir.Origin {
	t := s.tensors[sl.tensor]
	return &ir.Origin{Key: t.Name, Shape: t.Shape, Row: sl.row, Rows: sl.rows, Col: sl.col, Cols: sl.cols, Grid: sl.grid}
}

// branch is one copy of a pooled weight: its suffix in keys and its part in bundles.
type branch struct{ suffix, part string }

// branches lists the copies of a half of layer r.
func (t *trunk) branches(k *Keys, r LayerRange, s Sharing) []branch {
	if s == Shared {
		return []branch{{"", "shared"}}
	}
	var bs []branch
	for _, m := range t.modalities {
		bs = append(bs, branch{"." + k.word(m.Name), m.Name})
	}
	if s == Joint {
		for _, e := range r.Experts {
			bs = append(bs, branch{"." + k.word(e.Name), e.Name})
		}
	}
	return bs
}

// torchscale writes the trunk's state dict as the official code orders and names it:
// with one tensor a branch where a weight is pooled. norm says whether the norm
// after the last layer is there. The first two rows of a position table are never
// read; of the text positions only as many as the longest text are kept.
func (t *trunk) torchscale(k *Keys, norm bool, text int) {
	st, dim := t.state, t.dim
	for _, m := range t.modalities {
		if m.Embedder == Token {
			st.tensor(k.Prefix+"text_embed.weight", []int{m.Vocab, dim}, m.Name+".embed.tok.w", m.Vocab, dim)
		}
	}
	for _, m := range t.modalities {
		if m.Embedder != Patch {
			continue
		}
		key, bundle := k.Prefix+m.Name+"_embed.", m.Name+".embed."
		if k.Mask {
			st.tensor(key+"mask_token", []int{1, 1, dim}, "")
		}
		st.tensor(key+"cls_token", []int{1, 1, dim}, bundle+"cls.w", 1, dim)
		st.tensor(key+"proj.weight", []int{dim, m.Channels, m.Patch, m.Patch}, bundle+"proj.w", dim, m.Channels*m.Patch*m.Patch)
		st.tensor(key+"proj.bias", []int{dim}, bundle+"proj.b", dim)
	}
	for _, m := range t.modalities {
		table, rows := m.Positions, text
		if m.Embedder == Patch {
			table, rows = m.fixed()+firstPosition, m.fixed()
		}
		st.cut(k.Prefix+"encoder.embed_positions."+k.word(m.Name)+".weight", []int{table, dim}, m.Name+".embed.pos.w", firstPosition, rows, rows, dim)
		if m.Embedder == Patch && m.Height == m.Width {
			st.weights[m.Name+".embed.pos.w"].grid = &ir.Grid{Extra: firstPosition + 1, Side: m.Height / m.Patch, Resize: t.resize}
		}
	}
	for i, l := range t.layers {
		key := fmt.Sprintf("%sencoder.layers.%d.", k.Prefix, i)
		attn := func(b branch) string { return layerName(i) + ".attn." + b.part + "." }
		ffn := func(b branch) string { return layerName(i) + ".ffn." + b.part + "." }
		heads, experts := t.branches(k, l, l.Attn), t.branches(k, l, l.FFN)
		for _, m := range []string{"k", "v", "q", "out"} {
			for _, b := range heads {
				st.linear(key+"self_attn."+m+"_proj"+b.suffix, attn(b)+m, dim, dim, true)
			}
		}
		if l.Norms == Sub {
			for _, b := range heads {
				st.norm(key+"self_attn.inner_attn_ln"+b.suffix, attn(b)+"sub", dim)
			}
		}
		for _, b := range heads {
			st.norm(key+"self_attn_layer_norm"+b.suffix, attn(b)+"ln", dim)
		}
		for _, b := range experts {
			st.linear(key+"ffn"+b.suffix+".fc1", ffn(b)+"fc1", t.ffn, dim, true)
			st.linear(key+"ffn"+b.suffix+".fc2", ffn(b)+"fc2", dim, t.ffn, true)
			if l.Norms == Sub {
				st.norm(key+"ffn"+b.suffix+".ffn_layernorm", ffn(b)+"sub", t.ffn)
			}
		}
		for _, b := range experts {
			st.norm(key+"final_layer_norm"+b.suffix, ffn(b)+"ln", dim)
		}
	}
	if norm {
		for _, b := range t.branches(k, LayerRange{}, t.final) {
			st.norm(k.Prefix+"encoder.layer_norm"+b.suffix, "final."+b.part, dim)
		}
	}
}

// token is the trunk's token modality; tasks that need it have entries with one.
func (t *trunk) token() *modality {
	i := slices.IndexFunc(t.modalities, func(m modality) bool { return m.Embedder == Token })
	return &t.modalities[i]
}
