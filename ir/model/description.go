package model

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/file"
	"github.com/multiway-go/multiway/ir/precision"
)

// Schema is the version of the description's YAML, its field `model`.
const Schema = 1

// Description is what a model is and what is compiled of it. The zero value of a
// field means its default; the constructors Parse, Load, Preset and FromGolden
// return descriptions with every default filled in and every field checked.
type Description struct {
	File   string // where it was read, "" when it was not; relative paths start at its folder
	Name   string // program and package name: a lower-case Go identifier
	Preset string // name in the table of presets, or ""
	Family string // beit3, mwt, vlmo; "" = the long form
	Sizes  Sizes
	Long   Structure // the long form, which families are presets of

	Checkpoint string // path as written, or ""
	Key        string // of one of several sets of weights in it, "" = the usual one
	// Interpolate lets the checkpoint's table of picture positions be of another size than
	// Sizes.Image: it is resized, bicubic, as the official code does before fine-tuning.
	Interpolate bool
	Seed        *uint64 // weights from the generator splitmix64-v1 instead of a checkpoint
	Tokenizer   string  // path as written, or ""

	Tasks      []Task
	Entries    []string // entries to compile; by default those that the tasks have
	Limits     Limits
	Preprocess Preprocess
	Precision  precision.Map // how weights are stored
	Cosine     float64       // least cosine of a row of an output to the float64 model that a build at another precision than f32 accepts; 0 = any
	Samples    string        // path, as written, of a folder of pictures and texts that a reduced precision is chosen and judged by, or ""
	Smooth     string        // "off": no norm is smoothed where rows are rounded to bytes; "" or "on": those that gain by it
}

// Sizes are the numbers of a family's model. The long form has Dim, Heads, FFN and Eps
// of them, and Layers, which follow from its rows.
type Sizes struct {
	Dim       int     // width D of a row
	Heads     int     // attention heads; a divisor of Dim
	FFN       int     // width of the feed-forward block; default 4*Dim
	Layers    int     // number of layers
	Image     int     // side of the square picture, in pixels; a multiple of Patch; see Description.Interpolate
	Patch     int     // side of a patch, in pixels
	Channels  int     // colours of a pixel; default 3
	Vocab     int     // rows of the token table
	Positions int     // rows of the checkpoint's text position table, two of them unused but in vlmo; default 1024, in vlmo 40
	VLLayers  int     // mwt, vlmo: top layers with an expert for pairs; default 0
	Reach     int     // vlmo: longest text that the relative position bias is made for; 0 = no bias
	Types     int     // vlmo: rows of the checkpoint's table of types; default 2, with task nlvr2 3
	Absolute  bool    // vlmo: positions are added to the rows
	Scale     bool    // vlmo: both halves of a layer have a layer scale
	Eps       float64 // epsilon of the layers' norms and the final one; default 1e-5, in vlmo 1e-6
}

// Task is one thing to compute from the encoder's rows.
type Task struct {
	Name    string // encode, retrieval, classification, vqa, nlvr2; of vlmo also retrieval_vl, itm, mlm
	Classes int    // of a head with classes: number of logits; 0 = as many as there are labels
	Labels  string // of a head with classes: file with their names, or ""
	List    string // of a head with classes: which list of a JSON labels file, or ""
	Norm    *bool  // encode: apply the encoder's final norm; nil = true, but false for presets whose checkpoint has none
}

// Limits bound what one call of the compiled model takes.
type Limits struct {
	Text   int // longest text in tokens, with <s> and </s>; default 64, at most Positions-2
	Rows   int // packed rows a modality and call; larger batches are split; default 2048
	Pixels int // largest picture to decode, in pixels; 0 = the image reader's default

	MaxNew int   // captioning: most ids after <s>, </s> included; default Text-1
	Ban    []IDs // captioning: ids that a caption never has
}

// IDs are the ids From, From+1, ... To-1.
type IDs struct{ From, To int }

// Preprocess says how a picture becomes the input tensor: resized, divided by 255,
// minus Mean, divided by Std, one number a channel.
type Preprocess struct {
	Resize string // stretch: to Size x Size; crop: the shorter side to Size, then the centre Size x Size
	Size   int    // equals Sizes.Image
	Alpha  string // what is seen of transparency: white or black beneath it; drop: the colours that the file holds
	Mean   []float64
	Std    []float64
}

// Load reads the description in a file. Where a classification task has labels but
// no number of classes, it counts the labels.
func Load(path string) (*Description, error) {
	src, err := file.ReadText(path, maxText)
	if err != nil {
		return nil, err
	}
	d, err := Parse(path, src)
	if err != nil {
		return nil, err
	}
	return d, d.countLabels()
}

// Parse reads a description. file names it in errors and is where relative paths
// start; it is not opened. The result shares no memory with src.
func Parse(file string, src []byte) (*Description, error) {
	root, err := parseYAML(file, src)
	if err != nil {
		return nil, err
	}
	c := &decoder{file: file, at: map[string]place{}}
	d := c.description(root)
	if c.err != nil {
		return nil, c.err
	}
	if p := d.complete(true); p != nil {
		at := c.where(p.path)
		return nil, placed(file, at.line, at.col, "%s", p.text)
	}
	return d, nil
}

// Path resolves a path of the description, which starts at the description's folder.
func (d *Description) Path(name string) string {
	if name == "" || filepath.IsAbs(name) || d.File == "" {
		return name
	}
	return filepath.Join(filepath.Dir(d.File), name)
}

// description reads the tree into a Description whose defaults are not filled in.
func (c *decoder) description(root *node) *Description {
	d := &Description{File: c.file}
	// The version comes first: a later schema may have fields this one does not know.
	if root.kind == mapNode {
		i := slices.IndexFunc(root.keys, func(k *node) bool { return k.text == "model" })
		if i < 0 {
			c.fail(root, "the schema version is missing; add the line `model: %d`", Schema)
			return d
		}
		if v := root.items[i]; v.kind != wholeNode || v.negative || v.whole != Schema {
			c.fail(v, "model: got %s, want %d, the schema version that this multiway reads", v, Schema)
			return d
		}
	}
	word := func(dst *string) func(*node, string) {
		return func(n *node, path string) { *dst = c.words(n, path) }
	}
	c.object(root, "", []field{
		{"model", func(*node, string) {}},
		{"name", word(&d.Name)},
		{"preset", func(n *node, path string) { c.preset(d, n, path) }},
		{"family", word(&d.Family)},
		{"sizes", func(n *node, path string) { c.sizes(&d.Sizes, n, path) }},
		{"modalities", func(n *node, path string) {
			c.each(n, path, "{name: vision, embedder: patch, size: 224, patch: 16}", func(n *node, path string) {
				d.Long.Modalities = append(d.Long.Modalities, c.modality(n, path))
			})
		}},
		{"layers", func(n *node, path string) {
			c.each(n, path, "{range: 0..12, attn: shared, ffn: pooled}", func(n *node, path string) {
				d.Long.Layers = append(d.Long.Layers, c.layers(n, path))
			})
		}},
		{"final", func(n *node, path string) { d.Long.Final = Sharing(c.words(n, path)) }},
		{"keys", func(n *node, path string) { c.keys(&d.Long.Keys, n, path) }},
		{"checkpoint", func(n *node, path string) { c.checkpoint(d, n, path) }},
		{"interpolate", func(n *node, path string) {
			if v := c.flag(n, path); v != nil {
				d.Interpolate = *v
			}
		}},
		{"seed", func(n *node, path string) {
			if n.kind != wholeNode || n.negative {
				c.fail(n, "%s: got %s, want a whole number from 0", path, n)
			}
			d.Seed = &n.whole
		}},
		{"tokenizer", word(&d.Tokenizer)},
		{"tasks", func(n *node, path string) {
			c.each(n, path, "[retrieval, encode]", func(n *node, path string) { d.Tasks = append(d.Tasks, c.task(n, path)) })
		}},
		{"entries", func(n *node, path string) {
			c.each(n, path, "[vision, language]", func(n *node, path string) { d.Entries = append(d.Entries, c.words(n, path)) })
		}},
		{"limits", func(n *node, path string) {
			c.object(n, path, []field{
				{"text", func(n *node, path string) { d.Limits.Text = c.count(n, path, 1, 1<<20) }},
				{"rows", func(n *node, path string) { d.Limits.Rows = c.count(n, path, 1, maxRows) }},
				{"pixels", func(n *node, path string) { d.Limits.Pixels = c.count(n, path, 1, maxPixels) }},
				{"max_new", func(n *node, path string) { d.Limits.MaxNew = c.count(n, path, 1, 1<<20) }},
				{"ban", func(n *node, path string) {
					c.each(n, path, "[0, 1, 3, 2001..2010]", func(n *node, path string) { d.Limits.Ban = append(d.Limits.Ban, c.ids(n, path)) })
				}},
			})
		}},
		{"preprocess", func(n *node, path string) {
			c.object(n, path, []field{
				{"resize", word(&d.Preprocess.Resize)},
				{"size", func(n *node, path string) { d.Preprocess.Size = c.count(n, path, 1, 1<<13) }},
				{"alpha", word(&d.Preprocess.Alpha)},
				{"mean", func(n *node, path string) { d.Preprocess.Mean = c.numbers(n, path) }},
				{"std", func(n *node, path string) { d.Preprocess.Std = c.numbers(n, path) }},
			})
		}},
		{"precision", func(n *node, path string) { c.precision(&d.Precision, n, path) }},
		{"cosine", func(n *node, path string) {
			if d.Cosine = n.number; n.kind != wholeNode && n.kind != floatNode || !(d.Cosine > 0 && d.Cosine <= 1) {
				c.fail(n, "%s: got %s, want a number above 0 and up to 1, such as 0.9995", path, n)
			}
		}},
		{"samples", word(&d.Samples)},
		{"smooth", func(n *node, path string) {
			if d.Smooth = n.text; n.kind != textNode || d.Smooth != "on" && d.Smooth != "off" {
				c.fail(n, "%s: got %s, want on or off", path, n)
			}
		}},
	})
	return d
}

func (c *decoder) preset(d *Description, n *node, path string) {
	d.Preset = c.words(n, path)
	if c.err != nil {
		return
	}
	if _, err := findPreset(d.Preset); err != nil {
		c.fail(n, "%v", err)
	}
}

// checkpoint reads FILE or {file: FILE, key: KEY}.
func (c *decoder) checkpoint(d *Description, n *node, path string) {
	if n.kind != mapNode {
		d.Checkpoint = c.words(n, path)
		return
	}
	c.object(n, path, []field{
		{"file", func(n *node, path string) { d.Checkpoint = c.words(n, path) }},
		{"key", func(n *node, path string) { d.Key = c.words(n, path) }},
	})
	if d.Checkpoint == "" {
		c.fail(n, "%s.file is missing; want {file: FILE, key: KEY}, or just the file", path)
	}
}

// precision reads WORD or {default: WORD, CLASS: WORD, keep: {MODULE: WORD}}.
func (c *decoder) precision(m *precision.Map, n *node, path string) {
	read := func(n *node, path string) string {
		name := c.words(n, path)
		if c.err != nil {
			return ""
		}
		if _, ok := precision.Named(name); !ok {
			c.fail(n, "%s: %s", path, unknown("precision", name, precision.Names()))
		}
		return name
	}
	if n.kind == textNode {
		m.Default = read(n, path)
		return
	}
	fields := []field{{"default", func(n *node, path string) { m.Default = read(n, path) }}}
	for _, class := range precision.Classes {
		fields = append(fields, field{string(class), func(n *node, path string) {
			if m.Classes == nil {
				m.Classes = map[precision.Class]string{}
			}
			m.Classes[class] = read(n, path)
		}})
	}
	fields = append(fields, field{"keep", func(n *node, path string) {
		if n.kind != mapNode {
			c.fail(n, "%s: got %s, want a mapping such as {l11.ffn: bf16, l0: f32}", path, n)
			return
		}
		for i, key := range n.keys {
			p := join(path, key.text)
			if slices.ContainsFunc(m.Keep, func(k precision.Keep) bool { return k.Module == key.text }) {
				c.fail(key, "%s is given twice; remove one", p)
			}
			c.at[p] = place{key.line, key.col}
			m.Keep = append(m.Keep, precision.Keep{Module: key.text, Word: read(n.items[i], p)})
		}
	}})
	if n.kind != mapNode {
		c.fail(n, "%s: got %s, want %s, or a mapping of %s", path, n, strings.Join(precision.Names(), ", "), strings.Join(names(fields), ", "))
		return
	}
	c.object(n, path, fields)
}

func (c *decoder) sizes(s *Sizes, n *node, path string) {
	var fields []field
	for _, r := range sizeTable {
		fields = append(fields, field{r.name, func(n *node, path string) { *r.get(s) = c.count(n, path, r.lo, r.hi) }})
	}
	for _, f := range []struct {
		name string
		dst  *bool
	}{{"absolute", &s.Absolute}, {"scale", &s.Scale}} {
		fields = append(fields, field{f.name, func(n *node, path string) {
			if v := c.flag(n, path); v != nil {
				*f.dst = *v
			}
		}})
	}
	fields = append(fields, field{"eps", func(n *node, path string) {
		if v := c.numbers(n, path); len(v) == 1 {
			s.Eps = v[0]
		}
		if !(s.Eps > 0 && s.Eps < 1) {
			c.fail(n, "%s: got %s, want a number between 0 and 1, such as 1.0e-5", path, n)
		}
	}})
	c.object(n, path, fields)
}

// modality reads a row of modalities.
func (c *decoder) modality(n *node, path string) Modality {
	var m Modality
	whole := func(dst *int, hi int) func(*node, string) {
		return func(n *node, path string) { *dst = c.count(n, path, 1, hi) }
	}
	c.object(n, path, []field{
		{"name", func(n *node, path string) { m.Name = c.words(n, path) }},
		{"embedder", func(n *node, path string) { m.Embedder = Embedder(c.words(n, path)) }},
		{"size", func(n *node, path string) {
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
		}},
		{"patch", whole(&m.Patch, maxPatch)},
		{"channels", whole(&m.Channels, maxChannels)},
		{"vocab", whole(&m.Vocab, maxVocab)},
		{"positions", whole(&m.Positions, maxPositions)},
	})
	return m
}

// layers reads a row of layers.
func (c *decoder) layers(n *node, path string) LayerRange {
	var r LayerRange
	c.object(n, path, []field{
		{"range", func(n *node, path string) {
			var ok bool
			if r.From, r.To, ok = span(n); !ok {
				c.fail(n, "%s: got %s, want FROM..TO, such as 0..12 for the first twelve layers", path, n)
			}
		}},
		{"attn", func(n *node, path string) { r.Attn = Sharing(c.words(n, path)) }},
		{"ffn", func(n *node, path string) { r.FFN = Sharing(c.words(n, path)) }},
		{"norms", func(n *node, path string) { r.Norms = Norms(c.words(n, path)) }},
		{"experts", func(n *node, path string) {
			if n.kind != mapNode {
				r.Experts = []Expert{{Name: c.words(n, path)}}
				return
			}
			for i, k := range n.keys {
				e := Expert{Name: k.text}
				p := join(path, k.text)
				c.at[p] = place{k.line, k.col}
				c.each(n.items[i], p, "[vision, language]", func(n *node, path string) { e.Modalities = append(e.Modalities, c.words(n, path)) })
				r.Experts = append(r.Experts, e)
			}
		}},
	})
	return r
}

// span reads FROM..TO.
func span(n *node) (from, to int, ok bool) {
	a, b, ok := strings.Cut(n.text, "..")
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	return from, to, n.kind == textNode && ok && err1 == nil && err2 == nil
}

// ids reads an id, or FROM..TO.
func (c *decoder) ids(n *node, path string) IDs {
	if n.kind == wholeNode {
		id := c.count(n, path, 0, maxVocab)
		return IDs{id, id + 1}
	}
	from, to, ok := span(n)
	if !ok {
		c.fail(n, "%s: got %s, want an id, or FROM..TO, such as 2001..2010 for the ids from 2001 to 2009", path, n)
	}
	return IDs{from, to}
}

// keys reads the words of a checkpoint: prefix, and one for each expert that is not
// called by its name. Which experts there are is checked later.
func (c *decoder) keys(k *Keys, n *node, path string) {
	if n.kind != mapNode {
		c.fail(n, "%s: got %s, want a mapping such as {prefix: beit3., vision: A, language: B}", path, n)
		return
	}
	for i, key := range n.keys {
		p := join(path, key.text)
		c.at[p] = place{key.line, key.col}
		switch word := c.words(n.items[i], p); {
		case key.text == "prefix":
			k.Prefix = word
		case k.Experts[key.text] != "":
			c.fail(key, "%s is given twice; remove one", p)
		default:
			if k.Experts == nil {
				k.Experts = map[string]string{}
			}
			k.Experts[key.text] = word
		}
	}
}

// task reads NAME or {NAME: {option: value}}.
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
		c.fail(n, "%s: %s", path, unknown("task", t.Name, taskNames()))
		return t
	}
	all := []field{
		{"classes", func(n *node, path string) { t.Classes = c.count(n, path, 1, maxClasses) }},
		{"labels", func(n *node, path string) { t.Labels = c.words(n, path) }},
		{"list", func(n *node, path string) { t.List = c.words(n, path) }},
		{"norm", func(n *node, path string) { t.Norm = c.flag(n, path) }},
	}
	options := slices.DeleteFunc(all, func(f field) bool { return !slices.Contains(known, f.name) })
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
