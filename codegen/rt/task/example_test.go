package task_test

import (
	"context"
	"fmt"
	"strings"

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

// A sequence of any length goes through a method for several inputs: here a function in the place of model.EmbedTexts.
func ExampleEach() {
	embedTexts := func(_ context.Context, texts []string) (lengths []int, err error) {
		for _, t := range texts {
			lengths = append(lengths, len(t))
		}
		return lengths, nil
	}
	words := strings.FieldsSeq("a red apple")
	for n, err := range task.Each(context.Background(), words, embedTexts) {
		if err != nil {
			fmt.Println(err) // of this input, or the last
			continue
		}
		fmt.Println(n)
	}
	// Output:
	// 1
	// 3
	// 5
}
