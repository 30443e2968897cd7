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
// The methods of a Model are batched, captions word by word, as is [Model.Run]. Calls of more than 256 rows and the calls of a
// [Session], also in [Model.Do], run alone. Results are the same bits as without the option, except with weights stored as
// int8x2: see the package's comment.
//
// An input that is not valid fails its own call, which never enters the queue. A call leaves the queue at once when its
// context ends; a call whose batch has begun goes on to its result. Close of the model waits for the batches that run,
// and queued calls get [ErrClosed]. A queue refers to the inputs of its callers and copies nothing.
func WithBatching() Option {
	return func(c *config) error { c.batching = true; return nil }
}

// batchRows is the most rows of a packed batch: products of more are hardly faster a row.
const batchRows = 256

// newQueues makes a queue for each function.
func (p *Package) newQueues() map[*exec.Func]*queue {
	all := map[*exec.Func]*queue{}
	for _, f := range p.Funcs {
		all[f] = &queue{rows: min(batchRows, p.Rows)}
	}
	return all
}

// Run runs f on a batch in one of the model's own sessions, as [Session.Run] does, and calls take with the result, which
// take must not keep. Where there is none, as after an [*InputError], it returns the error. It is safe for concurrent
// use: calls wait for a session in their order until ctx is done; a call that has begun goes on. On a model opened by
// [WithBatching] it is what packs calls together.
func (m *Model) Run(ctx context.Context, f *exec.Func, batch []Seq, take func(*Result, error) error) error {
	rows := 0
	for i := range batch {
		rows += max(1, f.Fixed+len(batch[i].IDs))
	}
	q := m.queues[f]
	if q == nil || rows > q.rows {
		return m.Do(ctx, func(s *Session) error {
			r, err := s.Run(f, batch)
			if r == nil {
				return err
			}
			return take(r, err)
		})
	}
	c := &call{batch: batch, rows: rows, first: make(chan struct{}), done: make(chan struct{})}
	err := m.pkg.takes(f, batch)
	if err == nil {
		err = m.packed(ctx, f, q, c)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", m.pkg.Name, f.Name, err)
	}
	return take(&c.result, c.result.judge(m.pkg))
}

// queue is the calls of a function that have not begun, oldest first. The first one waits for a session, to run itself
// and those behind it; the others wait to be run by it, or to become the first.
type queue struct {
	rows  int // most of a batch
	mu    sync.Mutex
	calls []*call
}

// call is a call of a function that waits for a session or for its result.
type call struct {
	batch  []Seq
	rows   int
	first  chan struct{} // closed when the call becomes the first of its queue
	done   chan struct{} // closed when the call has its result or err
	result Result
	err    error
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

// take takes the calls of the next batch out of the queue: the first one, and those behind it up to the one that does not
// fit.
func (q *queue) take() []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for rows := 0; n < len(q.calls) && rows+q.calls[n].rows <= q.rows; n++ {
		rows += q.calls[n].rows
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

// packed puts the call c of f into the queue q and waits until c has run. When c is the first of the
// queue and a session is free, this goroutine runs a batch of c and the calls behind it; otherwise
// another call's goroutine runs c in its batch.
func (m *Model) packed(ctx context.Context, f *exec.Func, q *queue, c *call) error {
	q.join(c)
	first, sessions := c.first, chan *Session(nil)
	for {
		select {
		case <-c.done:
			return c.err
		case <-first:
			runtime.Gosched() // calls of goroutines that are ready to go on come into the same batch
			first, sessions = nil, m.sessions
		case s := <-sessions:
			err := ctx.Err()
			if err == nil {
				err = m.check()
			}
			if err != nil {
				q.leave(c)
				m.sessions <- s
				return err
			}
			m.runAll(s, f, q.take())
			return c.err
		case <-ctx.Done():
			if q.leave(c) {
				return ctx.Err()
			}
			ctx = context.WithoutCancel(ctx) // it runs, and reads what is the caller's
		}
	}
}

// runAll runs calls of f as one batch in a session of the model's own, nil if that is not built yet, and gives it back.
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
		c.result.layout(f, c.batch)
		c.result.copy(&s.result, at)
		at += len(c.batch)
	}
}
