package model

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// processorFormat is the preprocessor_config.json of a model of Hugging Face's transformers.
var processorFormat = configFormat{file: "preprocessor_config.json", none: true, class: processorOf, rows: processorRows}

// processorsFormat is the processor_config.json of a model of transformers 5, which has the image processor beside others. In
// transformers the image processor of this file counts before that of preprocessor_config.json.
var processorsFormat = configFormat{file: "processor_config.json", in: "image_processor", none: true, class: processorOf, rows: processorRows}

var processorRows = []configRow{
	{path: "do_resize", kind: flagConfig, want: true, why: "pictures are always resized"},
	{path: "size", fact: "processor.size", kind: sidesConfig},
	{path: "do_center_crop", fact: "processor.crop", kind: flagConfig},
	{path: "crop_size", fact: "processor.crop_size", kind: sidesConfig},
	{path: "resample", fact: "preprocess.filter", kind: resampleConfig},
	{path: "do_rescale", kind: flagConfig, want: true, why: "pixels are always divided by 255"},
	{path: "rescale_factor", kind: rescaleConfig},
	{path: "do_normalize", fact: "processor.normalise", kind: flagConfig},
	{path: "image_mean", fact: "preprocess.mean", kind: numbersConfig, lo: minMean},
	{path: "image_std", fact: "preprocess.std", kind: numbersConfig, lo: minStd},
}

// processors are the image processors of transformers. A name with FeatureExtractor, of older versions, or with the suffix Fast
// or Pil, stands for the same processor. With processor.square a size that is one number is the height and the width, not the shortest
// side.
var processors = []configClass{
	{name: "CLIPImageProcessor", usual: over(processorUsual, map[string]any{"processor.size": sides{shortest: 224}, "processor.crop": true, "processor.crop_size": sides{height: 224, width: 224}})},
	{name: "ChineseCLIPImageProcessor", usual: over(processorUsual, map[string]any{"processor.size": sides{height: 224, width: 224}, "processor.crop": true, "processor.crop_size": sides{height: 224, width: 224}})},
	{name: "SiglipImageProcessor", usual: over(processorUsual, map[string]any{"processor.size": sides{height: 224, width: 224}, "processor.crop": false, "preprocess.mean": half.Mean, "preprocess.std": half.Std})},
	{name: "BeitImageProcessor", usual: over(processorUsual, map[string]any{"processor.size": sides{height: 256, width: 256}, "processor.crop": true, "processor.crop_size": sides{height: 224, width: 224}, "processor.square": true, "preprocess.mean": half.Mean, "preprocess.std": half.Std})},
}

var processorUsual = map[string]any{"preprocess.filter": "bicubic", "processor.normalise": true, "preprocess.mean": clipMean, "preprocess.std": clipStd}

// processorOf finds the image processor that a preprocessor_config.json names, or CLIP's if it names none.
func processorOf(root map[string]any) (*configClass, error) {
	name := processors[0].name
	for _, key := range []string{"feature_extractor_type", "image_processor_type"} { // the second is the newer one
		if root[key] == nil {
			continue
		}
		s, ok := root[key].(string)
		if !ok {
			return nil, fmt.Errorf("%s: got %s, want a text", key, shown(root[key]))
		}
		name = strings.TrimSuffix(strings.TrimSuffix(strings.Replace(s, "FeatureExtractor", "ImageProcessor", 1), "Fast"), "Pil")
	}
	var known []string
	for i, p := range processors {
		if p.name == name {
			return &processors[i], nil
		}
		known = append(known, p.name)
	}
	return nil, fmt.Errorf("image_processor_type is %s, want %s", quote(name), strings.Join(known, ", "))
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
