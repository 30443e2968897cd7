package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/file"
)

// The tensors of every preset are recognised as that preset, or one with the same tensors.
func TestInferPresets(t *testing.T) {
	for _, p := range Presets() {
		t.Run(p.Name, func(t *testing.T) {
			d, err := Preset(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			tensors := Tensors(d)
			if p.Task == "encode" && p.Family == "beit3" { // as pretraining leaves them
				tensors = append(tensors, Tensor{"mlm_head.weight", []int{p.Sizes.Vocab, p.Sizes.Dim}}, Tensor{"mlm_head.bias", []int{p.Sizes.Vocab}},
					Tensor{"mim_head.weight", []int{8192, p.Sizes.Dim}})
			}
			g, err := Infer(tensors, firstFile(p), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			sizes := told(p.Sizes, g)
			sizes.Eps = 0
			if diff := cmp.Diff(sizes, g.Sizes); diff != "" || g.Family != p.Family {
				t.Errorf("%s, sizes (-want +got):\n%s", g.Family, diff)
			}
			if len(g.Presets) == 0 {
				t.Fatal("no preset fits")
			}
			if p.Source.Files != nil && p.Source.Hub == "" && g.Presets[0].Name != p.Name {
				t.Errorf("looks like %s; the file's name says %s", g.Presets[0].Name, p.Name)
			}
			if g.Tasks[0].Name != p.Task || g.Tasks[0].Classes != p.Classes || len(g.Tasks) != 1 {
				t.Errorf("tasks %+v, want %s with %d classes", g.Tasks, p.Task, p.Classes)
			}
		})
	}
}

// firstFile is the first of a preset's files, "" if it has none.
func firstFile(p PresetInfo) string {
	if p.Source.Files == nil {
		return ""
	}
	return p.Source.Files[0].Name
}

// told are a preset's sizes but for what shapes do not tell: activations, and pixels after the last patch.
func told(z Sizes, g *Guess) Sizes {
	z.Act, z.Text.Act = g.Sizes.Act, g.Sizes.Text.Act
	z.Image -= z.Image % z.Patch
	return z
}

func tinyTensors(t *testing.T, family, more, tasks string) []Tensor {
	t.Helper()
	d, err := Parse("m.yaml", []byte(fmt.Sprintf("model: 1\nfamily: %s\nsizes: {dim: 72, heads: 3, ffn: 100, layers: 4, image: 28, patch: 14, channels: 1, vocab: 50, positions: 20%s}\ntasks: [%s]\n", family, more, tasks)))
	if err != nil {
		t.Fatal(err)
	}
	return Tensors(d)
}

// The sizes and tasks of a small model of each family are found from its tensors in each layout.
func TestInferLayouts(t *testing.T) {
	for _, f := range families {
		z := Sizes{Dim: 72, Heads: 3, FFN: 100, Layers: 4, Image: 28, Patch: 7, Channels: 2}
		if !f.alone {
			z.Vocab, z.Positions = 50, 20
		}
		if f.joint {
			z.VLLayers = 1
		}
		if f.bias {
			z.Reach, z.Types, z.Scale = 21, 4, true
		}
		if f.text != "" {
			z.Embed, z.Text = 24, TowerSizes{Dim: 48, Heads: 4, FFN: 90, Layers: 3}
		}
		if f.direct {
			z.Embed = z.Dim
		}
		for _, name := range f.layouts {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				d := &Description{Family: f.name, Sizes: z}
				d.Long.Keys.Layout = name
				l := d.Long.Keys.layout()
				var want []Task
				for i := range tasks {
					if h := l.task(tasks[i].name); h == &tasks[i] && h.tensors(l) != nil {
						want = append(want, Task{Name: h.name})
						if h.has("classes") {
							want[len(want)-1].Classes = 5
						}
					}
				}
				if want == nil {
					want = []Task{{Name: "retrieval"}}
				}
				d.Tasks = slices.Clone(want)
				if err := d.Complete(); err != nil {
					t.Fatal(err)
				}
				g, err := Infer(Tensors(d), "", z.Heads, z.Text.Heads)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(told(z, g), g.Sizes); diff != "" || g.Family != f.name || g.Layout != name {
					t.Errorf("%s in layout %s, sizes (-want +got):\n%s", g.Family, g.Layout, diff)
				}
				if diff := cmp.Diff(want, g.Tasks); diff != "" {
					t.Errorf("tasks (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestInferOthers(t *testing.T) {
	g, err := Infer(tinyTensors(t, "mwt", ", vl_layers: 2", "retrieval, {classification: {classes: 5}}"), "", 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := &Guess{
		Family: "mwt", Layout: "beit3", Sizes: Sizes{Dim: 72, Heads: 3, FFN: 100, Layers: 4, VLLayers: 2, Image: 28, Patch: 14, Channels: 1, Vocab: 50, Positions: 20},
		Tasks: []Task{{Name: "retrieval"}, {Name: "classification", Classes: 5}}, Heads: "as given",
	}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if g, err = Infer(tinyTensors(t, "beit3", "", "encode"), "", 0, 0); err != nil || g.Sizes.Heads != 0 || !strings.Contains(g.Heads, "a divisor of 72, called encoder_attention_heads") {
		t.Errorf("%+v, %v", g, err)
	}
	if norm := g.Tasks[0].Norm; norm == nil || !*norm {
		t.Error("the norm of the encoder is not seen")
	}

	// VLMo with a table of relative positions for other texts than the released ones.
	d, err := Parse("m.yaml", []byte("model: 1\nfamily: vlmo\nsizes: {dim: 64, heads: 4, layers: 4, image: 32, patch: 8, vocab: 300, positions: 10, vl_layers: 2, reach: 12, scale: true}\ntasks: [retrieval, itm, {vqa: {classes: 13}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if g, err = Infer(Tensors(d), "", 0, 0); err != nil {
		t.Fatal(err)
	}
	sizes := d.Sizes
	sizes.Eps = 0
	if diff := cmp.Diff(sizes, g.Sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	got, err := Parse("m.yaml", g.YAML(Sketch{Name: "the_file", Checkpoint: "m.pt"}))
	if err != nil {
		t.Fatalf("%v\n%s", err, g.YAML(Sketch{}))
	}
	if diff := cmp.Diff(d.Sizes, got.Sizes); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Task{{Name: "vqa", Classes: 13}, {Name: "retrieval"}, {Name: "itm"}}, g.Tasks); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	// Heads of pretraining stay in files that are tuned for a task.
	if d, err = Preset("vlmo-base-patch16-480-vqa"); err != nil {
		t.Fatal(err)
	}
	d.Tasks = append(d.Tasks, Task{Name: "itm"}, Task{Name: "mlm"})
	if g, err = Infer(Tensors(d), "", 0, 0); err != nil || len(g.Presets) != 1 || g.Presets[0].Name != d.Preset {
		t.Errorf("%+v, %v", g, err)
	}
}

// Released models with two towers of one size differ in what tensors do not tell. Only a file's name decides between them.
func TestInferOneOfMany(t *testing.T) {
	d, err := Preset("clip-vit-base-patch32")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, looks, has, lacks string }{
		{"model.safetensors", "its tensors are those of 8 released models, which differ in activation or preprocessing, which tensors do not tell: ", "\nfamily: clip\n", "\npreset:"},
		{"ViT-B-32.pt", "it looks like clip-vit-base-patch32; tensors do not tell it from metaclip-b32-400m, metaclip-b32-fullcc2-5b, which compile the same.", "\npreset: clip-vit-base-patch32\n", "\nfamily:"},
		{"vit_b_32-laion2b_e16-af8dbd0c.pth", "it looks like vit-base-patch32-clip-224-laion2b-e16; ", "\npreset: vit-base-patch32-clip-224-laion2b-e16\n", "\nfamily:"},
	} {
		g, err := Infer(Tensors(d), c.file, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		text := string(g.YAML(Sketch{Name: "the_file", Checkpoint: c.file}))
		if looks := g.Looks(); !strings.HasPrefix(looks, c.looks) || !strings.Contains(text, c.has) || strings.Contains(text, c.lacks) {
			t.Errorf("%s: %s\n%s", c.file, looks, text)
		}
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
	var renamed, bare []Tensor
	for _, x := range tiny {
		bare = append(bare, Tensor{strings.TrimPrefix(x.Name, "beit3."), x.Shape})
		renamed = append(renamed, Tensor{"net." + strings.TrimPrefix(x.Name, "beit3."), x.Shape})
	}
	for _, c := range []struct {
		name    string
		tensors []Tensor
		heads   int
		want    string
	}{
		{"nothing", nil, 0, "not a model of a known family"},
		{"another model", []Tensor{{"model.embed_tokens.weight", []int{3, 4}}}, 0, "its 1 tensors (model.embed_tokens.weight, ...)"},
		{"prefix", renamed, 0, `look like those of family beit3 or mwt, but their names start with "net." instead of "beit3."; rename them in Python: {"beit3." * k.removeprefix("net.").startswith(("text_embed", "vision_embed", "encoder")) + k.removeprefix("net."): v`},
		{"no prefix", bare, 0, `but their names lack "beit3." before them; rename them in Python: {"beit3." * k.startswith(("text_embed", "vision_embed", "encoder")) + k: v`},
		{"no table", without("beit3.text_embed.weight"), 0, "its vocabulary is not known: beit3.text_embed.weight is missing"},
		{"strange table", reshaped("beit3.text_embed.weight", 5), 0, "its vocabulary is not known: beit3.text_embed.weight is [5], want [vocab,dim]"},
		{"no square", reshaped("beit3.encoder.embed_positions.A.weight", 8, 72), 0, "its picture, a square of patches, is not known: beit3.encoder.embed_positions.A.weight is [8,72], want [positions,dim]"},
		{"zero", reshaped("beit3.encoder.layers.0.ffn.A.fc1.weight", 0, 72), 0, "its feed-forward width is not known: beit3.encoder.layers.0.ffn.A.fc1.weight is [0,72], want [ffn,dim]"},
		{"negative", reshaped("beit3.vision_embed.proj.weight", 72, 3, -14, -14), 0, "its patch is not known: beit3.vision_embed.proj.weight is [72,3,-14,-14], want [dim,inputs,side,side]"},
		{"stem", append(without(""), Tensor{"beit3.vision_embed.stem.0.proj.weight", []int{18, 1, 4, 4}}), 0, "embeds patches in stages"},
		{"heads", tiny, 7, "7 heads: want a divisor of the width, which is 72; the nearest are 6 and 8"},
		{"negative heads", tiny, -1, "-1 heads: want a divisor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Infer(c.tensors, "", c.heads, 0)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want it to say %q", err, c.want)
			}
		})
	}
}

// A name of a file cannot add to the description, nor act on the terminal that shows it.
func TestSketchOfHostileName(t *testing.T) {
	p := Presets()[0]
	d, err := Preset(p.Name)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Infer(Tensors(d), firstFile(p), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := g.YAML(Sketch{Name: "the_file", Checkpoint: "a\x1b[2J\u202e\nseed: 1.pth", Tokenizer: "\u202e.spm"})
	if file.Escape(string(text)) != string(text) {
		t.Errorf("a terminal acts on\n%q", text)
	}
	if got, err := Parse("m.yaml", text); err != nil || got.Checkpoint != "a\x1b[2J\u202e\nseed: 1.pth" || got.Seed != nil {
		t.Errorf("%v, %v from\n%s", got, err, text)
	}
}

// The description of a guess reads back as the same model, for the checkpoint's image size and another.
func TestSketch(t *testing.T) {
	for _, p := range Presets() {
		d, err := Preset(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Infer(Tensors(d), firstFile(p), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, image := range []int{0, 2 * p.Sizes.Image} {
			got, err := Parse("m.yaml", g.YAML(Sketch{Name: "the_file", Checkpoint: "the file.pth", Tokenizer: "beit3.spm", Image: image}))
			if s := d.Structure(); image != 0 && s.relative() {
				asmtest.ErrorSays(t, err, "interpolate is true, but the checkpoint's relative position bias is for pictures of one size")
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", p.Name, err, g.YAML(Sketch{}))
			}
			sizes := p.Sizes
			if !g.released() {
				sizes = told(sizes, g)
			}
			if image != 0 {
				sizes.Image = image
			}
			if diff := cmp.Diff(sizes, got.Sizes); diff != "" || got.Interpolate != (image != 0) {
				t.Errorf("%s: interpolate %v, sizes (-want +got):\n%s", p.Name, got.Interpolate, diff)
			}
			if got.Checkpoint != "the file.pth" || got.Tokenizer != "beit3.spm" || got.Name != "the_file" || got.Tasks[0].Name != p.Task {
				t.Errorf("%s: %+v", p.Name, got)
			}
			saysPreprocess(t, got, g.YAML(Sketch{Name: "the_file", Checkpoint: "the file.pth", Tokenizer: "beit3.spm", Image: image}))
		}
	}

	// Without a preset, and with what a file's name may hold.
	g, err := Infer(tinyTensors(t, "mwt", ", vl_layers: 2", "encode, {classification: {classes: 5}}"), "", 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(g.YAML(Sketch{Name: "the_file"})); !strings.Contains(text, "# preprocess: "+half.YAML()) || strings.Contains(text, "ImageNet") {
		t.Errorf("of a model of one channel it says\n%s", text)
	}
	evil := "a\n# b: \"c'\x01\u00e9.pth"
	got, err := Parse("m.yaml", g.YAML(Sketch{Name: "the_file", Checkpoint: evil, Labels: "123", Notes: []string{"one\ntwo\x00", "three"}}))
	if err != nil {
		t.Fatalf("%v\n%s", err, g.YAML(Sketch{Name: "the_file", Checkpoint: evil}))
	}
	if got.Checkpoint != evil || got.Sizes.VLLayers != 2 || got.Sizes.Heads != 3 || got.Tasks[0].Classes != 5 || got.Tasks[0].Labels != "123" {
		t.Errorf("%+v", got)
	}
	if g, err = Infer(tinyTensors(t, "beit3", "", "encode"), "", 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err = Parse("m.yaml", g.YAML(Sketch{Name: "the_file", Checkpoint: "m.pth"})); err == nil || !strings.Contains(err.Error(), "sizes.heads is missing") {
		t.Errorf("a guessed number of heads: %v, want it to be missing", err)
	}
}

// saysPreprocess checks that the comment in a description is the preprocessing that the description has.
func saysPreprocess(t *testing.T, d *Description, yaml []byte) {
	t.Helper()
	const comment = "\n# preprocess: "
	if strings.Count(string(yaml), comment) != 1 {
		t.Fatalf("%d lines say how pictures were fed, want 1:\n%s", strings.Count(string(yaml), comment), yaml)
	}
	got, err := Parse(d.File, []byte(strings.Replace(string(yaml), comment, "\npreprocess: ", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, got); diff != "" {
		t.Errorf("%s: (-as described +as the comment says):\n%s", d.Preset, diff)
	}
}

func FuzzInfer(f *testing.F) {
	f.Add("beit3.encoder.layers.0.self_attn.q_proj.A.weight\nbeit3.text_embed.weight", int64(7), int64(72))
	f.Add("transformer.blocks.0.mlp_imag.fc1.weight\nrelative_position_bias_table", int64(1<<40), int64(-1))
	f.Fuzz(func(t *testing.T, names string, a, b int64) {
		var ts []Tensor
		for n := range strings.Lines(names) {
			ts = append(ts, Tensor{strings.TrimSuffix(n, "\n"), []int{int(a), int(b)}})
		}
		if g, err := Infer(ts, names, int(a), 0); err == nil {
			g.YAML(Sketch{Name: "the_file", Checkpoint: names})
		}
	})
}

// Sentences of a description are wrapped between words; a word that is longer than a line has a line of its own.
func TestSentencesAreWrapped(t *testing.T) {
	long := strings.Repeat("x", 120)
	g := &Guess{Family: "clip", Said: []string{strings.Repeat("word ", 30) + long + " end."}, Sizes: Sizes{Text: TowerSizes{Dim: 8}}}
	want := "\n# " + strings.TrimSpace(strings.Repeat("word ", 19)) + "\n#   " + strings.TrimSpace(strings.Repeat("word ", 11)) + "\n#   " + long + "\n#   end.\n"
	if got := string(g.YAML(Sketch{})); !strings.Contains(got, want) || strings.Contains(got, "heads: 0") {
		t.Errorf("got\n%s, want in it%s", got, want)
	}
	if diff := cmp.Diff([]string{"a b", long}, wrap("a b "+long, 5)); diff != "" {
		t.Error(diff)
	}
}
