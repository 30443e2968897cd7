package flow

import "sync"

// room bounds the amount of a resource that goroutines hold at a time. If nothing is held, any
// amount is granted.
type room struct {
	mu          sync.Mutex
	less        sync.Cond
	limit, used int64
}

func newRoom(limit int64) *room {
	r := &room{limit: limit}
	r.less.L = &r.mu
	return r
}

// take waits until n fits, and takes it.
func (r *room) take(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.used > 0 && n > r.limit-r.used {
		r.less.Wait()
	}
	r.used += n
}

// give returns n to the room.
func (r *room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
	r.less.Broadcast()
}
