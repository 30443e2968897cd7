package checkpoint

import (
	"errors"
	"fmt"
	"math"

	"github.com/multiway-go/multiway/ir/file"
)

// budget bounds the memory and the steps of a reader. Held data counts its bytes, about; a step that holds nothing counts as
// one. Every reader makes one in proportion to its input.
type budget struct{ left int }

var errBudget = errors.New("it would take far more memory or work than a file of its size needs")

// spend takes n, of at least 0, from the budget.
func (b *budget) spend(n int) error {
	if n > b.left {
		b.left = 0
		return errBudget
	}
	b.left -= n
	return nil
}

// inflatedBudget is how many bytes the compressed entries of an archive of the given size may hold. Trained weights hardly
// shrink; a deflated entry of nothing can be a thousand times its size.
func inflatedBudget(size int64) *budget { return &budget{int(min(16<<20+10*size, math.MaxInt))} }

// quote gives a text of a file to an error: bounded, in quotes, nothing in it that a terminal acts on.
func quote[T ~string | ~[]byte](s T) string { return file.Literal(string(s)) }

// found names a token of JSON in an error about an unexpected one.
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
