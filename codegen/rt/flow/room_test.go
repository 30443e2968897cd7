package flow

import (
	"sync"
	"testing"
)

// Goroutines never take more than there is room for, but for one alone.
func TestRoom(t *testing.T) {
	const limit = 10
	r := newRoom(limit)
	var mu sync.Mutex
	var used, alone int64
	holders := 0
	var wg sync.WaitGroup
	for i := range 200 {
		n := int64(i % 14) // up to more than there is
		wg.Go(func() {
			r.take(n)
			mu.Lock()
			used += n
			holders++
			if used > limit {
				if n <= limit || used != n {
					t.Errorf("%d are taken of %d by %d", used, limit, holders)
				}
				alone++
			}
			mu.Unlock()
			mu.Lock()
			used -= n
			holders--
			mu.Unlock()
			r.give(n)
		})
	}
	wg.Wait()
	if r.used != 0 || alone == 0 {
		t.Errorf("%d are left, %d were let through alone", r.used, alone)
	}
}
