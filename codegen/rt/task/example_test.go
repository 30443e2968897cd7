package task_test

import (
	"fmt"

	"github.com/multiway-go/multiway/codegen/rt/task"
)

// The most probable classes of logits, best first.
func ExampleTop() {
	for _, l := range task.Top([]float32{0, 2, 1}, []string{"cat", "dog", "owl"}, 2) {
		fmt.Printf("%s %.2f\n", l.Name, l.Prob)
	}
	// Output:
	// dog 0.67
	// owl 0.24
}
