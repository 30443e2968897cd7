package exec

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// task is work that workers take piece by piece. Tasks are preallocated structs, since a
// pointer in an interface costs no allocation and a closure would.
type task interface {
	// next takes a piece and computes it. It returns false if no piece is left, and from then on.
	// worker is 0 for the caller and from 1 on for helpers; two calls with the same worker never
	// run at the same time.
	next(worker int) bool
}

// pool runs a task on the caller and on helper goroutines. Whoever holds a ticket of the task takes
// pieces until none is left. An atomic counter gives out the tickets, so a helper that the system has
// descheduled delays nobody: the others take its pieces, and the caller waits only for tickets that
// were given out. Between enter and leave, idle helpers poll for a bounded time before
// they park; otherwise they park at once.
type pool struct {
	// state packs epoch (24 bits), number of tickets (20) and next ticket (20): one Add
	// takes a ticket and shows whether it is valid.
	state atomic.Uint64
	_     [56]byte
	done  atomic.Int32
	_     [60]byte
	// parked is the number of helpers that announced that they wait, minus the wake-ups
	// sent. A helper that does not wait after all may leave a wake-up behind, which wakes a
	// helper once for nothing and keeps the count right.
	parked atomic.Int32
	hot    atomic.Bool
	quit   atomic.Bool
	task   task                       // written before state, read after a valid ticket
	fault  atomic.Pointer[blob.Fault] // the fault of a piece of the task; nil: none
	wake   chan struct{}
	exited sync.WaitGroup
	n      int // helpers
}

const (
	ticketBits = 20
	ticketMask = 1<<ticketBits - 1
	epochMask  = 1<<24 - 1

	// pollLimit is the number of pauses that an idle helper polls for, about 50
	// microseconds: longer than the gaps between the steps of a call, short compared
	// with a time slice of the system.
	pollLimit = 4000
)

// newPool starts threads-1 helpers.
func newPool(threads int) *pool {
	p := &pool{n: threads - 1, wake: make(chan struct{}, threads)}
	for i := range p.n {
		p.exited.Add(1)
		go p.help(i + 1)
	}
	return p
}

// pause takes a few nanoseconds without accessing memory.
//
//go:noinline
func pause() {
	for range 24 {
	}
}

// enter and leave surround a call: helpers poll only in between.
func (p *pool) enter() { p.hot.Store(true) }

func (p *pool) leave() {
	p.hot.Store(false)
	p.task = nil // a parked pool must not keep it alive
}

// run computes the pieces of t, at most n at a time, and returns when all are done. Only one run at a time
// is allowed. A fault (see [blob.Watch]) in a piece becomes a panic of the caller, after all helpers
// have stopped working.
func (p *pool) run(n int, t task) {
	if n = min(n, p.n+1); n <= 1 {
		for t.next(0) {
		}
		return
	}
	p.task = t
	p.done.Store(0)
	p.kick(n, n-1)
	p.take(0)
	for s := 1; p.done.Load() != int32(n); s++ {
		pause()
		if s%1024 == 0 {
			runtime.Gosched()
		}
	}
	if f := p.fault.Swap(nil); f != nil {
		panic(*f)
	}
}

// kick publishes n tickets and wakes up to want parked helpers.
func (p *pool) kick(n, want int) {
	e := (p.state.Load()>>(2*ticketBits) + 1) & epochMask
	// Swap and not Store, since the load of parked must not pass it: QEMU's arm64 lets a load pass a store-release, and a
	// helper that parks at that moment then sleeps forever.
	p.state.Swap(e<<(2*ticketBits) | uint64(n)<<ticketBits)
	for k := p.parked.Load(); k > 0 && want > 0; k = p.parked.Load() {
		if p.parked.CompareAndSwap(k, k-1) {
			want--
			select {
			case p.wake <- struct{}{}:
			default:
			}
		}
	}
}

// take takes tickets until none are left. After a fault it only counts them.
func (p *pool) take(worker int) {
	for p.tickets(worker) {
	}
}

// tickets takes tickets until none are left, which it reports by false, or until a fault, after which it
// returns true.
func (p *pool) tickets(worker int) (again bool) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(blob.Fault)
			if !ok {
				panic(r)
			}
			p.fault.Store(&f)
			p.done.Add(1)
			again = true
		}
	}()
	for {
		v := p.state.Add(1)
		n, c := int(v>>ticketBits&ticketMask), int(v&ticketMask)-1
		if c >= n {
			return false
		}
		for p.fault.Load() == nil && p.task.next(worker) { // task does not change: run returns only after done has counted this ticket
		}
		p.done.Add(1)
	}
}

func (p *pool) help(worker int) {
	defer p.exited.Done()
	blob.Watch()
	last := uint64(0)
	for {
		for s := 0; p.state.Load()>>(2*ticketBits) == last; s++ {
			if p.hot.Load() && s < pollLimit {
				pause()
				continue
			}
			p.parked.Add(1)
			// Check again after the announcement: either kick sees it, or the new state is
			// seen here.
			if p.state.Load()>>(2*ticketBits) == last {
				<-p.wake
			} else {
				p.parked.Add(-1)
			}
			s = 0
		}
		if p.quit.Load() {
			return
		}
		last = p.state.Load() >> (2 * ticketBits)
		p.take(worker)
	}
}

// close stops the helpers. It must not be called during a run.
func (p *pool) close() {
	if p.quit.Swap(true) {
		return
	}
	p.kick(0, p.n)
	p.exited.Wait()
}
