package task

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Template is the text about a picture in which the name of a class stands unless others are given.
const Template = "a photo of a {}"

// Blank is the part of a template that the name of a class takes the place of.
const Blank = "{}"

// Classes are names of what a picture may show, for models that were trained on texts instead of classes: each has the
// embedding of texts about it. They are immutable, safe to share, and of the model that made them.
type Classes struct {
	names   []string
	vectors [][]float32 // of length 1
	logits  Logits
}

// Classes embeds texts about classes, by a function that embeds texts. Each template, which has {} where a name belongs, gives
// a text for each name; without templates it is [Template]. A class has the mean of its texts' embeddings, scaled to length 1.
func (m *Model) Classes(ctx context.Context, text *exec.Func, names, templates []string) (*Classes, error) {
	return m.ClassesBy(names, templates, func(prompts iter.Seq[string], row func(vector []float32) error) error {
		many := func(ctx context.Context, texts []string) ([][]float32, error) { return m.Texts(ctx, text, texts) }
		for v, err := range Each(ctx, prompts, many) {
			if err != nil {
				return err
			}
			if err := row(v); err != nil {
				return err
			}
		}
		return nil
	})
}

// ClassesBy is Classes with text embeddings computed by embed, which must call row with the embedding
// of each prompt, in the order of prompts.
func (m *Model) ClassesBy(names, templates []string, embed func(prompts iter.Seq[string], row func(vector []float32) error) error) (*Classes, error) {
	c := &Classes{names: slices.Clone(names)}
	var ok bool
	if c.logits, ok = m.Logits(); !ok {
		return nil, fmt.Errorf("%s: the package does not say how the model scores texts: build it again", m.Package().Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no names of classes", m.Package().Name)
	}
	if len(templates) == 0 {
		templates = []string{Template}
	}
	for _, t := range templates {
		if !strings.Contains(t, Blank) {
			return nil, fmt.Errorf("template %.60q has no %s, where the name of a class belongs", t, Blank)
		}
	}
	prompts := func(yield func(string) bool) {
		for _, name := range names {
			for _, t := range templates {
				if !yield(strings.ReplaceAll(t, Blank, name)) {
					return
				}
			}
		}
	}
	n := 0
	err := embed(prompts, func(v []float32) error {
		if n%len(templates) == 0 {
			c.vectors = append(c.vectors, make([]float32, len(v)))
		}
		n++
		for i, x := range v {
			c.vectors[len(c.vectors)-1][i] += x
		}
		return nil
	})
	if err == nil && n != len(names)*len(templates) {
		err = fmt.Errorf("%s: %d of %d texts about classes have an embedding", m.Package().Name, n, len(names)*len(templates))
	}
	if err != nil {
		return nil, err
	}
	for _, v := range c.vectors {
		length := math.Sqrt(float64(Dot(v, v)))
		for i := range v {
			v[i] = float32(float64(v[i]) / max(length, 1e-12))
		}
	}
	return c, nil
}

// Len returns how many classes there are.
func (c *Classes) Len() int { return len(c.names) }

// Top returns the k classes that fit the embedding of a picture best, the most probable first, ties by index; k <= 0 or more
// than there are means all. Probabilities are the softmax over all classes, or of each class for itself, as the model has it.
func (c *Classes) Top(picture []float32, k int) []Label {
	logits := make([]float32, len(c.vectors))
	for i, v := range c.vectors {
		logits[i] = float32(c.logits.Of(Dot(picture, v)))
	}
	all := Top(logits, c.names, k)
	if c.logits.Each {
		for i := range all {
			all[i].Prob = Sigmoid(float64(logits[all[i].Index]))
		}
	}
	return all
}

// Tops is Model.Tops in this session.
func (s *Session) Tops(ctx context.Context, f *exec.Func, pics []Picture, c *Classes) ([][]Label, error) {
	rows, err := s.Images(ctx, f, pics)
	return c.tops(rows), err
}

// Tops returns all classes of each picture, the most probable first, by a function that embeds pictures. Where only some
// pictures have no result, the error is a *rt.BatchError, and their classes are nil.
func (m *Model) Tops(ctx context.Context, f *exec.Func, pics []Picture, c *Classes) ([][]Label, error) {
	return shared(m, func(s *Session) ([][]Label, error) { return s.Tops(ctx, f, pics, c) })
}

func (c *Classes) tops(rows [][]float32) [][]Label {
	if rows == nil {
		return nil
	}
	all := make([][]Label, len(rows))
	for i, row := range rows {
		if row != nil {
			all[i] = c.Top(row, 0)
		}
	}
	return all
}
