package exec

import "sync/atomic"

// shares distributes the units of a task. A worker takes runs of units from the front of its own
// share, so that each run can prefetch the operands of the next; runs get shorter towards the end of the
// share. A worker whose share is empty takes runs from the back of the largest share.
type shares []share

// share holds the units that one worker has left, start <= i < end, as end<<32 | start. It fills a
// cache line, so that workers do not slow each other down.
type share struct {
	left atomic.Uint64
	_    [56]byte
}

// deal splits n units of a task into nearly equal shares, one for each worker.
func (s *shares) deal(n, workers int) {
	if len(*s) != workers {
		*s = make(shares, workers)
	}
	for w := range *s {
		lo, hi := part(n, workers, w)
		(*s)[w].left.Store(uint64(hi)<<32 | uint64(lo))
	}
}

// take returns a run of units [lo, hi) and marks it as taken. A run has at most most units, all in one row of row units. It lies
// within a group of group units, which divide a row, or is whole groups. hi is 0 if no units are left.
func (s shares) take(worker, most, group, row int) (lo, hi int) {
	for {
		if lo, hi = s[worker].front(most, group, row, len(s)); hi > 0 {
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
		if lo, hi = s[from].back(most, group, row); hi > 0 {
			return lo, hi
		}
	}
}

// remains returns the number of units that a worker's own share has left.
func (s shares) remains(worker int) int {
	lo, hi := s[worker].units()
	return hi - lo
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

// front takes units from the front: with other workers at most a quarter of the share, which leaves
// them something to take.
func (s *share) front(most, group, row, workers int) (lo, hi int) {
	for {
		lo, end := s.units()
		if lo == end {
			return 0, 0
		}
		n := most
		if workers > 1 {
			n = min(most, max(1, (end-lo)/4))
		}
		hi := min(end, lo+n, (lo/row+1)*row)
		if whole := hi / group * group; lo%group > 0 {
			hi = min(hi, (lo/group+1)*group)
		} else if whole > lo {
			hi = whole
		}
		if s.change(lo, end, hi, end) {
			return lo, hi
		}
	}
}

// back takes at most a quarter of the units, from the back.
func (s *share) back(most, group, row int) (lo, hi int) {
	for {
		start, hi := s.units()
		if start == hi {
			return 0, 0
		}
		n := min(most, max(1, (hi-start)/4))
		lo := max(start, hi-n, (hi-1)/row*row)
		if whole := (lo + group - 1) / group * group; hi%group > 0 {
			lo = max(lo, hi/group*group)
		} else if whole < hi {
			lo = whole
		}
		if s.change(start, hi, start, lo) {
			return lo, hi
		}
	}
}
