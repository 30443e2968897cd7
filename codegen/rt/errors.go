package rt

import (
	"errors"
	"fmt"
	"math"

	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// ErrNotFinite says that an output holds a NaN or an infinity. A sound model makes none of finite input: either its
// weights are damaged or another model's (see Model.Verify), or the input held such values.
var ErrNotFinite = errors.New("not all numbers are finite: the weights are damaged or another model's (Verify and --verify say), or the input has such numbers")

// ErrFault says that the weights can no longer be read: see [blob.ErrFault].
var ErrFault = blob.ErrFault

// BatchError says which items of a batch have no result, and why. The others have theirs: a call that returns a BatchError
// returns its result too, with nil in the places of the items that failed.
type BatchError struct {
	Len   int         // items of the batch
	Items []ItemError // those that failed, by ascending index; one at least
}

// ItemError is why an item of a batch has no result.
type ItemError struct {
	Index int
	Err   error
}

// Error says why the first item failed, and how many did.
func (e *BatchError) Error() string {
	first := e.Items[0]
	if e.Len == 1 {
		return first.Err.Error()
	}
	return fmt.Sprintf("%d of %d items have no result, the first of them item %d: %v", len(e.Items), e.Len, first.Index, first.Err)
}

// Unwrap returns the errors of the items.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, len(e.Items))
	for i, it := range e.Items {
		errs[i] = it.Err
	}
	return errs
}

// finite reports whether no value is a NaN or an infinity: in these all bits of the exponent are set.
func finite(x []float32) bool {
	var a, b, c, d uint32
	for ; len(x) >= 4; x = x[4:] {
		a, b = max(a, math.Float32bits(x[0])<<1), max(b, math.Float32bits(x[1])<<1)
		c, d = max(c, math.Float32bits(x[2])<<1), max(d, math.Float32bits(x[3])<<1)
	}
	for _, v := range x {
		a = max(a, math.Float32bits(v)<<1)
	}
	return max(a, b, c, d) < 0xff<<24
}

// judge finds the sequences that have an output which is not finite.
func (r *Result) judge(p *Package) error {
	var bad *BatchError
	for seq := range r.n {
		for i := range r.f.Outputs {
			if k := i*r.n + seq; !finite(r.data[r.off[k]:r.off[k+1]]) {
				if bad == nil {
					bad = &BatchError{Len: r.n}
					r.failed = make([]bool, r.n)
				}
				r.failed[seq] = true
				err := fmt.Errorf("%s: %s: output %s: %w", p.Name, r.f.Name, r.f.Outputs[i].Name, ErrNotFinite)
				bad.Items = append(bad.Items, ItemError{seq, err})
				break
			}
		}
	}
	if bad == nil {
		return nil
	}
	return bad
}
