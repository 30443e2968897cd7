package rt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// ErrNotFinite says that an output holds a NaN or an infinity. A sound model makes none of finite input: either its
// weights are damaged or another model's (see Model.Verify), or the input held such values.
var ErrNotFinite = errors.New("not all numbers are finite: the weights are damaged or another model's (Verify and --verify say), or the input has such numbers")

// ErrClosed says that a call came after Close of its model or session.
var ErrClosed = blob.ErrClosed

// sessionClosed is the error of a call on a closed session; it matches [ErrClosed].
type sessionClosed struct{}

func (sessionClosed) Error() string        { return "the session is closed; make another with NewSession" }
func (sessionClosed) Is(target error) bool { return target == ErrClosed }

// ErrFault says that the weights can no longer be read: see [blob.ErrFault].
var ErrFault = blob.ErrFault

// ErrLimit says that an input is larger than the model takes. It comes in an [InputError].
var ErrLimit = errors.New("over the limit")

// InputError says that an input of a call cannot be taken, whatever the state of the model: what a server answers by a
// status of 400, where all other errors are of 500. [ErrLimit] is among what it wraps if the input is too large.
type InputError struct {
	Index int    // of the input in the call's batch
	Field string // what is wrong in it: "image", "ids" or "state" of a Seq, "picture", "picture A" or "picture B" of a task
	Err   error
}

// Error says which input it is, and why.
func (e *InputError) Error() string { return fmt.Sprintf("input %d: %s: %v", e.Index, e.Field, e.Err) }

// Unwrap returns Err.
func (e *InputError) Unwrap() error { return e.Err }

// limitError is an error with its own text that matches [ErrLimit].
type limitError string

func (e limitError) Error() string        { return string(e) }
func (e limitError) Is(target error) bool { return target == ErrLimit }

// BatchError says which items of a batch have no result, and why. The others have theirs: a call that returns a BatchError
// returns its result too, with nil in the places of the items that failed.
type BatchError struct {
	Errs []error // of each item, nil where it has a result; one at least is not
}

// Error says why the first item failed, and how many did.
func (e *BatchError) Error() string {
	failed := e.Unwrap()
	if len(e.Errs) == 1 {
		return failed[0].Error()
	}
	first := slices.IndexFunc(e.Errs, func(err error) bool { return err != nil })
	return fmt.Sprintf("%d of %d items have no result, the first of them item %d: %v", len(failed), len(e.Errs), first, failed[0])
}

// Unwrap returns the errors of the items that failed.
func (e *BatchError) Unwrap() []error {
	return slices.DeleteFunc(slices.Clone(e.Errs), func(err error) bool { return err == nil })
}

// judge finds the sequences that have an output which is not finite.
func (r *Result) judge(p *Package) error {
	if r.finite {
		return nil
	}
	for seq := range r.n {
		for i := range r.f.Outputs {
			if k := i*r.n + seq; !exec.Finite(r.data[r.off[k]:r.off[k+1]]) {
				if r.failed == nil {
					r.failed = make([]error, r.n)
				}
				r.failed[seq] = fmt.Errorf("%s: %s: output %s: %w", p.Name, r.f.Name, r.f.Outputs[i].Name, ErrNotFinite)
				break
			}
		}
	}
	if r.failed == nil {
		return nil
	}
	return &BatchError{r.failed}
}
