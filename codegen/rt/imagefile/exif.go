package imagefile

import (
	"encoding/binary"
	"image"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// orientation reads the orientation (1 to 8) from an EXIF block. Anything damaged
// counts as upright, 1.
func orientation(exif []byte) int {
	// One number of 16 bits, by the standard.
	e := directory(exif).entry(tagOrientation)
	if e == nil || e.kind != ifdShort || e.count != 1 {
		return 1
	}
	v := 1
	e.each(1, func(x uint32) {
		if 1 <= x && x <= 8 {
			v = int(x)
		}
	})
	return v
}

// oriented returns img turned upright, given its EXIF orientation.
func oriented(img image.Image, orientation int) (image.Image, error) {
	if orientation == 1 {
		return img, nil
	}
	var src pixel.RGB
	if err := pixel.ToRGB(&src, img, nil); err != nil {
		return nil, err
	}
	w, h := src.W, src.H
	// Pixel (x, y) of the result is pixel first + x*dx + y*dy of the source.
	o := [...]struct{ first, dx, dy int }{
		2: {w - 1, -1, w},       // mirrored
		3: {w*h - 1, -1, -w},    // upside down
		4: {w * (h - 1), 1, -w}, // mirrored, upside down
		5: {0, w, 1},            // mirrored along the diagonal
		6: {w * (h - 1), -w, 1}, // to be turned right
		7: {w*h - 1, -w, -1},    // mirrored along the other diagonal
		8: {w - 1, w, -1},       // to be turned left
	}[orientation]
	dst := &pixel.RGB{Pix: make([]uint8, len(src.Pix)), W: w, H: h}
	if orientation >= 5 {
		dst.W, dst.H = h, w
	}
	i := 0
	for y := range dst.H {
		at := o.first + y*o.dy
		for range dst.W {
			copy(dst.Pix[i:i+3], src.Pix[3*at:])
			i += 3
			at += o.dx
		}
	}
	return dst, nil
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
