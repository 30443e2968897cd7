package task

import (
	"context"
	"errors"
	"iter"

	"github.com/multiway-go/multiway/codegen/rt"
)

// Each returns the results of a sequence of inputs of any length, in order, by many, a method for several inputs:
//
//	for vector, err := range task.Each(ctx, pictures, model.EmbedImages) {
//
// A method with options, such as model.CaptionsWith, stands in a function literal.
//
// It calls many on 64 inputs at a time, and reads the next 64 meanwhile: at most so many inputs and results are held. An input
// without a result yields its error, in which the index of an *rt.InputError counts from the beginning of the sequence, and the
// others go on. Any other error, such as ctx's or rt.ErrClosed, is yielded once and ends the sequence. A loop that is left early
// ends the call that is under way, and nothing runs on behind it.
//
// inputs runs in the goroutine of the loop. A vector that a Session owns is valid until the loop's next turn.
func Each[T, R any](ctx context.Context, inputs iter.Seq[T], many func(context.Context, []T) ([]R, error)) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		e := each[T, R]{many: many, yield: yield}
		defer e.wait()
		defer cancel()
		for x := range inputs {
			if e.next = append(e.next, x); len(e.next) == batch && !e.turn(ctx) {
				return
			}
		}
		if e.turn(ctx) { // of what is under way, then of the rest
			e.turn(ctx)
		}
	}
}

// each is a loop of Each.
type each[T, R any] struct {
	many  func(context.Context, []T) ([]R, error)
	yield func(R, error) bool
	from  int           // inputs before those of the call
	call  []T           // inputs of the call under way or done
	done  chan struct{} // closed when the call is done; nil: none was made
	rows  []R           // what it returned
	err   error
	next  []T // inputs read since
}

// wait waits for the call under way, if there is one.
func (e *each[T, R]) wait() {
	if e.done != nil {
		<-e.done
	}
}

// turn yields the results of the call under way and makes the next one, of the inputs that were read. It reports whether the
// loop goes on.
func (e *each[T, R]) turn(ctx context.Context) bool {
	e.wait()
	if !e.results() {
		return false
	}
	e.from += len(e.call)
	e.call, e.next = e.next, e.call[:0]
	clear(e.next[:cap(e.next)])
	e.rows, e.err, e.done = nil, nil, nil
	if len(e.call) > 0 {
		done := make(chan struct{})
		e.done = done
		go func() {
			defer close(done)
			e.rows, e.err = e.many(ctx, e.call)
		}()
	}
	return true
}

// results yields the results of the call that has ended, or its error. It reports whether the loop
// goes on: not after an error of the whole call, nor when yield returns false.
func (e *each[T, R]) results() bool {
	if e.err != nil && partial(e.err) == nil {
		var none R
		e.yield(none, e.err)
		return false
	}
	for i := range e.call {
		var row R
		err := at(e.err, i)
		if err == nil {
			row = e.rows[i]
		} else if in := (*rt.InputError)(nil); errors.As(err, &in) {
			in.Index += e.from // the error is the call's own
		}
		if !e.yield(row, err) {
			return false
		}
	}
	return true
}

// at returns the error of input i after a call that ended with err: nil, or a *rt.BatchError.
func at(err error, i int) error {
	if err == nil {
		return nil
	}
	return partial(err).Errs[i]
}
