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
	vocabulary string // the tokenizer's file in words, after "a tokenizer: "
	// unreached is the largest number of rows of a token table that no token of the tokenizer uses; 0 = maxUnreached.
	unreached int
	// heads is the name of Sizes.Heads in the family's code and configurations.
	heads string
	// face is the class of the family's models in Hugging Face's transformers; nil: there is none.
	face *faceClass
	// traits are the facts in configurations about the structure of which only some values are supported, and these values.
	traits map[string][]any
}

// families lists the families.
var families = slices.Concat(torchscaleFamilies, vlmoFamilies, beitFamilies, clipFamilies, siglipFamilies, bertFamilies)

// faceHeads is the name of the number of heads in Hugging Face's classes.
const faceHeads = "num_attention_heads"

func familyNamed(name string) *family {
	for i := range families {
		if families[i].name == name {
			return &families[i]
		}
	}
	return nil
}

// maxUnreached is family.unreached of most families, since token tables are often a little longer than vocabularies.
const maxUnreached = 64

// Unreached returns the largest number of rows of a token table that no token of the tokenizer uses, in models of the named family;
// "" is a model in the long form.
func Unreached(name string) int {
	if f := familyNamed(name); f != nil {
		return cmp.Or(f.unreached, maxUnreached)
	}
	return maxUnreached
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
