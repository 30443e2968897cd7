package caption_test

import (
	"fmt"

	"github.com/multiway-go/multiway/codegen/rt/caption"
)

// chain is a model of four ids: 2 follows the start 0, 3 follows 2, and the end 1 follows 3.
type chain struct{}

func (chain) Next(words []int32) ([][]float32, error) {
	next := map[int32]int{0: 2, 2: 3, 3: 1}
	rows := make([][]float32, len(words))
	for i, w := range words {
		rows[i] = make([]float32, 4)
		rows[i][next[w]] = 5
	}
	return rows, nil
}

func (chain) Advance([]int) error { return nil }

// Greedy and Beam ask a model for logits, word by word. A Runner makes such models of a compiled package.
func ExampleGreedy() {
	c, err := caption.Greedy(chain{}, caption.Options{BOS: 0, EOS: 1, MaxLen: 8})
	fmt.Println(c.IDs, err)
	c, err = caption.Beam(chain{}, caption.Options{BOS: 0, EOS: 1, MaxLen: 8, Beams: 2, Penalty: 0.6})
	fmt.Println(c.IDs, err) // without the end
	// Output:
	// [0 2 3 1] <nil>
	// [0 2 3] <nil>
}
