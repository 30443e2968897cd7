package task

import (
	"cmp"
	"slices"
)

// Dot returns the sum of the products of two vectors of one length, added up in float64: of embeddings, which have length 1,
// it is their cosine, from -1 to 1. It panics if b is shorter than a.
func Dot(a, b []float32) float32 {
	sum := 0.0
	for i, x := range a {
		sum += float64(float64(x) * float64(b[i]))
	}
	return float32(sum)
}

// Hit is a vector that TopK found.
type Hit struct {
	Index int     `json:"index"` // of the vector
	Score float32 `json:"score"` // its Dot with the query
}

// TopK returns the k vectors with the largest Dot with query, best first; of equal scores the lower
// index comes first. All vectors are returned if k <= 0 or k > len(vectors). A vector whose score is
// NaN is left out. If the vectors lie in one slice, stored, without gaps, they are
// slices.Collect(slices.Chunk(stored, len(query))).
func TopK(query []float32, vectors [][]float32, k int) []Hit {
	if k <= 0 || k > len(vectors) {
		k = len(vectors)
	}
	best := make([]Hit, 0, k)
	for i, v := range vectors {
		h := Hit{i, Dot(query, v)}
		if h.Score != h.Score || len(best) == k && k > 0 && best[k-1].Score >= h.Score {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, h, func(have, h Hit) int {
			return cmp.Or(cmp.Compare(h.Score, have.Score), cmp.Compare(have.Index, h.Index))
		})
		if len(best) == k {
			best = best[:k-1]
		}
		best = slices.Insert(best, at, h)
	}
	return best
}
