package imagefile_test

import (
	"errors"
	"fmt"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// A file becomes a picture, and that what a model takes. A picture above a limit is refused unread.
func ExampleFile() {
	img, format, err := imagefile.File("testdata/420.jpg", imagefile.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(format, img.Bounds().Size())

	prep := pixel.Preprocess{Size: 16, Std: [3]float32{1, 1, 1}}
	x := make([]float32, prep.Len())
	fmt.Println(prep.Into(x, img, new(pixel.Scratch)), len(x))

	_, _, err = imagefile.File("testdata/420.jpg", imagefile.Options{MaxPixels: 1000})
	fmt.Println(errors.Is(err, imagefile.ErrMaxPixels))
	// Output:
	// jpeg (61,45)
	// <nil> 768
	// true
}
