package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/ir/checkpoint"
)

// Tensor is a tensor in row-major order: Floats, or Ints if it has an integer type.
type Tensor struct {
	Shape  []int
	Floats []float32
	Ints   []int64
}

// Input reads an input of a run by its logical name.
func (c *Case) Input(r *Run, name string) (*Tensor, error) {
	key, ok := r.Inputs[name]
	if !ok {
		return nil, fmt.Errorf("%s: run %s has no input %q", c.Dir, r.Name, name)
	}
	src, err := c.source(inputsFile)
	if err != nil {
		return nil, err
	}
	t, err := load(src, key)
	if err != nil {
		return nil, fmt.Errorf("run %s: input %q: %w", r.Name, name, err)
	}
	return t, nil
}

func load(src checkpoint.Source, key string) (*Tensor, error) {
	t := &Tensor{}
	info, ok := checkpoint.Find(src, key)
	t.Shape = info.Shape
	var err error
	if ok && !info.DType.Float() {
		t.Ints, err = checkpoint.LoadInts(src, key)
	} else {
		t.Floats, err = checkpoint.LoadAny(src, key)
	}
	return t, err
}

// Batch is the input of a model run, checked and split into sequences.
type Batch struct {
	Size   int                    // sequences
	Images map[string][][]float32 // "image", or "image_a" and "image_b": an image [3,S,S] for each sequence
	IDs    [][]int32              // token ids of each sequence, without padding; nil without text
	Text   int                    // padded length of the text; 0 without text
}

// Batch reads, checks and splits the inputs of a model run. An input that is missing or has another shape is an error.
func (c *Case) Batch(r *Run) (*Batch, error) {
	b, err := c.batch(r)
	if err != nil {
		return nil, fmt.Errorf("%s: run %s: %w", c.Dir, r.Name, err)
	}
	return b, nil
}

func (c *Case) batch(r *Run) (*Batch, error) {
	b := &Batch{Images: map[string][][]float32{}}
	sized := func(name string, n int) error {
		if b.Size == 0 {
			b.Size = n
		}
		if n == 0 || n != b.Size {
			return fmt.Errorf("input %q has %d sequences, others have %d", name, n, b.Size)
		}
		return nil
	}
	for _, name := range []string{"image", "image_a", "image_b"} {
		if _, ok := r.Inputs[name]; !ok {
			continue
		}
		t, err := c.Input(r, name)
		if err != nil {
			return nil, err
		}
		s := c.Config.imageSize()
		if t.Floats == nil || len(t.Shape) != 4 || !slices.Equal(t.Shape[1:], []int{3, s, s}) {
			return nil, fmt.Errorf("input %q has shape %v, want floats of shape [B 3 %d %d]", name, t.Shape, s, s)
		}
		if err := sized(name, t.Shape[0]); err != nil {
			return nil, err
		}
		for i := range b.Size {
			b.Images[name] = append(b.Images[name], t.Floats[i*3*s*s:(i+1)*3*s*s:(i+1)*3*s*s])
		}
	}
	lens, text, err := c.lengths(r)
	if err != nil {
		return nil, err
	}
	if lens != nil {
		if err := sized("text_ids", len(lens)); err != nil {
			return nil, err
		}
		b.Text = text
		t, err := c.Input(r, "text_ids")
		if err != nil {
			return nil, err
		}
		for i, n := range lens {
			ids := make([]int32, n)
			for j := range ids {
				id := t.Ints[i*text+j]
				if vocab := c.Config.vocabSize(); id < 0 || id >= int64(vocab) {
					return nil, fmt.Errorf("input \"text_ids\": sequence %d has id %d at %d, want 0 to %d", i, id, j, vocab-1)
				}
				ids[j] = int32(id)
			}
			b.IDs = append(b.IDs, ids)
		}
	}
	if b.Size == 0 {
		return nil, fmt.Errorf("has neither an image nor text_ids")
	}
	return b, nil
}

// lengths returns the length of each text of the run in tokens, without padding, and the padded length of all; nil for a
// run without texts.
func (c *Case) lengths(r *Run) (lens []int, padded int, err error) {
	if _, ok := r.Inputs["text_ids"]; !ok {
		return nil, 0, nil
	}
	ids, err := c.Input(r, "text_ids")
	if err != nil {
		return nil, 0, err
	}
	if ids.Ints == nil || len(ids.Shape) != 2 {
		return nil, 0, fmt.Errorf("input \"text_ids\" has shape %v, want integers of shape [B T]", ids.Shape)
	}
	batch, padded := ids.Shape[0], ids.Shape[1]
	// In padding_mask 1 marks padding; in text_mask, which VLMo has, 0 does.
	for name, value := range map[string]int64{"padding_mask": 1, "text_mask": 0} {
		if _, ok := r.Inputs[name]; !ok {
			continue
		}
		m, err := c.Input(r, name)
		if err != nil {
			return nil, 0, err
		}
		if m.Ints == nil || !slices.Equal(m.Shape, ids.Shape) {
			kind := "integers"
			if m.Ints == nil {
				kind = "floats"
			}
			return nil, 0, fmt.Errorf("input %q holds %s of shape %v, want integers of the shape of text_ids, %v", name, kind, m.Shape, ids.Shape)
		}
		if lens, err = Lengths(m.Ints, batch, padded, value); err != nil {
			return nil, 0, fmt.Errorf("input %q: %w", name, err)
		}
	}
	if t := c.Config.Language; t != nil && !t.Masked {
		lens = make([]int, batch)
		for i := range lens {
			lens[i] = t.length(ids.Ints[i*padded : (i+1)*padded])
		}
	}
	if lens == nil {
		lens = make([]int, batch)
		for i := range lens {
			lens[i] = padded
		}
	}
	if padded == 0 || batch == 0 {
		return nil, 0, fmt.Errorf("input \"text_ids\" of shape %v is empty", ids.Shape)
	}
	return lens, padded, nil
}

// length returns how many tokens of a padded text count. With pool argmax or eos, the pooled token is the last of them;
// with other pools all count.
func (t *Tower) length(ids []int64) int {
	at := len(ids) - 1
	switch t.Pool {
	case "argmax":
		at = slices.Index(ids, slices.Max(ids))
	case "eos":
		if i := slices.Index(ids, int64(t.EOS)); i >= 0 {
			at = i
		}
	}
	return at + 1
}

// imageSize returns the height and width of the model's pictures, in pixels.
func (c *Config) imageSize() int {
	if c.Vision != nil {
		return c.Vision.Image
	}
	return c.ImageSize
}

// vocabSize returns the number of token ids of the model's tokenizer, from 0 on.
func (c *Config) vocabSize() int {
	if c.Language != nil {
		return c.Language.Vocab
	}
	return c.VocabSize
}

// Lengths returns the length of each sequence without padding, from a mask [batch,text] of 0
// and 1 in which the value padded marks padding. Padding must be a suffix that leaves at least
// one position.
func Lengths(mask []int64, batch, text int, padded int64) ([]int, error) {
	if len(mask) != batch*text {
		return nil, fmt.Errorf("it has %d elements, want %d x %d", len(mask), batch, text)
	}
	lens := make([]int, batch)
	for i := range lens {
		row := mask[i*text : (i+1)*text]
		n := 0
		for n < text && row[n] == 1-padded {
			n++
		}
		for j := n; j < text; j++ {
			if row[j] != padded {
				return nil, fmt.Errorf("sequence %d: %d at position %d after padding at %d; padding must be a suffix of 0/1 values", i, row[j], j, n)
			}
		}
		if n == 0 {
			return nil, fmt.Errorf("sequence %d: every position is padded, want at least one token", i)
		}
		lens[i] = n
	}
	return lens, nil
}

// textRows returns where the text rows of an output begin on axis 1, or -1 if the output has no text rows. text is the
// padded length of the texts.
func (c *Case) textRows(r *Run, output string, shape []int, text int) int {
	if text == 0 || len(shape) < 3 || strings.HasPrefix(output, "image.") {
		return -1
	}
	if c.Config.Language != nil {
		if strings.HasPrefix(output, "language") {
			return 0
		}
		return -1
	}
	image := 0
	if c.Config.PatchSize > 0 {
		grid := c.Config.ImageSize / c.Config.PatchSize
		image = grid*grid + 1
	}
	switch shape[1] {
	case text:
		return 0
	case image + text:
		if c.Family == "vlmo" { // its text comes first
			return 0
		}
		return image
	}
	return -1
}
