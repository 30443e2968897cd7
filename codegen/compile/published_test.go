package compile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/ir/checkpoint"
	"github.com/multiway-go/multiway/ir/checkpoint/torchsave"
	"github.com/multiway-go/multiway/ir/model"
)

// object is a JSON object.
type object = map[string]any

// published is a model of two towers whose checkpoint is as one library or another writes it.
type published struct {
	name, family string
	file         string // of weights in the case's folder
	face         bool   // of transformers
	kind         string // its model_type there

	Embed            int `json:"embed_dim"`
	Vision, Language struct {
		Dim, Heads, Layers int
		FFN                int     `json:"ffn_dim"`
		Image              int     `json:"image_size"`
		Patch              int     `json:"patch_size"`
		Act                string  `json:"activation"`
		Eps                float64 `json:"eps"`
		Vocab              int     `json:"vocab_size"`
		Positions          int     `json:"positions"`
	}

	weights []byte // the checkpoint, of zeros
}

var publishedCases = []*published{
	{name: "clip_hf", family: "clip", file: "model.safetensors", face: true, kind: "clip"},
	{name: "clip_open_clip", family: "clip", file: "open_clip_model.safetensors"},
	{name: "siglip_hf", family: "siglip", file: "model.safetensors", face: true, kind: "siglip"},
	{name: "siglip_open_clip", family: "siglip", file: "open_clip_model.safetensors"},
	{name: "cnclip", family: "cnclip", file: "model.safetensors", face: true, kind: "chinese_clip"},
	{name: "xlmr_clip", family: "xlmrclip", file: "open_clip_model.safetensors"},
}

func init() {
	for _, p := range publishedCases {
		data, err := os.ReadFile("../../golden/testdata/" + p.name + "/case.json")
		in := struct {
			Config  *published
			Weights struct {
				Tensors []struct {
					Name  string
					Shape []int
				}
			}
		}{Config: p}
		if err == nil {
			err = json.Unmarshal(data, &in)
		}
		shapes := map[string][]int{}
		for _, t := range in.Weights.Tensors {
			shapes[t.Name] = t.Shape
		}
		if err == nil {
			p.weights, err = zeros(shapes)
		}
		if err != nil {
			panic(err)
		}
	}
}

// zeros is a checkpoint whose tensors have these shapes.
func zeros(shapes map[string][]int) ([]byte, error) {
	var list []checkpoint.Tensor
	for _, n := range slices.Sorted(maps.Keys(shapes)) {
		elements := 1
		for _, s := range shapes[n] {
			elements *= s
		}
		list = append(list, checkpoint.Tensor{Name: n, DType: checkpoint.F32, Shape: shapes[n], Floats: make([]float32, elements)})
	}
	var b bytes.Buffer
	err := checkpoint.WriteSafetensors(&b, list, nil)
	return b.Bytes(), err
}

// faceActs are transformers' words for activations.
var faceActs = map[string]string{"gelu_tanh": "gelu_pytorch_tanh", "gelu": "gelu", "quick_gelu": "quick_gelu"}

// configs are the files that the library writes beside the checkpoint.
func (p *published) configs() map[string]object {
	v, l := &p.Vision, &p.Language
	if p.face {
		text := object{"attention_dropout": 0.0, "hidden_size": l.Dim, "intermediate_size": l.FFN, "num_hidden_layers": l.Layers, "num_attention_heads": l.Heads,
			"max_position_embeddings": l.Positions, "vocab_size": l.Vocab, "hidden_act": faceActs[l.Act], "layer_norm_eps": l.Eps, "eos_token_id": nil}
		vision := object{"hidden_size": v.Dim, "intermediate_size": v.FFN, "num_hidden_layers": v.Layers, "num_attention_heads": v.Heads,
			"image_size": v.Image, "patch_size": v.Patch, "num_channels": 3, "hidden_act": faceActs[v.Act], "layer_norm_eps": v.Eps, "projection_dim": 512}
		config := object{"architectures": []string{"Model"}, "model_type": p.kind, "text_config": text, "vision_config": vision, "torch_dtype": "float32"}
		processor := object{"do_resize": true, "do_normalize": true, "do_rescale": true, "rescale_factor": 0.00392156862745098, "resample": 3,
			"image_mean": []float64{0.5, 0.5, 0.5}, "image_std": []float64{0.5, 0.5, 0.5}, "size": object{"height": v.Image, "width": v.Image}, "image_processor_type": "SiglipImageProcessor"}
		if p.kind != "siglip" {
			config["projection_dim"] = p.Embed
			processor = object{"do_resize": true, "do_center_crop": true, "crop_size": v.Image, "size": object{"shortest_edge": v.Image}, "resample": 3, "do_normalize": true,
				"image_mean": []float64{0.48145466, 0.4578275, 0.40821073}, "image_std": []float64{0.26862954, 0.26130258, 0.27577711}, "feature_extractor_type": "CLIPFeatureExtractor"}
		}
		return map[string]object{"config.json": config, "preprocessor_config.json": processor, "tokenizer_config.json": {"tokenizer_class": "CLIPTokenizer", "model_max_length": 1e30}}
	}
	vision := object{"image_size": v.Image, "patch_size": v.Patch, "width": v.Dim, "layers": v.Layers, "head_width": v.Dim / v.Heads, "mlp_ratio": float64(v.FFN) / float64(v.Dim)}
	text := object{"context_length": l.Positions, "vocab_size": l.Vocab, "width": l.Dim, "heads": l.Heads, "layers": l.Layers, "mlp_ratio": float64(l.FFN) / float64(l.Dim)}
	preprocess := object{"mean": []float64{0.48145466, 0.4578275, 0.40821073}, "std": []float64{0.26862954, 0.26130258, 0.27577711}, "interpolation": "bicubic", "resize_mode": "shortest"}
	switch p.family {
	case "siglip":
		vision = object{"image_size": v.Image, "timm_model_name": "vit_tiny_patch8_siglip", "timm_pool": "map", "timm_proj": "none"}
		text["no_causal_mask"], text["pool_type"], text["proj_bias"] = true, "last", true
		preprocess = object{"mean": []float64{0.5, 0.5, 0.5}, "std": []float64{0.5, 0.5, 0.5}, "interpolation": "bicubic", "resize_mode": "squash"}
	case "xlmrclip":
		text = object{"hf_model_name": "xlm-roberta-tiny", "hf_tokenizer_name": "xlm-roberta-tiny", "hf_pooler_type": "mean_pooler", "context_length": 20}
	}
	return map[string]object{"open_clip_config.json": {"model_cfg": object{"embed_dim": p.Embed, "quick_gelu": v.Act == "quick_gelu", "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": preprocess}}
}

// put copies the checkpoint into a folder, and writes the configuration files.
func (p *published) put(t testing.TB, dir, weights string, configs map[string]object) string {
	t.Helper()
	path := filepath.Join(dir, weights)
	asmtest.Write(t, path, p.weights)
	for name, c := range configs {
		asmtest.Write(t, filepath.Join(dir, name), asJSON(t, c))
	}
	return path
}

// opened opens a description that Init wrote, and binds its weights.
func opened(t *testing.T, out string, r *compile.Inited) *model.Description {
	t.Helper()
	if r.Problem != nil {
		t.Fatalf("%v\n%s", r.Problem, r.YAML)
	}
	asmtest.Write(t, out, r.YAML)
	m, err := compile.Open(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.YAML)
	}
	defer m.Close()
	if _, _, err := m.Lower(nil); err != nil {
		t.Fatalf("%v\n%s", err, r.YAML)
	}
	return m.Desc
}

// Init takes what tensors do not tell from the files that the libraries write.
func TestInitPublished(t *testing.T) {
	for _, p := range publishedCases {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			p.put(t, dir, p.file, p.configs())
			o := compile.InitOptions{Out: filepath.Join(dir, "model.yaml")}
			switch p.family { // towers of other libraries are known by their names
			case "siglip":
				if !p.face {
					o.Heads = p.Vision.Heads
				}
			case "xlmrclip":
				o.TextHeads = p.Language.Heads
			}
			r, err := compile.Init(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			d := opened(t, o.Out, r)
			z := d.Sizes
			act, text := p.Vision.Act, p.Language.Act
			if p.name == "siglip_open_clip" { // with which the weights were trained
				act, text = "gelu_tanh", "gelu_tanh"
			}
			got := []any{d.Family, z.Heads, z.Text.Heads, z.Act, z.Text.Act, z.Eps, z.Image}
			want := []any{p.family, p.Vision.Heads, p.Language.Heads, act, text, p.Vision.Eps, p.Vision.Image}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, r.YAML)
			}
			pre := d.Preprocess
			how := map[bool]string{true: "floor first white", false: "even last drop"}[p.face]
			if got := strings.Join([]string{pre.Offset, pre.RGB, pre.Alpha}, " "); got != how {
				t.Errorf("pictures are fed by %s, want %s", got, how)
			}
			if resize := map[bool]string{true: "stretch", false: "crop"}[p.family == "siglip"]; pre.Resize != resize || pre.Filter != "bicubic" {
				t.Errorf("pictures are resized by %s %s, want %s", pre.Resize, pre.Filter, resize)
			}
			if p.family == "xlmrclip" && d.Limits.Text != 20 || p.family == "clip" && d.Limits.Text != p.Language.Positions {
				t.Errorf("texts of %d", d.Limits.Text)
			}
			if !strings.Contains(string(r.YAML), "# From ") || strings.Contains(string(r.YAML), "%!") {
				t.Errorf("it does not say what comes from where:\n%s", r.YAML)
			}

			if o.Heads != 0 || o.TextHeads != 0 {
				r, err := compile.Init(dir, compile.InitOptions{})
				if err != nil || r.Guess.Sizes.Heads != 0 || !strings.Contains(strings.ReplaceAll(string(r.YAML), "\n#  ", ""), "by another library, whose heads are not known") {
					t.Errorf("heads of a tower that is not known: %v\n%s", err, r.YAML)
				}
			}

			// Without the files heads have to be given, and what is assumed is said.
			bare := t.TempDir()
			path := p.put(t, bare, p.file, nil)
			if r, err = compile.Init(path, compile.InitOptions{}); err != nil || r.Guess.Sizes.Heads != 0 || !strings.Contains(string(r.YAML), "# heads: MISSING") {
				t.Fatalf("%v\n%s", err, r.YAML)
			}
			o = compile.InitOptions{Out: filepath.Join(bare, "model.yaml"), Heads: p.Vision.Heads, TextHeads: p.Language.Heads}
			if r, err = compile.Init(path, o); err != nil {
				t.Fatal(err)
			}
			opened(t, o.Out, r)
			if !strings.Contains(string(r.YAML), "# Assumed: act ") {
				t.Errorf("it does not say which activation is assumed:\n%s", r.YAML)
			}
		})
	}
}

// In the hub's cache a model's files are links to where their content is.
func TestInitCache(t *testing.T) {
	p := publishedCases[0]
	root := filepath.Join(t.TempDir(), "models--some--CLIP-tiny")
	snapshot := filepath.Join(root, "snapshots", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268")
	for _, dir := range []string{snapshot, filepath.Join(root, "blobs"), filepath.Join(root, "refs")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, content string) {
		t.Helper()
		blob := filepath.Join(root, "blobs", "sha-"+name)
		if content != "" {
			asmtest.Write(t, blob, content)
		}
		if err := os.Symlink(filepath.Join("..", "..", "blobs", "sha-"+name), filepath.Join(snapshot, name)); err != nil {
			asmtest.Missing(t, "links", err.Error())
		}
	}
	link("model.safetensors", string(p.weights))
	for name, c := range p.configs() {
		link(name, asJSON(t, c))
	}
	out := filepath.Join(t.TempDir(), "model.yaml")
	for _, path := range []string{root, snapshot, filepath.Join(snapshot, "model.safetensors")} {
		r, err := compile.Init(path, compile.InitOptions{Out: out})
		if err != nil {
			t.Fatal(err)
		}
		if d := opened(t, out, r); d.Name != "clip_tiny" || d.Sizes.Heads != p.Vision.Heads {
			t.Errorf("%s: name %s, %d heads", path, d.Name, d.Sizes.Heads)
		}
	}
	if err := os.Remove(filepath.Join(root, "blobs", "sha-config.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := compile.Init(root, compile.InitOptions{}); err == nil || !strings.Contains(err.Error(), "config.json: is a link to ../../blobs/sha-config.json, which is not there; the download was not finished") {
		t.Errorf("a file that was not fetched: %v", err)
	}
	if err := os.Mkdir(filepath.Join(root, "snapshots", "other"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := compile.Init(root, compile.InitOptions{}); err == nil || !strings.Contains(err.Error(), "has 2 revisions of the model and no main one") {
		t.Errorf("two revisions: %v", err)
	}
	asmtest.Write(t, filepath.Join(root, "refs", "main"), "other")
	if _, err := compile.Init(root, compile.InitOptions{}); err == nil || !strings.Contains(err.Error(), "is a folder, want a regular file: the weights, or a folder that has them as model.safetensors") {
		t.Errorf("an empty revision: %v", err)
	}
}

// Faulty files are refused in one line that says what they are and what to give.
func TestInitPublishedErrors(t *testing.T) {
	clip, open := publishedCases[0], publishedCases[1]
	set := func(c map[string]object, file, path string, v any) map[string]object {
		in := c[file]
		keys := strings.Split(path, ".")
		for _, k := range keys[:len(keys)-1] {
			in = in[k].(object)
		}
		if in[keys[len(keys)-1]] = v; v == "delete" {
			delete(in, keys[len(keys)-1])
		}
		return c
	}
	for _, c := range []struct {
		p          *published
		file, path string
		value      any
		want       string
	}{
		{clip, "config.json", "text_config.hidden_size", 512, "config.json: text_config.hidden_size is 512, but the tensors have 36, the width of texts"},
		{clip, "config.json", "text_config.hidden_size", "delete", "config.json: text_config.hidden_size is 512 (left out, and so the default of CLIPModel), but the tensors have 36"},
		{clip, "config.json", "text_config.hidden_size", "36", `text_config.hidden_size: got "36", want a whole number`},
		{clip, "config.json", "text_config.hidden_size", nil, `text_config.hidden_size: got null, want a whole number`},
		{clip, "config.json", "vision_config.layer_norm_eps", 1e300, "vision_config.layer_norm_eps: got 1e+300, want a number between 0 and 1"},
		{clip, "config.json", "text_config.hidden_size", 36.5, "text_config.hidden_size: got 36.5, want a whole number"},
		{clip, "config.json", "vision_config.num_hidden_layers", 3, "vision_config.num_hidden_layers is 3, but the tensors have 2, the layers of pictures"},
		{clip, "config.json", "vision_config.patch_size", 16, "vision_config.patch_size is 16, but the tensors have 8, the side of a patch"},
		{clip, "config.json", "text_config.vocab_size", 49408, "text_config.vocab_size is 49408, but the tensors have 200, the rows of the token table"},
		{clip, "config.json", "projection_dim", 512, "projection_dim is 512, but the tensors have 40, the width of embeddings"},
		{clip, "config.json", "vision_config.num_attention_heads", 7, "vision_config.num_attention_heads gives 7 heads, which do not divide 48, the width of pictures that the tensors have; the nearest are 6 and 8"},
		{clip, "config.json", "vision_config.image_size", 224, "vision_config.image_size is 224, which is 28 patches of 8 a side, but the tensors have positions of 4"},
		{clip, "config.json", "vision_config.hidden_act", "relu", `vision_config.hidden_act: got "relu", which is not built; want gelu, gelu_accurate,`},
		{clip, "config.json", "text_config.layer_norm_eps", 1e-6, "text_config.layer_norm_eps is 1e-06, but the epsilon of pictures is 1e-05"},
		{clip, "config.json", "text_config", []int{1}, "text_config: got a list of 1, want an object"},
		{clip, "config.json", "model_type", "siglip", "model_type is of SiglipModel, a model of family siglip, but the tensors are from a model of family clip"},
		{clip, "config.json", "model_type", "siglip2", "a NaFlex model"},
		{clip, "config.json", "model_type", "resnet", `model_type is "resnet", want beit, data2vec-vision, clip, metaclip_2,`},
		{clip, "config.json", "model_type", "delete", "model_type is missing"},
		{clip, "config.json", "peft_type", "LORA", "the configuration of an adapter"},
		{clip, "preprocessor_config.json", "image_processor_type", "ViTImageProcessor", `image_processor_type is "ViTImageProcessor", want CLIPImageProcessor, `},
		{clip, "preprocessor_config.json", "image_processor_type", 1, "image_processor_type: got 1, want a text"},
		{clip, "preprocessor_config.json", "resample", 1, "resample: got 1, want 2, bilinear, or 3, bicubic"},
		{clip, "preprocessor_config.json", "size", 224, "size is 224: the model's picture is 32"},
		{clip, "preprocessor_config.json", "image_mean", []float64{0.5, 0.5}, "image_mean is [0.5 0.5]: the tensors have 3 colours"},
		{clip, "preprocessor_config.json", "image_std", []float64{0, 1, 1}, "image_std: got 0 in the list, want numbers from 1e-06 to 1000"},
		{clip, "preprocessor_config.json", "size", object{"height": 32, "width": 64}, "size is 32 x 64: only square pictures are supported"},
		{clip, "preprocessor_config.json", "rescale_factor", 1, "rescale_factor: got 1, want 1/255"},
		{open, "open_clip_config.json", "model_cfg.vision_cfg.layers", []int{3, 4, 6, 3}, "a ResNet, a net of convolutions"},
		{open, "open_clip_config.json", "model_cfg.embed_dim", 512, "model_cfg.embed_dim is 512, but the tensors have 28"},
		{open, "open_clip_config.json", "model_cfg.quick_gelu", "yes", `model_cfg.quick_gelu: got "yes", want true or false`},
		{open, "open_clip_config.json", "model_cfg.text_cfg.no_causal_mask", true, "model_cfg.text_cfg.no_causal_mask is true, but a model with these tensors is built with false only"},
		{open, "open_clip_config.json", "model_cfg.text_cfg.pool_type", "first", "model_cfg.text_cfg.pool_type is first, but a model with these tensors is built with argmax or eos only"},
		{open, "open_clip_config.json", "model_cfg.vision_cfg.head_width", 7, "model_cfg.vision_cfg.head_width is 7, which does not divide 60"},
		{open, "open_clip_config.json", "preprocess_cfg.resize_mode", "longest", `preprocess_cfg.resize_mode: got "longest", which is not built; want shortest, squash`},
		{open, "open_clip_config.json", "model_cfg", 1, "it has no model_cfg with vision_cfg and text_cfg"},
	} {
		t.Run(c.path+" "+fmt.Sprint(c.value), func(t *testing.T) {
			dir := t.TempDir()
			c.p.put(t, dir, c.p.file, set(c.p.configs(), c.file, c.path, c.value))
			_, err := compile.Init(dir, compile.InitOptions{})
			asmtest.ErrorSays(t, err, c.file, c.want)
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}

	for name, c := range map[string]struct{ content, want string }{
		"cut":   {`{"model_type": "clip", "text_config": {`, "config.json: the JSON ends before it is complete; the download was cut"},
		"lfs":   {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "config.json: a git-lfs pointer, not the file"},
		"page":  {"<html>", "config.json: an HTML or XML page, not the file; download it again"},
		"list":  {"[]", "config.json: got a list of 0, want a JSON object"},
		"twice": {`{"model_type": "clip", "text_config": {"hidden_size": 1, "hidden_size": 2}}`, `config.json: "text_config.hidden_size" is there twice, as 1 and as 2`},
		"deep":  {`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", "nested more than 32 deep"},
		"large": {strings.Repeat(" ", model.MaxConfig+1), "config.json: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			clip.put(t, dir, clip.file, nil)
			asmtest.Write(t, filepath.Join(dir, "config.json"), c.content)
			_, err := compile.Init(dir, compile.InitOptions{})
			asmtest.ErrorSays(t, err, c.want)
		})
	}
}

// Checkpoints that are incomplete, or of models that are not built, are refused in one line.
func TestInitUnbuilt(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, shapes map[string][]int) string {
		t.Helper()
		data, err := zeros(shapes)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		asmtest.Write(t, path, data)
		return path
	}
	weights := publishedCases[0].weights
	asmtest.Write(t, filepath.Join(dir, "cut.safetensors"), weights[:len(weights)-100])
	asmtest.Write(t, filepath.Join(dir, "model-00001-of-00002.safetensors"), weights)
	asmtest.Write(t, filepath.Join(dir, "pointer.safetensors"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
	scaled := map[string][]int{"text_model.encoder.layers.1.ls_1.gamma": {36}}
	src, err := checkpoint.Safetensors(bytes.NewReader(weights), int64(len(weights)), "weights")
	if err != nil {
		t.Fatal(err)
	}
	gap := map[string][]int{"vision_model.encoder.layers.3.layer_norm1.weight": {48}}
	for _, x := range src.Tensors() {
		scaled[x.Name], gap[x.Name] = x.Shape, x.Shape
	}
	for _, sub := range []string{"shards", "lora", "two", "below/0_CLIPModel", "exported/onnx"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	asmtest.Write(t, filepath.Join(dir, "shards", "model-00001-of-00002.safetensors"), weights)
	asmtest.Write(t, filepath.Join(dir, "lora", "adapter_config.json"), "{}")
	asmtest.Write(t, filepath.Join(dir, "lora", "adapter_model.safetensors"), weights)
	asmtest.Write(t, filepath.Join(dir, "below", "0_CLIPModel", "model.safetensors"), weights)
	asmtest.Write(t, filepath.Join(dir, "exported", "onnx", "model.onnx"), "")
	asmtest.Write(t, filepath.Join(dir, "two", "a.pt"), "")
	asmtest.Write(t, filepath.Join(dir, "two", "b.safetensors"), "")
	asmtest.Write(t, filepath.Join(dir, "model.safetensors.index.json"), `{"weight_map": {"logit_scale": "model-00001-of-00002.safetensors", "x": "model-00002-of-00002.safetensors"}}`)
	for _, c := range []struct{ path, want string }{
		{write("resnet.safetensors", map[string][]int{"visual.conv1.weight": {4, 3, 3, 3}, "visual.layer1.0.conv1.weight": {4, 4, 1, 1}}), "it is a CLIP whose pictures go through a ResNet, a net of convolutions, which is not built; give one with a ViT"},
		{write("naflex.safetensors", map[string][]int{"vision_model.embeddings.patch_embedding.weight": {4, 192}, "vision_model.head.probe": {1, 1, 4}}), "it is a NaFlex model of SigLIP 2"},
		{write("text.safetensors", map[string][]int{"text_model.embeddings.token_embedding.weight": {9, 4}}), "it has the tower of texts only"},
		{write("vision.safetensors", map[string][]int{"vision_model.embeddings.patch_embedding.weight": {4, 3, 2, 2}, "vision_model.embeddings.class_embedding": {4}}), "it has the tower of pictures only"},
		{write("pretrained.safetensors", map[string][]int{"beit.encoder.layer.0.lambda_1": {4}, "beit.encoder.relative_position_bias.relative_position_bias_table": {12, 2}}), "it is a BEiT as pretraining leaves it"},
		{write("segments.safetensors", map[string][]int{"beit.encoder.layer.0.lambda_1": {4}, "decode_head.classifier.weight": {2, 4, 1, 1}}), "it is a BEiT that segments pictures"},
		{write("classifier.safetensors", map[string][]int{"vision_model.embeddings.patch_embedding.weight": {4, 3, 2, 2}, "classifier.weight": {2, 4}}), "it classifies by the tower of pictures of a CLIP or SigLIP"},
		{write("dit.safetensors", map[string][]int{"beit.encoder.layer.0.lambda_1": {4}, "beit.embeddings.position_embeddings": {1, 5, 4}}), "it is a BEiT or DiT with position embeddings, which is not built"},
		{write("lora.safetensors", map[string][]int{"base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": {4, 4}}), "has adapters (LoRA and its like)"},
		{write("scaled.safetensors", scaled), `a layer has the tensor "text_model.encoder.layers.1.ls_1.gamma", and layers of family clip have no such part`},
		{write("gap.safetensors", gap), `it has the tensor "vision_model.encoder.layers.3.layer_norm1.weight", but none of layer 2: some are missing`},
		{write("timm.safetensors", map[string][]int{"visual.trunk.stages.0.conv.weight": {4, 3, 3, 3}, "text.token_embedding.weight": {9, 4}}), "its pictures go through a tower of timm that is not built"},
		{write("rope.safetensors", map[string][]int{"visual.trunk.cls_token": {1, 1, 4}, "visual.trunk.attn_pool.latent": {1, 1, 4}, "text.token_embedding.weight": {9, 4}}), "its pictures go through a tower of timm that is not built"},
		{write("t5.safetensors", map[string][]int{"visual.conv1.weight": {4, 3, 2, 2}, "text.transformer.block.0.layer.0.SelfAttention.q.weight": {4, 4}}), "its texts go through a tower of transformers that is not built"},
		{write("inside.safetensors", map[string][]int{"net.clip.vision_model.embeddings.class_embedding": {4}}), "look like those of family clip with a prefix: open them with --key net.clip"},
		{write("wrapped.safetensors", map[string][]int{"module.net._orig_mod.clip.vision_model.embeddings.class_embedding": {4}}), "with a prefix: open them with --key module.net._orig_mod.clip"},
		{write("named.safetensors", map[string][]int{"a\nb": {4}}), `its 1 tensors ("a\nb", ...)`},
		{"openai/clip-vit-base-patch32", "no such file or directory; init downloads nothing"},
		{filepath.Join(dir, "below"), "its weights are in 0_CLIPModel: give that folder"},
		{filepath.Join(dir, "exported"), "has its weights as ONNX only, in " + filepath.Join("onnx", "model.onnx") + ", which is not read"},
		{filepath.Join(dir, "cut.safetensors"), "cut.safetensors: "},
		{filepath.Join(dir, "pointer.safetensors"), "is a git-lfs pointer, not the checkpoint; fetch the file with git lfs pull"},
		{filepath.Join(dir, "model-00001-of-00002.safetensors"), "is one of 2 files of a checkpoint; give model.safetensors.index.json, which stands beside it and lists them"},
		{filepath.Join(dir, "shards"), "but not the index of them, model.safetensors.index.json; download it too"},
		{filepath.Join(dir, "lora"), "has an adapter (LoRA and its like), which changes another model"},
		{dir, "model-00002-of-00002.safetensors with 1 tensors is missing"},
		{filepath.Join(dir, "two"), "has several checkpoints, a.pt, b.safetensors; give one of them"},
		{filepath.Join(dir, "model.safetensors.index.json"), "the file model-00002-of-00002.safetensors with 1 tensors is missing"},
	} {
		_, err := compile.Init(c.path, compile.InitOptions{})
		asmtest.ErrorSays(t, err, c.want)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %v", err)
		}
	}
}

// Of a BEiT, as Hugging Face's classes save it, init takes the preprocessing and the names of the classes.
func TestInitBEiT(t *testing.T) {
	config := func() object {
		return object{"architectures": []string{"BeitForImageClassification"}, "model_type": "beit", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 20,
			"image_size": 12, "patch_size": 4, "layer_norm_eps": 1e-6, "use_relative_position_bias": true, "use_shared_relative_position_bias": false, "use_mean_pooling": true,
			"id2label": object{"0": "tench", "1": "crane", "3": "crane"}}
	}
	const sizes = "model: 1\nfamily: beit\nsizes: {dim: 8, heads: 2, ffn: 20, layers: 1, image: 12, patch: 4}\n"
	folder := func(t *testing.T, description string, config, processor object) (string, *compile.Inited, error) {
		t.Helper()
		dir := t.TempDir()
		writeTowers(t, dir, description)
		if config != nil {
			asmtest.Write(t, filepath.Join(dir, "config.json"), asJSON(t, config))
		}
		if processor != nil {
			asmtest.Write(t, filepath.Join(dir, "preprocessor_config.json"), asJSON(t, processor))
		}
		out := filepath.Join(dir, "model.yaml")
		r, err := compile.Init(dir, compile.InitOptions{Out: out})
		return out, r, err
	}
	processor := object{"crop_size": 12, "do_center_crop": false, "do_normalize": true, "do_resize": true, "feature_extractor_type": "BeitFeatureExtractor", "image_mean": []float64{0.5, 0.5, 0.5}, "image_std": []float64{0.5, 0.5, 0.5}, "resample": 2, "size": 12}
	const classes = "tasks: [{classification: {classes: 3}}]\n"

	out, r, err := folder(t, sizes+classes, config(), processor)
	if err != nil {
		t.Fatal(err)
	}
	d := opened(t, out, r)
	if d.Family != "beit" || d.Sizes.Eps != 1e-6 || d.Sizes.Image != 12 || d.Preprocess.Filter != "bilinear" || d.Preprocess.Resize != "stretch" || d.Preprocess.Alpha != "drop" {
		t.Errorf("%+v, %+v", d.Sizes, d.Preprocess)
	}
	names, err := d.Labels(d.Tasks[0])
	if diff := cmp.Diff([]string{"tench", "crane", "crane"}, names); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s\n%s", err, diff, r.YAML)
	}

	// The class without a head embeds. What no file tells is assumed.
	out, r, err = folder(t, sizes+"layout: beit_bare_hf\n", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d = opened(t, out, r); d.Tasks[0].Name != "retrieval" || d.Sizes.Heads != 2 || d.Preprocess.Filter != "bilinear" {
		t.Errorf("%s", r.YAML)
	}
	for _, assumed := range []string{"# Assumed: pictures of 12 x 12 pixels", "# Assumed: eps 1e-12", "# Assumed: preprocess as transformers has it"} {
		if !strings.Contains(string(r.YAML), assumed) {
			t.Errorf("want %q in\n%s", assumed, r.YAML)
		}
	}

	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"hidden_size", 16, "config.json: hidden_size is 16, but the tensors have 8, the width of pictures"},
		{"num_attention_heads", 4, "config.json: num_attention_heads is 4, but the tensors have 2, the attention heads"},
		{"num_hidden_layers", nil, "config.json: num_hidden_layers: got null, want a whole number"},
		{"image_size", 16, "image_size is 16, which is 4 patches of 4 a side, but the tensors have positions of 3"},
		{"hidden_act", "gelu_new", "hidden_act is gelu_tanh, but a model with these tensors is built with gelu only"},
		{"use_mean_pooling", false, "use_mean_pooling is false, want true"},
		{"use_absolute_position_embeddings", true, "use_absolute_position_embeddings is true, want false"},
		{"use_shared_relative_position_bias", true, "use_shared_relative_position_bias is true, want false"},
		{"id2label", object{"0": "tench"}, "config.json: id2label is 1, but the tensors have 3, the classes"},
		{"id2label", []string{"tench"}, "config.json: id2label: got a list of 1, want an object of names"},
		{"model_type", "clip", "model_type is of CLIPModel, a model of family clip, but the tensors are from a model of family beit"},
		{"model_type", "vit", `model_type is "vit", want beit,`},
	} {
		x := config()
		x[c.key] = c.value
		_, _, err := folder(t, sizes+classes, x, processor)
		asmtest.ErrorSays(t, err, c.want)
	}
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"size", 16, "preprocessor_config.json: size is 16: the model's picture is 12, and a resize"},
		{"size", nil, "the model's picture is 12, and a resize to another size before it is cut out is not built"},
		{"resample", 0, "resample: got 0, want 2, bilinear"},
	} {
		x := maps.Clone(processor)
		x[c.key] = c.value
		_, _, err := folder(t, sizes+classes, config(), x)
		asmtest.ErrorSays(t, err, c.want)
	}
}

// The tokenizer beside a checkpoint is taken in the form of the library that the checkpoint is of.
func TestInitTokenizer(t *testing.T) {
	vocab, merges := faceVocabulary(t)
	for _, c := range []struct {
		layout string
		files  map[string]string
		want   string
	}{
		{"clip_hf", map[string]string{"vocab.json": vocab, "merges.txt": merges}, "tokenizer: vocab.json\n"},
		{"clip_hf", map[string]string{"bpe_simple_vocab_16e6.txt.gz": string(asmtest.Read(t, tokens+"tokenizer_clip_tiny/bpe.txt.gz"))}, "tokenizer: {file: bpe_simple_vocab_16e6.txt.gz, form: hf}\n"},
		{"clip_open_clip", map[string]string{"vocab.json": vocab, "merges.txt": merges}, "tokenizer: {file: vocab.json, form: open_clip}\n"},
		{"clip_open_clip", map[string]string{"spiece.model": string(asmtest.Read(t, tokens+"tokenizer_siglip/spiece.model"))}, "#tokenizer: FILE\n"},
		{"clip_open_clip", map[string]string{"spiece.model": string(asmtest.Read(t, tokens+"tokenizer_siglip/spiece.model"))}, "# Not taken as the tokenizer: spiece.model: the tokenizer has token ids up to 175, "},
		{"clip_hf", map[string]string{"vocab.json": vocab}, "# Not taken as the tokenizer: vocab.json: vocab.json alone does not say how its pieces are made"},
	} {
		dir := t.TempDir()
		out := filepath.Join(dir, "model.yaml")
		path := writeClip(t, dir, c.layout)
		for name, text := range c.files {
			asmtest.Write(t, filepath.Join(dir, name), text)
		}
		r, err := compile.Init(path, compile.InitOptions{Out: out, Heads: 2, TextHeads: 2})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(r.YAML), c.want) {
			t.Errorf("%s, %v: want %q in\n%s", c.layout, slices.Sorted(maps.Keys(c.files)), c.want, r.YAML)
		}
		opened(t, out, r)
		// Open finds the layout by the tensors.
		asmtest.Write(t, out, strings.Replace(string(r.YAML), "layout: ", "#layout: ", 1))
		m, err := compile.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Desc.Long.Keys.Layout; got != c.layout {
			t.Errorf("layout %q, want %s", got, c.layout)
		}
		m.Close()
	}
	dir := t.TempDir()
	asmtest.Write(t, filepath.Join(dir, "spiece.model"), asmtest.Read(t, tokens+"tokenizer_siglip/spiece.model"))
	_, err := compile.Init(writeClip(t, dir, "clip_hf"), compile.InitOptions{Heads: 2, TextHeads: 2, Tokenizer: filepath.Join(dir, "spiece.model")})
	asmtest.ErrorSays(t, err, "spiece.model: ", "it belongs to another model")
}

// The entries of a description may be one tower's.
func TestOneTower(t *testing.T) {
	for _, tower := range []string{"vision", "language"} {
		m := compile.OpenText(t, "model: 1\nfamily: clip\nsizes: {dim: 8, heads: 2, ffn: 16, layers: 1, image: 8, patch: 4, vocab: 20, positions: 12, embed: 8, text: {dim: 8, heads: 2, layers: 1}}\nseed: 1\nentries: ["+tower+"]\n")
		p, _, err := m.Lower(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Funcs) != 1 || !strings.HasPrefix(p.Funcs[0].Name, tower) {
			t.Errorf("%s: %d functions, the first %s", tower, len(p.Funcs), p.Funcs[0].Name)
		}
	}
}

// writeClip writes a CLIP with rows for the small vocabulary.
func writeClip(t *testing.T, dir, layout string) string {
	t.Helper()
	return writeTowers(t, dir, "model: 1\nfamily: clip\nsizes: {dim: 8, heads: 2, ffn: 16, layers: 1, image: 8, patch: 4, vocab: 764, positions: 12, embed: 8, text: {dim: 8, heads: 2, layers: 1}}\nlayout: "+layout+"\n")
}

// writeTowers writes a checkpoint of zeros for a description.
func writeTowers(t *testing.T, dir, description string) string {
	t.Helper()
	d, err := model.Parse("m.yaml", []byte(description))
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	for _, x := range model.Tensors(d) {
		shapes[x.Name] = x.Shape
	}
	data, err := zeros(shapes)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "weights.safetensors")
	asmtest.Write(t, path, data)
	return path
}

// Heads of towers of other libraries are known by their names and widths.
func TestInitNamedTowers(t *testing.T) {
	for _, c := range []struct {
		name        string
		dim         int
		heads, want string
	}{
		{"vit_base_patch16_siglip_224", 768, "heads: 12,", ""},
		{"vit_base_patch16_siglip_224", 64, "heads: MISSING", "whose heads are not known; --heads gives them"},
	} {
		dir := t.TempDir()
		path := writeTowers(t, dir, fmt.Sprintf("model: 1\nfamily: siglip\nsizes: {dim: %d, heads: 4, ffn: 16, layers: 1, image: 8, patch: 4, vocab: 20, positions: 12, text: {dim: 8, heads: 2, ffn: 32, layers: 1}}\nlayout: siglip_open_clip\n", c.dim))
		asmtest.Write(t, filepath.Join(dir, "open_clip_config.json"), fmt.Sprintf(`{"model_cfg": {"embed_dim": %d, "vision_cfg": {"timm_model_name": %q, "image_size": 8}, "text_cfg": {"width": 8, "heads": 2, "layers": 1, "vocab_size": 20, "context_length": 12, "no_causal_mask": true, "pool_type": "last"}}}`, c.dim, c.name))
		r, err := compile.Init(path, compile.InitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(r.YAML), c.heads) || !strings.Contains(string(r.YAML), c.want) {
			t.Errorf("%s of %d: want %q and %q in\n%s", c.name, c.dim, c.heads, c.want, r.YAML)
		}
	}
}

// Of the checkpoints in a folder the first of a known model is taken: repositories of timm have the vision tower alone beside
// open_clip's file of the whole model.
func TestInitBesideTimm(t *testing.T) {
	dir := t.TempDir()
	p := publishedCases[1]
	p.put(t, dir, p.file, p.configs())
	trunk, err := zeros(map[string][]int{"blocks.0.attn.qkv.weight": {12, 4}, "patch_embed.proj.weight": {4, 3, 2, 2}})
	if err != nil {
		t.Fatal(err)
	}
	asmtest.Write(t, filepath.Join(dir, "model.safetensors"), trunk)
	asmtest.Write(t, filepath.Join(dir, "config.json"), `{"architecture": "vit_base_patch32_clip_224", "num_classes": 512}`)
	o := compile.InitOptions{Out: filepath.Join(dir, "model.yaml")}
	r, err := compile.Init(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if d := opened(t, o.Out, r); d.Checkpoint != p.file || d.Sizes.Heads != p.Vision.Heads {
		t.Errorf("%d heads, checkpoint %s", d.Sizes.Heads, d.Checkpoint)
	}
	_, err = compile.Init(filepath.Join(dir, "model.safetensors"), compile.InitOptions{})
	asmtest.ErrorSays(t, err, "it is not a model of a known family")
}

// transformers 5 has the image processor in processor_config.json, and counts it before that of preprocessor_config.json.
func TestInitProcessor(t *testing.T) {
	dir := t.TempDir()
	p := publishedCases[0]
	configs := p.configs()
	p.put(t, dir, p.file, configs)
	for _, c := range []struct{ file, want string }{
		{`{"processor_class": "CLIPProcessor"}`, "# From preprocessor_config.json: resample bicubic"},
		{`{"image_processor": {"size": {"shortest_edge": 32}, "crop_size": 32, "resample": 2, "image_processor_type": "CLIPImageProcessorPil"}, "processor_class": "CLIPProcessor"}`, "# From processor_config.json: image_processor.resample bilinear"},
	} {
		asmtest.Write(t, filepath.Join(dir, "processor_config.json"), c.file)
		o := compile.InitOptions{Out: filepath.Join(dir, "model.yaml")}
		r, err := compile.Init(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		opened(t, o.Out, r)
		if !strings.Contains(string(r.YAML), c.want) {
			t.Errorf("want %q in\n%s", c.want, r.YAML)
		}
	}
	for file, want := range map[string]string{
		`{"image_processor": []}`:                   "processor_config.json: image_processor: got a list of 0, want an object",
		`{"image_processor": {"resample": 0}}`:      "processor_config.json: image_processor.resample: got 0, want 2",
		`{"image_processor": {"do_resize": false}}`: "processor_config.json: image_processor.do_resize is false, want true",
	} {
		asmtest.Write(t, filepath.Join(dir, "processor_config.json"), file)
		_, err := compile.Init(dir, compile.InitOptions{})
		asmtest.ErrorSays(t, err, want)
	}
}

// A checkpoint in several files is opened by its index, which a folder holds.
func TestInitShards(t *testing.T) {
	p := publishedCases[0]
	src, err := checkpoint.Safetensors(bytes.NewReader(p.weights), int64(len(p.weights)), "weights")
	if err != nil {
		t.Fatal(err)
	}
	var half [2][]checkpoint.SeededTensor
	for i, x := range src.Tensors() {
		half[i%2] = append(half[i%2], checkpoint.NewSeededTensor(x.Name, x.Shape))
	}
	for _, kind := range []struct{ index, file string }{
		{"model.safetensors.index.json", "model-%05d-of-00002.safetensors"},
		{"pytorch_model.bin.index.json", "pytorch_model-%05d-of-00002.bin"},
	} {
		dir := t.TempDir()
		where := map[string]string{}
		for i, list := range half {
			name := fmt.Sprintf(kind.file, i+1)
			shapes := map[string][]int{}
			for _, x := range list {
				where[x.Name], shapes[x.Name] = name, x.Shape
			}
			if filepath.Ext(name) == ".bin" {
				src, err := checkpoint.Seeded(1, list)
				if err == nil {
					err = torchsave.WriteFile(filepath.Join(dir, name), src, torchsave.Options{Style: torchsave.Bare})
				}
				if err != nil {
					t.Fatal(err)
				}
				continue
			}
			data, err := zeros(shapes)
			if err != nil {
				t.Fatal(err)
			}
			asmtest.Write(t, filepath.Join(dir, name), data)
		}
		for name, c := range p.configs() {
			asmtest.Write(t, filepath.Join(dir, name), asJSON(t, c))
		}
		asmtest.Write(t, filepath.Join(dir, kind.index), asJSON(t, object{"metadata": object{"total_size": 1}, "weight_map": where}))
		o := compile.InitOptions{Out: filepath.Join(dir, "model.yaml")}
		r, err := compile.Init(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := opened(t, o.Out, r); d.Sizes.Heads != p.Vision.Heads || d.Checkpoint != kind.index {
			t.Errorf("%d heads, checkpoint %s", d.Sizes.Heads, d.Checkpoint)
		}
		if err := os.Remove(filepath.Join(dir, fmt.Sprintf(kind.file, 2))); err != nil {
			t.Fatal(err)
		}
		_, err = compile.Init(dir, compile.InitOptions{})
		asmtest.ErrorSays(t, err, kind.index, fmt.Sprintf("the file "+kind.file+" with", 2), "is missing; it belongs beside the index")
	}
}
