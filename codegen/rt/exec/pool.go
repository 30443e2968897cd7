package exec

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// task is work that was cut into chunks. Tasks are preallocated structs: a
// pointer in an interface costs no allocation, a closure would.
type task interface {
	// run does one chunk. worker is 0 for the caller and 1.. for helpers; two chunks
	// with the same worker never run at the same time.
	run(chunk, worker int)
}

// pool runs the chunks of a task on the caller and on helper goroutines. Chunks
// are handed out by an atomic ticket, so a helper the system has descheduled
// costs nothing: the caller takes its chunks and waits only for chunks that were
// started. Between enter and leave idle helpers poll for a bounded time before
// they park; outside they park at once.
type pool struct {
	// state packs epoch(24) | chunks(20) | next ticket(20): one Add claims a ticket
	// and says whether it is valid.
	state atomic.Uint64
	_     [56]byte
	done  atomic.Int32
	_     [60]byte
	// parked counts helpers that announced that they wait, less those a token was
	// sent for. A helper that changes its mind may leave a token behind, which wakes
	// some helper once for nothing and keeps the count right.
	parked atomic.Int32
	hot    atomic.Bool
	quit   atomic.Bool
	task   task                       // set before state, read after a valid ticket
	fault  atomic.Pointer[blob.Fault] // that ended a chunk of the task
	wake   chan struct{}
	exited sync.WaitGroup
	n      int // helpers
}

const (
	ticketBits = 20
	ticketMask = 1<<ticketBits - 1
	epochMask  = 1<<24 - 1
	maxChunks  = 1 << 19

	// pollLimit times pause is about 50 microseconds: longer than the gaps between
	// the steps of a call, short beside a scheduling slice.
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

// pause passes a few nanoseconds without touching memory.
//
//go:noinline
func pause() {
	for range 24 {
	}
}

// enter and leave frame a call: helpers poll only in between.
func (p *pool) enter() { p.hot.Store(true) }

func (p *pool) leave() {
	p.hot.Store(false)
	p.task = nil // a parked pool keeps nothing alive
}

// run does the chunks [0, n) of t and returns when all are done. More chunks than
// there are tickets stay on the caller. One caller at a time. A fault (see [blob.Watch]) in any
// of them becomes a panic of the caller, once no helper is at work any more.
func (p *pool) run(n int, t task) {
	if n <= 1 || n > maxChunks || p.n == 0 {
		for c := range n {
			t.run(c, 0)
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

// kick publishes n chunks and wakes at most want parked helpers.
func (p *pool) kick(n, want int) {
	e := (p.state.Load()>>(2*ticketBits) + 1) & epochMask
	p.state.Store(e<<(2*ticketBits) | uint64(n)<<ticketBits)
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

// take runs chunks until none is left. After a fault it only counts them.
func (p *pool) take(worker int) {
	for p.chunks(worker) {
	}
}

// chunks is take up to a fault, after which it reports that chunks may be left.
func (p *pool) chunks(worker int) (again bool) {
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
		if p.fault.Load() == nil {
			p.task.run(c, worker) // stable: run returns only after done has counted this chunk
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
			// Looked at again after announcing: a kick either sees the announcement or
			// is seen here.
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

// close stops the helpers. No run may be under way.
func (p *pool) close() {
	if p.quit.Swap(true) {
		return
	}
	p.kick(0, p.n)
	p.exited.Wait()
}
