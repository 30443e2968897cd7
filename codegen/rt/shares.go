package rt

import "sync/atomic"

// shares hands out the chunks of a task so that a worker gets neighbours, whose operands
// the one before has prefetched: every worker takes from the front of a share of its
// own, and when that is used up from the back of the largest one left. The pool's
// tickets only count: whoever holds one finds a chunk.
type shares []share

// share is a range of chunks, its end << 32 | its start, in a cache line of its own.
type share struct {
	left atomic.Uint64
	_    [56]byte
}

// deal makes the chunks [0, n) shares of that many workers.
func (s *shares) deal(n, workers int) {
	if len(*s) < workers {
		*s = make(shares, workers)
	}
	for w := range *s {
		lo, hi := 0, 0
		if w < workers {
			lo, hi = part(n, workers, w)
		}
		(*s)[w].left.Store(uint64(hi)<<32 | uint64(lo))
	}
}

// take returns a chunk that nobody has taken. There must be one left.
func (s shares) take(worker int) int {
	for {
		if c, ok := s[worker].front(); ok {
			return c
		}
		most, from := 0, worker
		for w := range s {
			if n := s[w].len(); n > most {
				most, from = n, w
			}
		}
		if c, ok := s[from].back(); ok {
			return c
		}
	}
}

func (s *share) len() int {
	v := s.left.Load()
	return int(v>>32) - int(uint32(v))
}

// front takes the first chunk; ok is false if there is none.
func (s *share) front() (chunk int, ok bool) {
	for {
		v := s.left.Load()
		if uint32(v) == uint32(v>>32) {
			return 0, false
		}
		if s.left.CompareAndSwap(v, v+1) {
			return int(uint32(v)), true
		}
	}
}

// back takes the last chunk.
func (s *share) back() (chunk int, ok bool) {
	for {
		v := s.left.Load()
		if uint32(v) == uint32(v>>32) {
			return 0, false
		}
		if s.left.CompareAndSwap(v, v-1<<32) {
			return int(v>>32) - 1, true
		}
	}
}
