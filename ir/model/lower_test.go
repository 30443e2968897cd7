package model

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir"
)

var update = flag.Bool("update", false, "rewrite testdata from what Lower prints")

// tiny is a model whose every size differs, so that a mixed-up pair shows.
func tiny(tasks ...Task) *Description {
	return &Description{
		Name: "tiny", Family: "beit3", Tasks: tasks,
		Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20, Layers: 1, Image: 6, Patch: 2, Vocab: 11, Positions: 7},
	}
}

func deep(tasks ...Task) *Description {
	d := tiny(tasks...)
	d.Sizes.Layers = 2
	d.Limits.Text = 3
	return d
}

// towers is a model of a family with a tower for texts.
func towers(family, layout string, embed int) *Description {
	d := &Description{
		Name: "tiny", Family: family, Tasks: []Task{{Name: "retrieval"}},
		Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20, Layers: 1, Image: 6, Patch: 3, Vocab: 11, Positions: 5, Embed: embed, Text: TowerSizes{Dim: 12, Heads: 3, FFN: 18, Layers: 1}},
	}
	d.Long.Keys.Layout = layout
	return d
}

// stemmed is a model of pictures, whose patches are embedded in three stages, and of texts.
func stemmed() *Description {
	return &Description{
		Name: "tiny", Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20},
		Long: Structure{
			Modalities: []Modality{
				{Name: "vision", Embedder: Patch, Height: 16, Width: 48, Stem: []int{4, 2, 2}, StemDim: 6, StemNorm: 1e-5},
				{Name: "language", Embedder: Token, Vocab: 11, Positions: 7},
			},
			Tower: Tower{Layers: alike(1, Sub)},
		},
	}
}

// gates is a model in the long form with gates and shared norms: a layer with norms inside, and one without.
func gates() *Description {
	return &Description{Name: "tiny", Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20}, Long: Structure{
		Modalities: []Modality{{Name: "language", Embedder: Token, Vocab: 11, Positions: 7}, {Name: "vision", Embedder: Patch, Height: 4, Width: 4, Patch: 2}},
		Tower: Tower{Layers: []LayerRange{
			{From: 0, To: 1, Attn: Shared, FFN: Pooled, Gate: true, NormsOf: Shared},
			{From: 1, To: 2, Attn: Pooled, FFN: Joint, Norms: Pre, Gate: true, NormsOf: Shared, Experts: []Expert{{Name: "vl"}}},
		}},
	}}
}

func off() *bool { return new(bool) }

var printed = []struct {
	name string
	d    *Description
	opt  Options
}{
	{"encode", tiny(), Options{}},
	{"encode_taps_no_norm", tiny(Task{Name: "encode", Norm: off()}), Options{Taps: true, Entries: []string{"pair"}}},
	{"retrieval", tiny(Task{Name: "retrieval"}), Options{}},
	{"retrieval_and_classification", tiny(Task{Name: "retrieval"}, Task{Name: "classification", Classes: 3}), Options{}},
	{"captioning", deep(Task{Name: "captioning"}), Options{Entries: []string{"pair", "caption_full"}}},
	{"vqa", tiny(Task{Name: "vqa", Classes: 3}), Options{}},
	{"nlvr2", tiny(Task{Name: "nlvr2"}), Options{}},
	{"mwt", &Description{
		Name: "tiny", Family: "mwt",
		Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20, Layers: 2, VLLayers: 1, Image: 6, Patch: 2, Vocab: 11, Positions: 7},
	}, Options{}},
	{"clip", towers("clip", "clip_hf", 6), Options{}},
	{"clip_open_clip_text", towers("clip", "clip_open_clip_text", 6), Options{}},
	{"clipa", towers("clipa", "clip_open_clip", 6), Options{}},
	{"siglip", towers("siglip", "siglip_hf", 0), Options{}},
	{"siglip_open_clip", towers("siglip", "siglip_open_clip", 0), Options{}},
	{"cnclip", towers("cnclip", "cnclip_hf", 6), Options{}},
	{"cnclip_own", towers("cnclip", "cnclip", 6), Options{}},
	{"xlmrclip", towers("xlmrclip", "", 6), Options{}},
	{"vlmo", &Description{
		Name: "tiny", Family: "vlmo", Tasks: []Task{{Name: "vqa", Classes: 3}},
		Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20, Layers: 2, VLLayers: 1, Image: 6, Patch: 2, Vocab: 11, Positions: 7, Reach: 5, Scale: true},
	}, Options{Entries: []string{"vision", "pair_vqa"}}},
	{"stem", stemmed(), Options{Entries: []string{"vision", "pair"}}},
	{"beit", &Description{
		Name: "tiny", Family: "beit", Tasks: []Task{{Name: "retrieval"}, {Name: "classification", Classes: 3}},
		Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20, Layers: 1, Image: 6, Patch: 2},
	}, Options{}},
	{"gates", gates(), Options{}},
	{"post", &Description{Name: "tiny", Sizes: Sizes{Dim: 8, Heads: 2, FFN: 20}, Long: Structure{
		Modalities: []Modality{{Name: "language", Embedder: Token, Vocab: 11, Positions: 7}}, Tower: Tower{Layers: alike(1, Post)},
	}}, Options{}},
	{"half", tiny(Task{Name: "classification", Classes: 3}), Options{DType: func(key string) ir.DType {
		if strings.HasSuffix(key, "weight") {
			return ir.BF16
		}
		return ir.F16
	}}},
}

// Texts of a constant length have no other limit, and a family's texts are as long as its models were trained for.
func TestTextLimits(t *testing.T) {
	long := func(d *Description, positions int) *Description { d.Sizes.Positions = positions; return d }
	for _, c := range []struct {
		d    *Description
		text int // limits.text
		want int // 0: an error
	}{
		{long(towers("clip", "", 6), 77), 0, 77},
		{long(towers("clip", "", 6), 40), 0, 40},
		{long(towers("cnclip", "", 6), 512), 0, 52},
		{long(towers("xlmrclip", "", 6), 514), 0, 77},
		{long(towers("xlmrclip", "", 6), 514), 512, 512},
		{long(towers("siglip", "", 0), 64), 0, 64},
		{long(towers("siglip", "", 0), 16), 0, 16},
		{long(towers("siglip", "", 0), 64), 24, 0},
	} {
		c.d.Limits.Text = c.text
		if err := c.d.Complete(); (err == nil) != (c.want > 0) || err == nil && c.d.Limits.Text != c.want {
			t.Errorf("%s, limits.text %d: %d, %v; want %d", c.d.Family, c.text, c.d.Limits.Text, err, c.want)
		}
	}
}

// The texts in testdata are for reading: they show what each task adds.
func TestLowerPrints(t *testing.T) {
	for _, c := range printed {
		t.Run(c.name, func(t *testing.T) {
			p, err := Lower(c.d, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			got := ir.Print(p)
			file := filepath.Join("testdata", c.name+".ir")
			if *update {
				asmtest.Write(t, file, got)
			}
			want := asmtest.Read(t, file)
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			back, err := ir.Parse(file, []byte(got))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, ir.Print(back)); diff != "" {
				t.Errorf("printed, parsed, printed (-first +second):\n%s", diff)
			}
		})
	}
}

func TestFunctions(t *testing.T) {
	retrieval, both := tiny(Task{Name: "retrieval"}), tiny(Task{Name: "retrieval"}, Task{Name: "classification", Classes: 3})
	all := tiny(Task{Name: "classification", Classes: 3}, Task{Name: "encode"})
	for _, c := range []struct {
		name    string
		d       *Description
		entries []string
		want    string // function names, or the error
	}{
		{"defaults", retrieval, nil, "vision_retrieval language_retrieval"},
		{"one task: an entry means it", retrieval, []string{"vision"}, "vision_retrieval"},
		{"an entry no task has is encoded", retrieval, []string{"pair"}, "pair"},
		{"several tasks: an entry means all", both, []string{"vision"}, "vision_retrieval vision_classification"},
		{"a function by name", both, []string{"vision_classification"}, "vision_classification"},
		{"the plain name is encode where there is one", all, []string{"vision"}, "vision"},
		{"order as asked", retrieval, []string{"language", "vision"}, "language_retrieval vision_retrieval"},
		{"captioning", tiny(Task{Name: "captioning"}), nil, "caption_image caption_step"},
		{"captioning by name", tiny(Task{Name: "captioning"}), []string{"caption_full", "caption_step"}, "caption_full caption_step"},
		{"unknown", retrieval, []string{"vison"}, `unknown entry "vison"; did you mean vision?`},
		{"twice", retrieval, []string{"vision", "vision_retrieval"}, "function vision_retrieval is given twice; remove one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if p := c.d.complete(); p != nil {
				t.Fatal(p.text)
			}
			fs, err := c.d.Functions(c.entries)
			var got []string
			for _, f := range fs {
				got = append(got, f.Name)
			}
			s := strings.Join(got, " ")
			if err != nil {
				s = err.Error()
			}
			if s != c.want {
				t.Errorf("got %s\nwant %s", s, c.want)
			}
			if err != nil {
				return
			}
			p, err := Lower(c.d, Options{Entries: c.entries})
			if err != nil {
				t.Fatal(err)
			}
			var lowered []string
			for _, f := range p.Funcs {
				lowered = append(lowered, f.Name)
			}
			if diff := cmp.Diff(got, lowered); diff != "" {
				t.Errorf("functions of the program (-Functions +Lower):\n%s", diff)
			}
		})
	}
}

// Where the final norm comes from decides whether a checkpoint fits.
func TestFinalNorm(t *testing.T) {
	for _, c := range []struct {
		preset, entry, task string
		want                bool
	}{
		{"beit3-base-patch16-224-retrieval", "vision", "", true},
		{"beit3-base-patch16-224-retrieval", "pair", "", true},
		{"beit3-base-patch16-224-in1k", "vision", "", false},
		{"beit3-base-patch16-224-in1k", "pair", "", false},
		{"beit3-base-patch16-224", "pair", "encode", true},
		{"beit3-base-patch16-480-vqa", "pair", "encode", false},
		{"beit3-base-patch16-480-coco-captioning", "pair", "encode", true},
	} {
		d := &Description{Preset: c.preset}
		if c.task != "" {
			d.Tasks = []Task{{Name: c.task}}
		}
		p, err := Lower(d, Options{Entries: []string{c.entry}})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Weight("final.vision.g") != nil; got != c.want {
			t.Errorf("%s %s %s: final norm is %v, want %v", c.preset, c.entry, c.task, got, c.want)
		}
	}
}

// Every weight comes from a tensor of the official list, in its shape, and with as
// many elements as it needs; and every tensor but the pretraining one is used.
func TestOrigins(t *testing.T) {
	d := tiny(Task{Name: "encode"}, Task{Name: "retrieval"}, Task{Name: "classification", Classes: 3})
	p, err := Lower(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if p := d.complete(); p != nil {
		t.Fatal(p.text)
	}
	list := map[string][]int{}
	for _, x := range Tensors(d) {
		if list[x.Name] != nil {
			t.Errorf("tensor %s is listed twice", x.Name)
		}
		list[x.Name] = x.Shape
	}
	for _, w := range p.Weights {
		o := w.Origin
		if diff := cmp.Diff(list[o.Key], o.Shape); diff != "" {
			t.Errorf("@%s: shape of %s (-list +origin):\n%s", w.Name, o.Key, diff)
		}
		n := product(o.Shape)
		if o.Rows > 0 {
			n = n / o.Shape[0] * o.Rows
		}
		if o.Row+o.Rows > max(1, append(o.Shape, 1)[0]) || n != product(w.Type.At(1)) {
			t.Errorf("@%s is %v, which does not fit %v", w.Name, w.Type, o)
		}
		delete(list, o.Key)
	}
	if diff := cmp.Diff(map[string][]int{"beit3.vision_embed.mask_token": {1, 1, 8}}, list); diff != "" {
		t.Errorf("tensors without a weight (-want +got):\n%s", diff)
	}
}

func product(shape []int) int {
	n := 1
	for _, k := range shape {
		n *= k
	}
	return n
}

// The totals of the released models, in millions, as their authors state them.
func TestParameters(t *testing.T) {
	for preset, want := range map[string]int{
		"beit3-base-patch16-224-retrieval":         222,
		"beit3-base-patch16-480-vqav2":             228,
		"beit3-base-patch16-224-nlvr2":             226,
		"beit3-base-patch16-480-captioning":        271,
		"beit3-large-patch16-384-retrieval":        675,
		"beit3-large-patch16-480-vqav2":            683,
		"beit3-large-patch16-224-nlvr2":            681,
		"beit3-large-patch16-480-captioning":       739,
		"beit3-base-itc-patch16-224":               222,
		"beit3-base-patch16-224":                   221,
		"beit3-base-patch16-224-in1k/vision only":  87,
		"beit3-large-patch16-224-in1k/vision only": 305,
		"beit-base-patch16-224":                    87,
		"beit-base-patch16-384":                    87,
		"beit-large-patch16-224":                   304,
		"beit-large-patch16-384":                   305,
		"beit-large-patch16-512":                   306,
	} {
		name, side, _ := strings.Cut(preset, "/")
		d, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, x := range Tensors(d) {
			if side == "" || !strings.Contains(x.Name, ".B.") && x.Name != "beit3.text_embed.weight" {
				n += product(x.Shape)
			}
		}
		if got := (n + 500_000) / 1_000_000; got != want {
			t.Errorf("%s has %d parameters, want %d million", preset, n, want)
		}
	}
}

func TestPresets(t *testing.T) {
	all := Presets()
	names := map[string]bool{}
	for _, p := range all {
		if names[p.Name] {
			t.Errorf("preset %s is listed twice", p.Name)
		}
		names[p.Name] = true
		if file := firstFile(p); file != "" && p.Source.Hub == "" && p.Source.OpenCLIP == "" && strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(file, ".pth"), ".pt"), "_", "-") != p.Name {
			t.Errorf("preset %s is file %s", p.Name, file)
		}
		d, err := Preset(p.Name)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if _, err := Lower(d, Options{}); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	for name, want := range map[string]string{
		"beit3_base_patch16_224_retrieval":      `unknown preset "beit3_base_patch16_224_retrieval"; did you mean beit3-base-patch16-224-retrieval`,
		"beit3-base-patch16-224-retreival":      `unknown preset "beit3-base-patch16-224-retreival"; did you mean beit3-base-patch16-224-retrieval`,
		"ViT-B-32__openai":                      `unknown preset "ViT-B-32__openai"; that is clip-vit-base-patch32 here`,
		"ViT-H-14-378-quickgelu__dfn5b":         `unknown preset "ViT-H-14-378-quickgelu__dfn5b"; that is dfn5b-clip-vit-h-14-378 here`,
		"laion/CLIP-ViT-H-14-laion2B-s32B-b79K": `unknown preset "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"; that is clip-vit-h-14-laion2b-s32b-b79k here`,
		"wibble":                                fmt.Sprintf(`unknown preset "wibble"; there are %d, named like beit3-base-patch16-224`, len(all)),
	} {
		if _, err := Preset(name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v\nwant %s...", err, want)
		}
	}
}
