// Package rttest is a hand-written stand-in for a generated package, for tests of the packages that
// import rt. Its functions add up their inputs, so that a test knows every result.
//
// It is for tests only.
package rttest

import (
	"encoding/binary"
	"io"
	"math"
	"unsafe"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/codegen/rt/kernel/kerneltest"
)

// The sizes of the package's inputs.
const (
	Image = 12 // floats of a picture: 2x2 of 3 colours
	Text  = 5  // longest text
	Vocab = 100
	Rows  = 16 // packed rows of a pass
	Scale = 2.5

	Poison = 98 // an id whose sums are NaN
)

// tensors is the table of the package's weight file: one float32 scalar named scale.
var tensors = []blob.Tensor{{Name: "scale", DType: blob.F32, Shape: []int{1}, Bytes: 4}}

// Package returns the package, its weights embedded. Its functions have one output
// "sums" of 2 columns and one row a sequence:
//
//	image   the sum of the picture, the position in the batch's pass
//	text    the sum of the ids, their number
//	pair    the sum of the picture, the sum of the ids
func Package() *rt.Package {
	return &rt.Package{
		Name: "fake", Contract: rt.Contract5, Layout: blob.LayoutHash(tensors), Rows: Rows, Text: Text, Vocab: Vocab,
		Kernels: []*kernel.Table{kerneltest.Naive("generic", 1, 16)},
		Funcs: []*exec.Func{
			function("image", true, false, func(e *exec.Exec, i int) (float32, float32) { return picture(e, i), float32(i) }),
			function("text", false, true, func(e *exec.Exec, i int) (float32, float32) { return ids(e, i), float32(e.Len[i]) }),
			function("pair", true, true, func(e *exec.Exec, i int) (float32, float32) { return picture(e, i), ids(e, i) }),
		},
		Blob: string(Weights()),
	}
}

// Weights returns the package's weight file.
func Weights() []byte {
	var b asmtest.Buffer
	if err := blob.Write(&b, blob.PackingPanels16, tensors, func(_ int, w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, math.Float32bits(Scale))
	}); err != nil {
		panic(err)
	}
	return b.Data
}

const ld = 16

func function(name string, image, text bool, of func(e *exec.Exec, seq int) (float32, float32)) *exec.Func {
	f := &exec.Func{
		Name: name, Text: text, Fixed: 1, Arena: 4 * Rows * ld,
		Outputs: []exec.Output{{Name: "sums", LD: ld, Cols: 2, Sections: []exec.Section{{C: 1}}}},
		Run: func(e *exec.Exec) {
			for i := range e.B {
				m := e.Mat(4*i*ld, ld, 1, 2)
				row := unsafe.Slice(m.P, 2)
				row[0], row[1] = of(e, i)
			}
		},
	}
	if image {
		f.Image = Image
	}
	return f
}

func picture(e *exec.Exec, seq int) (sum float32) {
	for _, x := range e.Images[seq] {
		sum += x
	}
	return sum
}

func ids(e *exec.Exec, seq int) (sum float32) {
	for _, id := range e.IDs[e.Start[seq]:][:e.Len[seq]] {
		if id == Poison {
			return float32(math.NaN())
		}
		sum += float32(id)
	}
	return sum
}
