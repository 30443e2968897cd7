package model

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

const emoji = `model: 1
name: emoji
family: beit3
sizes: {dim: 128, heads: 4, ffn: 512, layers: 5, image: 64, patch: 8, vocab: 2010, positions: 32}
checkpoint: weights/emoji.safetensors
tokenizer: emoji.spm
tasks:
  - retrieval
  - classification: {labels: labels.json, list: subgroups}
entries: [vision, language]
limits: {text: 24, rows: 4096, pixels: 1000000}
precision: f32 # the only one built
`

func ptr[T any](v T) *T { return &v }

func TestParse(t *testing.T) {
	halves := []float64{0.5, 0.5, 0.5}
	base := beit3Sizes["base"]
	base.Image = 224
	for _, c := range []struct {
		name, src string
		want      Description
	}{
		{"every field", emoji, Description{
			File: "dir/model.yaml", Name: "emoji", Family: "beit3",
			Sizes:      Sizes{Dim: 128, Heads: 4, FFN: 512, Layers: 5, Image: 64, Patch: 8, Channels: 3, Vocab: 2010, Positions: 32, Eps: 1e-5},
			Checkpoint: "weights/emoji.safetensors", Tokenizer: "emoji.spm",
			Tasks:      []Task{{Name: "retrieval"}, {Name: "classification", Labels: "labels.json", List: "subgroups"}},
			Entries:    []string{"vision", "language"},
			Limits:     Limits{Text: 24, Rows: 4096, Pixels: 1000000},
			Preprocess: Preprocess{Resize: "stretch", Size: 64, Filter: "bicubic", Offset: "even", RGB: "first", Alpha: "drop", Mean: halves, Std: halves},
			Precision:  precision.Uniform("f32"),
			TuneLevel:  "avx2",
		}},
		{"preset", "model: 1\npreset: beit3-base-patch16-224-in1k\ncheckpoint: \"my file.pth\"\n", Description{
			File: "dir/model.yaml", Name: "beit3_base_patch16_224_in1k", Preset: "beit3-base-patch16-224-in1k", Family: "beit3",
			Sizes: base, Checkpoint: "my file.pth",
			Tasks:      []Task{{Name: "classification", Classes: 1000}},
			Entries:    []string{"vision"},
			Limits:     Limits{Text: 64, Rows: 2048},
			Preprocess: Preprocess{Resize: "crop", Size: 224, Filter: "bicubic", Offset: "even", RGB: "first", Alpha: "drop", Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}},
			Precision:  precision.Uniform("f32"),
			TuneLevel:  "avx2",
		}},
		{"defaults of sizes", "# a comment\nmodel: 1\nfamily: beit3\nsizes:\n  dim: 8\n  heads: 2\n  layers: 1\n  image: 6\n  patch: 2\n  vocab: 11\nseed: 18446744073709551615\npreprocess: {mean: 0, std: [1, 2, 0.25]}\ntasks: [encode: {norm: false}]\n", Description{
			File: "dir/model.yaml", Name: "dir", Family: "beit3",
			Sizes:      Sizes{Dim: 8, Heads: 2, FFN: 32, Layers: 1, Image: 6, Patch: 2, Channels: 3, Vocab: 11, Positions: 1024, Eps: 1e-5},
			Seed:       ptr(^uint64(0)),
			Tasks:      []Task{{Name: "encode", Norm: ptr(false)}},
			Entries:    []string{"vision", "language", "pair"},
			Limits:     Limits{Text: 64, Rows: 2048},
			Preprocess: Preprocess{Resize: "stretch", Size: 6, Filter: "bicubic", Offset: "even", RGB: "first", Alpha: "drop", Mean: []float64{0, 0, 0}, Std: []float64{1, 2, 0.25}},
			Precision:  precision.Uniform("f32"),
			TuneLevel:  "avx2",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse("dir/model.yaml", []byte(c.src))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, d); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Every row makes one change to a valid description (a text and its replacement) or is a whole
// description, with the expected error.
var badDescriptions = []struct {
	name, old, new string
	want           string
}{
	// The text.
	{"empty", emoji, "", "m.yaml:1:1: the description is empty; want at least `model: 1` and a preset, or a family and its sizes"},
	{"only a comment", emoji, "# nothing\n", "m.yaml:1:1: the description is empty; want at least `model: 1` and a preset, or a family and its sizes"},
	{"syntax", "sizes: {dim", "sizes: [dim", "m.yaml:5:1: ',' or ']' must be specified"},
	{"open bracket", "entries: [vision, language]", "entries: [vision, language", "m.yaml:11:1: ',' or ']' must be specified"},
	{"tab", "  - retrieval", "\t- retrieval", "m.yaml:8:1: control character U+0009; want spaces and line feeds only"},
	{"nul", "emoji.spm", "emoji\x00.spm", "m.yaml:6:17: control character U+0000; want spaces and line feeds only"},
	{"not UTF-8", "name: emoji", "name: \xffmoji", "m.yaml:2:7: byte 0xff is not valid UTF-8; want a text file"},
	{"too long", "name: emoji", "name: " + strings.Repeat("x", 1<<16), "m.yaml: the description is larger than 32768 bytes; it should hold only sizes and names: weights and labels have files of their own"},
	{"too many lines", "name: emoji", "name: >\n" + strings.Repeat("\n", 20000), "m.yaml:1001:1: more than 1000 lines; a description is a page at most"},
	{"two documents", "name: emoji", "name: emoji\n---\nmodel: 1", "m.yaml:3:1: more than one document; want one description a file"},
	{"anchor", "name: emoji", "name: &a emoji", "m.yaml:2:7: anchors, aliases and merge keys are not allowed; write the value out"},
	{"alias", "name: emoji", "name: *a", "m.yaml:2:7: anchors, aliases and merge keys are not allowed; write the value out"},
	{"merge", "name: emoji", "<<: {name: emoji}", "m.yaml:2:1: anchors, aliases and merge keys are not allowed; write the value out"},
	{"tag", "name: emoji", "name: !!str emoji", "m.yaml:2:7: tags are not allowed; remove \"!!str\""},
	{"directive", "model: 1", "%YAML 1.2\n---\nmodel: 1", "m.yaml:1:1: directives are not allowed; remove the line"},
	{"complex key", "name: emoji", "? name\n: emoji", "m.yaml:2:1: complex keys are not allowed; write `key: value`"},
	{"multi-line text", "name: emoji", "name: |\n  emoji", "m.yaml:2:7: multi-line text is not allowed; write the value on one line"},
	{"brackets", "[vision, language]", strings.Repeat("[", 20000), "m.yaml:10:18: more than 8 nested brackets; a description needs three"},
	{"dashes", "  - retrieval", strings.Repeat("- ", 15000) + "x", "m.yaml:8:17: more than 8 nested values on one line; write one a line"},
	{"indented far", "  - retrieval", strings.Repeat(" ", 100) + "- retrieval", "m.yaml:8:101: this line begins at column 101; want at most 64: indent by two spaces"},

	// Fields and types.
	{"a list", emoji, "- model: 1\n", "m.yaml:1:1: the description: got a list, want a mapping of model, name, preset, family, sizes, layout, modalities, layers, towers, similarity, final, keys, checkpoint, interpolate, seed, tokenizer, tasks, entries, limits, preprocess, decoders, precision, cosine, samples, tune, smooth"},
	{"a word", emoji, "beit3", "m.yaml:1:1: the description: got \"beit3\", want a mapping of model, name, preset, family, sizes, layout, modalities, layers, towers, similarity, final, keys, checkpoint, interpolate, seed, tokenizer, tasks, entries, limits, preprocess, decoders, precision, cosine, samples, tune, smooth"},
	{"no version", "model: 1\n", "", "m.yaml:1:1: the schema version is missing; add the line `model: 1`"},
	{"other version", "model: 1", "model: 2", "m.yaml:1:8: model: got the number 2, want 1, the schema version that this multiway reads"},
	{"version as text", "model: 1", "model: \"1\"", "m.yaml:1:8: model: got \"1\", want 1, the schema version that this multiway reads"},
	{"unknown field", "tokenizer:", "tokeniser:", "m.yaml:6:1: unknown field \"tokeniser\"; did you mean tokenizer?"},
	{"unknown far field", "tokenizer:", "colour:", "m.yaml:6:1: unknown field \"colour\"; want one of model, name, preset, family, sizes, layout, modalities, layers, towers, similarity, final, keys, checkpoint, interpolate, seed, tokenizer, tasks, entries, limits, preprocess, decoders, precision, cosine, samples, tune, smooth"},
	{"unknown inner field", "ffn: 512", "ffn_dim: 512", "m.yaml:4:29: unknown field \"sizes.ffn_dim\"; did you mean sizes.ffn or sizes.dim?"},
	{"number as field", "name: emoji", "5: emoji", "m.yaml:2:1: got the number 5 as a field name, want a word"},
	{"twice", "name: emoji", "name: emoji\nname: joy", "m.yaml:3:1: name is given twice, first in line 2; remove one"},
	{"twice inside", "ffn: 512", "dim: 512", "m.yaml:4:29: sizes.dim is given twice, first in line 4; remove one"},
	{"number for text", "name: emoji", "name: 12", "m.yaml:2:7: name: got the number 12, want text; put it in quotes if it is meant as text"},
	{"nothing for text", "name: emoji", "name:", "m.yaml:2:1: name: got nothing, want text"},
	{"list for text", "name: emoji", "name: [emoji]", "m.yaml:2:7: name: got a list, want text"},
	{"text for number", "dim: 128", "dim: wide", "m.yaml:4:14: sizes.dim: got \"wide\", want a whole number"},
	{"fraction for number", "dim: 128", "dim: 12.5", "m.yaml:4:14: sizes.dim: got the number 12.5, want a whole number"},
	{"text for list", "entries: [vision, language]", "entries: vision", "m.yaml:10:10: entries: got \"vision\", want a list such as [vision, language]"},
	{"empty list", "entries: [vision, language]", "entries: []", "m.yaml:10:10: entries: got 0 items, want 1 to 64; leave the field out for the default"},
	{"text for mapping", "limits: {text: 24, rows: 4096, pixels: 1000000}", "limits: 24", "m.yaml:11:9: limits: got the number 24, want a mapping of text, rows, pixels, max_new, ban"},
	{"huge number", "dim: 128", "dim: 123456789012345678901234567890", "m.yaml:4:14: sizes.dim: got \"123456789012345678901234567890\", want a whole number"},
	{"infinity", "dim: 128", "dim: .inf", "m.yaml:4:14: .inf is no usable number"},

	// Family and sizes.
	{"no family", "family: beit3\n", "", "m.yaml:1:1: family is missing; give a preset, or a family (beit3, mwt, vlmo, beit, clipa, clip, siglip, cnclip, xlmrclip) and its sizes, or modalities and layers"},
	{"unknown family", "family: beit3", "family: bert3", "m.yaml:3:1: family: unknown family \"bert3\"; did you mean beit3 or beit?"},
	{"bias of another family", "layers: 5", "layers: 5, reach: 9", "m.yaml:4:50: sizes.reach is given, but family beit3 has no relative position bias; remove it"},
	{"layer scale of another family", "layers: 5", "layers: 5, scale: true", "m.yaml:4:50: sizes.scale is given, but it is the same in all models of family beit3; remove it"},
	{"preset and family", "family: beit3", "preset: beit3-base-patch16-224\nfamily: beit3", "m.yaml:5:1: sizes and preset are both given, and preset beit3-base-patch16-224 has sizes of its own; of them only image can be changed; for other sizes use family and sizes"},
	{"image of a preset", emoji, "model: 1\npreset: beit3-base-itc-patch16-224\nsizes: {image: 384}\n", "m.yaml:3:9: sizes.image is 384, but preset beit3-base-itc-patch16-224 is for pictures of 224; add `interpolate: true` to resize its position table"},
	{"decoder", "precision: f32", "decoders: [heic, jxl]", "m.yaml:12:18: decoders[1]: unknown decoder \"jxl\"; want one of heic, avif"},
	{"decoder alone", "precision: f32", "decoders: heic", "m.yaml:12:11: decoders: got \"heic\", want a list such as [heic, avif]"},
	{"level", "precision: f32", "tune: {level: sse}", "m.yaml:12:8: tune.level: unknown level \"sse\"; want one of avx2, avxvnni, avx512, avx512vnni, avx512bf16, neon, neondot, neoni8mm"},
	{"level alone", "precision: f32", "tune: avx2", "m.yaml:12:7: tune: unknown switch \"avx2\"; want one of on, off"},
	{"smooth", "precision: f32", "smooth: 0.5", "m.yaml:12:9: smooth: got the number 0.5, want on or off"},
	{"interpolate", "precision: f32", "interpolate: bicubic", "m.yaml:12:14: interpolate: got \"bicubic\", want true or false"},
	{"unknown preset", "family: beit3", "preset: beit3-base-patch16-384-coco-retreival", "m.yaml:3:9: unknown preset \"beit3-base-patch16-384-coco-retreival\"; did you mean beit3-base-patch16-384-coco-retrieval?"},
	{"no size", "dim: 128, ", "", "m.yaml:4:1: sizes.dim is missing; add it, 1 to 65536"},
	{"zero", "dim: 128", "dim: 0", "m.yaml:4:14: sizes.dim is 0, want 1 to 65536"},
	{"negative", "layers: 5", "layers: -5", "m.yaml:4:47: sizes.layers is -5, want 1 to 512"},
	{"too large", "dim: 128", "dim: 70000", "m.yaml:4:14: sizes.dim is 70000, want 1 to 65536"},
	{"heads", "heads: 4", "heads: 5", "m.yaml:4:19: sizes.heads is 5, want a divisor of sizes.dim, which is 128; the nearest are 4 and 8"},
	{"more heads than columns", "heads: 4", "heads: 200", "m.yaml:4:19: sizes.heads is 200, want a divisor of sizes.dim, which is 128; the nearest is 128"},
	{"patches", "image: 64", "image: 60", "m.yaml:4:50: sizes.image is 60, want a multiple of sizes.patch, which is 8; the nearest are 56 and 64"},
	{"too many patches", "image: 64", "image: 8000", "m.yaml:4:50: sizes.image is 8000 with patches of 8, which gives 1000000 patches; want at most 65536"},
	{"too many parameters", "dim: 128, heads: 4, ffn: 512, layers: 5", "dim: 65536, heads: 4, ffn: 262144, layers: 512", "m.yaml:4:1: sizes give 52776708800512 parameters; want at most 274877906944"},
	{"eps", "ffn: 512", "eps: 1", "m.yaml:4:34: sizes.eps: got the number 1, want a number between 0 and 1, such as 1.0e-5"},

	// Tasks and entries.
	{"unknown task", "  - retrieval", "  - retreival", "m.yaml:8:5: tasks[0]: unknown task \"retreival\"; did you mean retrieval?"},
	{"unknown task with options", "classification: {labels", "clasification: {labels", "m.yaml:9:5: tasks[1]: unknown task \"clasification\"; did you mean classification?"},
	{"task twice", "  - retrieval", "  - retrieval\n  - retrieval", "m.yaml:9:5: tasks[1]: task retrieval is given twice; remove one"},
	{"two tasks in one item", "  - retrieval\n  -", "  - retrieval:\n   ", "m.yaml:8:5: tasks[0]: got a mapping, want a task's name, or {NAME: {OPTION: VALUE}}"},
	{"no options", "  - retrieval", "  - retrieval: {classes: 4}", "m.yaml:8:17: tasks[0]: task retrieval has no options; write just retrieval"},
	{"unknown option", "{labels: labels.json, list: subgroups}", "{label: labels.json}", "m.yaml:9:22: unknown field \"tasks[1].classification.label\"; did you mean tasks[1].classification.labels?"},
	{"no classes", ": {labels: labels.json, list: subgroups}", "", "m.yaml:9:5: task classification needs the number of its classes; write {classification: {classes: N}} or {classification: {labels: FILE}}"},
	{"list without labels", "{labels: labels.json, list: subgroups}", "{classes: 4, list: subgroups}", "m.yaml:9:34: tasks[1].classification.list names a list of a labels file, but there is no labels; add it or remove list"},
	{"classes", "{labels: labels.json, list: subgroups}", "{classes: 0}", "m.yaml:9:31: tasks[1].classification.classes is 0, want 1 to 1048576"},
	{"unknown entry", "[vision, language]", "[vision, text]", "m.yaml:10:19: entries[1]: unknown entry \"text\"; want one of vision, language, pair"},
	{"entry without a task", "[vision, language]", "[vision, language, pair]", "m.yaml:10:29: entries[2]: no task has the entry pair; add the task encode or remove the entry"},
	{"entry twice", "[vision, language]", "[vision, vision]", "m.yaml:10:19: entries[1]: entry vision is given twice; remove one"},
	{"task without an entry", "[vision, language]", "[language]", "m.yaml:10:1: entries has none of task classification (tasks[1]), which has vision; add one of them or remove the task"},

	// The rest.
	{"text limit", "text: 24", "text: 31", "m.yaml:11:10: limits.text is 31, want 1 to 30: sizes.positions is 32 and its first 2 rows are not used"},
	{"rows limit", "rows: 4096", "rows: 64", "m.yaml:11:20: limits.rows is 64, want 65 to 1048576: one picture has 65 rows and the longest text 24"},
	{"max_new without captions", "pixels: 1000000", "max_new: 12", "m.yaml:11:32: limits.max_new is given, but there is no task captioning; add it or remove the field"},
	{"ban without captions", "pixels: 1000000", "ban: [1]", "m.yaml:11:32: limits.ban is given, but there is no task captioning; add it or remove the field"},
	{"ban of words", "pixels: 1000000", "ban: [1, x]", "m.yaml:11:41: limits.ban[1]: got \"x\", want a token id, or FROM..TO, such as 2001..2010 for the ids from 2001 to 2009"},
	{"ban past the vocabulary", emoji, "model: 1\npreset: beit3-base-patch16-480-nocaps\nlimits: {ban: [1, 64000..64011]}\n", "m.yaml:3:19: limits.ban[1] is 64000..64011, want FROM..TO with token ids below 64010; TO itself is not banned"},
	{"more words than text", emoji, "model: 1\npreset: beit3-base-patch16-480-nocaps\nlimits: {text: 12, max_new: 12}\n", "m.yaml:3:20: limits.max_new is 12, want 1 to 11: limits.text is 12, <s> included"},
	{"long captions", emoji, "model: 1\npreset: beit3-base-patch16-480-nocaps\nlimits: {text: 1021}\n", "m.yaml:3:10: limits.text is 1021, want 1 to 1020: sizes.positions is 1024 and its first 2 rows are not used, and a caption's last step takes 2 more than its text"},
	{"resize", "precision: f32", "preprocess: {resize: centre}", "m.yaml:12:22: preprocess.resize: unknown way to resize \"centre\"; want one of stretch, crop"},
	{"filter", "precision: f32", "preprocess: {filter: lanczos}", "m.yaml:12:22: preprocess.filter: unknown filter \"lanczos\"; want one of bicubic, bilinear"},
	{"converted last", "precision: f32", "preprocess: {rgb: last, alpha: white}", "m.yaml:12:25: preprocess.alpha is white, want drop: a picture that is converted last is resized with its transparency, and then loses it"},
	{"alpha", "precision: f32", "preprocess: {alpha: blue}", "m.yaml:12:21: preprocess.alpha: unknown way to see transparency \"blue\"; want one of white, black, drop"},
	{"picture's side", "precision: f32", "preprocess: {size: 256}", "m.yaml:12:14: preprocess.size is 256, want 64, the side of the model's picture"},
	{"mean of two", "precision: f32", "preprocess: {mean: [0.5, 0.5]}", "m.yaml:12:14: preprocess.mean has 2 numbers, want 1 or 3, one a channel"},
	{"zero std", "precision: f32", "preprocess: {std: 0}", "m.yaml:12:14: preprocess.std holds 0, want 1e-06 to 1000"},
	{"mean of words", "precision: f32", "preprocess: {mean: [0.5, a, 0.5]}", "m.yaml:12:26: preprocess.mean: got \"a\", want a number, or a list with one number per channel"},
	{"cosine", "precision: f32", "precision: f32\ncosine: 2", "m.yaml:13:9: cosine: got the number 2, want a number above 0 and up to 1, such as 0.9995"},
	{"cosine in a list", "precision: f32", "precision: f32\ncosine: [0.9]", "m.yaml:13:9: cosine: got a list, want a number above 0 and up to 1, such as 0.9995"},
	{"cosine of words", "precision: f32", "precision: f32\ncosine: near", "m.yaml:13:9: cosine: got \"near\", want a number above 0 and up to 1, such as 0.9995"},
	{"unknown precision", "precision: f32", "precision: fp32", "m.yaml:12:12: precision: unknown precision \"fp32\"; did you mean f32?"},
	{"precision of a class", "precision: f32", "precision: {default: int8, embeding: bf16}", "m.yaml:12:28: unknown field \"precision.embeding\"; did you mean precision.embedding?"},
	{"class at no precision", "precision: f32", "precision: {ffn: int4}", "m.yaml:12:18: precision.ffn: unknown precision \"int4\"; did you mean int8 or int7?"},
	{"precision is a list", "precision: f32", "precision: [int8]", "m.yaml:12:12: precision: got a list, want " + strings.Join(precision.Names(), ", ") + ", or a mapping of default, embedding, patches, projections, ffn, retrieval, heads, keep"},
	{"keep is a list", "precision: f32", "precision: {keep: [l0]}", "m.yaml:12:19: precision.keep: got a list, want a mapping such as {l11.ffn: bf16, l0: f32}"},
	{"keep twice", "precision: f32", "precision: {keep: {l0: f32, l0: bf16}}", "m.yaml:12:29: precision.keep.l0 is given twice, first in line 12; remove one"},
	{"keep what is not there", "precision: f32", "precision: {default: int8, keep: {l0: f32, l5.ffn: bf16}}", "m.yaml:12:44: precision.keep: no matrix or table of the model is called l5.ffn; names are such as l0, l4.ffn, l0.attn.out, vision.embed"},
	{"keep one of a product", "precision: f32", "precision: {default: int8, keep: {l0.attn.q: f32}}", "m.yaml:12:35: precision.keep: module \"l0.attn.q\": q is part of one product; want qkv for q, k, v"},
	{"keep nothing", "precision: f32", "precision: {default: int8, keep: {\"\": f32}}", "m.yaml:12:35: precision.keep: module \"\": want parts of a weight's name with dots between them, such as l3.ffn"},
	{"seed and checkpoint", "precision: f32", "seed: 7", "m.yaml:12:1: seed and checkpoint are both given; the weights come from one of them: remove the other"},
	{"negative seed", "checkpoint: weights/emoji.safetensors", "seed: -7", "m.yaml:5:7: seed: got the number -7, want a whole number from 0"},
	{"name", "name: emoji", "name: Emoji-Model", "m.yaml:2:1: name is \"Emoji-Model\", want the name of a Go package to import: lower-case letters, digits and _, a letter first, at most 64; for example emoji_model"},
	{"program as name", "name: emoji", "name: main", "m.yaml:2:1: name is \"main\", want the name of a Go package to import: lower-case letters, digits and _, a letter first, at most 64; for example model"},
	{"keyword as name", "name: emoji", "name: func", "m.yaml:2:1: name is \"func\", want the name of a Go package to import: lower-case letters, digits and _, a letter first, at most 64; for example model"},
}

func TestParseErrors(t *testing.T) {
	for _, c := range badDescriptions {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(emoji, c.old) {
				t.Fatalf("%q is not in the good description", c.old)
			}
			start := time.Now()
			d, err := Parse("m.yaml", []byte(strings.Replace(emoji, c.old, c.new, 1)))
			if err == nil {
				t.Fatalf("no error; want %s\ngot %+v", c.want, d)
			}
			if err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if took := time.Since(start); took > 20*time.Second { // milliseconds, unless the work grows with the square of the text
				t.Errorf("took %v", took)
			}
		})
	}
}

// A task for checkpoints of one code is not available for another code.
func TestTaskOfAnotherFamily(t *testing.T) {
	var have []string
	for _, row := range tasks {
		if row.code == VLMo {
			have = append(have, row.name)
		}
	}
	_, err := Parse("m.yaml", []byte(strings.Replace(emoji, "family: beit3", "family: vlmo", 1)))
	const want = "m.yaml:9:5: tasks[1]: models of this family have no task classification; they have "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("got %v, want %s", err, want)
	}
	listed := strings.Split(strings.TrimPrefix(err.Error(), want), ", ")
	slices.Sort(have)
	slices.Sort(listed)
	if d := cmp.Diff(have, listed); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestName(t *testing.T) {
	for file, want := range map[string]string{
		"":                  "model",
		"a/b/my-model.yaml": "my_model",
		"Emoji.v2.yml":      "emoji_v2",
		"2024.yaml":         "mymodel", // since the folder is called model
		"größe.yaml":        "gr__e",
		"type.yaml":         "mymodel",
	} {
		d := tiny()
		d.Name, d.File = "", file
		if p := d.complete(); p != nil {
			t.Fatal(p.text)
		}
		if d.Name != want {
			t.Errorf("%q gives the name %q, want %q", file, d.Name, want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		asmtest.Write(t, filepath.Join(dir, name), text)
	}
	file := filepath.Join(dir, "m.yaml")
	for _, c := range []struct {
		name, options, labels string
		want                  string // the labels, or the error without the folder
		classes               int
	}{
		{"text", "labels: l", "cat\n dog \r\n\nbird\n", "cat|dog|bird", 3},
		{"JSON list", "labels: l", `["cat", "dog"]`, "cat|dog", 2},
		{"JSON object", "{labels: l, list: b}", `{"a": ["x"], "b": ["cat", "dog"], "c": 3}`, "cat|dog", 2},
		{"counted right", "{labels: l, classes: 2}", "cat\ndog\n", "cat|dog", 2},
		{"counted wrong", "{labels: l, classes: 3}", "cat\ndog\n", "l: 2 labels, want 3, the number of classes of task classification", 0},
		{"no list named", "labels: l", `{"b": [], "a": []}`, "l: it holds the lists a, b; say which one with `list: NAME`", 0},
		{"wrong list named", "{labels: l, list: subgroup}", `{"subgroups": []}`, `l: unknown list "subgroup"; did you mean subgroups?`, 0},
		{"list of text", "{labels: l, list: a}", "cat\n", "l: it is plain text, so it has no list \"a\"; remove `list`", 0},
		{"list of a list", "{labels: l, list: a}", `["cat"]`, "l: it is one list of labels, so it has no list \"a\"; remove `list`", 0},
		{"empty", "labels: l", "\n", "l: 0 labels, want 1 to 1048576", 0},
		{"numbers", "labels: l", "[1]", "l: want a JSON list of strings; item 0 is not a string", 0},
		{"after a list", "labels: l", `["cat"] ["dog"]`, "l: something follows the JSON of the labels; remove it", 0},
		{"after an object", "{labels: l, list: a}", `{"a": ["cat"]} dog`, "l: something follows the JSON of the labels; remove it", 0},
		{"not UTF-8", "labels: l", "\xff", "l: not valid UTF-8; want text with one label a line, or JSON", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			write("l", c.labels)
			options := c.options
			if !strings.HasPrefix(options, "{") {
				options = "{" + options + "}"
			}
			write("m.yaml", "model: 1\nfamily: beit3\nsizes: {dim: 8, heads: 2, layers: 1, image: 6, patch: 2, vocab: 11}\nseed: 1\ntasks: [{classification: "+options+"}]\n")
			d, err := Load(file)
			if err != nil {
				if got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				return
			}
			labels, err := d.Labels(d.Tasks[0])
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(labels, "|"); got != c.want || d.Tasks[0].Classes != c.classes {
				t.Errorf("got %s and %d classes, want %s and %d", got, d.Tasks[0].Classes, c.want, c.classes)
			}
			p, err := Lower(d, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Weight("classification.head.w").Type.Rows().C; got != c.classes {
				t.Errorf("the head has %d rows, want %d", got, c.classes)
			}
		})
	}
	big := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(big, make([]byte, maxText+1), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, big} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "; this is no description: `multiway init` writes one for a checkpoint") {
			t.Errorf("%s: error is %v, want one that names init", path, err)
		}
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want a missing file", err)
	}
}

// Without its labels file a description parses, so that it can be shown, but lowering it is an
// error.
func TestParseWithoutLabels(t *testing.T) {
	d, err := Parse("m.yaml", []byte(emoji))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Lower(d, Options{})
	want := "m.yaml: tasks[1].classification.classes is not known; give it, or read the description with Load, which counts the labels in labels.json"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A description that parses can be lowered, or says why not.
func FuzzParse(f *testing.F) {
	f.Add([]byte(emoji))
	f.Add([]byte(three))
	for _, c := range badDescriptions {
		if len(c.new) < 4096 {
			f.Add([]byte(strings.Replace(emoji, c.old, c.new, 1)))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse("m.yaml", src)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "m.yaml:") {
				t.Errorf("an error without its file: %v", err)
			}
			return
		}
		if d.Sizes.Layers <= 8 {
			if _, err := Lower(d, Options{}); err != nil && !strings.Contains(err.Error(), "classes is not known") {
				t.Errorf("parses but does not lower: %v", err)
			}
		}
	})
}

func FuzzLabels(f *testing.F) {
	f.Add([]byte("cat\ndog\n"), "")
	f.Add([]byte(`["cat"]`), "")
	f.Add([]byte(`{"a": ["cat"]}`), "a")
	f.Fuzz(func(t *testing.T, src []byte, list string) {
		if labels, err := parseLabels(src, list); err == nil && len(labels) == 0 {
			t.Error("no labels and no error")
		}
	})
}

// A preset for another image size: the position table may be resized, nothing else
// changes.
func TestInterpolate(t *testing.T) {
	d, err := Parse("m.yaml", []byte("model: 1\npreset: beit3-base-itc-patch16-224\nsizes: {image: 384}\ninterpolate: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Preset("beit3-base-itc-patch16-224")
	if err != nil {
		t.Fatal(err)
	}
	sizes := want.Sizes
	sizes.Image = 384
	if diff := cmp.Diff(sizes, d.Sizes); diff != "" || d.Preprocess.Size != 384 {
		t.Errorf("sizes (-want +got):\n%s; preprocessing makes %d", diff, d.Preprocess.Size)
	}
	p, err := Lower(d, Options{Entries: []string{"vision"}})
	if err != nil {
		t.Fatal(err)
	}
	wantOrigin := &ir.Origin{Key: "beit3.encoder.embed_positions.A.weight", Shape: []int{579, 768}, Row: 2, Rows: 577, Grid: &ir.Grid{Extra: 3, Side: 24, Resize: true}}
	if diff := cmp.Diff(wantOrigin, p.Weight("vision.embed.pos.w").Origin); diff != "" {
		t.Errorf("origin (-want +got):\n%s", diff)
	}
}

// The released models of CLIPA have a token table that is longer than BERT's vocabulary.
func TestUnreached(t *testing.T) {
	for name, want := range map[string]int{"clipa": 32000 - 30522, "clip": 64, "": 64} {
		if got := Unreached(name); got != want {
			t.Errorf("family %q: %d, want %d", name, got, want)
		}
	}
}
