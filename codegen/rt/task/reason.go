package task

import (
	"context"
	"image"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Reasoning is the functions that judge a text about two pictures: First makes features
// of the first picture and the text, Second of the second picture and the text, and
// Head logits of the features side by side. First and Second may be one function.
type Reasoning struct{ First, Second, Head *exec.Func }

// ReasonLogits returns the logits of a text about the pictures a and b. They are valid until
// the session's next call.
func (s *Session) ReasonLogits(r *Reasoning, a, b image.Image, text string) ([]float32, error) {
	if err := s.enter(r.First); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	s.features = s.features[:0]
	imgs, texts := [2]image.Image{a, b}, [2]string{text, text}
	if r.First == r.Second {
		rows, err := s.run(r.First, imgs[:], texts[:])
		if err != nil {
			return nil, err
		}
		s.features = append(append(s.features, rows[0]...), rows[1]...)
	} else {
		for i, f := range [2]*exec.Func{r.First, r.Second} {
			row, err := One(s.run(f, imgs[i:i+1], texts[:1]))
			if err != nil {
				return nil, err
			}
			s.features = append(s.features, row...)
		}
	}
	s.seqs = append(s.seqs[:0], rt.Seq{Image: s.features})
	out, err := s.Run(r.Head, s.seqs)
	if err != nil {
		return nil, err
	}
	return out.Out(0, 0), nil
}

// ReasonLogits returns the logits of a text about the pictures a and b, in memory the caller owns.
func (m *Model) ReasonLogits(r *Reasoning, a, b image.Image, text string) (logits []float32, err error) {
	err = m.doPacked(context.Background(), r.First, 2, func(s *Session) error {
		l, err := s.ReasonLogits(r, a, b, text)
		logits = slices.Clone(l)
		return err
	})
	return logits, err
}
