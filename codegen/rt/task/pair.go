package task

import (
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt"
)

// Pairs runs a function of a picture and a text on a batch of pairs. A text longer than
// MaxText ids is cut, as the official code does with questions too. The result is valid
// until the session's next call.
func (s *Session) Pairs(f *rt.Func, imgs []image.Image, texts []string) (*rt.Result, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	return s.pairs(f, imgs, texts)
}

// PairRows is Pairs, and returns output out of each pair. The list and what it holds
// are valid until the session's next call.
func (s *Session) PairRows(f *rt.Func, out int, imgs []image.Image, texts []string) ([][]float32, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	r, err := s.pairs(f, imgs, texts)
	return s.list(r, out), err
}

func (s *Session) pairs(f *rt.Func, imgs []image.Image, texts []string) (*rt.Result, error) {
	if len(imgs) != len(texts) {
		return nil, fmt.Errorf("%s: %d pictures and %d texts, want as many of each", f.Name, len(imgs), len(texts))
	}
	return s.run(f, imgs, texts)
}

// Pairs returns output out of function f for each pair of a picture and a text, in
// memory the caller owns. See Session.Pairs.
func (m *Model) Pairs(f *rt.Func, out int, imgs []image.Image, texts []string) ([][]float32, error) {
	if len(imgs) != len(texts) {
		return nil, fmt.Errorf("%s: %d pictures and %d texts, want as many of each", f.Name, len(imgs), len(texts))
	}
	type pair struct {
		img  image.Image
		text string
	}
	all := make([]pair, len(imgs))
	for i := range all {
		all[i] = pair{imgs[i], texts[i]}
	}
	return collect(m, all, out, func(s *Session, part []pair) (*rt.Result, error) {
		var imgs []image.Image
		var texts []string
		for _, p := range part {
			imgs, texts = append(imgs, p.img), append(texts, p.text)
		}
		return s.Pairs(f, imgs, texts)
	})
}

// Reasoning is the functions that judge a text about two pictures: First makes features
// of the first picture and the text, Second of the second picture and the text, and
// Head logits of the features side by side. First and Second may be one function.
type Reasoning struct{ First, Second, Head *rt.Func }

// Reason returns the logits of a text about the pictures a and b. They are valid until
// the session's next call.
func (s *Session) Reason(r *Reasoning, a, b image.Image, text string) ([]float32, error) {
	if err := s.enter(r.First); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	s.features = s.features[:0]
	imgs, texts := [2]image.Image{a, b}, [2]string{text, text}
	if r.First == r.Second {
		out, err := s.pairs(r.First, imgs[:], texts[:])
		if err != nil {
			return nil, err
		}
		s.features = append(append(s.features, out.Out(0, 0)...), out.Out(0, 1)...)
	} else {
		for i, f := range [2]*rt.Func{r.First, r.Second} {
			out, err := s.pairs(f, imgs[i:i+1], texts[:1])
			if err != nil {
				return nil, err
			}
			s.features = append(s.features, out.Out(0, 0)...)
		}
	}
	s.seqs = append(s.seqs[:0], rt.Seq{Image: s.features})
	out, err := s.Run(r.Head, s.seqs)
	if err != nil {
		return nil, err
	}
	return out.Out(0, 0), nil
}

// Reason returns the logits of a text about the pictures a and b, in memory the caller owns.
func (m *Model) Reason(r *Reasoning, a, b image.Image, text string) (logits []float32, err error) {
	err = m.Do(func(s *Session) error {
		l, err := s.Reason(r, a, b, text)
		logits = slices.Clone(l)
		return err
	})
	return logits, err
}

// Prob returns the softmax probability of class i.
func Prob(logits []float32, i int) float32 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - float64(logits[i]))
	}
	return float32(1 / sum)
}

// Embedders are the functions that embed pictures and texts in one space, their vectors
// of length 1.
type Embedders struct{ Image, Text *rt.Func }

// Cosine returns the cosine of a picture's and a text's embeddings.
func (s *Session) Cosine(e *Embedders, img image.Image, text string) (float32, error) {
	if err := s.enter(e.Image); err != nil {
		return 0, err
	}
	defer s.busy.Store(false)
	r, err := s.run(e.Image, []image.Image{img}, nil)
	if err != nil {
		return 0, err
	}
	s.features = append(s.features[:0], r.Out(0, 0)...)
	if r, err = s.run(e.Text, nil, []string{text}); err != nil {
		return 0, err
	}
	sum := 0.0
	for i, v := range r.Out(0, 0) {
		sum += float64(float64(v) * float64(s.features[i]))
	}
	return float32(sum), nil
}

// Cosine returns the cosine of a picture's and a text's embeddings.
func (m *Model) Cosine(e *Embedders, img image.Image, text string) (cosine float32, err error) {
	err = m.Do(func(s *Session) error {
		cosine, err = s.Cosine(e, img, text)
		return err
	})
	return cosine, err
}
