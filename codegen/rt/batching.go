package rt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// WithBatching has concurrent small calls of the model run together: while no session is free, the calls of a function
// wait in a queue, and the next free session runs the oldest of them as one packed batch of up to 256 rows. A row is an
// id of a text or a patch of a picture. A call that finds a session free runs at once: nothing waits for a batch to
// fill. The option pays where many goroutines ask for a short text or a small picture each.
//
// Batched are the methods of a Model that embed, classify, answer, match or compare ([Model.DoPacked]). Captions, calls
// of more than 256 rows and the calls of a [Session], also in [Model.Do], run alone. Results are the same bits as
// without the option, int8x2 excepted: see the package's comment.
//
// An input that is not valid fails its own call, before the queue. A call whose context ends leaves the queue at once;
// if it has begun, it goes on to its result. Close of the model waits for what runs; what is queued gets [ErrClosed].
// At most 128 calls a session are queued; more of them wait until there is room.
func WithBatching() Option {
	return func(c *config) error { c.batching = true; return nil }
}

const (
	batchRows = 256 // of a packed batch: products of more rows are hardly faster a row
	batchRoom = 128 // calls a session that may run or be queued: the short texts of two batches
)

// batching is what a model opened by WithBatching has.
type batching struct {
	rows   int                   // most of a packed batch
	room   chan struct{}         // holds a value for each call of DoPacked
	idle   sync.Pool             // of *Session, for DoPacked
	queues map[*exec.Func]*queue // of each function that keeps nothing between calls
}

// newBatching makes the queues of a model that has that many sessions.
func newBatching(p *Package, sessions int) *batching {
	b := &batching{rows: min(batchRows, p.Rows), room: make(chan struct{}, batchRoom*sessions), queues: map[*exec.Func]*queue{}}
	for _, f := range p.Funcs {
		if f.Stores == nil && f.States == nil {
			b.queues[f] = new(queue)
		}
	}
	return b
}

// queue is the calls of a function that have not begun, oldest first. The first one waits for a session, to run itself
// and those behind it; the others wait to be run by it, or to become the first.
type queue struct {
	mu    sync.Mutex
	calls []*call
}

// call is a call of a function that waits for a session or for its result.
type call struct {
	batch  []Seq
	rows   int
	result *Result // laid out, to be filled

	first chan struct{} // closed when the call becomes the first of its queue
	done  chan struct{} // closed when the call has its result or err
	err   error
}

// errBatchPanicked is the error of calls whose batch was run by another call's goroutine, which panicked.
var errBatchPanicked = errors.New("another call panicked while it ran this one with it as a batch")

// join puts a call at the end of the queue.
func (q *queue) join(c *call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.calls = append(q.calls, c); len(q.calls) == 1 {
		close(c.first)
	}
}

// leave takes a call out of the queue. It reports false if the call has begun.
func (q *queue) leave(c *call) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.calls, c)
	if i < 0 {
		return false
	}
	q.remove(i, i+1)
	return true
}

// take takes the first call and those behind it that fit into a batch of that many rows out of the queue.
func (q *queue) take(rows int) []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.calls) && (n == 0 || q.calls[n].rows <= rows) {
		rows -= q.calls[n].rows
		n++
	}
	taken := slices.Clone(q.calls[:n])
	q.remove(0, n)
	return taken
}

// remove removes calls from a locked queue.
func (q *queue) remove(from, to int) {
	q.calls = slices.Delete(q.calls, from, to)
	if from == 0 && len(q.calls) > 0 {
		close(q.calls[0].first)
	}
}

// DoPacked is [Model.Do] for a call of n inputs of f. On a model opened by [WithBatching], if these are few, do is called
// beside those of other calls, with a session that has no arena: each of its Runs is packed with those of other calls
// and runs in one of the model's own sessions. A Run that has not begun when ctx ends returns the error of ctx.
func (m *Model) DoPacked(ctx context.Context, f *exec.Func, n int, do func(*Session) error) error {
	b := m.batching
	if b == nil || n*max(1, f.Fixed) > b.rows {
		return m.Do(ctx, do)
	}
	select {
	case b.room <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", m.pkg.Name, ctx.Err())
	}
	defer func() { <-b.room }()
	s, _ := b.idle.Get().(*Session)
	if s == nil {
		s = &Session{model: m}
	}
	s.ctx = ctx
	defer func() {
		s.ctx = nil
		b.idle.Put(s)
	}()
	return do(s)
}

// computePacked makes the result of a batch in one of the model's sessions, packed with what waits at that time.
func (s *Session) computePacked(f *exec.Func, batch []Seq) error {
	m, ctx := s.model, s.ctx
	m.open.RLock()
	err := s.check(f, batch)
	m.open.RUnlock() // not held while the call waits: Close does not wait for it
	if err != nil {
		return err
	}
	s.result.layout(f, batch)
	c := &call{batch: batch, result: &s.result, first: make(chan struct{}), done: make(chan struct{})}
	for i := range batch {
		c.rows += max(1, f.Fixed+len(batch[i].IDs))
	}
	q := m.batching.queues[f]
	if q == nil || c.rows > m.batching.rows {
		q = new(queue) // it runs alone
	}
	q.join(c)
	first, sessions := c.first, chan *Session(nil)
	for {
		select {
		case <-c.done:
			return c.err
		case <-first:
			runtime.Gosched() // calls of goroutines that are ready to go on come into the same batch
			first, sessions = nil, m.sessions
		case run := <-sessions:
			err := ctx.Err()
			if err == nil {
				err = m.check()
			}
			if err != nil {
				q.leave(c)
				m.sessions <- run
				return err
			}
			m.runAll(run, f, q.take(m.batching.rows))
			return c.err
		case <-ctx.Done():
			if q.leave(c) {
				return ctx.Err()
			}
			ctx = context.WithoutCancel(ctx) // it runs, and reads what is the caller's
		}
	}
}

// runAll runs calls of f as one batch in a session that the model's sessions lack meanwhile, nil if it is not built yet.
func (m *Model) runAll(s *Session, f *exec.Func, calls []*call) {
	err := errBatchPanicked
	defer func() {
		for _, c := range calls {
			c.err = err
			close(c.done)
		}
		m.sessions <- s
	}()
	if s == nil {
		s = m.NewSession()
	}
	var batch []Seq
	for _, c := range calls {
		batch = append(batch, c.batch...)
	}
	if err = s.compute(f, batch); err != nil {
		return
	}
	at := 0
	for _, c := range calls {
		c.result.copy(&s.result, at)
		at += len(c.batch)
	}
}
