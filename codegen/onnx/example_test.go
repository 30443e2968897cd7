package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/multiway-go/multiway/codegen/onnx"
	"github.com/multiway-go/multiway/ir"
	place "github.com/multiway-go/multiway/ir/file"
)

// A function of a program becomes a file, which gets its name when it is whole.
func ExampleModel() {
	p, err := ir.Parse("tiny.ir", []byte(`
		program tiny
		weight @w.w f32[2,3]
		func f(x: f32[4,3]) {
			h = linear x, @w : f32[4,2]
			y = gelu h       : f32[4,2]
			return y
		}
	`))
	if err != nil {
		fmt.Println(err)
		return
	}
	p.Weight("w.w").Load = func() ([]float32, error) { return []float32{1, 2, 3, 4, 5, 6}, nil }
	m, err := onnx.Model(p, p.Func("f"), onnx.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var set place.Set
	defer set.Abandon()
	if err := m.Write(&set, filepath.Join(dir, "f.onnx")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Commit())
	written, err := os.ReadDir(dir)
	fmt.Println(len(written), written[0].Name(), err)
	// Output:
	// <nil>
	// 1 f.onnx <nil>
}
