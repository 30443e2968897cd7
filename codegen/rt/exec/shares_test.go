package exec

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// TestShares checks that every unit is taken once, that no run of units is too long, crosses rows, or is neither within a
// group nor whole groups, and that take reports the end only when no units are left.
func TestShares(t *testing.T) {
	var s shares
	for _, workers := range []int{1, 2, 3, 8, 2} {
		for _, n := range []int{1, 2, 7, 16, 1000} {
			for _, shape := range []struct{ group, row int }{{1, 1}, {1, 7}, {7, 7}, {3, 9}, {5, 20}, {1, 1000}, {1000, 1000}} {
				for _, most := range []int{1, 4, 15} {
					group, row := shape.group, shape.row
					s.deal(n, workers)
					taken := make([][]int, workers)
					var wait sync.WaitGroup
					for w := range workers {
						wait.Add(1)
						go func() {
							defer wait.Done()
							for {
								lo, hi := s.take(w, most, group, row)
								if hi == 0 {
									return
								}
								one, whole := lo/group == (hi-1)/group, lo%group == 0 && hi%group == 0
								if hi <= lo || hi-lo > most || lo/row != (hi-1)/row || !one && !whole {
									t.Errorf("%d units in rows of %d, groups of %d, at most %d: took %d to %d", n, row, group, most, lo, hi)
								}
								for i := lo; i < hi; i++ {
									taken[w] = append(taken[w], i)
								}
							}
						}()
					}
					wait.Wait()
					all := slices.Sorted(slices.Values(slices.Concat(taken...)))
					for i := range n {
						if len(all) != n || all[i] != i {
							t.Fatalf("%d units, %d workers: taken %v", n, workers, taken)
						}
					}
				}
			}
		}
	}
	s.deal(20, 2)
	var got [][2]int
	for {
		lo, hi := s.take(1, 2, 1, 20)
		if hi == 0 {
			break
		}
		got = append(got, [2]int{lo, hi})
	}
	want := [][2]int{{10, 12}, {12, 14}, {14, 15}, {15, 16}, {16, 17}, {17, 18}, {18, 19}, {19, 20},
		{8, 10}, {6, 8}, {5, 6}, {4, 5}, {3, 4}, {2, 3}, {1, 2}, {0, 1}}
	if !slices.Equal(got, want) {
		t.Errorf("a worker alone takes %v, want %v", got, want)
	}
}

// unitTask is units that take the same time.
type unitTask struct {
	shares
	units int
}

func (u *unitTask) next(worker int) bool {
	_, hi := u.shares.take(worker, 1, 1, u.units)
	return hi > 0
}

// A slow worker does not hold up the others: they take what is left of its share.
func TestSlowWorker(t *testing.T) {
	for _, slow := range []int{1, 2, 5, 20} {
		for _, workers := range []int{2, 8, 64} {
			u := &unitTask{units: 8 * workers}
			u.shares.deal(u.units, workers)
			times := make([]time.Duration, workers)
			longest := rehearse(u, times, func(worker int) time.Duration {
				if worker == 1 {
					return time.Duration(slow) * time.Second
				}
				return time.Second
			})
			rate := float64(workers-1) + 1/float64(slow)
			ideal := time.Duration(float64(u.units) / rate * float64(time.Second))
			if most := ideal + max(time.Duration(slow), 2)*time.Second; longest > most || longest != slices.Max(times) {
				t.Errorf("%d workers, one of them %d times slower: the longest share takes %v, want %v at most", workers, slow, longest, most)
			}
		}
	}
}
