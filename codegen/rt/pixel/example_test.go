package pixel_test

import (
	"fmt"
	"image"
	"image/color"
	"log"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

func ExamplePreprocess_Into() {
	img := image.NewNRGBA(image.Rect(0, 0, 640, 480))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	img.Set(0, 0, color.Black)

	prep := pixel.Preprocess{
		Size:   4,
		Resize: pixel.Crop,
		Mean:   [3]float32{0.5, 0.5, 0.5},
		Std:    [3]float32{0.5, 0.5, 0.5},
	}
	x := make([]float32, prep.Len())
	var scratch pixel.Scratch // keep it for the next picture
	if err := prep.Into(x, img, &scratch); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(x), x[0])
	// Output: 48 1
}
