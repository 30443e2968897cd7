package task

import (
	"context"
	"math"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Reasoning holds the functions that judge a text about two pictures: First computes features of the
// first picture and the text, Second of the second picture and the text, and Head the logits from both
// features, concatenated. First and Second may be one function.
type Reasoning struct{ First, Second, Head *exec.Func }

// Statement is a text about two pictures, which is true of them or is not.
type Statement struct {
	A, B Picture
	Text string
}

// Truths is Model.Truths in this session.
func (s *Session) Truths(ctx context.Context, r *Reasoning, statements []Statement) ([]float32, error) {
	n := len(statements)
	if err := s.enter(r.First.Name, n); err != nil {
		return nil, err
	}
	defer s.leave()
	s.pairs = s.pairs[:n]
	half := r.Head.Image / 2
	s.features = slices.Grow(s.features[:0], 2*half*n)[:2*half*n]
	for k, pass := range []struct {
		f    *exec.Func
		what takes
	}{{r.First, takes{"picture A", "text"}}, {r.Second, takes{"picture B", "text"}}} {
		for i := range statements {
			p := statements[i].A
			if k == 1 {
				p = statements[i].B
			}
			s.pairs[i] = Pair{p, statements[i].Text}
		}
		if err := s.run(ctx, pass.f, pass.what); err != nil {
			return nil, err
		}
		for i := range statements {
			copy(s.features[(2*i+k)*half:][:half], s.row(i))
		}
	}
	s.seqs, s.which, s.values = s.seqs[:0], s.which[:0], s.values[:0]
	for i := range statements {
		if !s.lost(i) {
			s.seqs, s.which = append(s.seqs, rt.Seq{Image: s.features[2*i*half:][:2*half]}), append(s.which, i)
		}
	}
	return s.probabilities(s.compute(ctx, r.Head))
}

// Truths returns the probability that each statement is true, from 0 to 1. Where only some statements have none, the error is
// a *rt.BatchError, and their probabilities are NaN.
func (m *Model) Truths(ctx context.Context, r *Reasoning, statements []Statement) ([]float32, error) {
	return shared(m, func(s *Session) ([]float32, error) { return cloned(s.Truths(ctx, r, statements)) })
}

// Probabilities is Model.Probabilities in this session.
func (s *Session) Probabilities(ctx context.Context, f *exec.Func, pairs []Pair) ([]float32, error) {
	if err := s.enter(f.Name, len(pairs)); err != nil {
		return nil, err
	}
	defer s.leave()
	s.pairs = append(s.pairs, pairs...)
	return s.probabilities(s.run(ctx, f, takesBoth))
}

// Probabilities returns the softmax probability of class 1 by a function of pairs that has two classes, such as whether the text
// describes the picture. Where only some pairs have none, the error is a *rt.BatchError, and their probabilities are NaN.
func (m *Model) Probabilities(ctx context.Context, f *exec.Func, pairs []Pair) ([]float32, error) {
	return shared(m, func(s *Session) ([]float32, error) { return cloned(s.Probabilities(ctx, f, pairs)) })
}

// probabilities returns the probability of class 1 of all inputs after a pass, of logits, that ended with err.
func (s *Session) probabilities(err error) ([]float32, error) {
	if err != nil {
		return nil, err
	}
	s.scores = s.scores[:0]
	for i := range s.pairs {
		p := float32(math.NaN())
		if row := s.row(i); row != nil {
			p = Prob(row, 1)
		}
		s.scores = append(s.scores, p)
	}
	return s.scores, s.outcome()
}

// cloned copies what a session owns.
func cloned(values []float32, err error) ([]float32, error) { return slices.Clone(values), err }
