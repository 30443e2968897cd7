package pixel

import "fmt"

// Filters of a resize.
const (
	Bicubic  Filter = iota // cubic convolution with a = -0.5
	Bilinear               // triangle kernel
)

// Filter is the interpolation kernel of a resize: Bicubic or Bilinear. A reduction widens the
// kernel by its factor (antialiasing), as Pillow does.
type Filter uint8

// String returns the name: bicubic or bilinear.
func (f Filter) String() string { return nameOf("Filter", uint8(f), "bicubic", "bilinear") }

// How half of an odd margin is rounded.
const (
	Even  Offset = iota // to even, as in torchvision
	Floor               // down, as in Hugging Face transformers
)

// Offset is the rounding of the crop's position, half of what the resized side exceeds Size by:
// Even or Floor.
type Offset uint8

// String returns the name: even or floor.
func (o Offset) String() string { return nameOf("Offset", uint8(o), "even", "floor") }

// half returns half of n >= 0, rounded as o says.
func (o Offset) half(n int) int {
	if o == Floor {
		return n / 2
	}
	return n/2 + n&1&(n/2)
}

// The values of Order say when a picture is converted to RGB.
const (
	ConvertFirst Order = iota // before the resize
	ConvertLast               // after it, as in OpenAI's CLIP and open_clip
)

// Order is whether a picture is converted to RGB before or after the resize: ConvertFirst or
// ConvertLast. The result differs for pictures with a palette, with transparency or in CMYK.
type Order uint8

// String returns the name: first or last.
func (o Order) String() string { return nameOf("Order", uint8(o), "first", "last") }

// nameOf returns the i-th name, or kind(i) if there is none.
func nameOf(kind string, i uint8, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}
