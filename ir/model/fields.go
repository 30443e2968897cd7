package model

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/precision"
)

// Field documents a key of a description.
type Field struct {
	// Path is the path of the key: preprocess.resize; modalities[].name in every item of a list;
	// tasks[].TASK.labels, where the name in capitals stands for a name in the description.
	Path    string `json:"path"`
	Kind    string `json:"kind"`             // kind of value: whole number, text, file, list, mapping, ...
	Values  string `json:"values,omitempty"` // the values of the kind that are valid; "" = all
	Default string `json:"default"`          // the value if the key is missing
	Meaning string `json:"meaning"`
	Example string `json:"example"` // a line of a description with the key
}

// Fields lists every key of a description, a mapping before the keys in it.
func Fields() []Field {
	var all []Field
	var add func(above string, fields []field)
	add = func(above string, fields []field) {
		for _, f := range fields {
			path := above + f.name
			x := Field{Path: path, Kind: f.kind, Values: f.legal, Default: f.def, Meaning: f.doc, Example: f.example}
			if f.without != "" {
				x.Default = strings.TrimPrefix(f.def+"; "+f.without, "; ")
			}
			if x.Example == "" {
				x.Example = path + ": " + f.such
			}
			all = append(all, x)
			add(path+f.under+".", f.fields)
		}
	}
	add("", (&decoder{at: map[string]place{}}).fields(&Description{}))
	return all
}

// field is one key of a mapping in a description. Tables of fields define both how descriptions are read and how they are
// documented.
type field struct {
	name string
	value
	doc     string
	def     string // the value if the key is missing, as a description would have it
	without string // or a description of the value if the key is missing
	example string // a line of a description with the key; "" = such as its value at the top level
}

// value describes the legal values of a description's field, and has the function that reads one.
type value struct {
	kind, legal string // see Field
	such        string // an example of a list, or of a mapping with any keys
	under       string // in paths, what follows the field's name before an inner field: [] for a list
	fields      []field
	read        func(n *node, path string)
	// any, if not nil, is called instead of read for each key of the mapping that no other field names. The field's name is
	// then a placeholder for these keys, such as EXPERT.
	any func(key string, n *node, path string)
}

// Values of several fields. Each reads into dst.

func (c *decoder) text(dst *string) value {
	return value{kind: "text", read: func(n *node, path string) { *dst = c.words(n, path) }}
}

func (c *decoder) path(dst *string) value {
	v := c.text(dst)
	v.kind = "file"
	return v
}

// word is one of the known words. what names their kind in the error about another word.
func word[T ~string](c *decoder, what string, dst *T, known ...T) value {
	var names []string
	for _, k := range known {
		names = append(names, string(k))
	}
	return value{kind: "word", legal: strings.Join(names, ", "), read: func(n *node, path string) {
		switch {
		case n.kind != textNode:
			c.fail(n, "%s: got %s, want %s", path, n, listed(names, " or "))
		case !slices.Contains(names, n.text):
			c.fail(n, "%s: %s", path, unknown(what, n.text, names))
		}
		*dst = T(n.text)
	}}
}

func (c *decoder) whole(dst *int, lo, hi int) value {
	return value{kind: "whole number", legal: fmt.Sprintf("%d to %d", lo, hi), read: func(n *node, path string) { *dst = c.count(n, path, lo, hi) }}
}

func (c *decoder) flag(set func(bool)) value {
	return value{kind: "true or false", read: func(n *node, path string) {
		if n.kind != boolNode {
			c.fail(n, "%s: got %s, want true or false", path, n)
		}
		set(strings.EqualFold(n.text, "true"))
	}}
}

// between is a number for which ok returns true; legal describes these numbers, and such is one.
func (c *decoder) between(dst *float64, legal, such string, ok func(float64) bool) value {
	return value{kind: "number", legal: legal, such: such, read: func(n *node, path string) {
		if *dst = n.number; n.kind != wholeNode && n.kind != floatNode || !ok(*dst) {
			c.fail(n, "%s: got %s, want a number %s, such as %s", path, n, legal, such)
		}
	}}
}

func (c *decoder) channels(dst *[]float64, legal string) value {
	return value{kind: "number, or list with one a channel", legal: legal, read: func(n *node, path string) { *dst = c.numbers(n, path) }}
}

func (c *decoder) mapping(fields []field) value {
	return value{kind: "mapping", fields: fields, read: func(n *node, path string) { c.object(n, path, fields) }}
}

// list is a list whose items are read by item; such is an example.
func (c *decoder) list(such string, item func(n *node, path string)) value {
	return value{kind: "list", such: such, read: func(n *node, path string) { c.each(n, path, such, item) }}
}

// mappings is a list of mappings, appended to dst.
func mappings[T any](c *decoder, such string, dst *[]T, fields func(*T) []field) value {
	v := c.list(such, func(n *node, path string) {
		var item T
		c.object(n, path, fields(&item))
		*dst = append(*dst, item)
	})
	v.under, v.fields = "[]", fields(new(T))
	return v
}

// fields lists the keys of a description.
func (c *decoder) fields(d *Description) []field {
	const required = "must be given"
	return []field{
		{name: "model", value: value{kind: "whole number", legal: strconv.Itoa(Schema), read: func(*node, string) {}}, // description has read it
			doc: "version of the description's schema", without: required, example: "model: 1"},
		{name: "name", value: c.text(&d.Name),
			doc:     "name of the program and of its Go package: lower-case letters, digits and _, a letter first",
			without: "the preset's name; else the name of the file, or of its folder if the file is called model", example: "name: emoji"},
		{name: "preset", value: value{kind: "text", read: func(n *node, path string) {
			d.Preset = c.words(n, path)
			if _, err := findPreset(d.Preset); err != nil {
				c.fail(n, "%v", err)
			}
		}},
			doc:     "a released model, which has a family, sizes, a task and a preprocessing; `multiway presets` lists them",
			without: "none", example: "preset: beit3-base-patch16-384-coco-retrieval"},
		{name: "family", value: value{kind: "word", legal: strings.Join(familyNames(), ", "), read: c.text(&d.Family).read},
			doc:     "kind of model: beit3 as released, mwt as in the paper, vlmo; needs sizes",
			without: "the preset's, or given by modalities and layers", example: "family: beit3"},
		{name: "sizes", value: c.mapping(c.sizes(&d.Sizes)),
			doc:     "sizes of a family's model; with a preset only image may be given; `multiway init` reads them from a checkpoint",
			without: "the preset's", example: "sizes: {dim: 768, heads: 12, layers: 12, image: 224, patch: 16, vocab: 64010}"},
		{name: "layout", value: word(c, "layout", &d.Long.Keys.Layout, layoutNames()...),
			doc: "names of tensors in the checkpoint, for families whose checkpoints exist in several forms", without: "the family's first", example: "layout: clip_open_clip"},
		{name: "modalities", value: mappings(c, "[{name: vision, embedder: patch, size: 224, patch: 16}]", &d.Long.Modalities, c.modality),
			doc: fmt.Sprintf("in place of a family: the inputs, at most %d, in sequence order; at most one has tokens", maxModalities), without: "the family's"},
		{name: "layers", value: mappings(c, "[{range: 0..12, attn: shared, ffn: pooled}]", &d.Long.Layers, c.layers),
			doc: "in place of a family: ranges of layers from layer 0 on, with the sharing of their weights", without: "the family's"},
		{name: "towers", value: mappings(c, "[{name: vision, dim: 64, heads: 4, layers: [{range: 0..2}]}]", &d.Long.Towers, c.tower),
			doc: "in place of layers: for models whose modalities have layers of their own and are compared by embeddings", without: "one tower of all modalities"},
		{name: "similarity", value: c.mapping([]field{
			{name: "bias", value: c.flag(func(v bool) { d.Long.Similarity.Bias = v }), doc: "whether the checkpoint has a bias that is added to scores", def: "false", example: "similarity: {bias: true}"},
			{name: "score", value: word(c, "kind of score", &d.Long.Similarity.Score, Softmax, Sigmoid), doc: "how scores become probabilities: softmax over all, or sigmoid of each", def: string(Softmax), example: "similarity: {score: sigmoid}"},
		}), doc: "with towers: how the cosine of two embeddings becomes a score", without: "multiplied by the checkpoint's scale, softmax", example: "similarity: {bias: true, score: sigmoid}"},
		{name: "final", value: word(c, "sharing", &d.Long.Final, Shared, Pooled),
			doc:     "with layers: whether modalities share the norm after the last one",
			without: "as attn of the last layers", example: "final: pooled"},
		{name: "keys", value: c.open("{prefix: beit3., vision: A, language: B}", []field{
			{name: "prefix", value: c.text(&d.Long.Keys.Prefix),
				doc: "prefix of the names of layers and embeddings", without: "nothing", example: "keys: {prefix: beit3.}"},
			{name: "EXPERT", value: value{kind: "text", any: func(key string, n *node, path string) {
				if d.Long.Keys.Experts == nil {
					d.Long.Keys.Experts = map[string]string{}
				}
				d.Long.Keys.Experts[key] = c.words(n, path)
			}}, doc: "name of a modality or an expert in names of tensors", without: "its name", example: "keys: {vision: A, language: B}"},
		}), doc: "with layers: names of tensors in the checkpoint", without: "as in the reference implementation"},
		{name: "checkpoint", value: c.checkpoint(d),
			doc:     "file of the weights: .pth of PyTorch, .safetensors, or the .index.json of several files",
			without: "none; to build, this or seed must be given", example: "checkpoint: beit3_base_patch16_384_coco_retrieval.pth"},
		{name: "interpolate", value: c.flag(func(v bool) { d.Interpolate = v }),
			doc: "whether the checkpoint may be for pictures of another size: its positions are then resized to sizes.image as in the reference implementation",
			def: "false", example: "interpolate: true"},
		{name: "seed", value: value{kind: "whole number", legal: "0 to 18446744073709551615", read: func(n *node, path string) {
			if n.kind != wholeNode || n.negative {
				c.fail(n, "%s: got %s, want a whole number from 0", path, n)
			}
			d.Seed = &n.whole
		}}, doc: "in place of a checkpoint: seed of random weights, to try a model and to time it", without: "none", example: "seed: 1"},
		{name: "tokenizer", value: c.tokenizer(d),
			doc:     "file of the tokenizer: a SentencePiece model (Unigram; Gemma's BPE) or the tokenizer.json of a Unigram, the vocab.txt or tokenizer.json of a WordPiece, or CLIP's bpe_simple_vocab_16e6.txt.gz, merges.txt, vocab.json with merges.txt beside it, or tokenizer.json",
			without: "none: the package and the binary take token ids", example: "tokenizer: beit3.spm"},
		{name: "tasks", value: c.tasks(&d.Tasks),
			doc: "the tasks, each a name, or {NAME: {OPTION: VALUE}}", without: "the preset's; else encode, the rows of the encoder"},
		{name: "entries", value: c.list("[vision, language]", func(n *node, path string) { d.Entries = append(d.Entries, c.words(n, path)) }),
			doc:     "inputs to compile for: vision, language, pair; with modalities their names, joined by _",
			without: "all entries of the tasks"},
		{name: "limits", value: c.mapping(c.limits(&d.Limits)),
			doc: "limits of one call", without: "each its own", example: "limits: {text: 24}"},
		{name: "preprocess", value: c.mapping(c.preprocess(&d.Preprocess)),
			doc:     "how a picture becomes the input: it is resized as by Pillow, bicubic; then red, green and blue are divided by 255, mean is subtracted, and the result is divided by std",
			without: "the preset's; else each its own", example: "preprocess: {resize: crop, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"},
		{name: "decoders", value: c.decoders(&d.Decoders),
			doc:     "further picture formats to read: heic, avif; packages with them are compiled with -tags nodynamic, and heic links libheif and libde265, which have the LGPL",
			without: "none", example: "decoders: [heic, avif]"},
		{name: "precision", value: c.precision(&d.Precision),
			doc: "format of weights, and so of products with them: one for all weights, or one for each class", def: precision.F32},
		{name: "cosine", value: c.between(&d.Cosine, "above 0 and up to 1", "0.9995", func(v float64) bool { return v > 0 && v <= 1 }),
			doc:     "least cosine of output rows with the model in float64 that a build at another precision than f32 accepts",
			without: "none; below the precision's own aim there is a warning"},
		{name: "samples", value: c.path(&d.Samples),
			doc:     "folder of typical pictures, and .txt files with a text per line: formats are chosen and checked on them",
			without: "inputs from a seed", example: "samples: pictures"},
		{name: "tune", value: c.tune(d),
			doc: "whether modules for which precision is too coarse are stored in finer formats", without: "on", example: "tune: off"},
		{name: "smooth", value: word(c, "switch", &d.Smooth, "on", "off"),
			doc: "whether norms before int8 products are smoothed if that at least halves the quantisation error", without: "on", example: "smooth: off"},
	}
}

// Decoders lists the image formats whose decoders are linked only on request.
var Decoders = []string{"heic", "avif"}

// SetDecoders sets the further image formats to read, each of which is listed once.
func (d *Description) SetDecoders(names []string) error {
	d.Decoders = nil
	for _, name := range names {
		switch {
		case !slices.Contains(Decoders, name):
			return errors.New(unknown("decoder", name, Decoders))
		case !slices.Contains(d.Decoders, name):
			d.Decoders = append(d.Decoders, name)
		}
	}
	slices.Sort(d.Decoders)
	return nil
}

func (c *decoder) decoders(dst *[]string) value {
	v := c.list("[heic, avif]", func(n *node, path string) {
		d := Description{}
		if err := d.SetDecoders(append(*dst, c.words(n, path))); err != nil {
			c.fail(n, "%s: %v", path, err)
			return
		}
		*dst = d.Decoders
	})
	v.legal = strings.Join(Decoders, ", ")
	return v
}

// open is a mapping with a field for any key.
func (c *decoder) open(such string, fields []field) value {
	v := c.mapping(fields)
	v.such = such
	v.read = func(n *node, path string) {
		if n.kind != mapNode {
			c.fail(n, "%s: got %s, want a mapping such as %s", path, n, such)
			return
		}
		c.object(n, path, fields)
	}
	return v
}

func (c *decoder) limits(l *Limits) []field {
	ids := c.list("[0, 1, 3, 2001..2010]", func(n *node, path string) { l.Ban = append(l.Ban, c.ids(n, path)) })
	ids.legal = "ids, and FROM..TO for those from FROM to TO-1"
	return []field{
		{name: "text", value: c.whole(&l.Text, 1, 1<<20),
			doc:     "longest text in tokens, <s> and </s> included; longer texts are cut",
			without: usualTexts(), example: "limits: {text: 24}"},
		{name: "rows", value: c.whole(&l.Rows, 1, maxRows),
			doc:     "most rows of a modality in one call; larger batches are split",
			without: fmt.Sprintf("%d, or the rows of one picture or text", defaultRows), example: "limits: {rows: 4096}"},
		{name: "pixels", value: c.whole(&l.Pixels, 1, maxPixels),
			doc: "largest picture that commands read, width x height", without: "67108864", example: "limits: {pixels: 20000000}"},
		{name: "max_new", value: c.whole(&l.MaxNew, 1, 1<<20),
			doc: "most tokens of a caption, </s> included", without: "limits.text less 1", example: "limits: {max_new: 12}"},
		{name: "ban", value: ids, doc: "token ids that a caption never contains", without: "none", example: "limits: {ban: [0, 1, 3, 2001..2010]}"},
	}
}

func (c *decoder) preprocess(p *Preprocess) []field {
	const preset = "with a preset, the preset's"
	return []field{
		{name: "resize", value: word(c, "way to resize", &p.Resize, "stretch", "crop"),
			doc: "stretch: the whole picture becomes a square; crop: its shorter side becomes size, then the square in the middle is taken",
			def: "stretch", without: preset, example: "preprocess: {resize: crop}"},
		{name: "size", value: c.whole(&p.Size, 1, maxSide),
			doc: "side of that square in pixels, which must be the model's", without: "sizes.image", example: "preprocess: {size: 224}"},
		{name: "filter", value: word(c, "filter", &p.Filter, "bicubic", "bilinear"),
			doc: "filter of the resize", def: "bicubic", without: preset, example: "preprocess: {filter: bilinear}"},
		{name: "offset", value: word(c, "way to round", &p.Offset, "even", "floor"),
			doc: "position of the crop: half of an odd margin is rounded to even, as in torchvision, or down, as in Hugging Face's transformers",
			def: "even", without: preset, example: "preprocess: {resize: crop, offset: floor}"},
		{name: "rgb", value: word(c, "time of the conversion", &p.RGB, "first", "last"),
			doc: "when a picture with a palette, transparency or CMYK is converted to RGB: before the resize, or after it, as in OpenAI's CLIP and open_clip",
			def: "first", without: preset, example: "preprocess: {rgb: last}"},
		{name: "draft", value: c.flag(func(v bool) { p.Draft = v }),
			doc: "whether a JPEG is decoded at a half, a quarter or an eighth of its size if that is size at least, as with draft of Pillow: faster, for other bytes than the reference implementation's",
			def: "false", example: "preprocess: {draft: true}"},
		{name: "alpha", value: word(c, "way to see transparency", &p.Alpha, "white", "black", "drop"),
			doc: "treatment of transparent pixels: on a white or black background, or with drop the colours in the file, as in the reference implementation",
			def: "drop", without: preset, example: "preprocess: {alpha: white}"},
		{name: "mean", value: c.channels(&p.Mean, "-1000 to 1000"),
			doc: "number subtracted from a channel, whose values are 0 to 1",
			def: "0.5", without: preset, example: "preprocess: {mean: [0.485, 0.456, 0.406]}"},
		{name: "std", value: c.channels(&p.Std, "0.000001 to 1000"),
			doc: "number that a channel is divided by then",
			def: "0.5", without: preset, example: "preprocess: {std: [0.229, 0.224, 0.225]}"},
	}
}

// checkpoint reads FILE or {file: FILE, key: KEY}.
func (c *decoder) checkpoint(d *Description) value {
	return c.fileOr(&d.Checkpoint, []field{
		{name: "file", value: c.path(&d.Checkpoint), doc: "the file of the checkpoint", without: "must be given", example: "checkpoint: {file: last.pth, key: model_ema}"},
		{name: "key", value: c.text(&d.Key),
			doc: "which of several sets of weights in the file", without: "the usual one, which `multiway init` names", example: "checkpoint: {file: last.pth, key: model_ema}"},
	})
}

// tokenizer reads FILE or {file: FILE, form: FORM}.
func (c *decoder) tokenizer(d *Description) value {
	const example = "tokenizer: {file: tokenizer.json, form: open_clip}"
	return c.fileOr(&d.Tokenizer, []field{
		{name: "file", value: c.path(&d.Tokenizer), doc: "the file of the tokenizer", without: "must be given", example: example},
		{name: "form", value: word(c, "form of a tokenizer", &d.Form, "open_clip", "hf"),
			doc:     "how texts are cleaned before they are split: as OpenAI, big_vision and open_clip do it, or as Hugging Face's transformers; for WordPiece, open_clip is CLIPA's form, in which padding stands for [SEP]",
			without: "open_clip of bpe_simple_vocab_16e6.txt.gz, hf of the other files", example: example},
	})
}

// fileOr reads a file into dst, or a mapping of the fields, in which file, read into dst, must be given.
func (c *decoder) fileOr(dst *string, fields []field) value {
	return value{kind: "file, or mapping", fields: fields, read: func(n *node, path string) {
		if n.kind != mapNode {
			*dst = c.words(n, path)
			return
		}
		c.object(n, path, fields)
		if *dst == "" {
			c.fail(n, "%s.file is missing; want {file: FILE, %s: %s}, or just the file", path, fields[1].name, strings.ToUpper(fields[1].name))
		}
	}}
}

// tune reads on, off or {level: LEVEL}.
func (c *decoder) tune(d *Description) value {
	v := word(c, "switch", &d.Tune, "on", "off")
	v.kind = "word, or mapping"
	v.fields = []field{{name: "level", value: value{kind: "word", legal: strings.Join(tuneLevels(), ", "), read: c.text(&d.TuneLevel).read},
		doc: "CPU level for which the cost of finer formats is compared, whatever CPU builds", def: string(asm.AVX2), example: "tune: {level: avx512vnni}"}}
	one := v.read
	v.read = func(n *node, path string) {
		if n.kind == mapNode {
			c.object(n, path, v.fields)
			return
		}
		one(n, path)
	}
	return v
}

// precision reads WORD or {default: WORD, CLASS: WORD, keep: {MODULE: WORD}}.
func (c *decoder) precision(m *precision.Map) value {
	all := precision.Names()
	fields := []field{{name: "default", value: word(c, "precision", &m.Default, all...),
		doc: "format of all other weights", def: precision.F32, example: "precision: {default: int8}"}}
	for _, class := range precision.Classes {
		var w string
		v := word(c, "precision", &w, all...)
		one := v.read
		v.read = func(n *node, path string) {
			if m.Classes == nil {
				m.Classes = map[precision.Class]string{}
			}
			one(n, path)
			m.Classes[class] = w
		}
		fields = append(fields, field{name: string(class), value: v, doc: "format of " + class.Doc(), without: "as default; some coarse formats have a finer one", example: fmt.Sprintf("precision: {default: int8, %s: bf16}", class)})
	}
	var w string
	module := word(c, "precision", &w, all...)
	one := module.read
	module.any = func(key string, n *node, path string) {
		one(n, path)
		m.Overrides = append(m.Overrides, precision.Override{Module: key, Format: w})
	}
	fields = append(fields, field{name: "keep", value: c.open("{l11.ffn: bf16, l0: f32}", []field{{name: "MODULE", value: module, doc: "parts of a weight's name in their order, as `multiway dump` prints it", without: "as its class", example: "precision: {default: int8, keep: {l0.attn.out: f32}}"}}),
		doc: "formats of modules, by their names", without: "none; tuning chooses some for coarse formats", example: "precision: {default: int8, keep: {l11.ffn: bf16, l0: f32}}"})
	return value{kind: "word, or mapping", legal: strings.Join(all, ", "), such: "int8", fields: fields, read: func(n *node, path string) {
		switch n.kind {
		case textNode:
			fields[0].read(n, path)
		case mapNode:
			c.object(n, path, fields)
		default:
			c.fail(n, "%s: got %s, want %s, or a mapping of %s", path, n, strings.Join(all, ", "), strings.Join(names(fields), ", "))
		}
	}}
}

func (c *decoder) sizes(s *Sizes) []field {
	var fields []field
	for _, r := range sizeTable {
		f := field{name: r.name, value: c.whole(r.get(s), r.lo, r.hi), doc: r.doc, without: r.without, example: "sizes: {" + r.name + ": " + r.example + "}"}
		switch {
		case r.def > 0:
			f.def = strconv.Itoa(r.def)
		case r.def == 0 && r.lo == 0:
			f.def = "0"
		case r.def == 0 && r.without == "":
			f.without = "must be given"
		}
		fields = append(fields, f)
	}
	return append(fields,
		field{name: "absolute", value: c.flag(func(v bool) { s.Absolute = v }),
			doc: "vlmo: whether position embeddings are added, as in base_plus", def: "false", example: "sizes: {absolute: true}"},
		field{name: "scale", value: c.flag(func(v bool) { s.Scale = v }),
			doc: "vlmo: whether both halves of a layer have a layer scale", def: "false", example: "sizes: {scale: true}"},
		field{name: "act", value: word(c, "activation", &s.Act, activations()...),
			doc: "clip and its kin: activation in layers of pictures; tensors do not determine it, and a wrong one gives wrong results", without: "as in the family's first models", example: "sizes: {act: quick_gelu}"},
		field{name: "text", value: c.mapping([]field{
			{name: "dim", value: c.whole(&s.Text.Dim, 1, maxDim), doc: "width of the rows of a text", without: "must be given", example: "sizes: {text: {dim: 512}}"},
			{name: "heads", value: c.whole(&s.Text.Heads, 1, maxHeads), doc: "attention heads, a divisor of its dim", without: "must be given", example: "sizes: {text: {heads: 8}}"},
			{name: "ffn", value: c.whole(&s.Text.FFN, 1, maxFFN), doc: "width of the feed-forward block", without: "four times its dim", example: "sizes: {text: {ffn: 2048}}"},
			{name: "layers", value: c.whole(&s.Text.Layers, 1, maxLayers), doc: "number of layers", without: "must be given", example: "sizes: {text: {layers: 12}}"},
			{name: "act", value: word(c, "activation", &s.Text.Act, activations()...), doc: "activation of its layers", without: "as in the family's first models", example: "sizes: {text: {act: gelu}}"},
		}), doc: "clip and its kin: sizes of the tower of texts", without: "must be given", example: "sizes: {text: {dim: 512, heads: 8, layers: 12}}"},
		field{name: "eps", value: c.between(&s.Eps, "between 0 and 1", "1.0e-5", func(v float64) bool { return v > 0 && v < 1 }),
			doc: "epsilon of the norms of the layers and after them", def: "1.0e-5", without: "in vlmo 1.0e-6", example: "sizes: {eps: 1.0e-6}"})
}

// usualTexts says what limits.text is by default.
func usualTexts() string {
	s := strconv.Itoa(defaultText)
	for _, f := range families {
		if f.limit > 0 {
			s += fmt.Sprintf(", in %s %d", f.name, f.limit)
		}
	}
	return s + ", or the number of the model's positions"
}

// activations lists the names of activations.
func activations() (names []string) {
	for _, a := range ir.Activations {
		names = append(names, a.Name)
	}
	return names
}

// layoutNames lists the layouts of checkpoints.
func layoutNames() (names []string) {
	for _, l := range layouts {
		names = append(names, l.name)
	}
	return names
}

// modality lists the keys of an item of modalities.
func (c *decoder) modality(m *Modality) []field {
	in := func(item string) string { return "modalities: [{" + item + "}]" }
	const patch, token = "patch: ", "token: "
	stem := c.list("[4, 2, 2]", func(n *node, path string) { m.Stem = append(m.Stem, c.count(n, path, 2, maxPatch)) })
	stem.legal = fmt.Sprintf("2 to %d whole numbers", maxStem)
	return []field{
		{name: "name", value: c.text(&m.Name), doc: "name of the modality, its expert and its entry",
			without: "must be given", example: in("name: audio")},
		{name: "embedder", value: word(c, "embedder", &m.Embedder, Patch, Token),
			doc:     "patch: a row for each square of a picture, or of another input with that layout; token: a row for each token id",
			without: "must be given", example: in("embedder: patch")},
		{name: "size", value: value{kind: "whole number, or [HEIGHT, WIDTH]", legal: fmt.Sprintf("1 to %d", maxSide), read: func(n *node, path string) {
			if n.kind != listNode {
				m.Height = c.count(n, path, 1, maxSide)
				m.Width = m.Height
				return
			}
			if len(n.items) != 2 {
				c.fail(n, "%s: got %d numbers, want the side of a square, or [HEIGHT, WIDTH]", path, len(n.items))
				return
			}
			m.Height, m.Width = c.count(n.items[0], path, 1, maxSide), c.count(n.items[1], path, 1, maxSide)
		}}, doc: patch + "side of the input, or its sides; multiples of patch", without: "must be given with patch", example: in("size: [16, 40]")},
		{name: "patch", value: c.whole(&m.Patch, 1, maxPatch), doc: patch + "side of a square", without: "must be given with patch; with stem its product", example: in("patch: 8")},
		{name: "stem", value: stem,
			doc:     patch + "sides of squares that are embedded one after the other: squares of pixels, then squares of the rows of the stage before; a stage but the last is a linear, a norm if there is stem_norm, and the activation of the layers",
			without: "one linear", example: in("stem: [4, 2]")},
		{name: "stem_dim", value: c.whole(&m.StemDim, 1, maxDim), doc: patch + "width of a row between the stages of stem", without: "a quarter of dim", example: in("stem: [4, 2], stem_dim: 16")},
		{name: "stem_norm", value: c.between(&m.StemNorm, "between 0 and 1", "1.0e-5", func(v float64) bool { return v > 0 && v < 1 }),
			doc: patch + "epsilon of the norms between the stages of stem", without: "no such norms", example: in("stem: [4, 2], stem_norm: 1.0e-5")},
		{name: "channels", value: c.whole(&m.Channels, 1, maxChannels), doc: patch + "numbers per pixel", def: strconv.Itoa(defaultChannels), example: in("channels: 3")},
		{name: "vocab", value: c.whole(&m.Vocab, 1, maxVocab), doc: token + "size of the vocabulary", without: "must be given with token", example: in("vocab: 64010")},
		{name: "positions", value: c.whole(&m.Positions, 1, maxPositions),
			doc: token + "rows of the checkpoint's position table", def: strconv.Itoa(defaultPositions), example: in("positions: 1024")},
		{name: "unused", value: c.whole(&m.Unused, 0, maxPositions), doc: "rows at the start of the checkpoint's position table that are never read",
			without: "0; 2 in the layout of BEiT-3", example: in("unused: 2")},
		{name: "norm", value: c.between(&m.Norm, "between 0 and 1", "1.0e-5", func(v float64) bool { return v > 0 && v < 1 }),
			doc: "epsilon of a norm after the embedding", without: "no such norm", example: in("norm: 1.0e-5")},
		{name: "class", value: c.flag(func(v bool) { m.Classless = !v }), doc: patch + "whether there is a class token before the patches", def: "true", example: in("class: false")},
		{name: "rows", value: c.whole(&m.Rows, 1, maxPositions), doc: token + "every text is padded to this many tokens, which all take part in attention", without: "no padding", example: in("rows: 64")},
	}
}

// tower lists the keys of an item of towers.
func (c *decoder) tower(t *Tower) []field {
	in := func(item string) string { return "towers: [{" + item + "}]" }
	p := &t.Pool
	return []field{
		{name: "name", value: c.text(&t.Name), doc: "a word for it", without: "must be given", example: in("name: vision")},
		{name: "among", value: c.list("[vision]", func(n *node, path string) { t.Among = append(t.Among, c.words(n, path)) }),
			doc: "its modalities, in sequence order", without: "the modality of the same name", example: in("among: [vision]")},
		{name: "dim", value: c.whole(&t.Dim, 1, maxDim), doc: "width of a row", without: "must be given", example: in("dim: 768")},
		{name: "heads", value: c.whole(&t.Heads, 1, maxHeads), doc: "attention heads, a divisor of dim", without: "must be given", example: in("heads: 12")},
		{name: "ffn", value: c.whole(&t.FFN, 1, maxFFN), doc: "width of the feed-forward block", without: "four times dim", example: in("ffn: 3072")},
		{name: "eps", value: c.between(&t.Eps, "between 0 and 1", "1.0e-5", func(v float64) bool { return v > 0 && v < 1 }),
			doc: "epsilon of the norms of the layers and after them", def: "1.0e-5", example: in("eps: 1.0e-6")},
		{name: "act", value: word(c, "activation", &t.Act, activations()...), doc: "activation of the feed-forward blocks", def: ir.Activations[0].Name, example: in("act: quick_gelu")},
		{name: "causal", value: c.flag(func(v bool) { t.Causal = v }), doc: "whether attention is causal", def: "false", example: in("causal: true")},
		{name: "layers", value: mappings(c, "[{range: 0..12, attn: shared, ffn: shared, norms: pre}]", &t.Layers, func(r *LayerRange) []field {
			return c.layersIn(r, func(item string) string { return in("layers: [{" + item + "}]") })
		}),
			doc: "its layers, as the key layers", without: "must be given", example: in("layers: [{range: 0..12, attn: shared, ffn: shared, norms: pre}]")},
		{name: "final", value: word(c, "sharing", &t.Final, Shared, Pooled),
			doc: "whether modalities share the norm after the last layer", without: "as attn of the last layers; none if they have norms: post", example: in("final: shared")},
		{name: "pool", value: c.mapping([]field{
			{name: "row", value: word(c, "way to pool", &p.Row, PoolFirst, PoolLast, PoolMean, PoolMap),
				doc: "how rows are pooled: first row, last row, mean of the rows without a class token, or map: a learned query that attends to all rows", without: "must be given", example: in("pool: {row: first}")},
			{name: "norm", value: word(c, "place of the norm", &p.Norm, NormBefore, NormAfter),
				doc: "whether the norm after the last layer is before or after pooling", def: string(NormBefore), without: "none if layers have norms: post", example: in("pool: {norm: after}")},
			{name: "dim", value: c.whole(&p.Dim, 1, maxDim), doc: "width of the embedding", without: "must be given; with direct the tower's", example: in("pool: {dim: 512}")},
			{name: "direct", value: c.flag(func(v bool) { p.Direct = v }), doc: "whether the pooled row is the embedding, without a projection", def: "false", example: in("pool: {direct: true}")},
			{name: "hidden", value: c.whole(&p.Hidden, 1, maxFFN), doc: "hidden width of a projection of two linears", without: "one linear", example: in("pool: {hidden: 640}")},
			{name: "heads", value: c.whole(&p.Heads, 1, maxHeads), doc: "heads of map", without: "the tower's", example: in("pool: {row: map, heads: 12}")},
			{name: "ffn", value: c.whole(&p.FFN, 1, maxFFN), doc: "width of map's feed-forward block", without: "the tower's", example: in("pool: {row: map, ffn: 3072}")},
		}), doc: "how its rows become its embedding", without: "it has none", example: in("pool: {row: first, norm: after, dim: 512}")},
	}
}

// layers returns the table of the keys in one item of a description's list layers. Their values are read into r.
func (c *decoder) layers(r *LayerRange) []field {
	in := func(item string) string { return "layers: [{" + item + "}]" }
	// No layout of checkpoints with towers has tensors for these.
	return append(c.layersIn(r, in),
		field{name: "norms_of", value: word(c, "sharing", &r.NormsOf, Shared),
			doc: "shared: one norm before each half, or after it with norms: post, for all modalities and experts; norms inside belong to the half's weights", without: "as the half's weights", example: in("ffn: pooled, norms_of: shared")},
		field{name: "gate", value: c.flag(func(v bool) { r.Gate = v }),
			doc: "whether feed-forward blocks multiply the activation of their first linear, element by element, by another linear of the same rows, called gate in names of tensors",
			def: "false", example: in("gate: true")})
}

// layersIn is layers for a list anywhere in a description. in returns an example line with the given item.
func (c *decoder) layersIn(r *LayerRange, in func(item string) string) []field {
	joint := in("ffn: joint, experts: {vl: [vision, language]}")
	experts := c.open("{vl: [vision, language]}", []field{{name: "EXPERT", value: value{kind: "list", any: func(key string, n *node, path string) {
		e := Expert{Name: key}
		c.each(n, path, "[vision, language]", func(n *node, path string) { e.Modalities = append(e.Modalities, c.words(n, path)) })
		r.Experts = append(r.Experts, e)
	}}, doc: "modalities of the sequences that the expert takes, by the expert's name", without: "none", example: joint}})
	several := experts.read
	experts.kind = "text, or mapping"
	experts.read = func(n *node, path string) {
		if n.kind == mapNode {
			several(n, path)
			return
		}
		r.Experts = []Expert{{Name: c.words(n, path)}}
	}
	half := func(dst *Sharing) value { return word(c, "sharing", dst, Shared, Pooled, Joint) }
	return []field{
		{name: "range", value: value{kind: "FROM..TO", read: func(n *node, path string) {
			var ok bool
			if r.From, r.To, ok = span(n); !ok {
				c.fail(n, "%s: got %s, want FROM..TO, such as 0..12 for the first twelve layers", path, n)
			}
		}}, doc: "the layers from FROM to TO-1", without: "must be given", example: in("range: 0..12")},
		{name: "attn", value: half(&r.Attn),
			doc:     "sharing of attention's weights: shared by all modalities; pooled, one expert per modality; joint, pooled with further experts for sequences of several modalities",
			without: "must be given", example: in("attn: shared")},
		{name: "ffn", value: half(&r.FFN), doc: "the same for the feed-forward block", without: "must be given", example: in("ffn: pooled")},
		{name: "norms", value: word(c, "kind of norms", &r.Norms, Pre, Sub, Post),
			doc: "norms of each half of a layer: pre, one before it; sub, one before and one inside it, as in BEiT-3; post, one after it, as in BERT", def: string(Sub), example: in("norms: pre")},
		{name: "experts", value: experts, doc: "with joint: the name of the expert for all sequences of several modalities, or experts with the modalities that they take",
			without: "one called joint", example: joint},
	}
}

// options returns the table of the option keys of a task in a description. Their values are read into t.
func (c *decoder) options(t *Task) []field {
	with := func(is func(*task) bool) string { return strings.Join(tasksWith(is), ", ") }
	return []field{
		{name: "classes", value: c.whole(&t.Classes, 1, maxClasses),
			doc:     with(func(t *task) bool { return t.has("classes") }) + ": number of classes",
			without: "number of labels; else the preset's; in " + with(func(t *task) bool { return t.classes == 2 }) + " 2", example: "tasks: [{classification: {classes: 1000}}]"},
		{name: "labels", value: c.path(&t.Labels),
			doc:     "the same tasks: file with the names of the classes in their order, one per line, or as JSON, a list or an object with the number of each",
			without: "none", example: "tasks: [{vqa: {labels: answer2label.txt}}]"},
		{name: "list", value: c.text(&t.List),
			doc: "name of a list in a JSON file with several lists; id2label in a config.json of Hugging Face", without: "none; must be given for such a file", example: "tasks: [{classification: {labels: labels.json, list: groups}}]"},
		{name: "norm", value: c.flag(func(v bool) { t.Norm = &v }),
			doc: with(func(t *task) bool { return t.has("norm") }) + ": whether the norm after the last layer is applied", def: "true", without: "false for presets whose checkpoint has none", example: "tasks: [{encode: {norm: false}}]"},
	}
}

// tasks reads a list of tasks, each NAME or {NAME: {OPTION: VALUE}}.
func (c *decoder) tasks(all *[]Task) value {
	v := c.list("[retrieval, encode]", func(n *node, path string) { *all = append(*all, c.task(n, path)) })
	v.legal = strings.Join(TaskNames(), ", ")
	v.under, v.fields = "[].TASK", c.options(new(Task))
	return v
}

func (c *decoder) task(n *node, path string) Task {
	var t Task
	if n.kind == textNode {
		t.Name = c.words(n, path)
		return t
	}
	if n.kind != mapNode || len(n.keys) != 1 {
		c.fail(n, "%s: got %s, want a task's name, or {NAME: {OPTION: VALUE}}", path, n)
		return t
	}
	t.Name = n.keys[0].text
	known, ok := taskOptions(t.Name)
	if !ok {
		c.fail(n, "%s: %s", path, unknown("task", t.Name, TaskNames()))
		return t
	}
	options := slices.DeleteFunc(c.options(&t), func(f field) bool { return !slices.Contains(known, f.name) })
	value := n.items[0]
	switch {
	case value.kind == nullNode:
	case len(options) == 0:
		c.fail(value, "%s: task %s has no options; write just %s", path, t.Name, t.Name)
	default:
		c.object(value, path+"."+t.Name, options)
	}
	return t
}
