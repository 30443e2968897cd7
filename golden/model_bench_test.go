package golden_test

import (
	"cmp"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/generated/emoji"
)

// BenchmarkModel times the functions of the demo model without a state, on one thread, with one picture, a text of 16 tokens, or
// both per call.
func BenchmarkModel(b *testing.B) {
	m, err := emoji.Package().New(rt.WithThreads(1))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()
	for _, f := range emoji.Package().Funcs {
		if f.Stores != nil || f.States != nil {
			continue
		}
		ids := cmp.Or(f.IDs, min(16, emoji.Package().Text))
		b.Run(f.Name, func(b *testing.B) {
			batch := []rt.Seq{sequence(f, ids, 1)}
			for b.Loop() {
				if _, err := s.Run(f, batch); err != nil {
					b.Fatal(err)
				}
			}
			flops, _ := f.Cost.Of([]int{ids})
			b.ReportMetric(float64(flops)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		})
	}
}
