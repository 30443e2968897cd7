package checkpoint

import (
	"errors"
	"fmt"
	"math"

	"github.com/multiway-go/multiway/ir/file"
)

// budget bounds the memory and the steps of a reader, in proportion to its input. Data counts by its approximate size in
// bytes, a step without data as one.
type budget struct{ left int }

var errBudget = errors.New("it would take far more memory or work than a file of its size needs")

// spend takes n >= 0 from the budget; errBudget if less is left.
func (b *budget) spend(n int) error {
	if n > b.left {
		b.left = 0
		return errBudget
	}
	b.left -= n
	return nil
}

// inflatedBudget returns the bound of the uncompressed bytes in an archive of the given size. Trained weights hardly shrink,
// while a compressed entry of zeros can expand a thousandfold.
func inflatedBudget(size int64) *budget { return &budget{int(min(16<<20+10*size, math.MaxInt))} }

// quote returns a text of a file for an error: shortened, in quotes, without characters that control a terminal.
func quote[T ~string | ~[]byte](s T) string { return file.Literal(string(s)) }

// found describes an unexpected token of JSON for an error.
func found(token any) string {
	switch t := token.(type) {
	case nil:
		return "null"
	case string:
		return quote(t)
	}
	if s := fmt.Sprint(token); len(s) < 40 {
		return s
	}
	return "a number of many digits"
}
