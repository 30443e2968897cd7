package model

import (
	"encoding/json"
	"math"
)

// processorFormat is the preprocessor_config.json of a model of Hugging Face's transformers.
var processorFormat = configFormat{file: "preprocessor_config.json", class: processorClass, rows: []configRow{
	{path: "do_resize", kind: flagConfig, want: true, why: "pictures are always resized"},
	{path: "size", fact: "processor.size", kind: sidesConfig},
	{path: "do_center_crop", fact: "processor.crop", kind: flagConfig},
	{path: "crop_size", fact: "processor.crop_size", kind: sidesConfig},
	{path: "resample", fact: "preprocess.filter", kind: resampleConfig},
	{path: "do_rescale", kind: flagConfig, want: true, why: "pixels are always divided by 255"},
	{path: "rescale_factor", kind: rescaleConfig},
	{path: "do_normalize", fact: "processor.normalise", kind: flagConfig},
	{path: "image_mean", fact: "preprocess.mean", kind: numbersConfig},
	{path: "image_std", fact: "preprocess.std", kind: numbersConfig},
}}

// processorClass tells by what an image processor is called. Its file may leave the name out: it is CLIP's then.
func processorClass(root map[string]any) (string, map[string]any, error) {
	name := ""
	for _, key := range []string{"image_processor_type", "feature_extractor_type", "processor_class"} {
		if s, ok := root[key].(string); ok && name == "" {
			name = s
		}
	}
	usual := map[string]any{"preprocess.filter": "bicubic", "processor.normalise": true, "preprocess.mean": clipMean, "preprocess.std": clipStd}
	switch name {
	case "SiglipImageProcessor", "SiglipImageProcessorFast", "SiglipProcessor":
		return "SiglipImageProcessor", over(usual, map[string]any{"processor.size": sides{height: 224, width: 224}, "processor.crop": false, "preprocess.mean": half.Mean, "preprocess.std": half.Std}), nil
	case "ChineseCLIPImageProcessor", "ChineseCLIPFeatureExtractor", "ChineseCLIPProcessor":
		return "ChineseCLIPImageProcessor", over(usual, map[string]any{"processor.size": sides{height: 224, width: 224}, "processor.crop": true, "processor.crop_size": sides{height: 224, width: 224}}), nil
	}
	return "CLIPImageProcessor", over(usual, map[string]any{"processor.size": sides{shortest: 224}, "processor.crop": true, "processor.crop_size": sides{height: 224, width: 224}}), nil
}

// resampleWords are Pillow's numbers of filters that are built.
var resampleWords = map[int]string{2: "bilinear", 3: "bicubic"}

// isRescale reports whether a number is 1/255.
func isRescale(raw any) bool {
	n, ok := raw.(json.Number)
	if !ok {
		return false
	}
	x, err := n.Float64()
	return err == nil && math.Abs(x-1.0/255) < 1e-9
}
