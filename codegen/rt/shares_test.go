package rt

import (
	"slices"
	"sync"
	"testing"
)

// TestShares checks that every chunk is taken once, by its worker in order while there is
// no other, and from the back of the largest share by one that has none left.
func TestShares(t *testing.T) {
	var s shares
	for _, workers := range []int{1, 2, 3, 8, 2} {
		for _, n := range []int{1, 2, 7, 16, 1000} {
			s.deal(n, workers)
			taken := make([][]int, workers)
			tickets := make(chan bool, n)
			for range n {
				tickets <- true
			}
			close(tickets)
			var wait sync.WaitGroup
			for w := range workers {
				wait.Add(1)
				go func() {
					defer wait.Done()
					for range tickets {
						taken[w] = append(taken[w], s.take(w))
					}
				}()
			}
			wait.Wait()
			all := slices.Sorted(slices.Values(slices.Concat(taken...)))
			for i := range n {
				if len(all) != n || all[i] != i {
					t.Fatalf("%d chunks, %d workers: taken %v", n, workers, taken)
				}
			}
		}
	}
	s.deal(10, 2)
	var got []int
	for range 10 {
		got = append(got, s.take(1))
	}
	if want := []int{5, 6, 7, 8, 9, 4, 3, 2, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("a worker alone takes %v, want %v", got, want)
	}
}
