package decode

import (
	"encoding/binary"
	"image"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Tags of a TIFF directory, each with one 16-bit value.
const (
	tagCompression = 259
	tagPhotometric = 262
	tagOrientation = 274
)

// orientation reads the orientation (1 to 8) from an EXIF block. Anything damaged
// counts as upright, 1.
func orientation(exif []byte) int {
	if v := tiffTag(exif, tagOrientation); 1 <= v && v <= 8 {
		return v
	}
	return 1
}

// tiffTag returns the value of a tag in the first directory of a TIFF file, -1 if it is
// not there, is damaged, or is not a single 16-bit number.
func tiffTag(data []byte, tag uint16) int {
	const (
		headerLen = 8
		entryLen  = 12
		short     = 3
	)
	if len(data) < headerLen {
		return -1
	}
	var order binary.ByteOrder
	switch string(data[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return -1
	}
	at := uint64(order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return -1
	}
	directory := data[at:]
	n := int(order.Uint16(directory))
	directory = directory[2:]
	for range min(n, len(directory)/entryLen) {
		e := directory[:entryLen]
		directory = directory[entryLen:]
		if order.Uint16(e) == tag {
			if order.Uint16(e[2:]) != short || order.Uint32(e[4:]) != 1 {
				return -1
			}
			return int(order.Uint16(e[8:]))
		}
	}
	return -1
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
