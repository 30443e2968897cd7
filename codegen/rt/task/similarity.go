package task

import (
	"context"
	"image"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Embedders are the functions that embed pictures and texts in one space, their vectors
// of length 1.
type Embedders struct{ Image, Text *exec.Func }

// Similarity returns the cosine of a picture's and a text's embeddings, from -1 to 1.
func (s *Session) Similarity(e *Embedders, img image.Image, text string) (float32, error) {
	if err := s.enter(e.Image); err != nil {
		return 0, err
	}
	defer s.busy.Store(false)
	image, err := One(s.run(e.Image, []image.Image{img}, nil))
	if err != nil {
		return 0, err
	}
	s.features = append(s.features[:0], image...)
	words, err := One(s.run(e.Text, nil, []string{text}))
	if err != nil {
		return 0, err
	}
	return Dot(words, s.features), nil
}

// Similarity returns the cosine of a picture's and a text's embeddings, from -1 to 1.
func (m *Model) Similarity(e *Embedders, img image.Image, text string) (cosine float32, err error) {
	err = m.doPacked(context.Background(), e.Image, 1, func(s *Session) error {
		cosine, err = s.Similarity(e, img, text)
		return err
	})
	return cosine, err
}
