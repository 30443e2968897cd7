package task_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/generated/emoji"
)

// BenchmarkConcurrentTexts has 32 goroutines embed one short text a call.
func BenchmarkConcurrentTexts(b *testing.B) {
	const callers = 32
	for _, threads := range []int{1, 2} {
		for _, c := range []struct {
			name string
			opts []rt.Option
		}{{"alone", nil}, {"batching", []rt.Option{rt.WithBatching()}}} {
			b.Run(fmt.Sprintf("threads=%d/%s", threads, c.name), func(b *testing.B) {
				m, err := emoji.New(append(c.opts, rt.WithThreads(threads))...)
				if err != nil {
					b.Fatal(err)
				}
				defer m.Close()
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ResetTimer()
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := m.EmbedText(b.Context(), "red apple"); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}
