package exec

import "sync/atomic"

// shares hands out the units of a task so that a worker gets neighbours, whose operands
// those before have prefetched: every worker takes runs of units from the front of a share
// of its own, shorter ones towards its end, and when that is used up from the back of the
// largest one left.
type shares []share

// share is a range of units, its end << 32 | its start, in a cache line of its own.
type share struct {
	left atomic.Uint64
	_    [56]byte
}

// deal makes the units [0, n) shares of that many workers.
func (s *shares) deal(n, workers int) {
	if len(*s) != workers {
		*s = make(shares, workers)
	}
	for w := range *s {
		lo, hi := part(n, workers, w)
		(*s)[w].left.Store(uint64(hi)<<32 | uint64(lo))
	}
}

// take returns units [lo, hi) that nobody has taken, at most most of them and all of one
// row of row units. None, which hi = 0 says, are left to take then.
func (s shares) take(worker, most, row int) (lo, hi int) {
	for {
		if lo, hi = s[worker].front(most, row, len(s)); hi > 0 {
			return lo, hi
		}
		n, from := 0, worker
		for w := range s {
			if lo, hi := s[w].units(); hi-lo > n {
				n, from = hi-lo, w
			}
		}
		if n == 0 {
			return 0, 0
		}
		if lo, hi = s[from].back(most, row); hi > 0 {
			return lo, hi
		}
	}
}

func (s *share) units() (lo, hi int) {
	v := s.left.Load()
	return int(uint32(v)), int(v >> 32)
}

func (s *share) empty() bool {
	lo, hi := s.units()
	return lo == hi
}

func (s *share) change(lo, hi, to, end int) bool {
	return s.left.CompareAndSwap(uint64(hi)<<32|uint64(lo), uint64(end)<<32|uint64(to))
}

// front takes the first units: where there are other workers, no more than leaves them
// something to take over.
func (s *share) front(most, row, workers int) (lo, hi int) {
	for {
		lo, end := s.units()
		if lo == end {
			return 0, 0
		}
		n := most
		if workers > 1 {
			n = min(most, max(1, (end-lo)/4))
		}
		if hi := min(end, lo+n, (lo/row+1)*row); s.change(lo, end, hi, end) {
			return lo, hi
		}
	}
}

// back takes the last units.
func (s *share) back(most, row int) (lo, hi int) {
	for {
		start, hi := s.units()
		if start == hi {
			return 0, 0
		}
		n := min(most, max(1, (hi-start)/4))
		if lo := max(start, hi-n, (hi-1)/row*row); s.change(start, hi, start, lo) {
			return lo, hi
		}
	}
}
