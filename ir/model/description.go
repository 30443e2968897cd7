package model

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/precision"
)

// Schema is the version of the description's YAML, its field `model`.
const Schema = 1

// Description is what a model is and what is compiled of it. The zero value of a
// field means its default. Parse, Load and Preset return descriptions with every default
// filled in and every field checked, as Complete does.
type Description struct {
	File   string // where it was read, "" when it was not; relative paths start at its folder
	Name   string // program and package name: a lower-case Go identifier
	Preset string // name in the table of presets, or ""
	Family string // beit3, mwt, vlmo; "" = the long form
	Sizes  Sizes
	Long   Structure // the long form, which families are presets of

	Checkpoint string // path as written, or ""
	Key        string // of one of several sets of weights in it, "" = the usual one
	// Interpolate lets the checkpoint's table of image positions be of another size than
	// Sizes.Image: it is resized, bicubic, as the official code does before fine-tuning.
	Interpolate bool
	Seed        *uint64 // weights from the generator splitmix64-v1 instead of a checkpoint
	Tokenizer   string  // path as written, or ""

	Tasks      []Task
	Entries    []string // entries to compile; by default the entries of the tasks
	Limits     Limits
	Preprocess Preprocess
	Decoders   []string      // formats of images that are read besides, of those in Decoders
	Precision  precision.Map // how weights are stored
	Cosine     float64       // least cosine of a row of an output to the float64 model that a build at another precision than f32 accepts; 0 = any
	Samples    string        // path, as written, of a folder of images and texts that a reduced precision is chosen and judged by, or ""
	Tune       string        // "off": no module is stored finer than Precision says; "" or "on": modules that Precision is too coarse for are
	TuneLevel  string        // of CPUs: what finer modules cost is what they cost there; default avx2
	Smooth     string        // "off": no norm is smoothed where rows are rounded to bytes; "" or "on": norms that gain by it are
}

// Sizes are the numbers of a family's model. The long form has Dim, Heads, FFN and Eps
// of them, and Layers, which follow from its rows.
type Sizes struct {
	Dim       int     // width D of a row
	Heads     int     // attention heads; a divisor of Dim
	FFN       int     // width of the feed-forward block; default 4*Dim
	Layers    int     // number of layers
	Image     int     // side of the square image, in pixels; a multiple of Patch; see Description.Interpolate
	Patch     int     // side of a patch, in pixels
	Channels  int     // colours of a pixel; default 3
	Vocab     int     // rows of the token table
	Positions int     // rows of the checkpoint's text position table, two of them unused but in vlmo; default 1024, in vlmo 40
	VLLayers  int     // mwt, vlmo: top layers with an expert for pairs; default 0
	Reach     int     // vlmo: longest text that the relative position bias is made for; 0 = no bias
	Types     int     // vlmo: rows of the checkpoint's table of types; default 2, with task nlvr2 3
	Absolute  bool    // vlmo: positions are added to the rows
	Scale     bool    // vlmo: both halves of a layer have a layer scale
	Eps       float64 // epsilon of the layers' norms and the final one; default 1e-5, in vlmo and siglip 1e-6

	// Of families with a tower for texts, whose pictures have the sizes above.
	Embed int    // width of an embedding
	Act   string // activation of the picture's layers
	Text  TowerSizes
}

// TowerSizes are the numbers of a tower of texts.
type TowerSizes struct {
	Dim, Heads, FFN, Layers int
	Act                     string
}

// Task is one thing to compute from the encoder's rows.
type Task struct {
	Name    string // one of TaskNames
	Classes int    // of a head with classes: number of logits; 0 = as many as there are labels
	Labels  string // of a head with classes: file with their names, or ""
	List    string // of a head with classes: which list of a JSON labels file, or ""
	Norm    *bool  // encode: apply the encoder's final norm; nil = true, but false for presets whose checkpoint has none
}

// Limits bound what one call of the compiled model takes.
type Limits struct {
	Text   int // longest text in tokens, with <s> and </s>; default 64, at most Positions-2
	Rows   int // packed rows a modality and call; larger batches are split; default 2048
	Pixels int // largest image to decode, in pixels; 0 = the image reader's default

	MaxNew int   // captioning: most ids after <s>, </s> included; default Text-1
	Ban    []IDs // captioning: ids that a caption never has
}

// IDs are the ids From, From+1, ... To-1.
type IDs struct{ From, To int }

// Preprocess says how an image becomes the input tensor: resized, divided by 255,
// minus Mean, divided by Std, one number a channel.
type Preprocess struct {
	Resize string // stretch: to Size x Size; crop: the shorter side to Size, then the centre Size x Size
	Size   int    // equals Sizes.Image
	Filter string // of the resize: bicubic or bilinear
	Offset string // how crop rounds half an odd surplus: even or floor
	RGB    string // when an image is converted to RGB: first, before the resize, or last, after it
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
	if p := d.complete(); p != nil {
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
	c.object(root, "", c.fields(d))
	return d
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
