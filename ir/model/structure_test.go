package model

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

// three is a description in the long form that uses all of it.
const three = `model: 1
name: three
seed: 7
sizes: {dim: 8, heads: 2}
modalities:
  - {name: vision, embedder: patch, size: 4, patch: 2}
  - {name: audio, embedder: patch, size: [2, 6], patch: 2, channels: 1}
  - {name: language, embedder: token, vocab: 11, positions: 7}
layers:
  - {range: 0..1, attn: pooled, ffn: pooled, norms: pre}
  - {range: 1..3, attn: shared, ffn: joint, experts: {vl: [vision, language], all: [language, vision, audio]}}
final: pooled
keys: {prefix: my., vision: A, all: ALL}
entries: [audio, vision_language, vision_audio]
limits: {text: 3}
`

func TestLongForm(t *testing.T) {
	d, err := Parse("three.yaml", []byte(three))
	if err != nil {
		t.Fatal(err)
	}
	want := Structure{
		Modalities: []Modality{
			{Name: "vision", Embedder: Patch, Height: 4, Width: 4, Patch: 2, Channels: 3, Unused: 2},
			{Name: "audio", Embedder: Patch, Height: 2, Width: 6, Patch: 2, Channels: 1, Unused: 2},
			{Name: "language", Embedder: Token, Vocab: 11, Positions: 7, Unused: 2},
		},
		Tower: Tower{Dim: d.Sizes.Dim, Heads: d.Sizes.Heads, FFN: d.Sizes.FFN, Eps: d.Sizes.Eps, Layers: []LayerRange{
			{From: 0, To: 1, Attn: Pooled, FFN: Pooled, Norms: Pre},
			{From: 1, To: 3, Attn: Shared, FFN: Joint, Norms: Sub, Experts: []Expert{
				{"vl", []string{"vision", "language"}}, {"all", []string{"language", "vision", "audio"}},
			}},
		}, Final: Pooled},
		Keys: Keys{Prefix: "my.", Experts: map[string]string{"vision": "A", "all": "ALL"}},
	}
	if diff := cmp.Diff(want, d.Structure()); diff != "" {
		t.Errorf("structure (-want +got):\n%s", diff)
	}
	if d.Sizes.Layers != 3 || d.Sizes.FFN != 32 {
		t.Errorf("%d layers of %d hidden columns, want 3 of 32", d.Sizes.Layers, d.Sizes.FFN)
	}
	if diff := cmp.Diff([]string{"vision", "audio", "language", "vision_audio", "vision_language", "audio_language", "vision_audio_language"}, d.entryNames()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	p, err := Lower(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	origin := map[string]string{}
	for _, w := range p.Weights {
		origin[w.Name] = w.Origin.Key
	}
	for weight, key := range map[string]string{
		"language.embed.tok.w":  "my.text_embed.weight",
		"audio.embed.pos.w":     "my.encoder.embed_positions.audio.weight",
		"vision.embed.pos.w":    "my.encoder.embed_positions.A.weight",
		"l0.attn.vision.q.w":    "my.encoder.layers.0.self_attn.q_proj.A.weight",
		"l1.attn.shared.q.w":    "my.encoder.layers.1.self_attn.q_proj.weight",
		"l2.ffn.vl.fc1.w":       "my.encoder.layers.2.ffn.vl.fc1.weight",
		"l2.ffn.audio.ln.g":     "my.encoder.layers.2.final_layer_norm.audio.weight",
		"final.language.g":      "my.encoder.layer_norm.language.weight",
		"l0.attn.vision.sub.g":  "", // no norm inside
		"l2.ffn.all.fc1.w":      "", // no entry of all three is asked for
		"l2.ffn.language.fc1.w": "", // nor language alone
	} {
		if origin[weight] != key {
			t.Errorf("@%s is %q, want %q", weight, origin[weight], key)
		}
	}
}

// A family is a preset: what it stands for, written out, gives the same program.
func TestFamiliesAreLongForms(t *testing.T) {
	const sizes = "{dim: 8, heads: 2, ffn: 20, layers: 3%s, image: 6, patch: 2, vocab: 11, positions: 7}"
	const long = `model: 1
name: m
seed: 1
sizes: {dim: 8, heads: 2, ffn: 20}
modalities:
  - {name: vision, embedder: patch, size: 6, patch: 2}
  - {name: language, embedder: token, vocab: 11, positions: 7}
layers:
`
	for _, c := range []struct{ name, family, layers string }{
		{"beit3", strings.ReplaceAll(sizes, "%s", ""), `  - {range: 0..3, attn: pooled, ffn: pooled, norms: sub}
keys: {prefix: beit3., vision: A, language: B}
`},
		{"mwt", strings.ReplaceAll(sizes, "%s", ", vl_layers: 2"), `  - {range: 0..1, attn: shared, ffn: pooled}
  - {range: 1..3, attn: shared, ffn: joint, experts: vl}
keys: {prefix: beit3., vision: A, language: B, vl: VL}
`},
	} {
		for _, tasks := range []string{"[encode, retrieval]", "[{vqa: {classes: 3}}]", "[nlvr2]"} {
			t.Run(c.name+tasks, func(t *testing.T) {
				lower := func(src string) (string, []Tensor) {
					d, err := Parse("m.yaml", []byte(src))
					if err != nil {
						t.Fatal(err)
					}
					p, err := Lower(d, Options{Taps: true})
					if err != nil {
						t.Fatal(err)
					}
					var origins strings.Builder
					for _, w := range p.Weights {
						origins.WriteString(w.Name + " " + w.Origin.String() + "\n")
					}
					return ir.Print(p) + origins.String(), Tensors(d)
				}
				want, all := lower("model: 1\nname: m\nseed: 1\nfamily: " + c.name + "\nsizes: " + c.family + "\ntasks: " + tasks + "\n")
				got, written := lower(long + c.layers + "tasks: " + tasks + "\n")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("program (-family +long form):\n%s", diff)
				}
				var kept []Tensor
				for _, x := range all {
					if x.Name != "beit3.vision_embed.mask_token" { // of pretraining, which only the official files have
						kept = append(kept, x)
					}
				}
				if diff := cmp.Diff(kept, written); diff != "" {
					t.Errorf("tensors (-family +long form):\n%s", diff)
				}
			})
		}
	}
}

func TestLongFormErrors(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"family too", "name: three", "name: three\nfamily: beit3", "3:1: family and modalities or layers are both given; family beit3 says them already: remove one of the two"},
		{"preset too", "name: three", "name: three\npreset: beit3-base-patch16-224", "5:1: sizes and preset are both given, and preset beit3-base-patch16-224 has sizes of its own; of them only image can be changed; for other sizes use family and sizes"},
		{"size of a family", "heads: 2", "heads: 2, image: 4", "4:27: sizes.image is given, but the long form says it in modalities and layers; remove it"},
		{"joint layers of a family", "heads: 2", "heads: 2, vl_layers: 1", "4:27: sizes.vl_layers is given, but the long form says it in modalities and layers; remove it"},
		{"another number of layers", "heads: 2", "heads: 2, layers: 4", "4:27: sizes.layers is 4, but the rows of layers end at 3; leave sizes.layers out"},
		{"heads", "heads: 2", "heads: 3", "4:17: sizes.heads is 3, want a divisor of sizes.dim, which is 8; the nearest are 2 and 4"},
		{"no modalities", three, "model: 1\nlayers:\n  - {range: 0..1, attn: shared, ffn: shared}\n", "1:1: modalities has 0 items, want 1 to 6"},
		{"no layers", three, "model: 1\nmodalities:\n  - {name: a, embedder: patch, size: 2, patch: 2}\n", "1:1: layers is missing; add rows such as {range: 0..12, attn: shared, ffn: pooled}"},
		{"final without them", three, "model: 1\nfinal: shared\n", "2:1: final goes with modalities and layers; remove it"},
		{"keys without them", three, "model: 1\nkeys: {prefix: a.}\n", "2:1: keys goes with modalities and layers; remove it"},

		{"no name", "name: vision, ", "", "6:6: modalities[0].name is missing; add it"},
		{"capital name", "name: vision", "name: Vision", `6:6: modalities[0].name is "Vision", want a word of lower-case letters and digits, a letter first, at most 16`},
		{"a reserved name", "name: vision", "name: pair", "6:6: modalities[0].name is pair, which is the name of an entry; use another"},
		{"a task's name", "name: vision", "name: encode", "6:6: modalities[0].name is encode, which is the name of a task; use another"},
		{"two of a name", "name: audio", "name: vision", "7:6: modalities[1].name is vision, which is the name of another modality; use another"},
		{"unknown embedder", "embedder: token", "embedder: tokens", `8:32: modalities[2].embedder: unknown embedder "tokens"; did you mean token?`},
		{"no embedder", "embedder: token, ", "", "8:6: modalities[2].embedder is missing; add it: patch or token"},
		{"two of tokens", "embedder: patch, size: [2, 6], patch: 2, channels: 1", "embedder: token, vocab: 4", "8:22: modalities[2].embedder is token, like that of modalities[1]; at most one modality has a variable length"},
		{"no size", "size: 4, ", "", "6:6: modalities[0].size is missing; add it, 1 to 8192"},
		{"no patch", "size: 4, patch: 2", "size: 4", "6:6: modalities[0].patch is missing; add it, 1 to 1024"},
		{"three sizes", "[2, 6]", "[2, 6, 8]", "7:42: modalities[1].size: got 3 numbers, want the side of a square, or [HEIGHT, WIDTH]"},
		{"frames", "[2, 6]", "[2, 7]", "7:36: modalities[1].size is 7, want a multiple of modalities[1].patch, which is 2; the nearest are 6 and 8"},
		{"too many patches", "[2, 6], patch: 2", "[8192, 8191], patch: 1", "7:36: modalities[1].size is 8192 x 8191 with patches of 1, which gives 67100672 patches; want at most 65536"},
		{"words of pictures", "size: 4", "size: 4, vocab: 3", "6:46: modalities[0].vocab is given, but embedder patch has none; remove it"},
		{"patches of words", "vocab: 11", "vocab: 11, patch: 2", "8:50: modalities[2].patch is given, but embedder token has none; remove it"},
		{"no vocabulary", "vocab: 11, ", "", "8:6: modalities[2].vocab is missing; add it, 1 to 16777216"},
		{"few positions", "positions: 7", "positions: 2", "8:50: modalities[2].positions is 2, want 3 to 1048576"},
		{"text limit", "text: 3", "text: 6", "15:10: limits.text is 6, want 1 to 5: positions of language is 7 and its first 2 rows are not used"},
		{"rows limit", "text: 3", "text: 3, rows: 4", "15:19: limits.rows is 4, want 5 to 1048576: one vision input has 5 rows and the longest text 3"},

		{"range", "0..1", "0-1", `10:13: layers[0].range: got "0-1", want FROM..TO, such as 0..12 for the first twelve layers`},
		{"a gap", "1..3", "2..3", "11:6: layers[1].range is 2..3, want 1..N with N from 2 to 512: rows follow each other, and N itself is not in the row"},
		{"backwards", "1..3", "1..1", "11:6: layers[1].range is 1..1, want 1..N with N from 2 to 512: rows follow each other, and N itself is not in the row"},
		{"no attention", "attn: pooled, ", "", "10:6: layers[0].attn is missing; add it: shared, pooled or joint"},
		{"unknown sharing", "ffn: pooled", "ffn: pool", `10:38: layers[0].ffn: unknown sharing "pool"; did you mean pooled?`},
		{"unknown norms", "norms: pre", "norms: inner", `10:53: layers[0].norms: unknown kind of norms "inner"; want one of pre, sub, post`},
		{"norms of none", "norms: pre", "norms_of: pooled", `10:56: layers[0].norms_of: unknown sharing "pooled"; want one of shared`},
		{"a gate of no checkpoint", "layers:\n  - {", "layout: vlmo\nlayers:\n  - {gate: true, ", "11:6: layers[0].gate is given, but checkpoints of layout vlmo have no tensors for it; remove it"},
		{"experts of none", "norms: pre", "experts: vl", "10:46: layers[0].experts is given, but neither half is joint; remove it or write `ffn: joint`"},
		{"an expert of one", "vl: [vision, language]", "vl: [vision]", "11:45: layers[1].experts.vl is [vision], want two or more different modalities"},
		{"an expert of the same", "vl: [vision, language]", "vl: [vision, vision]", "11:45: layers[1].experts.vl is [vision, vision], want two or more different modalities"},
		{"an expert of another", "vl: [vision, language]", "vl: [vision, text]", `11:45: layers[1].experts.vl: unknown modality "text"; want one of vision, audio, language`},
		{"two experts for the same", "[language, vision, audio]", "[language, vision]", "11:45: layers[1].experts: vl and all are for the same sequences; remove one"},
		{"two experts of a name", "all: [language, vision, audio]", "vl: [audio, vision]", "11:79: layers[1].experts.vl is given twice, first in line 11; remove one"},
		{"an expert called like a modality", "vl: [vision, language]", "audio: [vision, language]", "11:45: layers[1].experts is audio, which is the name of another modality; use another"},
		{"final", "final: pooled", "final: joint", `12:8: final: unknown sharing "joint"; want one of shared, pooled`},

		{"an unknown expert's key", "all: ALL", "vll: VL", `13:32: keys.vll: unknown expert "vll"; did you mean vl or all?`},
		{"two keys of one word", "all: ALL", "audio: A", `13:32: keys.audio is "A", which is what vision is called`},
		{"a key twice", "all: ALL", "vision: B", "13:32: keys.vision is given twice, first in line 13; remove one"},
		{"keys as a list", "{prefix: my., vision: A, all: ALL}", "[A]", "13:7: keys: got a list, want a mapping such as {prefix: beit3., vision: A, language: B}"},

		{"an entry that is none", "[audio,", "[pair,", `14:11: entries[0]: unknown entry "pair"; want one of vision, audio, language, vision_audio, vision_language, audio_language, vision_audio_language`},
		{"a task without its modalities", "entries: [audio, vision_language, vision_audio]", "tasks: [{vqa: {classes: 2}}]\nentries: [audio]", "15:11: entries[0]: no task has the entry audio; add the task encode or remove the entry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(three, c.old, c.new, 1)
			if src == three {
				t.Fatalf("%q is not in the description", c.old)
			}
			_, err := Parse("m.yaml", []byte(src))
			if err == nil || err.Error() != "m.yaml:"+c.want {
				t.Errorf("got  %v\nwant m.yaml:%s", err, c.want)
			}
		})
	}
}

// Gates and shared norms are tensors of the checkpoint; each expert reads the one norm.
func TestGates(t *testing.T) {
	d := gates()
	if err := d.Complete(); err != nil {
		t.Fatal(err)
	}
	p, err := Lower(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	origin := map[string]string{}
	for _, w := range p.Weights {
		origin[w.Name] = w.Origin.Key
	}
	for weight, key := range map[string]string{
		"l0.ffn.vision.gate.w":   "encoder.layers.0.ffn.vision.gate.weight",
		"l0.ffn.language.gate.b": "encoder.layers.0.ffn.language.gate.bias",
		"l1.ffn.vl.gate.w":       "encoder.layers.1.ffn.vl.gate.weight",
		"l0.attn.shared.ln.g":    "encoder.layers.0.self_attn_layer_norm.weight",
		"l0.ffn.vision.ln.g":     "encoder.layers.0.final_layer_norm.weight",
		"l0.ffn.language.ln.b":   "encoder.layers.0.final_layer_norm.bias",
		"l1.attn.vision.ln.b":    "encoder.layers.1.self_attn_layer_norm.bias",
		"l1.ffn.vl.ln.b":         "encoder.layers.1.final_layer_norm.bias",
		"l0.ffn.vision.sub.g":    "encoder.layers.0.ffn.vision.ffn_layernorm.weight",
	} {
		if origin[weight] != key {
			t.Errorf("@%s is %q, want %q", weight, origin[weight], key)
		}
	}
	for _, x := range Tensors(d) {
		if strings.Contains(x.Name, "_layer_norm.") && strings.Count(x.Name, ".") != 4 {
			t.Errorf("tensor %s beside the shared norm", x.Name)
		}
	}
}

// A description needs neither images nor text.
func TestOneModality(t *testing.T) {
	for _, c := range []struct{ name, modality, tasks, want string }{
		{"sound", "{name: audio, embedder: patch, size: [4, 6], patch: 2, channels: 1}", "[encode, retrieval, {classification: {classes: 2}}]", "audio audio_retrieval audio_classification"},
		{"text", "{name: text, embedder: token, vocab: 9}", "[encode, retrieval]", "text text_retrieval"},
		{"no pair", "{name: text, embedder: token, vocab: 9}", "[nlvr2]", "m.yaml:6:1: tasks: nlvr2 needs other modalities than text"},
		{"not for it", "{name: text, embedder: token, vocab: 9}", "[encode, {classification: {classes: 2}}]", "m.yaml:6:18: tasks[1]: task classification needs modalities that the model does not have"},
		{"text limit without text", "{name: audio, embedder: patch, size: 4, patch: 2}", "[encode]\nlimits: {text: 4}", "m.yaml:7:10: limits.text is given, but no modality is of tokens; remove it"},
		{"pictures without any", "{name: text, embedder: token, vocab: 9}", "[encode]\npreprocess: {mean: 0}", "m.yaml:7:1: preprocess is given, but no modality takes square pictures; remove it"},
		{"joint with nobody", "{name: text, embedder: token, vocab: 9}", "[encode]\nlayers: [{range: 0..1, attn: shared, ffn: joint}]", "m.yaml:7:11: layers[0].experts: a joint expert is for sequences of several modalities, and there is one; write pooled or shared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := "model: 1\nseed: 1\nsizes: {dim: 8, heads: 2}\nmodalities: [" + c.modality + "]\nlayers: [{range: 0..2, attn: shared, ffn: pooled}]\ntasks: " + c.tasks + "\n"
			if strings.Contains(c.tasks, "layers:") {
				src = strings.Replace(src, "layers: [{range: 0..2, attn: shared, ffn: pooled}]", "", 1)
			}
			d, err := Parse("m.yaml", []byte(src))
			var got []string
			if err == nil {
				var p *ir.Program
				if p, err = Lower(d, Options{}); err == nil {
					for _, f := range p.Funcs {
						got = append(got, f.Name)
					}
				}
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = err.Error()
			}
			if text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

// The paper's own sums, in millions, and where the experts for pairs are.
func TestGiantParameters(t *testing.T) {
	d, err := Preset("mwt-giant-patch14-224")
	if err != nil {
		t.Fatal(err)
	}
	sums, vl := map[string]int{}, map[string]bool{}
	for _, x := range Tensors(d) {
		if len(x.Shape) != 2 {
			continue
		}
		for _, kind := range []string{".ffn.A.", ".ffn.B.", ".ffn.VL.", ".self_attn."} {
			if strings.Contains(x.Name, kind) {
				sums[kind] += product(x.Shape)
			}
		}
		if at := strings.Index(x.Name, ".ffn.VL."); at >= 0 {
			vl[x.Name[:at]] = true
		}
	}
	for kind, n := range sums {
		sums[kind] = (n + 500_000) / 1_000_000
	}
	if diff := cmp.Diff(map[string]int{".ffn.A.": 692, ".ffn.B.": 692, ".ffn.VL.": 52, ".self_attn.": 317}, sums); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]bool{"beit3.encoder.layers.37": true, "beit3.encoder.layers.38": true, "beit3.encoder.layers.39": true}, vl); diff != "" {
		t.Errorf("layers with an expert for pairs (-want +got):\n%s", diff)
	}
}

// The first layers of a model read the tensors of the whole.
func TestFirstLayers(t *testing.T) {
	for _, preset := range []string{"beit3-base-patch16-480-vqa", "mwt-giant-patch14-224", "vlmo-base-patch16-224"} {
		d, err := Preset(preset)
		if err != nil {
			t.Fatal(err)
		}
		known := map[string][]int{}
		for _, x := range Tensors(d) {
			known[x.Name] = x.Shape
		}
		p, err := Lower(d.Cut(2), Options{})
		if err != nil {
			t.Errorf("%s: %v", preset, err)
			continue
		}
		for _, w := range p.Weights {
			if diff := cmp.Diff(known[w.Origin.Key], w.Origin.Shape); diff != "" {
				t.Errorf("%s: @%s from %s (-whole +cut):\n%s", preset, w.Name, w.Origin.Key, diff)
			}
			if strings.HasPrefix(w.Name, "l2.") {
				t.Errorf("%s: @%s is of layer 2", preset, w.Name)
			}
		}
		if d.Sizes.Layers <= 2 {
			t.Errorf("%s: the whole has %d layers after the cut", preset, d.Sizes.Layers)
		}
	}
}

// A small model is the same for smaller images: the same weights but for positions.
func TestSmallerImages(t *testing.T) {
	d, err := Parse("x.yaml", []byte("model: 1\nfamily: beit3\nname: x\nsizes: {dim: 16, heads: 2, ffn: 32, layers: 2, image: 48, patch: 8, vocab: 20, positions: 12}\ntasks: [retrieval]\n"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Lower(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	small, err := Lower(d.Small(2), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Weights) != len(small.Weights) {
		t.Fatalf("%d weights, want %d", len(small.Weights), len(whole.Weights))
	}
	for i, w := range whole.Weights {
		s := small.Weights[i]
		if pos := strings.HasSuffix(w.Name, "vision.embed.pos.w"); s.Name != w.Name || s.Type.Equal(w.Type) == pos {
			t.Errorf("weight @%s %v, of the whole model @%s %v", s.Name, s.Type, w.Name, w.Type)
		}
	}
	if x := small.Func("vision_retrieval").Params[0].Type.String(); x != "f32[3,16,16]" {
		t.Errorf("pictures are %s", x)
	}
	if d.Small(6) != d {
		t.Error("a model for pictures that small already is changed")
	}
}

// sizes.act is of the long form's one tower, and stays in its first layers; towers have their own sizes.
func TestSizesOfLongForm(t *testing.T) {
	const long = `{model: 1, sizes: {dim: 8, heads: 2, act: quick_gelu}, modalities: [{name: vision, embedder: patch, size: 4, patch: 2}], layers: [{range: 0..2, attn: shared, ffn: shared}]}`
	d, err := Parse("m.yaml", []byte(long))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Description{d, d.Cut(1)} {
		if s := x.Structure(); s.Act != "quick_gelu" {
			t.Errorf("%d layers: activation %q", x.Sizes.Layers, s.Act)
		}
	}
	towers := fieldBases[len(fieldBases)-2]
	if _, err := Parse("m.yaml", []byte(towers)); err != nil {
		t.Fatal(err)
	}
	_, err = Parse("m.yaml", []byte(strings.Replace(towers, "{model: 1,", "{model: 1, sizes: {dim: 8},", 1)))
	if want := "sizes are given, but each tower has its own; remove them"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("sizes beside towers: %v, want %q", err, want)
	}
}

// A stem is strided convolutions, with a norm over the columns of each position and the activation between them.
func TestStemIsConvolutions(t *testing.T) {
	d := stemmed()
	d.Sizes.Act = "quick_gelu"
	p, err := Lower(d, Options{Entries: []string{"vision"}})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	data := map[string][]float32{}
	for _, w := range p.Weights {
		x := make([]float32, product(w.Type.At(0)))
		for i := range x {
			x[i] = float32(rng.NormFloat64()) / 4
		}
		data[w.Name] = x
		w.Load = func() ([]float32, error) { return slices.Clone(x), nil }
	}
	m := &d.Structure().Modalities[0]
	image := &ir.Tensor{Shape: []int{3, m.Height, m.Width}, F: make([]float64, 3*m.Height*m.Width)}
	for i := range image.F {
		image.F[i] = rng.NormFloat64()
	}
	var got []float64
	if _, err := p.RunAll("vision", []ir.Input{{T: 1, In: map[string]*ir.Tensor{"image": image}}}, func(v *ir.Value, x []*ir.Tensor) {
		if v.Name == "vision.proj" {
			got = x[0].F
		}
	}); err != nil {
		t.Fatal(err)
	}

	// conv returns the convolution of x, channels of height x width, with squares of side x side at distances of side.
	conv := func(x [][][]float64, side int, bundle string) [][][]float64 {
		w, b := data[bundle+".w"], data[bundle+".b"]
		out := make([][][]float64, len(b))
		for o := range out {
			for top := 0; top < len(x[0]); top += side {
				var row []float64
				for left := 0; left < len(x[0][0]); left += side {
					sum := float64(b[o])
					for c := range x {
						for i := range side {
							for j := range side {
								sum += x[c][top+i][left+j] * float64(w[((o*len(x)+c)*side+i)*side+j])
							}
						}
					}
					row = append(row, sum)
				}
				out[o] = append(out[o], row)
			}
		}
		return out
	}
	x := make([][][]float64, 3)
	for c := range x {
		for y := range m.Height {
			x[c] = append(x[c], image.F[(c*m.Height+y)*m.Width:][:m.Width])
		}
	}
	for s, side := range []int{4, 2} {
		bundle := fmt.Sprint("vision.embed.stem", s)
		x = conv(x, side, bundle+".proj")
		g, b := data[bundle+".ln.g"], data[bundle+".ln.b"]
		for i := range x[0] {
			for j := range x[0][i] {
				mean, variance := 0.0, 0.0
				for c := range x {
					mean += x[c][i][j] / float64(len(x))
				}
				for c := range x {
					variance += (x[c][i][j] - mean) * (x[c][i][j] - mean) / float64(len(x))
				}
				for c := range x {
					v := (x[c][i][j]-mean)/math.Sqrt(variance+1e-5)*float64(g[c]) + float64(b[c])
					x[c][i][j] = v / (1 + math.Exp(-1.702*v))
				}
			}
		}
	}
	x = conv(x, 2, "vision.embed.proj")
	var want []float64
	for i := range x[0] {
		for j := range x[0][i] {
			for c := range x {
				want = append(want, x[c][i][j])
			}
		}
	}
	if len(x) != 8 || len(x[0]) != 1 || len(x[0][0]) != 3 || len(got) != len(want) {
		t.Fatalf("%d values, want 8 for each of 1 x 3 patches", len(got))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-12*(1+math.Abs(want[i]))) {
			t.Fatalf("row %d column %d is %g, want %g", i/8, i%8, got[i], want[i])
		}
	}
}

func TestStem(t *testing.T) {
	const long = "{model: 1, seed: 1, sizes: {dim: 24, heads: 2}, modalities: [{name: vision, embedder: patch, STEM}, {name: language, embedder: token, vocab: 9MORE}], layers: [{range: 0..1, attn: shared, ffn: pooled}]}"
	for _, c := range []struct{ name, stem, more, want string }{
		{"defaults", "size: 32, stem: [4, 2, 2]", "", "patch 16, 6 columns, eps 0, 5 rows"},
		{"all", "size: [12, 24], stem: [3, 2], patch: 6, stem_dim: 5, stem_norm: 1.0e-6", "", "patch 6, 5 columns, eps 1e-06, 9 rows"},
		{"sides of a rest", "size: [32, 24], stem: [4, 2, 2]", "", "modalities[0].size is 24, want a multiple of the product of modalities[0].stem, which is 16; the nearest are 16 and 32"},
		{"another patch", "size: 32, stem: [4, 2, 2], patch: 8", "", "modalities[0].patch is 8, want 16, the product of stem; remove it"},
		{"one stage", "size: 32, stem: [16]", "", "modalities[0].stem has 1 items, want 2 to 8; patch is for a single one"},
		{"many stages", "size: 512, stem: [2, 2, 2, 2, 2, 2, 2, 2, 2]", "", "modalities[0].stem has 9 items, want 2 to 8; patch is for a single one"},
		{"side 1", "size: 32, stem: [4, 1]", "", "modalities[0].stem[1] is 1, want 2 to 1024"},
		{"large square of rows", "size: 64, stem: [4, 17]", "", "modalities[0].stem[1] is 17, want 2 to 16"},
		{"large", "size: 4096, stem: [128, 16]", "", "modalities[0].stem is [128 16], want a product of at most 1024"},
		{"many rows", "size: 8192, stem: [2, 16]", "", "modalities[0].size is 8192 with patches of 2, which gives 16777216 patches; want at most 65536"},
		{"no stem", "size: 32, patch: 16, stem_dim: 5", "", "modalities[0].stem_dim goes with stem; remove it"},
		{"no stem's norm", "size: 32, patch: 16, stem_norm: 1.0e-5", "", "modalities[0].stem_norm goes with stem; remove it"},
		{"of tokens", "size: 32, patch: 16", ", stem: [4, 2]", "modalities[1].stem is given, but embedder token has none; remove it"},
		{"norm of tokens", "size: 32, patch: 16", ", stem_norm: 1.0e-5", "modalities[1].stem_norm is given, but embedder token has none; remove it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse("m.yaml", []byte(strings.NewReplacer("STEM", c.stem, "MORE", c.more).Replace(long)))
			if err != nil {
				if _, got, _ := strings.Cut(err.Error(), ": "); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				return
			}
			m := d.Structure().Modalities[0]
			if got := fmt.Sprintf("patch %d, %d columns, eps %g, %d rows", m.Patch, m.StemDim, m.StemNorm, m.fixed()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			// What Complete filled in is right when it is called again, and the first layers and smaller pictures have the stem.
			for _, x := range []*Description{d, d.Cut(1), d.Small(1)} {
				if err := x.Complete(); err != nil {
					t.Error(err)
				}
				if s := x.Structure().Modalities[0]; !slices.Equal(s.Stem, m.Stem) || s.StemDim != m.StemDim || s.StemNorm != m.StemNorm {
					t.Errorf("%+v, want the stem of %+v", s, m)
				}
			}
		})
	}
	towers := strings.Replace(fieldBases[len(fieldBases)-2], "patch: 8", "stem: [4, 2]", 1)
	_, err := Parse("m.yaml", []byte(towers))
	if want := "modalities[0].stem is given, but layout clip_hf has no tensors for it; remove it"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The stem of a checkpoint tells the side of a patch and the width between its stages.
func TestSolveStem(t *testing.T) {
	l := &layout{rows: []row{each("patch",
		linear("images.0", "stem_dim channels 4 4", "{m}.embed.stem0.proj"),
		linear("images.3", "stem_dim stem_dim 2 2", "{m}.embed.stem1.proj"),
		linear("images.6", "dim stem_dim 2 2", "{m}.embed.proj"),
	)}}
	v := l.solve(Structure{Modalities: []Modality{{Name: "vision", Embedder: Patch}}}, shapes{"images.0.weight": {384, 3, 4, 4}, "images.3.weight": {384, 384, 2, 2}, "images.6.weight": {1536, 384, 2, 2}})
	want := map[axis]int{{"vision", "channels"}: 3, {"vision", "stem_dim"}: 384, {"vision", "dim"}: 1536, {"vision", "patch"}: 16}
	if !maps.Equal(v.sizes, want) {
		t.Errorf("sizes are %v, want %v", v.sizes, want)
	}
}
