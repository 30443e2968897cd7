package task

import (
	"context"
	"math"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Embedders are the functions that embed pictures and texts in one space, their vectors
// of length 1.
type Embedders struct{ Image, Text *exec.Func }

// Similarities is Model.Similarities in this session.
func (s *Session) Similarities(ctx context.Context, e *Embedders, pairs []Pair) ([]float32, error) {
	if err := s.enter(e.Image.Name, len(pairs)); err != nil {
		return nil, err
	}
	defer s.leave()
	s.pairs = append(s.pairs, pairs...)
	if err := s.run(ctx, e.Image, takesPicture); err != nil {
		return nil, err
	}
	dim := e.Image.Outputs[0].Cols
	s.features = slices.Grow(s.features[:0], dim*len(pairs))[:dim*len(pairs)]
	for i := range pairs {
		copy(s.features[dim*i:], s.row(i))
	}
	if err := s.run(ctx, e.Text, takesText); err != nil {
		return nil, err
	}
	s.scores = s.scores[:0]
	for i := range pairs {
		cosine := float32(math.NaN())
		if row := s.row(i); row != nil {
			cosine = Dot(row, s.features[dim*i:][:dim])
		}
		s.scores = append(s.scores, cosine)
	}
	return s.scores, s.outcome()
}

// Matches is Model.Matches in this session.
func (s *Session) Matches(ctx context.Context, e *Embedders, pairs []Pair) ([]float32, error) {
	cosines, err := s.Similarities(ctx, e, pairs)
	l, _ := s.m.Logits()
	for i, c := range cosines {
		cosines[i] = Sigmoid(l.Of(c))
	}
	return cosines, err
}

// Matches returns the probability of each pair for itself that its text is the picture's, from 0 to 1, of a model whose Score
// has Each. Where only some pairs have none, the error is a *rt.BatchError, and their probabilities are NaN.
func (m *Model) Matches(ctx context.Context, e *Embedders, pairs []Pair) ([]float32, error) {
	return shared(m, func(s *Session) ([]float32, error) { return cloned(s.Matches(ctx, e, pairs)) })
}

// Similarities returns the cosine of the embeddings of each pair's picture and text, from -1 to 1. Where only some pairs have
// none, the error is a *rt.BatchError, and their cosines are NaN.
func (m *Model) Similarities(ctx context.Context, e *Embedders, pairs []Pair) ([]float32, error) {
	return shared(m, func(s *Session) ([]float32, error) { return cloned(s.Similarities(ctx, e, pairs)) })
}
