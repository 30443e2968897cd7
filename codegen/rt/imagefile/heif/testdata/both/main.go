// Command both reads a picture with every reader linked.
package main

import (
	"fmt"
	"os"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	_ "github.com/multiway-go/multiway/codegen/rt/imagefile/avif"
	_ "github.com/multiway-go/multiway/codegen/rt/imagefile/heic"
)

func main() {
	img, format, err := imagefile.File(os.Args[1], imagefile.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(format, img.Bounds())
}
