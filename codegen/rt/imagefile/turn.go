package imagefile

import (
	"image"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// oriented returns img turned upright, given its EXIF orientation.
func oriented(img image.Image, orientation int) (image.Image, error) {
	if orientation == 1 {
		return img, nil
	}
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	r := image.Rect(0, 0, w, h)
	if orientation >= 5 {
		r = image.Rect(0, 0, h, w)
	}
	turn := func(dst, src []byte, stride, size int) { turned(dst, src, stride, size, w, h, orientation) }
	switch m := img.(type) {
	case pixel.Keyed:
		dst, err := oriented(m.Image, orientation)
		return pixel.Keyed{Image: dst}, err
	case *image.Gray:
		dst := image.NewGray(r)
		turn(dst.Pix, m.Pix, m.Stride, 1)
		return dst, nil
	case *image.Gray16:
		dst := image.NewGray16(r)
		turn(dst.Pix, m.Pix, m.Stride, 2)
		return dst, nil
	case *image.Paletted:
		dst := image.NewPaletted(r, m.Palette)
		turn(dst.Pix, m.Pix, m.Stride, 1)
		return dst, nil
	case *image.NRGBA:
		dst := image.NewNRGBA(r)
		turn(dst.Pix, m.Pix, m.Stride, 4)
		return dst, nil
	case *image.NRGBA64:
		dst := image.NewNRGBA64(r)
		turn(dst.Pix, m.Pix, m.Stride, 8)
		return dst, nil
	}
	// Picture types of this package without a case above have no alpha, so that Drop loses nothing.
	src, ok := img.(*pixel.RGB)
	if !ok {
		src = new(pixel.RGB)
		if err := pixel.ToRGB(src, img, pixel.Drop, nil); err != nil {
			return nil, err
		}
	}
	dst := &pixel.RGB{Pix: make([]uint8, len(src.Pix)), W: r.Dx(), H: r.Dy()}
	turn(dst.Pix, src.Pix, 3*w, 3)
	return dst, nil
}

// turned writes a picture of w x h pixels of size bytes each to dst, turned upright.
func turned(dst, src []byte, stride, size, w, h, orientation int) {
	first, dx, dy := pixel.Turn(orientation).Place(w, h)
	for y := range h {
		at, row := size*(first+y*dy), src[y*stride:][:w*size]
		for ; len(row) > 0; row = row[size:] {
			copy(dst[at:at+size], row)
			at += size * dx
		}
	}
}
