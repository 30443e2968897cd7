package model

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// PresetInfo is an entry of the table of presets: a released file, a registered model of
// the reference implementation, or the giant model of the paper.
type PresetInfo struct {
	Name       string // the file's or registration's name with - for _
	File       string // the released checkpoint, "" for a registered model without one
	Family     string
	Sizes      Sizes
	Task       string // the task of the file; encode for pretraining files
	Classes    int    // of a head with classes, else 0
	Preprocess Preprocess
}

// beit3Sizes are the two released sizes, without the image size.
var beit3Sizes = map[string]Sizes{
	"base":  {Dim: 768, Heads: 12, FFN: 3072, Layers: 12, Patch: 16, Channels: 3, Vocab: 64010, Positions: 1024, Eps: 1e-5},
	"large": {Dim: 1024, Heads: 16, FFN: 4096, Layers: 24, Patch: 16, Channels: 3, Vocab: 64010, Positions: 1024, Eps: 1e-5},
}

// beit3Presets lists files called beit3_{models}_patch16_{image}{suffix}, one group per line. A
// model is a size and, after _, the variant of its pretraining.
var beit3Presets = []struct {
	models     string
	image      int
	suffix     string
	task       string
	classes    int
	preprocess Preprocess
	released   bool
}{
	{"base large base_indomain large_indomain", 224, "", "encode", 0, half, true},
	{"base_itc large_itc", 224, "", "retrieval", 0, half, true}, // these hold the retrieval heads
	{"base base_indomain large large_indomain", 224, "_in1k", "classification", 1000, imageNet, true},
	{"base base_indomain large large_indomain", 480, "_vqa", "vqa", 3129, half, true},
	{"large_indomain", 768, "_vgqaaug_vqa", "vqa", 3129, half, true},
	{"base base_indomain large large_indomain", 224, "_nlvr2", "nlvr2", 2, half, true},
	{"base base_indomain large", 480, "_coco_captioning", "captioning", 0, half, true},
	{"base base_indomain large", 480, "_nocaps", "captioning", 0, half, true},
	{"base large", 384, "_coco_retrieval", "retrieval", 0, half, true},
	{"base large", 384, "_f30k_retrieval", "retrieval", 0, half, true},

	{"base large", 224, "_imageclassification", "classification", 1000, imageNet, false},
	{"base", 224, "_retrieval", "retrieval", 0, half, false},
	{"base large", 384, "_retrieval", "retrieval", 0, half, false},
	{"base large", 384, "_vqav2", "vqa", 3129, half, false},
	{"base large", 480, "_vqav2", "vqa", 3129, half, false},
	{"large", 768, "_vqav2", "vqa", 3129, half, false},
	{"base", 224, "_captioning", "captioning", 0, half, false},
	{"base large", 480, "_captioning", "captioning", 0, half, false},
}

// vlmoSizes are VLMo's sizes without the image size. Base and large have a layer scale and a
// relative position bias for texts of up to 196 tokens; base_plus adds position embeddings.
var vlmoSizes = map[string]Sizes{
	"base":      {Dim: 768, Heads: 12, FFN: 3072, Layers: 12, Patch: 16, Channels: 3, Vocab: 30522, Positions: 40, VLLayers: 2, Reach: 196, Scale: true, Eps: 1e-6},
	"base_plus": {Dim: 544, Heads: 16, FFN: 2176, Layers: 24, Patch: 16, Channels: 3, Vocab: 30522, Positions: 40, VLLayers: 3, Absolute: true, Eps: 1e-6},
	"large":     {Dim: 1024, Heads: 16, FFN: 4096, Layers: 24, Patch: 16, Channels: 3, Vocab: 30522, Positions: 40, VLLayers: 3, Reach: 196, Scale: true, Eps: 1e-6},
}

// vlmoPresets lists files called vlmo_{size}_patch16_{image}{suffix}, each for every size.
var vlmoPresets = []struct {
	image   int
	suffix  string
	task    string
	classes int
}{
	{224, "", "encode", 0},
	{224, "_stage2", "encode", 0}, // before the pretraining on pairs
	{480, "_vqa", "vqa", 3129},
	{384, "_nlvr2", "nlvr2", 2},
	{384, "_coco", "retrieval", 0},
	{384, "_f30k", "retrieval", 0},
}

// giant is the largest model of the paper, which was never released.
var giant = PresetInfo{
	Name: "mwt-giant-patch14-224", Family: "mwt", Task: "encode", Preprocess: half,
	Sizes: Sizes{Dim: 1408, Heads: 16, FFN: 6144, Layers: 40, VLLayers: 3, Image: 224, Patch: 14, Channels: 3, Vocab: 64010, Positions: 1024, Eps: 1e-5},
}

var presetList = sync.OnceValue(func() []PresetInfo {
	var all []PresetInfo
	for _, r := range beit3Presets {
		for _, m := range strings.Fields(r.models) {
			size, _, _ := strings.Cut(m, "_")
			file := fmt.Sprintf("beit3_%s_patch16_%d%s", m, r.image, r.suffix)
			p := PresetInfo{
				Name: strings.ReplaceAll(file, "_", "-"), Family: "beit3", Sizes: beit3Sizes[size],
				Task: r.task, Classes: r.classes, Preprocess: r.preprocess,
			}
			p.Sizes.Image = r.image
			if r.released {
				p.File = file + ".pth"
			}
			all = append(all, p)
		}
	}
	for _, r := range vlmoPresets {
		for _, size := range []string{"base", "base_plus", "large"} {
			file := fmt.Sprintf("vlmo_%s_patch16_%d%s", size, r.image, r.suffix)
			p := PresetInfo{
				Name: strings.ReplaceAll(file, "_", "-"), File: file + ".pt", Family: "vlmo", Sizes: vlmoSizes[size],
				Task: r.task, Classes: r.classes, Preprocess: half,
			}
			p.Sizes.Image = r.image
			if r.task == "nlvr2" {
				p.Sizes.Types = 3
			}
			all = append(all, p)
		}
	}
	return append(all, giant)
})

// Presets lists the released models and the registered models of the reference
// implementation, whether they can be compiled or not. The caller must not change the slices
// in them.
func Presets() []PresetInfo { return append([]PresetInfo(nil), presetList()...) }

// Preset returns the description of the preset called name, with its task and without a
// checkpoint.
func Preset(name string) (*Description, error) {
	d := &Description{Preset: name}
	if p := d.complete(); p != nil {
		return nil, errors.New(p.text)
	}
	return d, nil
}

func findPreset(name string) (*PresetInfo, error) {
	var known []string
	for _, p := range presetList() {
		if p.Name == name {
			return &p, nil
		}
		known = append(known, p.Name)
	}
	if n := nearest(name, known); len(n) > 0 {
		return nil, errors.New(unknown("preset", name, known))
	}
	return nil, fmt.Errorf("unknown preset %s; there are %d, named like %s", quote(name), len(known), known[0])
}
