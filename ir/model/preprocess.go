package model

import (
	"cmp"
	"math"
	"slices"
)

// The preprocessing of the released models of BEiT-3, VLMo and BEiT. Both convert to RGB first with Pillow's convert("RGB"),
// which drops alpha.
var (
	half     = Preprocess{Resize: "stretch", Filter: "bicubic", Offset: "even", RGB: "first", Alpha: "drop", Mean: []float64{0.5}, Std: []float64{0.5}}
	imageNet = Preprocess{Resize: "crop", Filter: "bicubic", Offset: "even", RGB: "first", Alpha: "drop", Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
)

// The preprocessing of released models with a vision and a text tower. With RGB last, open_clip's code converts pictures to
// RGB after it has resized them. cropFace is as in transformers, which converts before, rounds margins down and lays
// transparent pictures on white.
var (
	cropOpen       = Preprocess{Resize: "crop", Filter: "bicubic", Offset: "even", RGB: "last", Alpha: "drop", Mean: clipMean, Std: clipStd}
	cropHalf       = Preprocess{Resize: "crop", Filter: "bicubic", Offset: "even", RGB: "last", Alpha: "drop", Mean: half.Mean, Std: half.Std}
	cropFace       = Preprocess{Resize: "crop", Filter: "bicubic", Offset: "floor", RGB: "first", Alpha: "white", Mean: clipMean, Std: clipStd}
	squash         = Preprocess{Resize: "stretch", Filter: "bicubic", Offset: "even", RGB: "last", Alpha: "drop", Mean: clipMean, Std: clipStd}
	squashImageNet = Preprocess{Resize: "stretch", Filter: "bilinear", Offset: "even", RGB: "last", Alpha: "drop", Mean: imageNet.Mean, Std: imageNet.Std}
	halfBilinear   = Preprocess{Resize: "stretch", Filter: "bilinear", Offset: "even", RGB: "first", Alpha: "drop", Mean: half.Mean, Std: half.Std}

	clipMean = []float64{0.48145466, 0.4578275, 0.40821073}
	clipStd  = []float64{0.26862954, 0.26130258, 0.27577711}
)

// Bounds of the means and standard deviations of colours.
const (
	minMean, minStd = -1e3, 1e-6
	maxFed          = 1e3
)

func (d *Description) completePreprocess() *problem {
	p, def := &d.Preprocess, half
	t := d.Structure()
	m := t.Image()
	if m == nil || m.Height != m.Width {
		if p.Resize != "" || p.Size != 0 || p.Filter != "" || p.Offset != "" || p.RGB != "" || p.Draft || p.Alpha != "" || p.Mean != nil || p.Std != nil {
			return wrong("preprocess", " is given, but no modality takes square pictures; remove it")
		}
		return nil
	}
	if row, _ := findPreset(d.Preset); row != nil {
		def = row.Preprocess
	}
	p.Resize, p.Filter, p.Offset = cmp.Or(p.Resize, def.Resize), cmp.Or(p.Filter, def.Filter), cmp.Or(p.Offset, def.Offset)
	p.RGB, p.Alpha = cmp.Or(p.RGB, def.RGB), cmp.Or(p.Alpha, def.Alpha)
	if p.RGB == "last" && p.Alpha != "drop" {
		return wrong("preprocess.alpha", " is %s, want drop: a picture that is converted last is resized with its transparency, and then loses it", p.Alpha)
	}
	if p.Size == 0 {
		p.Size = m.Height
	}
	if p.Size != m.Height {
		return wrong("preprocess.size", " is %d, want %d, the side of the model's picture", p.Size, m.Height)
	}
	for _, v := range []struct {
		path string
		v    *[]float64
		def  []float64
		lo   float64
	}{{"preprocess.mean", &p.Mean, def.Mean, minMean}, {"preprocess.std", &p.Std, def.Std, minStd}} {
		if *v.v == nil {
			*v.v = slices.Clone(v.def)
		}
		if len(*v.v) == 1 {
			*v.v = slices.Repeat(*v.v, m.Channels)
		}
		if len(*v.v) != m.Channels {
			return wrong(v.path, " has %d numbers, want 1 or %d, one a channel", len(*v.v), m.Channels)
		}
		for _, x := range *v.v {
			if math.IsNaN(x) || x < v.lo || x > maxFed {
				return wrong(v.path, " holds %v, want %v to %v", x, v.lo, maxFed)
			}
		}
	}
	return nil
}
