package model

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
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

// processors are the image processors of transformers, with the facts that hold where a preprocessor_config.json leaves them
// out. A name with FeatureExtractor, of older versions, or with the suffix Fast stands for the same processor.
var processors = []struct {
	name  string
	usual map[string]any
}{
	{"CLIPImageProcessor", over(processorUsual, map[string]any{"processor.size": sides{shortest: 224}, "processor.crop": true, "processor.crop_size": sides{height: 224, width: 224}})},
	{"ChineseCLIPImageProcessor", over(processorUsual, map[string]any{"processor.size": sides{height: 224, width: 224}, "processor.crop": true, "processor.crop_size": sides{height: 224, width: 224}})},
	{"SiglipImageProcessor", over(processorUsual, map[string]any{"processor.size": sides{height: 224, width: 224}, "processor.crop": false, "preprocess.mean": half.Mean, "preprocess.std": half.Std})},
}

var processorUsual = map[string]any{"preprocess.filter": "bicubic", "processor.normalise": true, "preprocess.mean": clipMean, "preprocess.std": clipStd}

// processorClass returns the name and the default facts of the image processor that a preprocessor_config.json names, or of
// CLIP's if it names none.
func processorClass(root map[string]any) (string, map[string]any, error) {
	name := processors[0].name
	for _, key := range []string{"feature_extractor_type", "image_processor_type"} { // the second is the newer one
		if root[key] == nil {
			continue
		}
		s, ok := root[key].(string)
		if !ok {
			return "", nil, fmt.Errorf("%s: got %s, want a text", key, shown(root[key]))
		}
		name = strings.TrimSuffix(strings.Replace(s, "FeatureExtractor", "ImageProcessor", 1), "Fast")
	}
	var known []string
	for _, p := range processors {
		if p.name == name {
			return p.name, p.usual, nil
		}
		known = append(known, p.name)
	}
	return "", nil, fmt.Errorf("image_processor_type is %s, want %s", quote(name), strings.Join(known, ", "))
}

// resampleWords maps Pillow's numbers of the supported resampling filters to their names in descriptions.
var resampleWords = map[int]string{2: "bilinear", 3: "bicubic"}

// isRescale reports whether a JSON number is within 1e-9 of 1/255; files have it rounded.
func isRescale(raw any) bool {
	n, ok := raw.(json.Number)
	if !ok {
		return false
	}
	x, err := n.Float64()
	return err == nil && math.Abs(x-1.0/255) < 1e-9
}
