package model

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// faceFormat is the config.json of a model of Hugging Face's transformers.
var faceFormat = configFormat{file: "config.json", class: faceClassOf, rows: []configRow{
	{path: "projection_dim", fact: "embed"},
	{path: "text_config_dict.hidden_size|text_config.hidden_size", fact: "text.dim"},
	{path: "text_config_dict.num_attention_heads|text_config.num_attention_heads", fact: "text.heads"},
	{path: "text_config_dict.intermediate_size|text_config.intermediate_size", fact: "text.ffn"},
	{path: "text_config_dict.num_hidden_layers|text_config.num_hidden_layers", fact: "text.layers"},
	{path: "text_config_dict.vocab_size|text_config.vocab_size", fact: "vocab"},
	{path: "text_config_dict.max_position_embeddings|text_config.max_position_embeddings", fact: "positions"},
	{path: "text_config_dict.hidden_act|text_config.hidden_act", fact: "text.act", kind: textConfig, words: faceActs},
	{path: "text_config_dict.layer_norm_eps|text_config.layer_norm_eps", fact: "text.eps", kind: epsConfig},
	{path: "text_config_dict.projection_size|text_config.projection_size", fact: "embed"},
	{path: "text_config_dict.position_embedding_type|text_config.position_embedding_type", kind: textConfig, want: "absolute", why: "other positions are not built"},
	{path: "vision_config_dict.hidden_size|vision_config.hidden_size", fact: "vision.dim"},
	{path: "vision_config_dict.num_attention_heads|vision_config.num_attention_heads", fact: "vision.heads"},
	{path: "vision_config_dict.intermediate_size|vision_config.intermediate_size", fact: "vision.ffn"},
	{path: "vision_config_dict.num_hidden_layers|vision_config.num_hidden_layers", fact: "vision.layers"},
	{path: "vision_config_dict.num_channels|vision_config.num_channels", fact: "channels"},
	{path: "vision_config_dict.image_size|vision_config.image_size", fact: "image"},
	{path: "vision_config_dict.patch_size|vision_config.patch_size", fact: "patch"},
	{path: "vision_config_dict.hidden_act|vision_config.hidden_act", fact: "vision.act", kind: textConfig, words: faceActs},
	{path: "vision_config_dict.layer_norm_eps|vision_config.layer_norm_eps", fact: "vision.eps", kind: epsConfig},
	{path: "vision_config_dict.vision_use_head|vision_config.vision_use_head", kind: flagConfig, want: true, why: "without a head pictures have no embedding"},
	{path: "vision_config.use_absolute_position_embeddings", kind: flagConfig, want: false, why: "BEiT is built with a relative position bias only"},
	{path: "vision_config.use_shared_relative_position_bias", kind: flagConfig, want: false, why: "a bias that layers share is not built; models that classify have one for each layer"},
	{path: "vision_config.use_mean_pooling", kind: flagConfig, want: true, why: "BEiT is built with the mean of the patches only"},
	{path: LabelsKey, fact: "classes", kind: namesConfig},
}}

// LabelsKey is the key of a config.json under which the names of classes are.
const LabelsKey = "id2label"

// faceActs maps the names of the supported activations in transformers to their names in descriptions.
var faceActs = map[string]string{"quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_python": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "gelu_python_tanh": "gelu_tanh", "gelu_accurate": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_new": "gelu_tanh"}

// faceClass is a class of models in transformers with its config.json.
type faceClass struct {
	types string // the values of model_type for the class, with a space between them
	configClass
}

// over returns a copy of a with the entries of b, which replace entries of a with the same key.
func over(a, b map[string]any) map[string]any {
	c := maps.Clone(a)
	maps.Copy(c, b)
	return c
}

// faceClassOf finds the class of a config.json. Its facts include the family.
func faceClassOf(root map[string]any) (*configClass, error) {
	raw := root["model_type"]
	kind, ok := raw.(string)
	if raw == nil && root["architecture"] != nil {
		return nil, &OtherModelError{"", faceTypes()} // the configuration of a model of timm
	}
	if raw == nil {
		return nil, errors.New("model_type is missing; want the config.json of a model of Hugging Face's transformers")
	}
	if !ok {
		return nil, fmt.Errorf("model_type: got %s, want a text", shown(raw))
	}
	if kind == "siglip2" {
		return nil, errors.New("model_type is siglip2, a NaFlex model, which takes pictures of any shape and is not built; give a SigLIP 2 for one size of pictures, whose model_type is siglip")
	}
	if _, ok := root["peft_type"]; ok {
		return nil, errors.New("the configuration of an adapter; " + mergeAdapter)
	}
	for _, tower := range []string{"text_config", "vision_config"} {
		if root[tower+"_dict"] != nil { // of old files, which replaces the other whole, with defaults for what it leaves out
			delete(root, tower)
		}
	}
	for _, f := range families {
		if f.face != nil && slices.Contains(strings.Fields(f.face.types), kind) {
			c := f.face.configClass
			c.usual = over(c.usual, map[string]any{"family": f.name})
			return &c, nil
		}
	}
	return nil, &OtherModelError{kind, faceTypes()}
}

// faceTypes lists the supported values of model_type.
func faceTypes() (all []string) {
	for _, f := range families {
		if f.face != nil {
			all = append(all, strings.Fields(f.face.types)...)
		}
	}
	return all
}

// OtherModelError says that a config.json is of none of the supported classes: its model is recognised without it, or is not
// supported.
type OtherModelError struct {
	Type  string   // its model_type, "" = it has none
	Known []string // the supported values of model_type
}

func (e *OtherModelError) Error() string {
	if e.Type == "" {
		return "model_type is missing; want " + strings.Join(e.Known, ", ")
	}
	return fmt.Sprintf("model_type is %s, want %s", quote(e.Type), strings.Join(e.Known, ", "))
}

// mergeAdapter is the advice in the error about the configuration of an adapter, such as LoRA.
const mergeAdapter = "it changes another model and is not a model by itself: merge it and save the whole model, in Python with peft: model.merge_and_unload().save_pretrained(...)"
