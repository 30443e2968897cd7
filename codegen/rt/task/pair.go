package task

import (
	"fmt"
	"image"
	"math"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// Pairs is Images for a function of a picture and a text. A text longer than MaxText ids is cut, as the official code does
// with questions too.
func (s *Session) Pairs(f *exec.Func, imgs []image.Image, texts []string) ([][]float32, error) {
	if len(imgs) != len(texts) {
		return nil, fmt.Errorf("%s: %d pictures and %d texts, want as many of each", f.Name, len(imgs), len(texts))
	}
	return s.call(f, imgs, texts)
}

// Pairs is Model.Images for a function of a picture and a text. See Session.Pairs.
func (m *Model) Pairs(f *exec.Func, imgs []image.Image, texts []string) ([][]float32, error) {
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
	return collect(m, f, all, func(s *Session, part []pair) ([][]float32, error) {
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
