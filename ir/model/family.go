package model

// family is a row of the table of families: the structure that its sizes stand for.
type family struct {
	name string
	// structure expands the sizes. nil: not built yet.
	structure func(s *Sizes) Structure
	// joint says that the family has joint experts in its top layers, sizes.vl_layers of them.
	joint bool
	// bias says that the family may have a relative position bias, and so need no
	// positions.
	bias bool
	// positions and eps are what Sizes has by default.
	positions int
	eps       float64
	// heads is what people find Sizes.Heads by.
	heads string
}

var families = []family{
	{name: "beit3", structure: beit3, positions: defaultPositions, eps: 1e-5, heads: torchscaleHeads},
	{name: "mwt", structure: mwt, joint: true, positions: defaultPositions, eps: 1e-5, heads: torchscaleHeads},
	{name: "vlmo", structure: vlmo, joint: true, bias: true, positions: 40, eps: 1e-6, heads: "num_heads"},
}

// torchscaleHeads is what the official code of BEiT-3 calls the number of heads.
const torchscaleHeads = "encoder_attention_heads"

// beit3 is the released arrangement: every weight of a layer exists once a modality,
// only the attention pattern mixes them.
func beit3(s *Sizes) Structure {
	return Structure{
		Modalities: visionLanguage(s),
		Layers:     []LayerRange{{From: 0, To: s.Layers, Attn: Pooled, FFN: Pooled, Norms: Sub}},
		Final:      Pooled,
		Keys:       official,
	}
}

// mwt is the paper's arrangement: attention is shared, the feed-forward blocks are
// experts, and those of the top layers have one more, for pairs.
func mwt(s *Sizes) Structure {
	t := Structure{Modalities: visionLanguage(s), Final: Shared, Keys: official}
	low := s.Layers - s.VLLayers
	if low > 0 {
		t.Layers = append(t.Layers, LayerRange{From: 0, To: low, Attn: Shared, FFN: Pooled, Norms: Sub})
	}
	if low < s.Layers {
		t.Layers = append(t.Layers, LayerRange{From: low, To: s.Layers, Attn: Shared, FFN: Joint, Norms: Sub, Experts: []Expert{{Name: "vl"}}})
	}
	return t
}

// official is how the official code names the tensors.
var official = Keys{Prefix: "beit3.", Mask: true, Experts: map[string]string{"vision": "A", "language": "B", "vl": "VL"}}

func visionLanguage(s *Sizes) []Modality {
	return []Modality{
		{Name: "vision", Embedder: Patch, Height: s.Image, Width: s.Image, Patch: s.Patch, Channels: s.Channels},
		{Name: "language", Embedder: Token, Vocab: s.Vocab, Positions: s.Positions},
	}
}

func familyNamed(name string) *family {
	for i := range families {
		if families[i].name == name {
			return &families[i]
		}
	}
	return nil
}

func familyNames() []string {
	var s []string
	for _, f := range families {
		s = append(s, f.name)
	}
	return s
}

func builtFamilies() []string {
	var s []string
	for _, f := range families {
		if f.structure != nil {
			s = append(s, f.name)
		}
	}
	return s
}
