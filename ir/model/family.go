package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// family is an entry of the table of families, short forms of descriptions that consist of a few sizes.
type family struct {
	name string
	// structure returns the long form of a model with the given sizes.
	structure func(s *Sizes) Structure
	// alone: the family has no texts.
	alone bool
	// joint: the family has joint experts in its top layers, whose number is sizes.vl_layers.
	joint bool
	// bias: the family may have a relative position bias, and then needs no positions.
	bias bool
	// act and text are the default activations of pictures and texts, in families with a text tower.
	act, text string
	// direct: the pooled row of a picture is its embedding, without a projection.
	direct bool
	// lacks is the condition of some rows in the family's layouts, or a sharing and a half, as in "shared attn"; "" = none.
	// Checkpoints of the family have no tensors of these rows, which distinguishes them from checkpoints of later families with
	// the same layout.
	lacks   string
	layouts []string // layouts of its checkpoints; the first is the default
	// keeps: checkpoints that are tuned for a task keep the heads of pretraining.
	keeps bool
	// positions and eps are the defaults in Sizes.
	positions int
	eps       float64
	limit     int // of the text, by default; 0 = defaultText
	// fed is, in families whose models come with configuration files, the preprocessing of most models. In families with a
	// text tower Offset, RGB and Alpha depend on the code that reads the checkpoint instead.
	fed Preprocess
	// tokenizers are the kinds of its models' tokenizers, with a space between them: CLIP, SigLIP, Unigram, WordPiece.
	tokenizers string
	// heads is the name of Sizes.Heads in the family's code and configurations.
	heads string
	// face is the class of the family's models in Hugging Face's transformers; nil: there is none.
	face *faceClass
	// traits are the facts in configurations about the structure that have one supported value, and that value.
	traits map[string]any
}

var families = []family{
	{name: "beit3", structure: beit3, lacks: "shared attn", layouts: []string{"beit3"}, positions: defaultPositions, eps: 1e-5, tokenizers: "Unigram", heads: torchscaleHeads},
	{name: "mwt", structure: mwt, layouts: []string{"beit3"}, joint: true, positions: defaultPositions, eps: 1e-5, tokenizers: "Unigram", heads: torchscaleHeads},
	{name: "vlmo", structure: vlmo, keeps: true, layouts: []string{"vlmo"}, joint: true, bias: true, positions: 40, eps: 1e-6, tokenizers: "WordPiece", heads: "num_heads"},
	{name: "beit", structure: beit, layouts: []string{"beit_hf", "beit_bare_hf"}, alone: true, eps: 1e-12, fed: halfBilinear, heads: faceHeads, face: &beitFace, traits: beitTraits},
	{name: "clipa", structure: clipa, lacks: "embed_norm", layouts: []string{"clip_open_clip", "clip_open_clip_text"}, positions: 32, eps: 1e-5, act: "gelu", text: "gelu", fed: squashImageNet, tokenizers: "WordPiece", heads: faceHeads, traits: clipaTraits},
	{name: "clip", structure: clipStructure, layouts: []string{"clip_hf", "clip_open_clip", "clip_open_clip_text"}, positions: 77, limit: 77, eps: 1e-5, act: "quick_gelu", text: "quick_gelu", fed: cropOpen, tokenizers: "CLIP Unigram", heads: faceHeads, face: &clipFace, traits: clipTraits},
	{name: "siglip", structure: siglip, layouts: []string{"siglip_hf", "siglip_open_clip"}, direct: true, positions: 64, eps: 1e-6, act: "gelu_tanh", text: "gelu_tanh", fed: half, tokenizers: "SigLIP", heads: faceHeads, face: &siglipFace, traits: siglipTraits},
	{name: "cnclip", structure: cnclip, layouts: []string{"cnclip_hf", "cnclip"}, positions: 512, limit: 52, eps: 1e-5, act: "quick_gelu", text: "gelu", fed: squash, tokenizers: "WordPiece", heads: faceHeads, face: &cnclipFace},
	{name: "xlmrclip", structure: xlmrclip, layouts: []string{"xlmr_open_clip"}, positions: 514, limit: 77, eps: 1e-5, act: "gelu", text: "gelu", fed: cropOpen, tokenizers: "Unigram", heads: faceHeads, traits: xlmrTraits},
}

// faceHeads is the name of the number of heads in Hugging Face's classes.
const faceHeads = "num_attention_heads"

// torchscaleHeads is the name of the number of heads in BEiT-3's reference implementation.
const torchscaleHeads = "encoder_attention_heads"

// beit3 is the structure of the released models: every weight of a layer exists once per
// modality, and only attention mixes the modalities.
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

// mwt is the structure of the paper: attention is shared, the feed-forward blocks are
// experts, and the top layers have one more expert, for pairs.
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

// official has the names of tensors in the reference implementation.
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
	if d.Long.Modalities != nil || d.Long.Layers != nil || d.Long.Towers != nil {
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
	}{{"final", d.Long.Final != ""}, {"similarity", d.Long.Similarity != Similarity{}}, {"keys", d.Long.Keys.Prefix != "" || d.Long.Keys.Experts != nil}} {
		if f.given {
			return wrong(f.name, " goes with modalities and layers; remove it")
		}
	}
	if d.Family == "" {
		return wrong("family", " is missing; give a preset, or a family (%s) and its sizes, or modalities and layers", strings.Join(familyNames(), ", "))
	}
	row := familyNamed(d.Family)
	if row == nil {
		return wrong("family", ": %s", unknown("family", d.Family, familyNames()))
	}
	if p := d.checkLayout(row); p != nil {
		return p
	}
	return nil
}

// checkLayout returns an error if the description's layout is not one of the family's.
func (d *Description) checkLayout(f *family) *problem {
	name := d.Long.Keys.Layout
	if name != "" && !slices.Contains(f.layouts, name) {
		return wrong("layout", ": %s", unknown("layout of family "+f.name, name, f.layouts))
	}
	return nil
}

// TakeLayout sets the description's layout to the one of a checkpoint whose tensors have these names (see [LayoutOf]), if the
// description has none and its family has several. It is an error if the layout belongs to another family. If no layout has the
// names, nothing changes.
func (d *Description) TakeLayout(names []string) error {
	f := familyNamed(d.Family)
	if f == nil || len(f.layouts) < 2 || d.Long.Keys.Layout != "" {
		return nil
	}
	layout, err := LayoutOf(names)
	if err != nil {
		return nil
	}
	if !slices.Contains(f.layouts, layout) {
		return fmt.Errorf("its tensors have the layout %s, but the layouts of family %s are %s; `multiway init` finds the family of the checkpoint",
			layout, d.Family, strings.Join(f.layouts, ", "))
	}
	d.Long.Keys.Layout = layout
	return nil
}

// long reports whether the description is in the long form.
func (d *Description) long() bool { return d.Family == "" }
