package pixel

import "fmt"

// The filters of a resize.
const (
	Bicubic  Filter = iota // cubic convolution with a = -0.5
	Bilinear               // the triangle
)

// Filter is how a resize weighs the pixels around: Bicubic or Bilinear, either wider where a picture is made smaller, as
// Pillow has them.
type Filter uint8

// String returns the name: bicubic or bilinear.
func (f Filter) String() string { return nameOf("Filter", uint8(f), "bicubic", "bilinear") }

// How half of an odd surplus is rounded.
const (
	Even  Offset = iota // to even, as torchvision does it
	Floor               // down, as Hugging Face's transformers do it
)

// Offset is where Crop cuts, at half the surplus: Even or Floor says how it is rounded.
type Offset uint8

// String returns the name: even or floor.
func (o Offset) String() string { return nameOf("Offset", uint8(o), "even", "floor") }

// half is half of n, which is not negative.
func (o Offset) half(n int) int {
	if o == Floor {
		return n / 2
	}
	return n/2 + n&1&(n/2)
}

// When a picture becomes RGB.
const (
	ConvertFirst Order = iota // before the resize
	ConvertLast               // after it, as OpenAI's CLIP and open_clip do it
)

// Order is whether a picture becomes RGB before or after its resize: ConvertFirst or ConvertLast. It matters to pictures with a
// palette, with transparency or in CMYK.
type Order uint8

// String returns the name: first or last.
func (o Order) String() string { return nameOf("Order", uint8(o), "first", "last") }

// nameOf returns the i-th name, or for another value kind(i).
func nameOf(kind string, i uint8, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}
