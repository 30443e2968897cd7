package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// PresetInfo is an entry of the table of presets: a released model, a registered model of BEiT-3's reference implementation,
// or the giant model of BEiT-3's paper. The package comment says how presets are named.
type PresetInfo struct {
	Name       string
	Family     string
	Sizes      Sizes
	Task       string // the task of the file; encode for pretraining files
	Classes    int    // of a head with classes, else 0
	Preprocess Preprocess
	Words      Words
	Source     Source
}

// Words is the tokenizer of a released model.
type Words struct {
	Kind      string // CLIP, SigLIP, Unigram or WordPiece, the types of package token
	File      string // what the file is
	Languages string // English, Chinese, or many
}

// Source says where a released model comes from, and what is published of it. An empty field is not known.
type Source struct {
	Hub      string // owner/name on the model hub
	Page     string // owner/name of the repository whose pages link the files
	OpenCLIP string // what open_clip calls it, the model and then the tag
	Files    []File // checkpoints, any of which will do
	Licence  string
	Results  []Result
	Cited    string // where the results are stated
}

// File is one file with the weights of a released model, or the index of several.
type File struct {
	Name    string
	Bytes   int64  // with an index the files together; 0 if no source states it
	Rounded bool   // the source rounds Bytes
	DType   string // of the matrices: float32 or float16; "" = not known
	Linked  bool   // by the page, and not on the hub
}

// Size returns the file's size in bytes and where it is from: "source", "source, rounded", or "tensors", which is the size of the
// model's tensors, without the file's header. parameters is their number. from is "" if the size is not known.
func (f *File) Size(parameters int64) (bytes int64, from string) {
	switch {
	case f.Rounded:
		return f.Bytes, "source, rounded"
	case f.Bytes != 0:
		return f.Bytes, "source"
	case f.DType == "float32":
		return 4 * parameters, "tensors"
	case f.DType == "float16":
		return 2 * parameters, "tensors"
	}
	return 0, ""
}

// Result is a published figure: per cent, or CIDEr.
type Result struct {
	What  string
	Value float64
}

// Uses lists what presets are for, in the order in which people look for them. See [PresetInfo.Use].
var Uses = []string{
	"search photos, fast", "search photos", "search photos, best quality", "search photos in many languages", "search photos in Chinese",
	"search photos, tuned on captions", "answer questions about a photo", "describe a photo", "classify a photo", "compare two photos by a sentence", "start a training",
}

// Use is what the preset is for, one of [Uses].
func (p *PresetInfo) Use() string {
	two := p.Sizes.Text != TowerSizes{}
	switch {
	case two && p.Words.Languages == "many":
		return Uses[3]
	case two && p.Words.Languages == "Chinese":
		return Uses[4]
	case two && p.Sizes.Patch > 16:
		return Uses[0]
	case two && p.Sizes.Layers <= 12:
		return Uses[1]
	case two:
		return Uses[2]
	}
	return Uses[map[string]int{"retrieval": 5, "vqa": 6, "captioning": 7, "classification": 8, "nlvr2": 9, "encode": 10}[p.Task]]
}

// beit3Sizes are the two released sizes, without the image size.
var beit3Sizes = map[string]Sizes{
	"base":  {Dim: 768, Heads: 12, FFN: 3072, Layers: 12, Patch: 16, Channels: 3, Vocab: 64010, Positions: 1024, Eps: 1e-5},
	"large": {Dim: 1024, Heads: 16, FFN: 4096, Layers: 24, Patch: 16, Channels: 3, Vocab: 64010, Positions: 1024, Eps: 1e-5},
}

// beit3Bytes are the sizes of the files of pretraining, which also have its heads, as linhuixiao/OneRef's README.md rounds those of
// base_indomain and large_indomain. They are 2 bytes for each of the parameters that beit3/README.md states.
var beit3Bytes = map[string]int64{"base": 554e6, "large": 1.5e9}

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

// beit3Results are the figures that beit3/README.md states, by file.
var beit3Results = map[string][]Result{
	"beit3_base_patch16_224_in1k":                     {{imageNetTop1, 85.4}},
	"beit3_base_indomain_patch16_224_in1k":            {{imageNetTop1, 85.4}},
	"beit3_large_patch16_224_in1k":                    {{imageNetTop1, 87.6}},
	"beit3_large_indomain_patch16_224_in1k":           {{imageNetTop1, 87.5}},
	"beit3_base_patch16_480_vqa":                      {{vqaTestDev, 77.65}},
	"beit3_base_indomain_patch16_480_vqa":             {{vqaTestDev, 78.46}},
	"beit3_large_patch16_480_vqa":                     {{vqaTestDev, 81.85}},
	"beit3_large_indomain_patch16_480_vqa":            {{vqaTestDev, 82.53}},
	"beit3_large_indomain_patch16_768_vgqaaug_vqa":    {{vqaTestDev, 82.97}},
	"beit3_base_patch16_224_nlvr2":                    {{nlvr2TestP, 84.4}},
	"beit3_base_indomain_patch16_224_nlvr2":           {{nlvr2TestP, 85.3}},
	"beit3_large_patch16_224_nlvr2":                   {{nlvr2TestP, 89.4}},
	"beit3_large_indomain_patch16_224_nlvr2":          {{nlvr2TestP, 90.0}},
	"beit3_base_patch16_480_coco_captioning":          {{cocoCaptions, 133.6}},
	"beit3_base_indomain_patch16_480_coco_captioning": {{cocoCaptions, 135.0}},
	"beit3_large_patch16_480_coco_captioning":         {{cocoCaptions, 143.2}},
	"beit3_base_patch16_480_nocaps":                   {{noCaps, 104.4}},
	"beit3_base_indomain_patch16_480_nocaps":          {{noCaps, 105.6}},
	"beit3_large_patch16_480_nocaps":                  {{noCaps, 120.2}},
	"beit3_base_patch16_384_coco_retrieval":           {{coco, 61.4}},
	"beit3_large_patch16_384_coco_retrieval":          {{coco, 63.4}},
	"beit3_base_patch16_384_f30k_retrieval":           {{flickr, 86.2}},
	"beit3_large_patch16_384_f30k_retrieval":          {{flickr, 88.1}},
}

// The benchmarks of the figures in beit3Results and beitPresets.
const (
	imageNetTop1 = "ImageNet, top-1"
	vqaTestDev   = "VQAv2, test-dev"
	nlvr2TestP   = "NLVR2, test-P"
	cocoCaptions = "COCO captions, CIDEr"
	noCaps       = "NoCaps, CIDEr"
	flickr       = "Flickr30k, picture for a caption, recall at 1"
)

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

// beitPresets lists BEiT's models that classify. Names and sizes of files, licences and the preprocessing are as the hub states
// them; the files also have tables of whole numbers, which no function reads.
var beitPresets = []struct {
	hub            string
	tower          TowerSizes
	image, classes int
	files          string  // with spaces between them
	bytes          int64   // of each, rounded
	quality        float64 // per cent of imageNetTop1 that beit/README.md states, 0 if it does not
}{
	{"microsoft/beit-base-patch16-224", visionB, 224, 1000, "model.safetensors pytorch_model.bin", 350e6, 85.2},
	{"microsoft/beit-base-patch16-384", visionB, 384, 1000, "pytorch_model.bin", 379e6, 86.8},
	{"microsoft/beit-large-patch16-224", visionL, 224, 1000, "pytorch_model.bin", 1.23e9, 87.4},
	{"microsoft/beit-large-patch16-384", visionL, 384, 1000, "pytorch_model.bin", 1.28e9, 88.4},
	{"microsoft/beit-large-patch16-512", visionL, 512, 1000, "pytorch_model.bin", 1.42e9, 88.6},
	{"microsoft/beit-base-patch16-224-pt22k-ft22k", visionB, 224, 21841, "pytorch_model.bin", 414e6, 0},
	{"microsoft/beit-large-patch16-224-pt22k-ft22k", visionL, 224, 21841, "pytorch_model.bin", 1.31e9, 0},
}

// giant is the largest model of BEiT-3's paper, which was never released.
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
				Task: r.task, Classes: r.classes, Preprocess: r.preprocess, Words: Words{"Unigram", "beit3.spm", "English"},
			}
			p.Sizes.Image = r.image
			if r.released {
				f := File{Name: file + ".pth", Linked: true}
				if r.suffix == "" {
					f.Bytes, f.Rounded, f.DType = beit3Bytes[size], true, "float16"
				}
				p.Source = Source{Page: "microsoft/unilm", Files: []File{f}, Licence: "MIT"}
				if p.Source.Results = beit3Results[file]; p.Source.Results != nil {
					p.Source.Cited = "microsoft/unilm, beit3/README.md"
				}
			}
			all = append(all, p)
		}
	}
	for _, r := range vlmoPresets {
		for _, size := range []string{"base", "base_plus", "large"} {
			file := fmt.Sprintf("vlmo_%s_patch16_%d%s", size, r.image, r.suffix)
			p := PresetInfo{
				Name: strings.ReplaceAll(file, "_", "-"), Family: "vlmo", Sizes: vlmoSizes[size],
				Task: r.task, Classes: r.classes, Preprocess: half, Words: bertWords,
				Source: Source{Page: "microsoft/unilm", Files: []File{{Name: file + ".pt", Linked: true}}, Licence: "MIT"},
			}
			p.Sizes.Image = r.image
			if r.task == "nlvr2" {
				p.Sizes.Types = 3
			}
			all = append(all, p)
		}
	}
	for _, r := range beitPresets {
		p := PresetInfo{
			Name: presetName(r.hub), Family: "beit", Task: "classification", Classes: r.classes, Preprocess: halfBilinear,
			Sizes:  Sizes{Dim: r.tower.Dim, Heads: r.tower.Heads, FFN: r.tower.FFN, Layers: r.tower.Layers, Image: r.image, Patch: 16, Channels: 3, Eps: 1e-12},
			Source: Source{Hub: r.hub, Page: "microsoft/unilm", Licence: "Apache-2.0"},
		}
		for _, name := range strings.Fields(r.files) {
			p.Source.Files = append(p.Source.Files, File{Name: name, Bytes: r.bytes, Rounded: true, DType: "float32"})
		}
		if r.quality != 0 {
			p.Source.Results, p.Source.Cited = []Result{{imageNetTop1, r.quality}}, "microsoft/unilm, beit/README.md"
		}
		all = append(all, p)
	}
	return append(append(all, giant), towerPresets()...)
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
	for _, p := range presetList() {
		if b := bare(name); b != "" && (b == bare(p.Source.Hub) || b == bare(p.Source.OpenCLIP)) {
			return nil, fmt.Errorf("unknown preset %s; that is %s here", quote(name), p.Name)
		}
	}
	if n := nearest(name, known); len(n) > 0 {
		return nil, errors.New(unknown("preset", name, known))
	}
	return nil, fmt.Errorf("unknown preset %s; there are %d, named like %s", quote(name), len(known), known[0])
}

// bare returns a name of the hub or of open_clip in one spelling of those that people use: ViT-B-32-quickgelu__openai and
// ViT-B-32 openai both become vit-b-32-openai.
func bare(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(c rune) bool { return strings.ContainsRune(" _-/.", c) })
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "quickgelu" }), "-")
}
