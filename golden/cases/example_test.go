package cases_test

import (
	"fmt"

	"github.com/multiway-go/multiway/golden/cases"
)

// A case lists the runs for each variant of its weights, and compares their outputs.
func Example() {
	c, err := cases.Load("../testdata/encode_t1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	v := c.Variants()[0]
	runs := c.RunsOf(v)
	fmt.Println(v.Name, "goes with", len(runs), "runs")
	r := runs[0]
	batch, err := c.Batch(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Name, "has a batch of", batch.Size)
	want, err := c.Reference(r, "encoder_out")
	if err != nil {
		fmt.Println(err)
		return
	}
	got := make([][]float32, want.Sequences()) // of a model that is right but for one number
	for i := range got {
		got[i] = append(got[i], want.Sequence(i)...)
	}
	res, err := want.Compare(got)
	fmt.Println(res, err)
	got[0][3] += 0.5
	res, err = want.Compare(got)
	fmt.Println(res, err)
	// Output:
	// model.bf16.safetensors goes with 7 runs
	// vision_b1 has a batch of 1
	// max abs error 0, worst 0 of bound 3.33e-05 at [0 0 0] (got -1.4343956, want -1.4343956) ok <nil>
	// max abs error 0.5, worst 0.5 of bound 2.02e-05 at [0 0 3] (got 0.6160397, want 0.11603968) FAIL <nil>
}
