package checkpoint_test

import (
	"fmt"
	"log"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

func ExampleOpenFile() {
	src, err := checkpoint.OpenFile("../../golden/testdata/classification/model.pth")
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	fmt.Println(len(src.Tensors()), "tensors")
	t, _ := checkpoint.Find(src, "head.weight")
	fmt.Println(t.Name, t)
	row, err := checkpoint.LoadRows(src, "head.weight", 20, 1)
	fmt.Println(len(row), row[0], err)
	// Output:
	// 131 tensors
	// head.weight f32[21,64]
	// 64 0.09204536 <nil>
}

func ExampleBind() {
	src, err := checkpoint.Memory("model.safetensors", []checkpoint.Tensor{
		{Name: "blocks.0.norm.bias", DType: checkpoint.F32, Shape: []int{2}, Floats: []float32{1, 2}},
	})
	if err != nil {
		log.Fatal(err)
	}
	p := &ir.Program{Weights: []*ir.Weight{{
		Name: "l0.ln.b", Type: ir.Of(ir.F32, ir.C(2)), Origin: &ir.Origin{Key: "blocks.0.norm1.bias", Shape: []int{2}},
	}}}
	_, err = checkpoint.Bind(p, src)
	fmt.Println(err)
	// Output:
	// model.safetensors does not fit the model: of 1 tensors wanted, 1 missing and 0 of another shape or type; the file has 1
	//   "blocks.0.norm1.bias" is missing, want [2] for @l0.ln.b; nearest surplus: "blocks.0.norm.bias" f32[2]
}
