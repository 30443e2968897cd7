package model

import (
	"cmp"
	"strings"
)

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
		Tower: Tower{
			Layers: []LayerRange{{From: 0, To: s.Layers, Attn: Pooled, FFN: Pooled, Norms: Sub}},
			Final:  Pooled,
		},
		Keys: official,
	}
}

// mwt is the paper's arrangement: attention is shared, the feed-forward blocks are
// experts, and those of the top layers have one more, for pairs.
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

// official is how the official code names the tensors.
var official = Keys{Prefix: "beit3.", Mask: true, Experts: map[string]string{"vision": "A", "language": "B", "vl": "VL"}}

func visionLanguage(s *Sizes) []Modality {
	return []Modality{
		{Name: "vision", Embedder: Patch, Height: s.Image, Width: s.Image, Patch: s.Patch, Channels: s.Channels, Unused: firstPosition},
		{Name: "language", Embedder: Token, Vocab: s.Vocab, Positions: s.Positions, Unused: firstPosition},
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

func (d *Description) completeFamily() *problem {
	if d.Preset != "" {
		p, err := findPreset(d.Preset)
		if err != nil {
			return &problem{"preset", err.Error()}
		}
		switch {
		case d.Family != "" && d.Family != p.Family:
			return wrong("family", " is %s, but preset %s is of family %s; remove one of the two", d.Family, d.Preset, p.Family)
		case d.Sizes == (Sizes{}):
			d.Sizes = p.Sizes
		case d.Sizes == (Sizes{Image: d.Sizes.Image}):
			image := d.Sizes.Image
			d.Sizes = p.Sizes
			d.Sizes.Image = image
		}
		other := p.Sizes
		other.Image = d.Sizes.Image
		switch {
		case d.Sizes != other:
			return wrong("sizes", " and preset are both given, and preset %s has sizes of its own; of them only image can be changed; for other sizes use family and sizes", d.Preset)
		case d.Sizes != p.Sizes && !d.Interpolate:
			return wrong("sizes.image", " is %d, but preset %s is for pictures of %d; add `interpolate: true` to resize its position table", d.Sizes.Image, d.Preset, p.Sizes.Image)
		}
		d.Family = p.Family
	}
	if d.Long.Modalities != nil || d.Long.Layers != nil {
		if d.Family != "" {
			what := "family"
			if d.Preset != "" {
				what = "preset"
			}
			return wrong(what, " and modalities or layers are both given; %s %s says them already: remove one of the two", what, cmp.Or(d.Preset, d.Family))
		}
		return nil
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"final", d.Long.Final != ""}, {"keys", d.Long.Keys.Prefix != "" || d.Long.Keys.Experts != nil}} {
		if f.given {
			return wrong(f.name, " goes with modalities and layers; remove it")
		}
	}
	if d.Family == "" {
		return wrong("family", " is missing; give a preset, or a family (%s) and its sizes, or modalities and layers", strings.Join(builtFamilies(), ", "))
	}
	row := familyNamed(d.Family)
	if row == nil {
		return wrong("family", ": %s", unknown("family", d.Family, familyNames()))
	}
	// A family's sizes are read by its own row, so nothing more can be said without one.
	if row.structure == nil {
		return wrong("family", " %s is not built yet; built families are %s", d.Family, strings.Join(builtFamilies(), ", "))
	}
	return nil
}

// long reports whether the description is in the long form.
func (d *Description) long() bool { return d.Family == "" }
