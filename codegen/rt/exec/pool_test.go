package exec

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// sumTask sums the chunks that it runs, and checks that no worker runs two at a time.
type sumTask struct {
	sum     atomic.Int64
	running [8]atomic.Int32
	clash   atomic.Bool
	work    int
}

func (s *sumTask) run(chunk, worker int) {
	if s.running[worker].Add(1) != 1 {
		s.clash.Store(true)
	}
	for range s.work {
		pause()
	}
	s.sum.Add(int64(chunk) + 1)
	s.running[worker].Add(-1)
}

func TestPool(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 5} {
		p := newPool(threads)
		s := &sumTask{}
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
			p.run(n, s)
			want += int64(n) * int64(n+1) / 2
			if got := s.sum.Load(); got != want {
				t.Fatalf("%d threads, run %d: sum %d, want %d", threads, i, got, want)
			}
		}
		s.sum.Store(0)
		s.work = 0
		p.run(maxChunks+3, s)
		if got, want := s.sum.Load(), int64(maxChunks+3)*(maxChunks+4)/2; got != want {
			t.Errorf("%d threads: sum %d of many chunks, want %d", threads, got, want)
		}
		p.leave()
		p.close()
		p.close()
		if s.clash.Load() {
			t.Errorf("%d threads: a worker ran two chunks at once", threads)
		}
	}
}

// TestPoolParks checks that helpers wait without polling once a call is over.
func TestPoolParks(t *testing.T) {
	p := newPool(4)
	p.enter()
	for range 100 {
		p.run(16, &sumTask{})
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
	s := &sumTask{}
	for b.Loop() {
		p.run(8, s)
	}
}
