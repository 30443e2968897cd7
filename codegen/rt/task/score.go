package task

import "math"

// Score says how the cosine of the embeddings of a picture and a text becomes a logit, and how logits become probabilities.
type Score struct {
	Scale string // the weight whose exponential cosines are multiplied by
	Bias  string // the weight that is added to the product; "": none
	Each  bool   // the probability of a logit is its sigmoid; otherwise those of a picture's texts are their softmax
}

// Logits makes logits of cosines.
type Logits struct {
	Scale float64 // cosines are multiplied by it
	Bias  float64 // added to the product
	Each  bool    // as in Score
}

// Logits returns how cosines become logits, and false if the model does not say.
func (m *Model) Logits() (Logits, bool) {
	s := m.in.Score
	if s == nil {
		return Logits{}, false
	}
	l := Logits{Scale: math.Exp(float64(m.Scalar(s.Scale))), Each: s.Each}
	if s.Bias != "" {
		l.Bias = float64(m.Scalar(s.Bias))
	}
	return l, true
}

// Of returns the logit of a cosine.
func (l Logits) Of(cosine float32) float64 { return float64(l.Scale*float64(cosine)) + l.Bias }

// Probs returns the probabilities of a picture's texts by their cosines, in their order: each text's for itself, from 0 to 1, or
// that of each among all, which sum to 1. A cosine that is NaN takes no part, and its probability is NaN.
func (l Logits) Probs(cosines []float32) []float32 {
	var all Softmax
	for _, c := range cosines {
		all.Add(l.Of(c))
	}
	probs := make([]float32, len(cosines))
	for i, c := range cosines {
		if x := l.Of(c); l.Each {
			probs[i] = Sigmoid(x)
		} else {
			probs[i] = all.Prob(x)
		}
	}
	return probs
}

// Sigmoid is the probability of a logit for itself.
func Sigmoid(logit float64) float32 { return float32(1 / (1 + math.Exp(-logit))) }

// Softmax is the sum that makes probabilities of logits, however many they are. The zero value has none.
type Softmax struct {
	peak, sum float64
	some      bool
}

// Add adds a logit, unless it is NaN.
func (s *Softmax) Add(logit float64) {
	switch {
	case logit != logit:
	case !s.some:
		s.peak, s.sum, s.some = logit, 1, true
	case logit > s.peak:
		s.sum = float64(s.sum*math.Exp(s.peak-logit)) + 1
		s.peak = logit
	default:
		s.sum += math.Exp(logit - s.peak)
	}
}

// Prob returns the probability of one of the logits among all that were added.
func (s *Softmax) Prob(logit float64) float32 { return float32(math.Exp(logit-s.peak) / s.sum) }
