package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every preset's own tensors tell that preset, or one that has the same tensors.
func TestInferPresets(t *testing.T) {
	for _, p := range Presets() {
		t.Run(p.Name, func(t *testing.T) {
			d, err := Preset(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			tensors := Tensors(d)
			if p.Task == "encode" { // as pretraining leaves them
				tensors = append(tensors, Tensor{"mlm_head.weight", []int{p.Sizes.Vocab, p.Sizes.Dim}}, Tensor{"mlm_head.bias", []int{p.Sizes.Vocab}},
					Tensor{"mim_head.weight", []int{8192, p.Sizes.Dim}})
			}
			g, err := Infer(tensors, p.File, 0)
			if err != nil {
				t.Fatal(err)
			}
			sizes := p.Sizes
			sizes.Eps = 0
			if diff := cmp.Diff(sizes, g.Sizes); diff != "" || g.Family != p.Family || !g.Certain {
				t.Errorf("%s, certain %v, sizes (-want +got):\n%s", g.Family, g.Certain, diff)
			}
			if len(g.Presets) == 0 {
				t.Fatal("no preset fits")
			}
			if p.File != "" && g.Presets[0].Name != p.Name {
				t.Errorf("looks like %s; the file's name says %s", g.Presets[0].Name, p.Name)
			}
			if g.Tasks[0].Name != p.Task || g.Tasks[0].Classes != p.Classes || len(g.Tasks) != 1 {
				t.Errorf("tasks %+v, want %s with %d classes", g.Tasks, p.Task, p.Classes)
			}
		})
	}
}

func tinyTensors(t *testing.T, family, more, tasks string) []Tensor {
	t.Helper()
	d, err := Parse("m.yaml", []byte(fmt.Sprintf("model: 1\nfamily: %s\nsizes: {dim: 72, heads: 3, ffn: 100, layers: 4, image: 28, patch: 14, channels: 1, vocab: 50, positions: 20%s}\ntasks: [%s]\n", family, more, tasks)))
	if err != nil {
		t.Fatal(err)
	}
	return Tensors(d)
}

func TestInferOthers(t *testing.T) {
	g, err := Infer(tinyTensors(t, "mwt", ", vl_layers: 2", "retrieval, {classification: {classes: 5}}"), "", 3)
	if err != nil {
		t.Fatal(err)
	}
	want := &Guess{
		Family: "mwt", Sizes: Sizes{Dim: 72, Heads: 3, FFN: 100, Layers: 4, VLLayers: 2, Image: 28, Patch: 14, Channels: 1, Vocab: 50, Positions: 20},
		Tasks: []Task{{Name: "retrieval"}, {Name: "classification", Classes: 5}}, Heads: "as given", Certain: true,
	}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if g, err = Infer(tinyTensors(t, "beit3", "", "encode"), "", 0); err != nil || g.Certain || g.Sizes.Heads != 1 || !strings.Contains(g.Heads, "a guess by heads of 72 columns") {
		t.Errorf("%+v, %v", g, err)
	}
	if norm := g.Tasks[0].Norm; norm == nil || !*norm {
		t.Error("the norm of the encoder is not seen")
	}

	// VLMo base_plus: absolute positions; base: relative ones, which tell heads and picture.
	vlmo := func(layers, dim int, more ...Tensor) []Tensor {
		ts := append([]Tensor{
			{"text_embeddings.word_embeddings.weight", []int{30522, dim}}, {"transformer.patch_embed.proj.weight", []int{dim, 3, 16, 16}},
			{"text_embeddings.position_embeddings.weight", []int{40, dim}}, {"itm_score.fc.weight", []int{2, dim}},
		}, more...)
		for i := range layers {
			p := fmt.Sprintf("transformer.blocks.%d.", i)
			ts = append(ts, Tensor{p + "attn.qkv.weight", []int{3 * dim, dim}}, Tensor{p + "mlp_imag.fc1.weight", []int{4 * dim, dim}})
			if i >= layers-2 {
				ts = append(ts, Tensor{p + "mlp_vl.fc1.weight", []int{4 * dim, dim}})
			}
		}
		return ts
	}
	g, err = Infer(vlmo(12, 768, Tensor{"relative_position_bias_table", []int{27*27 + 3 + 394, 144}}, Tensor{"vqa_classifier.3.weight", []int{3129, 1536}}), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if z := g.Sizes; z.Heads != 12 || z.Image != 224 || z.VLLayers != 2 || !g.Certain || len(g.Tasks) != 2 || g.Tasks[0].Classes != 3129 {
		t.Errorf("base: %+v", g)
	}
	if g, err = Infer(vlmo(24, 544, Tensor{"transformer.pos_embed", []int{1, 197, 544}}), "", 16); err != nil || g.Sizes.Image != 224 || g.Sizes.Heads != 16 {
		t.Errorf("base_plus: %+v, %v", g, err)
	}
}

func TestInferErrors(t *testing.T) {
	tiny := tinyTensors(t, "beit3", "", "encode")
	without := func(name string) []Tensor {
		var ts []Tensor
		for _, x := range tiny {
			if x.Name != name {
				ts = append(ts, x)
			}
		}
		return ts
	}
	reshaped := func(name string, shape ...int) []Tensor {
		return append(without(name), Tensor{name, shape})
	}
	var renamed []Tensor
	for _, x := range tiny {
		renamed = append(renamed, Tensor{"net." + strings.TrimPrefix(x.Name, "beit3."), x.Shape})
	}
	for _, c := range []struct {
		name    string
		tensors []Tensor
		heads   int
		want    string
	}{
		{"nothing", nil, 0, "no model of a known family"},
		{"another model", []Tensor{{"model.embed_tokens.weight", []int{3, 4}}}, 0, "among its 1 (model.embed_tokens.weight, ...)"},
		{"prefix", renamed, 0, `look like those of family beit3, but their names start with "net."`},
		{"no table", without("beit3.text_embed.weight"), 0, "its width cannot be told: the token table is missing"},
		{"strange table", reshaped("beit3.text_embed.weight", 5), 0, "its width cannot be told"},
		{"no square", reshaped("beit3.encoder.embed_positions.A.weight", 8, 72), 0, "its picture cannot be told: the table of picture positions"},
		{"zero", reshaped("beit3.encoder.layers.0.ffn.A.fc1.weight", 0, 72), 0, "its feed-forward width cannot be told"},
		{"negative", reshaped("beit3.vision_embed.proj.weight", 72, 3, -14, -14), 0, "its patch cannot be told"},
		{"heads", tiny, 7, "7 heads: want a divisor of the width, which is 72; the nearest are 6 and 8"},
		{"negative heads", tiny, -1, "-1 heads: want a divisor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Infer(c.tensors, "", c.heads)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want it to say %q", err, c.want)
			}
		})
	}
}
