package task

import (
	"cmp"
	"math"
	"slices"
)

// Label is one class of a classification.
type Label struct {
	Index int     `json:"index"` // position in the logits
	Name  string  `json:"label,omitempty"`
	Prob  float32 `json:"prob"` // softmax over all classes
}

// Top returns the k most probable classes, best first, ties by index; k <= 0 or more
// than there are means all. names may be shorter than logits.
func Top(logits []float32, names []string, k int) []Label {
	peak := math.Inf(-1)
	for _, x := range logits {
		peak = max(peak, float64(x))
	}
	sum := 0.0
	all := make([]Label, len(logits))
	for i, x := range logits {
		sum += math.Exp(float64(x) - peak)
		all[i].Index = i
		if i < len(names) {
			all[i].Name = names[i]
		}
	}
	for i, x := range logits {
		all[i].Prob = float32(math.Exp(float64(x)-peak) / sum)
	}
	slices.SortStableFunc(all, func(a, b Label) int { return cmp.Compare(logits[b.Index], logits[a.Index]) })
	if k > 0 && k < len(all) {
		all = all[:k]
	}
	return all
}

// Prob returns the softmax probability of class i.
func Prob(logits []float32, i int) float32 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - float64(logits[i]))
	}
	return float32(1 / sum)
}

// Tops returns all classes of each row of logits, the most probable first, and nil of rows that are nil.
func Tops(logits [][]float32, names []string) [][]Label {
	if logits == nil {
		return nil
	}
	all := make([][]Label, len(logits))
	for i, row := range logits {
		if row != nil {
			all[i] = Top(row, names, 0)
		}
	}
	return all
}
