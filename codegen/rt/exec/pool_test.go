package exec

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// sumTask sums the numbers of its pieces, n to 1, and checks that no worker runs two at a time.
type sumTask struct {
	left    atomic.Int64
	sum     atomic.Int64
	running [8]atomic.Int32
	clash   atomic.Bool
	work    int
}

func (s *sumTask) next(worker int) bool {
	i := s.left.Add(-1) + 1
	if i <= 0 {
		return false
	}
	if s.running[worker].Add(1) != 1 {
		s.clash.Store(true)
	}
	for range s.work {
		pause()
	}
	s.sum.Add(i)
	s.running[worker].Add(-1)
	return true
}

// pieces returns a sumTask of n pieces.
func pieces(n int) *sumTask {
	s := &sumTask{}
	s.left.Store(int64(n))
	return s
}

func TestPool(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 5} {
		p := newPool(threads)
		s := pieces(0)
		want := int64(0)
		for i := range 6000 {
			if i%20 == 0 { // calls: helpers park in between
				p.leave()
				if i%400 == 0 {
					time.Sleep(time.Millisecond)
				}
				p.enter()
			}
			s.work = i % 3 * 10
			n := i % 11
			s.left.Store(int64(n))
			p.run(n, s)
			want += int64(n) * int64(n+1) / 2
			if got := s.sum.Load(); got != want {
				t.Fatalf("%d threads, run %d: sum %d, want %d", threads, i, got, want)
			}
		}
		const many = 1 << 20
		s.sum.Store(0)
		s.work = 0
		s.left.Store(many)
		p.run(many, s)
		if got, want := s.sum.Load(), int64(many)*(many+1)/2; got != want {
			t.Errorf("%d threads: sum %d of many pieces, want %d", threads, got, want)
		}
		p.leave()
		p.close()
		p.close()
		if s.clash.Load() {
			t.Errorf("%d threads: a worker ran two pieces at once", threads)
		}
	}
}

// TestPoolParks checks that helpers wait without polling once a call is over.
func TestPoolParks(t *testing.T) {
	p := newPool(4)
	p.enter()
	for range 100 {
		p.run(16, pieces(16))
	}
	p.leave()
	for start := time.Now(); p.parked.Load() != 3; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d of 3 helpers parked", p.parked.Load())
		}
	}
	p.close()
}

func TestPoolStops(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		newPool(3).close()
	}
	for start := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func BenchmarkPool(b *testing.B) {
	p := newPool(2)
	defer p.close()
	p.enter()
	s := pieces(0)
	for b.Loop() {
		s.left.Store(8)
		p.run(8, s)
	}
}
