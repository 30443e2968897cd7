package task

import (
	"fmt"
	"image"
	"math"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Pairs runs a function of a picture and a text on a batch of pairs. A text longer than
// MaxText ids is cut, as the official code does with questions too. The result is valid
// until the session's next call.
func (s *Session) Pairs(f *exec.Func, imgs []image.Image, texts []string) (*rt.Result, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	return s.pairs(f, imgs, texts)
}

// PairRows is Pairs, and returns output out of each pair. The list and what it holds
// are valid until the session's next call.
func (s *Session) PairRows(f *exec.Func, out int, imgs []image.Image, texts []string) ([][]float32, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	r, err := s.pairs(f, imgs, texts)
	return s.list(r, out), err
}

func (s *Session) pairs(f *exec.Func, imgs []image.Image, texts []string) (*rt.Result, error) {
	if len(imgs) != len(texts) {
		return nil, fmt.Errorf("%s: %d pictures and %d texts, want as many of each", f.Name, len(imgs), len(texts))
	}
	return s.run(f, imgs, texts)
}

// Pairs returns output out of function f for each pair of a picture and a text, in
// memory the caller owns. See Session.Pairs.
func (m *Model) Pairs(f *exec.Func, out int, imgs []image.Image, texts []string) ([][]float32, error) {
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

// Prob returns the softmax probability of class i.
func Prob(logits []float32, i int) float32 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - float64(logits[i]))
	}
	return float32(1 / sum)
}
