package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// listing is what golden/reference/list_tensors.py writes of a state dict.
type listing struct {
	Tensors int
	Numbers int64
	SHA256  string
}

// listingOf is the listing of tensors.
func listingOf(tensors []Tensor) listing {
	var lines []string
	got := listing{Tensors: len(tensors)}
	for _, t := range tensors {
		n, sizes := int64(1), []string{}
		for _, k := range t.Shape {
			n *= int64(k)
			sizes = append(sizes, fmt.Sprint(k))
		}
		if len(sizes) == 0 {
			sizes = []string{"1"}
		}
		got.Numbers += n
		lines = append(lines, t.Name+" "+strings.Join(sizes, "x")+"\n")
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	got.SHA256 = hex.EncodeToString(sum[:])
	return got
}

// Presets with two towers have the tensors that open_clip's and transformers' models of their names have.
func TestPresetTensors(t *testing.T) {
	data, err := os.ReadFile("testdata/tensors.json")
	if err != nil {
		t.Fatal(err)
	}
	var layouts map[string]map[string]listing
	if err := json.Unmarshal(data, &layouts); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for layout, all := range layouts {
		for name, want := range all {
			a, ok := architectures[name]
			if !ok {
				t.Errorf("%s: unknown architecture", name)
				continue
			}
			seen[name] = true
			d := &Description{Family: a.family, Sizes: a.sizes}
			d.Long.Keys.Layout = layout
			if err := d.Complete(); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := listingOf(Tensors(d)); got != want {
				t.Errorf("%s in layout %s:\ngot  %+v\nwant %+v", name, layout, got, want)
			}
		}
	}
	for name := range architectures {
		if !seen[name] {
			t.Errorf("%s is not among the listed", name)
		}
	}
}

// Presets have as many parameters as is published: in millions, of CLIP, CLIPA, SigLIP and XLM-R CLIP in open_clip's
// docs/model_profile.csv, of Chinese-CLIP in its README_En.md. Those of BEiT-3 are in TestParameters.
func TestPublishedParameters(t *testing.T) {
	published := map[string]float64{
		"ViT-B-32": 151.28, "ViT-B-32-256": 151.29, "ViT-B-16": 149.62, "ViT-B-16-plus-240": 208.38, "ViT-L-14": 427.62, "ViT-L-14-336": 427.94,
		"ViT-H-14": 986.11, "ViT-H-14-378": 986.71, "ViT-g-14": 1366.68, "ViT-bigG-14": 2539.57,
		"ViT-L-14-CLIPA": 414.21, "ViT-L-14-CLIPA-336": 414.54, "ViT-H-14-CLIPA": 968.24, "ViT-H-14-CLIPA-336": 968.64, "ViT-bigG-14-CLIPA": 2517.22,
		"ViT-bigG-14-CLIPA-336": 2517.76,
		"ViT-B-16-SigLIP":       203.16, "ViT-B-16-SigLIP-256": 203.2, "ViT-B-16-SigLIP-384": 203.45, "ViT-B-16-SigLIP-512": 203.79,
		"ViT-B-16-SigLIP-i18n-256": 370.63, "ViT-L-16-SigLIP-256": 652.15, "ViT-L-16-SigLIP-384": 652.48, "ViT-SO400M-14-SigLIP": 877.36,
		"ViT-SO400M-14-SigLIP-384": 877.96, "xlm-roberta-base-ViT-B-32": 366.12, "xlm-roberta-large-ViT-H-14": 1193.01,
		"ViT-B-16@RoBERTa-wwm-ext-base-chinese": 188, "ViT-L-14@RoBERTa-wwm-ext-base-chinese": 406, "ViT-L-14-336@RoBERTa-wwm-ext-base-chinese": 407,
		"ViT-H-14@RoBERTa-wwm-ext-large-chinese": 958,
	}
	for name, want := range published {
		a := architectures[name]
		d := &Description{Family: a.family, Sizes: a.sizes}
		if err := d.Complete(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, half := float64(listingOf(Tensors(d)).Numbers)/1e6, 0.006
		if a.family == "cnclip" {
			half = 0.6
		}
		if math.Abs(got-want) > half {
			t.Errorf("%s has %.2f million parameters, published are %v", name, got, want)
		}
	}
}

// Every preset of two towers or of the hub names its repository or release page, its files, tokenizer and architecture, and states what a figure is of.
func TestHubPresets(t *testing.T) {
	used := map[string]bool{}
	for _, r := range towerReleases {
		for _, x := range r.rows {
			used[x.arch] = true
		}
	}
	for name := range architectures {
		if !used[name] {
			t.Errorf("no preset has architecture %s", name)
		}
	}
	for _, p := range Presets() {
		s := &p.Source
		if s.Hub == "" && p.Sizes.Text == (TowerSizes{}) {
			continue
		}
		if s.Hub == "" && s.Page == "" || len(s.Files) == 0 || (p.Words.Kind == "") != familyNamed(p.Family).alone || p.Family == "" || !slices.Contains(Uses, p.Use()) {
			t.Errorf("%+v lacks a fact", p)
		}
		if (s.Cited == "") != (s.Results == nil) {
			t.Errorf("%s: results %v of source %q", p.Name, s.Results, s.Cited)
		}
		d, err := Preset(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		// Linked files are left out: OpenAI's archives have code and tables in float32, and others are training checkpoints.
		for n := listingOf(Tensors(d)).Numbers; len(s.Files) > 0; s.Files = s.Files[1:] {
			f := s.Files[0]
			stated, from := f.Size(n)
			f.Bytes = 0
			computed, _ := f.Size(n)
			if from == "source" && !f.Linked && math.Abs(float64(stated-computed)) > 0.01*float64(computed) {
				t.Errorf("%s: %s has %d bytes, and its tensors %d", p.Name, f.Name, stated, computed)
			}
		}
		if strings.ToLower(p.Name) != p.Name || strings.ContainsAny(p.Name, "_./ ") {
			t.Errorf("name %s", p.Name)
		}
	}
}
