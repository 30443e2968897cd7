package task

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TopK gives the beginning of what sorting all scores gives, equal ones by index, NaN left out.
func TestTopK(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	nan := float32(math.NaN())
	for n := range 40 {
		var stored []float32
		var all []Hit
		query := []float32{1, 0.5}
		for i := range n {
			v := []float32{float32(r.IntN(4)), float32(r.IntN(4))}
			if r.IntN(8) == 0 {
				v[0] = nan
			} else {
				all = append(all, Hit{i, Dot(v, query)})
			}
			stored = append(stored, v...)
		}
		slices.SortStableFunc(all, func(a, b Hit) int {
			switch {
			case a.Score > b.Score:
				return -1
			case a.Score < b.Score:
				return 1
			}
			return 0
		})
		vectors := slices.Collect(slices.Chunk(stored, len(query)))
		for k := -1; k <= n+1; k++ {
			want := all
			if k > 0 && k < len(all) {
				want = all[:k]
			}
			got := TopK(query, vectors, k)
			if d := cmp.Diff(append([]Hit{}, want...), got); d != "" {
				t.Fatalf("%d of %d (-want +got)\n%s", k, n, d)
			}
		}
	}
}
