package model

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// Both acts and their reasons are told by a model's name where no file tells them.
func TestTagged(t *testing.T) {
	for name, want := range map[string]string{
		"/cache/models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K/open_clip_pytorch_model.bin": "gelu",
		"vit_b_32-quickgelu-laion400m_e32-46683a32.pt":                                      "quick_gelu",
		"ViT-B-32-laion400m_e31.pt":                                                         "quick_gelu",
		"ViT-L-14-laion400m_e32.pt":                                                         "gelu",
		"models--openai--clip-vit-large-patch14/model.safetensors":                          "quick_gelu",
		"metaclip_h14_fullcc2.5b.pt":                                                        "quick_gelu",
		"DFN5B-CLIP-ViT-H-14/open_clip_pytorch_model.bin":                                   "quick_gelu",
		"ViT-L-14-dfn2b_s39b.pt":                                                            "gelu",
		"CLIP-ViT-L-14-DataComp.XL-s13B-b90K/model.safetensors":                             "gelu",
		"epoch_7.pt": "",
	} {
		if got, _ := tagged(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A configuration of text_config_dict is that of the tower, with the defaults for what it leaves out, whatever text_config says.
func TestReadConfig(t *testing.T) {
	c, err := ReadConfig("config.json", []byte(`{"model_type": "clip", "projection_dim": 768, "text_config_dict": {"hidden_size": 768}, "text_config": {"hidden_size": 1, "hidden_act": "gelu", "num_attention_heads": 3}, "vision_config_dict": null}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Fact{
		"text.dim":    {768, "text_config_dict.hidden_size", false},
		"text.heads":  {8, "text_config.num_attention_heads", true},
		"text.act":    {"quick_gelu", "text_config.hidden_act", true},
		"vision.dim":  {768, "vision_config.hidden_size", true},
		"vision.act":  {"quick_gelu", "vision_config.hidden_act", true},
		"vision.eps":  {1e-5, "vision_config.layer_norm_eps", true},
		"embed":       {768, "projection_dim", false},
		"text.layers": {12, "text_config.num_hidden_layers", true},
	} {
		if c.Facts[name] != want {
			t.Errorf("%s: %+v, want %+v", name, c.Facts[name], want)
		}
	}
	_, err = ReadConfig("other.json", nil)
	asmtest.ErrorSays(t, err, "other.json: no configuration file; want config.json, ")
	for _, bad := range []string{"null", "[]", "{} {}", `{"model_type": "clip", "projection_dim": 1e99}`, `{"model_type": "clip", "projection_dim": true}`} {
		if _, err := ReadConfig("config.json", []byte(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func FuzzConfigHF(f *testing.F) {
	f.Add([]byte(`{"model_type": "clip", "projection_dim": 40, "text_config": {"hidden_size": 36, "hidden_act": "gelu"}, "vision_config": {"image_size": 32}}`))
	f.Add([]byte(`{"model_type": "chinese_clip", "text_config": {"layer_norm_eps": 1e-12}, "vision_config_dict": null}`))
	f.Add([]byte(`{"model_type": "beit", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 16, "image_size": 8, "patch_size": 4, "use_mean_pooling": true, "id2label": {"0": "cat"}}`))
	fuzzConfig(f, "config.json")
}

func FuzzConfigOpenCLIP(f *testing.F) {
	f.Add([]byte(`{"model_cfg": {"embed_dim": 8, "quick_gelu": true, "vision_cfg": {"layers": 1, "width": 8, "head_width": 4, "image_size": [8, 8]}, "text_cfg": {"width": 8, "mlp_ratio": 2.0}}, "preprocess_cfg": {"mean": [0.5], "resize_mode": "squash"}}`))
	f.Add([]byte(`{"model_cfg": {"vision_cfg": {"timm_model_name": "vit_base_x"}, "text_cfg": {"hf_model_name": "xlm-roberta-base"}}}`))
	fuzzConfig(f, "open_clip_config.json")
}

func FuzzConfigProcessor(f *testing.F) {
	f.Add([]byte(`{"size": {"shortest_edge": 8}, "crop_size": 8, "resample": 3, "image_mean": [0, 1, 2], "rescale_factor": 0.00392156862745098}`))
	f.Add([]byte(`{"size": {"height": 8, "width": 8}, "do_normalize": false, "image_processor_type": "SiglipImageProcessor"}`))
	fuzzConfig(f, "preprocessor_config.json")
}

func FuzzConfigProcessors(f *testing.F) {
	f.Add([]byte(`{"image_processor": {"size": {"shortest_edge": 8}, "crop_size": 8, "resample": 3, "image_std": [1, 1e-9, 2]}, "processor_class": "CLIPProcessor"}`))
	f.Add([]byte(`{"image_processor": null}`))
	fuzzConfig(f, "processor_config.json")
}

func FuzzConfigTokenizer(f *testing.F) {
	f.Add([]byte(`{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "model_max_length": 1e30}`))
	fuzzConfig(f, "tokenizer_config.json")
}

// fuzzConfig reads a file and takes it for guesses of every family with configuration files. What is written parses.
func fuzzConfig(f *testing.F, name string) {
	type model struct {
		tensors []Tensor
		text    int // heads of texts
	}
	var models []model
	for _, family := range families {
		m, texts := model{text: 2}, ", vocab: 20, positions: 12, embed: 8, text: {dim: 8, heads: 2, layers: 1}"
		if family.alone {
			m.text, texts = 0, ""
		}
		for _, layout := range family.layouts {
			if family.fed.Mean == nil {
				continue
			}
			d, err := Parse("m.yaml", []byte("model: 1\nfamily: "+family.name+"\nlayout: "+layout+"\nsizes: {dim: 8, heads: 2, ffn: 16, layers: 1, image: 8, patch: 4"+texts+"}\n"))
			if err != nil {
				f.Fatal(err)
			}
			m.tensors = Tensors(d)
			models = append(models, m)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadConfig(name, data)
		if err != nil {
			if len(err.Error()) > 1<<13 || strings.Contains(err.Error(), "\n") {
				t.Errorf("error of %d bytes: %v", len(err.Error()), err)
			}
			return
		}
		for _, m := range models {
			g, err := Infer(m.tensors, "m.safetensors", 2, m.text)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Take([]*Config{c}, "m.safetensors", 0, 0); err != nil {
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("more than one line: %v", err)
				}
				continue
			}
			text := g.YAML(Sketch{Name: "m", Checkpoint: "m.safetensors"})
			if _, err := Parse("m.yaml", text); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		}
	})
}

// A configuration tells which released models a checkpoint may be; without one a name that only one of them has does.
func TestTakePresets(t *testing.T) {
	const base = `{"model_type": "clip", "projection_dim": 512, "text_config": {"hidden_size": 512, "hidden_act": "ACT"}, "vision_config": {"hidden_act": "ACT"}}`
	for _, c := range []struct{ config, path, want, not string }{
		{strings.ReplaceAll(base, "ACT", "quick_gelu"), "model.safetensors", "\npreset: clip-vit-base-patch32\n", "laion2b"},
		{strings.ReplaceAll(base, "ACT", "gelu"), "model.safetensors", "\npreset: clip-vit-b-32-laion2b-s34b-b79k\n", "metaclip"},
		{strings.ReplaceAll(base, "ACT", "gelu_new"), "model.safetensors", "act: gelu_tanh, text: {", "\npreset: "},
		{"", "clip-vit-base-patch32.safetensors", "\npreset: clip-vit-base-patch32\n", "laion2b"},
		{"", "clip-vit-b-32-laion2b-s34b-b79k.safetensors", "\npreset: clip-vit-b-32-laion2b-s34b-b79k\n", "metaclip"},
		{"", "model.safetensors", "its tensors are those of ", "\npreset: "},
	} {
		d, err := Preset("clip-vit-base-patch32")
		if err != nil {
			t.Fatal(err)
		}
		g, err := Infer(Tensors(d), c.path, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var configs []*Config
		if c.config != "" {
			read, err := ReadConfig("config.json", []byte(c.config))
			if err != nil {
				t.Fatal(err)
			}
			configs = append(configs, read)
		}
		if err := g.Take(configs, c.path, 0, 0); err != nil {
			t.Fatal(err)
		}
		text := g.YAML(Sketch{Name: "m", Checkpoint: "m.safetensors"})
		if !strings.Contains(string(text), c.want) || strings.Contains(strings.ReplaceAll(string(text), "OpenAI, MetaCLIP", ""), c.not) {
			t.Errorf("want %q and not %q in\n%s", c.want, c.not, text)
		}
		read, err := Parse("m.yaml", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if pre := read.Preprocess; pre.YAML() != g.Preprocess.YAML() {
			t.Errorf("preprocess is %s, want %s", pre.YAML(), g.Preprocess.YAML())
		}
	}
}
