package model

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/multiway-go/multiway/ir/file"
	"github.com/multiway-go/multiway/ir/precision"
)

// Schema is the version of the description's YAML, its field `model`.
const Schema = 1

// Description describes a model and which parts of it to compile. The zero value of a field
// stands for its default. Parse, Load and Preset return descriptions that are completed: with
// all defaults filled in and every field checked.
type Description struct {
	File   string // its file, or ""; relative paths start at the folder of the file
	Name   string // program and package name: a lower-case Go identifier
	Preset string // name in the table of presets, or ""
	Family string // beit3, mwt, vlmo; "" = the long form
	Sizes  Sizes
	Long   Structure // the long form; a family is a short form of it

	Checkpoint string // path as written, or ""
	Key        string // which of several sets of weights in the checkpoint to use; "" = the usual one
	// Interpolate allows a checkpoint for another image size than Sizes.Image: its table of image
	// positions is resized, bicubic, as the reference implementation does before fine-tuning.
	Interpolate bool
	Seed        *uint64 // weights from the generator splitmix64-v1 instead of a checkpoint
	Tokenizer   string  // path as written, or ""
	Form        string  // form of the tokenizer, if its file allows several: open_clip or hf; "" = the usual one of such a file

	Tasks      []Task
	Entries    []string // entries to compile; by default the entries of the tasks
	Limits     Limits
	Preprocess Preprocess
	Decoders   []string      // further image formats to read, from the list Decoders
	Precision  precision.Map // formats of weights
	Cosine     float64       // least cosine of an output row with the model in float64 that a build accepts at another precision than f32; 0 = any
	Samples    string        // path, as written, of a folder of images and texts on which formats are chosen and checked, or ""
	Tune       string        // "off": all modules have the format of Precision; "" or "on": modules that need a finer format get one
	TuneLevel  string        // the CPU level for which the cost of finer formats is compared; default avx2
	Smooth     string        // "off": no norm is smoothed; "" or "on": norms before int8 products are smoothed if that reduces the error
}

// Sizes are the sizes of a family's model. The long form has only Dim, Heads, FFN and Eps of
// them; its Layers follow from its list of layers.
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
	VLLayers  int     // mwt, vlmo: number of top layers with an expert for pairs; default 0
	Reach     int     // vlmo: longest text that the relative position bias covers; 0 = no bias
	Types     int     // vlmo: rows of the checkpoint's table of modality types; default 2, with task nlvr2 3
	Absolute  bool    // vlmo: position embeddings are added to the tokens
	Scale     bool    // vlmo: both halves of a layer have a layer scale
	Eps       float64 // epsilon of the layers' norms and the final one; default 1e-5, in vlmo and siglip 1e-6

	// For families with a text tower; the sizes above are those of the pictures.
	Embed int    // width of an embedding
	Act   string // activation of the picture's layers
	Text  TowerSizes
}

// TowerSizes are the sizes of a text tower.
type TowerSizes struct {
	Dim, Heads, FFN, Layers int
	Act                     string
}

// Task is a head on the encoder's rows.
type Task struct {
	Name    string // one of TaskNames
	Classes int    // of a head with classes: number of logits; 0 = the number of labels
	Labels  string // of a head with classes: file with their names, or ""
	List    string // of a head with classes: name of a list in a JSON labels file, or ""
	Norm    *bool  // encode: apply the encoder's final norm; nil = true, but false for presets whose checkpoint has none
}

// Limits bound the input of one call of the compiled model.
type Limits struct {
	Text   int // longest text in tokens, with <s> and </s>; default 64, at most Positions-2
	Rows   int // packed rows per modality and call; larger batches are split; default 2048
	Pixels int // largest image to decode, in pixels; 0 = the image reader's default

	MaxNew int   // captioning: most tokens after <s>, </s> included; default Text-1
	Ban    []IDs // captioning: token ids that a caption never contains
}

// IDs is a range of token ids: From to To-1.
type IDs struct{ From, To int }

// Preprocess describes how an image becomes the input tensor: it is resized and divided by
// 255, then Mean is subtracted and the result divided by Std, each one number per channel.
type Preprocess struct {
	Resize string // stretch: to Size x Size; crop: the shorter side to Size, then the centre Size x Size
	Size   int    // equals Sizes.Image
	Filter string // of the resize: bicubic or bilinear
	Offset string // how crop rounds half of an odd margin: even or floor
	RGB    string // when an image is converted to RGB: first, before the resize, or last, after it
	Draft  bool   // whether JPEGs are reduced by their decoder before the resize
	Alpha  string // treatment of transparency: white or black as the background, or drop: the colours of the file
	Mean   []float64
	Std    []float64
}

// Load reads the description in a file. If a classification task has labels but no number
// of classes, it counts the labels.
func Load(path string) (*Description, error) {
	src, err := file.ReadText(path, maxText)
	if err != nil {
		if st, no := os.Stat(path); no == nil && (st.IsDir() || st.Size() > maxText) {
			err = fmt.Errorf("%w; this is no description: `multiway init` writes one for a checkpoint or for a folder with one", err)
		}
		return nil, err
	}
	d, err := Parse(path, src)
	if err != nil {
		return nil, err
	}
	return d, d.countLabels()
}

// Parse reads a description. file is its name in errors, and relative paths start at the
// folder of file; it is not opened. The result shares no memory with src.
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

// description converts the tree to a Description without defaults.
func (c *decoder) description(root *node) *Description {
	d := &Description{File: c.file}
	// Check the version first: a later schema may have other fields.
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

// ids reads a token id, or FROM..TO.
func (c *decoder) ids(n *node, path string) IDs {
	if n.kind == wholeNode {
		id := c.count(n, path, 0, maxVocab)
		return IDs{id, id + 1}
	}
	from, to, ok := span(n)
	if !ok {
		c.fail(n, "%s: got %s, want a token id, or FROM..TO, such as 2001..2010 for the ids from 2001 to 2009", path, n)
	}
	return IDs{from, to}
}
