package model

import (
	"errors"
	"strings"
)

// openFormat is the open_clip_config.json of a model of open_clip.
var openFormat = configFormat{file: "open_clip_config.json", none: true, class: openClass, rows: []configRow{
	{path: "model_cfg.embed_dim", fact: "embed"},
	{path: "model_cfg.quick_gelu", fact: "quick_gelu", kind: flagConfig},
	{path: "model_cfg.text_cfg.width", fact: "text.dim"},
	{path: "model_cfg.text_cfg.heads", fact: "text.heads"},
	{path: "model_cfg.text_cfg.layers", fact: "text.layers"},
	{path: "model_cfg.text_cfg.mlp_ratio", fact: "text.ratio", kind: numberConfig},
	{path: "model_cfg.text_cfg.context_length", fact: "context"},
	{path: "model_cfg.text_cfg.vocab_size", fact: "vocab"},
	{path: "model_cfg.text_cfg.hf_model_name", fact: "text.hf", kind: textConfig},
	{path: "model_cfg.text_cfg.hf_proj_type|model_cfg.text_cfg.proj|model_cfg.text_cfg.proj_type", fact: "text.proj", kind: textConfig},
	{path: "model_cfg.text_cfg.hf_pooler_type|model_cfg.text_cfg.pooler_type", fact: "text.pooler", kind: textConfig},
	{path: "model_cfg.text_cfg.no_causal_mask", fact: "text.seen", kind: flagConfig},
	{path: "model_cfg.text_cfg.pool_type", fact: "text.pool", kind: textConfig},
	{path: "model_cfg.text_cfg.act_kwargs.approximate", fact: "text.approximate", kind: textConfig},
	{path: "model_cfg.text_cfg.norm_kwargs.eps", fact: "text.eps", kind: epsConfig},
	{path: "model_cfg.text_cfg.embed_cls", kind: flagConfig, want: false, why: "a class row of texts, as CoCa has, is not built"},
	{path: "model_cfg.vision_cfg.image_size", fact: "image.sides", kind: sidesConfig},
	{path: "model_cfg.vision_cfg.patch_size", fact: "patch"},
	{path: "model_cfg.vision_cfg.width", fact: "vision.dim"},
	{path: "model_cfg.vision_cfg.head_width", fact: "vision.head_width"},
	{path: "model_cfg.vision_cfg.layers", fact: "vision.layers"},
	{path: "model_cfg.vision_cfg.mlp_ratio", fact: "vision.ratio", kind: numberConfig},
	{path: "model_cfg.vision_cfg.timm_model_name", fact: "vision.timm", kind: textConfig},
	{path: "model_cfg.vision_cfg.timm_pool", fact: "vision.timm_pool", kind: textConfig},
	{path: "model_cfg.vision_cfg.no_ln_pre", fact: "vision.no_ln_pre", kind: flagConfig},
	{path: "model_cfg.vision_cfg.pool_type", fact: "vision.pool", kind: textConfig},
	{path: "model_cfg.vision_cfg.final_ln_after_pool", fact: "vision.norm_after", kind: flagConfig},
	{path: "model_cfg.vision_cfg.attentional_pool", kind: flagConfig, want: false, why: "the pooling of CoCa is not built"},
	{path: "model_cfg.vision_cfg.norm_kwargs.eps", fact: "vision.eps", kind: epsConfig},
	{path: "preprocess_cfg.size", fact: "preprocess.size", kind: sidesConfig},
	{path: "preprocess_cfg.mean", fact: "preprocess.mean", kind: numbersConfig, lo: minMean},
	{path: "preprocess_cfg.std", fact: "preprocess.std", kind: numbersConfig, lo: minStd},
	{path: "preprocess_cfg.interpolation", fact: "preprocess.filter", kind: textConfig, words: map[string]string{"bicubic": "bicubic", "bilinear": "bilinear"}},
	{path: "preprocess_cfg.resize_mode", fact: "preprocess.resize", kind: textConfig, words: map[string]string{"shortest": "crop", "squash": "stretch"}},
}}

// openUsual has the facts that hold where an open_clip_config.json leaves them out; textUsual and visionUsual have further
// ones for towers of open_clip's own, not of transformers or timm.
var (
	openUsual   = map[string]any{"quick_gelu": false, "preprocess.mean": clipMean, "preprocess.std": clipStd, "preprocess.filter": "bicubic", "preprocess.resize": "crop"}
	textUsual   = map[string]any{"text.dim": 512, "text.heads": 8, "text.layers": 12, "text.ratio": 4.0, "vocab": 49408, "context": 77, "text.seen": false, "text.pool": "argmax"}
	visionUsual = map[string]any{"vision.dim": 768, "vision.head_width": 64, "vision.layers": 12, "vision.ratio": 4.0, "patch": 16, "vision.no_ln_pre": false, "vision.pool": "tok", "vision.norm_after": false}
)

func openClass(root map[string]any) (*configClass, error) {
	cfg, _ := root["model_cfg"].(map[string]any)
	vision, _ := cfg["vision_cfg"].(map[string]any)
	text, _ := cfg["text_cfg"].(map[string]any)
	switch {
	case vision == nil || text == nil:
		return nil, errors.New("it has no model_cfg with vision_cfg and text_cfg; want the open_clip_config.json of a model of open_clip")
	case cfg["multimodal_cfg"] != nil:
		return nil, errors.New("model_cfg.multimodal_cfg: the decoder of CoCa is not built; give a CLIP or SigLIP")
	}
	if _, list := vision["layers"].([]any); list {
		return nil, errors.New("model_cfg.vision_cfg.layers is a list: " + resNet)
	}
	usual := over(openUsual, nil)
	if vision["timm_model_name"] == nil {
		usual = over(usual, visionUsual)
	}
	if text["hf_model_name"] == nil {
		usual = over(usual, textUsual)
	} else {
		usual["text.proj"], usual["text.pooler"] = "mlp", "mean_pooler"
	}
	return &configClass{name: "open_clip", usual: usual}, nil
}

// knownHeads has the numbers of attention heads of towers that open_clip takes from timm and transformers, by the beginning
// of their names there. The width must be dim, too: a tower of another width has another number of heads.
var knownHeads = []struct {
	tower, name string
	dim, heads  int
}{
	{"vision", "vit_small_", 384, 6}, {"vision", "vit_base_", 768, 12}, {"vision", "vit_large_", 1024, 16}, {"vision", "vit_so400m_", 1152, 16}, {"vision", "vit_giantopt_", 1536, 16},
	{"text", "xlm-roberta-base", 768, 12}, {"text", "xlm-roberta-large", 1024, 16},
}

// headsOf returns the number of attention heads of a tower of another library, by its name there and its width dim; 0 if it
// is not known. tower is vision or text.
func headsOf(tower, name string, dim int) int {
	name = name[strings.LastIndex(name, "/")+1:] // without the owner
	for _, k := range knownHeads {
		if k.tower == tower && strings.HasPrefix(name, k.name) && dim == k.dim {
			return k.heads
		}
	}
	return 0
}

// resNet is the end of the error about a CLIP with a convolutional vision tower.
const resNet = "a CLIP whose pictures go through a ResNet, a net of convolutions, which is not built; give one with a ViT, such as ViT-B-32 or ViT-B-16"
