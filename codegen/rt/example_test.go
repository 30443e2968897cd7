package rt_test

import (
	"errors"
	"fmt"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/generated/beit3tiny"
)

// A generated package opens a model; a session of it runs batches of a function.
func Example() {
	m, err := beit3tiny.Package().New(rt.WithThreads(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	s := m.NewSession()
	defer s.Close()

	f := m.Func("language")
	out, err := s.Run(f, []rt.Seq{{IDs: []int32{0, 7, 9, 2}}, {IDs: []int32{0, 7, 2}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range out.Len() {
		rows := out.Out(0, i) // valid until the session's next Run
		fmt.Println("text", i, "has", len(rows)/f.Outputs[0].Cols, "rows")
	}

	_, err = s.Run(f, []rt.Seq{{IDs: []int32{0, 2}}, {IDs: []int32{0, 5000, 2}}})
	var input *rt.InputError
	fmt.Println(errors.As(err, &input) && input.Index == 1 && input.Field == "ids")
	fmt.Println(input.Err)
	// Output:
	// text 0 has 4 rows
	// text 1 has 3 rows
	// true
	// id 5000 at 1 is outside the vocabulary of 141; use the model's own tokenizer
}
