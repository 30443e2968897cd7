// Package flow passes a long sequence of inputs through stages that overlap: reading, which waits for a disk, and
// preparing and computing, which keep the cores busy. Results come in the order of the inputs.
package flow

import (
	"cmp"
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiway-go/multiway/codegen/rt/memory"
)

// Flow is what happens to inputs of type T, by workers of type W. A stage keeps what it makes, and its error, in the input.
type Flow[T, W any] struct {
	// Workers are what Prepare and Compute work with, one for each core. Each serves one goroutine at a time.
	Workers []W
	// Batch is how many inputs are computed together, at least 1: the first Batch inputs, the next, and at last the rest,
	// whatever the time that they take.
	Batch int
	// Memory is the most bytes, by Takes, that inputs hold from the start of Read to the end of Prepare. An input that
	// takes more is alone with it. 0: a quarter of the memory that the process can use.
	Memory int64

	Takes   func(*T) int64 // bytes; nil: too few to count
	Read    func(*T)       // runs for several inputs at a time, while workers are busy; nil: no such stage
	Prepare func(W, *T)
	Compute func(W, []*T) // nil: no such stage

	mu    sync.Mutex
	times Times
}

// Times are sums over inputs.
type Times struct {
	Memory           time.Duration // waiting for memory
	Read             time.Duration // with Takes
	Prepare, Compute time.Duration // of workers
}

// Times returns those of the runs that have ended.
func (f *Flow[T, W]) Times() Times {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.times
}

const (
	// Readers is how many inputs are read at a time, or wait for a worker after that: enough for disks and networks that
	// answer late.
	Readers = 8

	// share is the divisor of the process's memory that gives the default of Flow.Memory.
	share = 4
)

// Run yields the inputs after their last stage, a batch at a time. Two batches for each worker are on the way, and those
// that are read. When ctx is done, or the loop is left, Run ends after the inputs and batches that workers are at, and does
// not wait for Read or for inputs. After the loop, ctx tells whether all inputs came.
func (f *Flow[T, W]) Run(ctx context.Context, inputs iter.Seq[T]) iter.Seq[[]*T] {
	return func(yield func([]*T) bool) {
		ctx, cancel := context.WithCancel(ctx)
		r := &run[T, W]{Flow: f, done: ctx.Done(), room: newRoom(cmp.Or(f.Memory, memory.Limit()/share)),
			batches: make(chan *batch[T], 2*len(f.Workers)+(Readers+f.Batch-1)/f.Batch),
			fed:     make(chan *passing[T]), read: make(chan *passing[T])}
		var reading, working sync.WaitGroup
		defer working.Wait()
		defer cancel()
		go r.feed(inputs)
		for range Readers {
			reading.Go(r.reader)
		}
		go func() {
			reading.Wait()
			close(r.read)
		}()
		for _, w := range f.Workers {
			working.Go(func() { r.worker(w) })
		}
		for b := range received(r.done, r.batches) {
			for range received(r.done, b.done) {
			}
			if ctx.Err() != nil || !yield(b.inputs) {
				return
			}
		}
	}
}

// run is a run of a flow.
type run[T, W any] struct {
	*Flow[T, W]
	done      <-chan struct{} // closed when no stage may begin
	room      *room
	batches   chan *batch[T]   // in order
	fed, read chan *passing[T] // to readers, and to workers
}

// batch is inputs that are computed together.
type batch[T any] struct {
	inputs []*T
	left   atomic.Int32  // inputs that are not prepared yet
	done   chan struct{} // closed after the last stage
}

// passing is an input between its stages.
type passing[T any] struct {
	*batch[T]
	input *T
	holds int64 // bytes of the room
}

// received yields what comes from a channel until it or done is closed.
func received[V any](done <-chan struct{}, c <-chan V) iter.Seq[V] {
	return func(yield func(V) bool) {
		for {
			select {
			case <-done:
				return
			default:
			}
			select {
			case v, ok := <-c:
				if !ok || !yield(v) {
					return
				}
			case <-done:
				return
			}
		}
	}
}

// send sends to a channel, and reports false if done is closed instead.
func send[V any](done <-chan struct{}, c chan<- V, v V) bool {
	select {
	case c <- v:
		return true
	case <-done:
		return false
	}
}

// feed cuts the inputs into batches, and sends these and their inputs on.
func (r *run[T, W]) feed(inputs iter.Seq[T]) {
	defer close(r.fed)
	defer close(r.batches)
	var list []*T
	for x := range inputs {
		if list = append(list, &x); len(list) == r.Batch {
			if !r.start(list) {
				return
			}
			list = nil
		}
	}
	if list != nil {
		r.start(list)
	}
}

// start sends a batch and its inputs. It reports false when no stage may begin.
func (r *run[T, W]) start(list []*T) bool {
	b := &batch[T]{inputs: list, done: make(chan struct{})}
	b.left.Store(int32(len(list)))
	if !send(r.done, r.batches, b) {
		return false
	}
	for _, x := range list {
		if !send(r.done, r.fed, &passing[T]{batch: b, input: x}) {
			return false
		}
	}
	return true
}

// reader reads inputs.
func (r *run[T, W]) reader() {
	for p := range received(r.done, r.fed) {
		if r.Takes != nil {
			r.timed(&r.times.Read, func() { p.holds = r.Takes(p.input) })
			r.timed(&r.times.Memory, func() { r.room.take(p.holds) })
		}
		if r.Read != nil {
			r.timed(&r.times.Read, func() { r.Read(p.input) })
		}
		if !send(r.done, r.read, p) {
			r.room.give(p.holds)
		}
	}
}

// worker prepares inputs, and computes a batch when it has prepared the last input of it.
func (r *run[T, W]) worker(w W) {
	for p := range received(r.done, r.read) {
		r.timed(&r.times.Prepare, func() { r.Prepare(w, p.input) })
		r.room.give(p.holds)
		if p.left.Add(-1) > 0 {
			continue
		}
		if r.Compute != nil {
			r.timed(&r.times.Compute, func() { r.Compute(w, p.inputs) })
		}
		close(p.done)
	}
}

// timed calls f and adds its time to sum.
func (f *Flow[T, W]) timed(sum *time.Duration, call func()) {
	begun := time.Now()
	call()
	took := time.Since(begun)
	f.mu.Lock()
	defer f.mu.Unlock()
	*sum += took
}
