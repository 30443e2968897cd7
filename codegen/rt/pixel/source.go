package pixel

import (
	"errors"
	"fmt"
	"image"
	"image/color"
)

// source reads the rows of a picture of any type as RGB.
type source struct {
	img   image.Image // of a Stream, the strip that is read
	top   int         // the first row of img in the picture
	alpha Alpha
	layer layer
	keyed bool // img was the Image of a Keyed
	w, h  int

	stream *Stream // nil: img is the picture
	err    error   // why the rest of stream cannot be read

	palette [256][3]uint8 // of an image.Paletted, converted to RGB

	chroma ycc // of an image.YCbCr or image.NYCbCrA
}

// open prepares to read img. It checks that the slices of img cover its rectangle, so that row
// cannot index past their end.
func (s *source) open(img image.Image, alpha Alpha) error {
	k, keyed := img.(Keyed)
	if keyed {
		img = k.Image
	}
	s.keyed = keyed
	if img == nil {
		return errors.New("no picture was given (nil image)")
	}
	if err := alpha.check(); err != nil {
		return err
	}
	s.alpha, s.top, s.err = alpha, 0, nil
	if m, ok := img.(*Stream); ok {
		s.stream = m
		s.w, s.h = m.Bounds().Dx(), m.Bounds().Dy()
		return checkSize(s.w, s.h)
	}
	return s.openImage(img)
}

func (s *source) openImage(img image.Image) error {
	b := img.Bounds()
	s.w, s.h = b.Dx(), b.Dy()
	if err := checkSize(s.w, s.h); err != nil {
		return err
	}
	s.img = img
	switch m := img.(type) {
	case *RGB:
		return s.check("Pix", len(m.Pix), 3*m.W, 3)
	case *image.NRGBA:
		return s.check("Pix", len(m.Pix), m.Stride, 4)
	case *image.RGBA:
		return s.check("Pix", len(m.Pix), m.Stride, 4)
	case *image.NRGBA64:
		return s.check("Pix", len(m.Pix), m.Stride, 8)
	case *image.RGBA64:
		return s.check("Pix", len(m.Pix), m.Stride, 8)
	case *image.Gray:
		return s.check("Pix", len(m.Pix), m.Stride, 1)
	case *image.Gray16:
		return s.check("Pix", len(m.Pix), m.Stride, 2)
	case *image.CMYK:
		return s.check("Pix", len(m.Pix), m.Stride, 4)
	case *image.Paletted:
		s.setPalette(m.Palette)
		return s.check("Pix", len(m.Pix), m.Stride, 1)
	case *image.YCbCr:
		return s.openYCbCr(m)
	case *image.NYCbCrA:
		if err := s.check("A", len(m.A), m.AStride, 1); err != nil {
			return err
		}
		return s.openYCbCr(&m.YCbCr)
	}
	return nil // read pixel by pixel through At
}

// close drops the picture, so that a Scratch does not keep it alive.
func (s *source) close() { s.img, s.stream = nil, nil }

// check returns an error unless a plane of n bytes holds the picture's rows.
func (s *source) check(plane string, n, stride, size int) error {
	return checkPlane(s.img, plane, n, stride, s.w*size, s.h)
}

// checkPlane returns an error unless a plane of n bytes holds h rows of row bytes, stride bytes
// apart.
func checkPlane(img image.Image, plane string, n, stride, row, h int) error {
	// Strides are bounded first so that the product cannot overflow.
	if h > 1 && (stride < row || stride > n) || n < row || int64(n-row) < int64(h-1)*int64(stride) {
		return fmt.Errorf("broken %T: %s holds %d bytes with stride %d, want %d rows of %d bytes", img, plane, n, stride, h, row)
	}
	return nil
}

// setPalette converts a palette to RGB. Indices past its end are black, as in the PNG decoders.
func (s *source) setPalette(p color.Palette) {
	s.palette = [256][3]uint8{}
	for i, c := range p[:min(len(p), 256)] {
		s.palette[i] = s.alpha.color(c)
	}
}

// color converts any colour to RGB.
func (a Alpha) color(c color.Color) [3]uint8 {
	switch c := c.(type) {
	case nil:
		return [3]uint8{}
	case color.NRGBA:
		return [3]uint8{a.over(c.R, c.A), a.over(c.G, c.A), a.over(c.B, c.A)}
	case color.NRGBA64:
		o := uint8(c.A >> 8)
		return [3]uint8{a.over(uint8(c.R>>8), o), a.over(uint8(c.G>>8), o), a.over(uint8(c.B>>8), o)}
	case color.CMYK:
		return cmyk(c.C, c.M, c.Y, c.K)
	}
	r, g, b, o := c.RGBA()
	return [3]uint8{a.over16(r, o), a.over16(g, o), a.over16(b, o)}
}

// cmyk converts as Pillow does: white less ink, scaled by the light that black ink lets
// through, divided by 255 with Pillow's rounding.
func cmyk(c, m, y, k uint8) [3]uint8 {
	white := 255 - k
	ink := func(v uint8) uint8 { return white - times(v, white) }
	return [3]uint8{ink(c), ink(m), ink(y)}
}

// row writes columns lo <= x < hi of row y, counted from the top left of the picture, to dst;
// s.layer selects the channels.
func (s *source) row(dst []uint8, y, lo, hi int) {
	if s.layer != seen {
		s.raw(dst, y, lo, hi)
		return
	}
	w, alpha := hi-lo, s.alpha
	y -= s.top
	dst = dst[:3*w]
	switch m := s.img.(type) {
	case *RGB:
		copy(dst, m.Pix[3*(m.W*y+lo):])
	case *image.NRGBA:
		p := m.Pix[y*m.Stride+4*lo:][:4*w]
		for len(p) >= 4 && len(dst) >= 3 {
			if a := p[3]; a == 255 || alpha == Drop {
				dst[0], dst[1], dst[2] = p[0], p[1], p[2]
			} else {
				dst[0], dst[1], dst[2] = alpha.over(p[0], a), alpha.over(p[1], a), alpha.over(p[2], a)
			}
			p, dst = p[4:], dst[3:]
		}
	case *image.RGBA:
		p := m.Pix[y*m.Stride+4*lo:][:4*w]
		for len(p) >= 4 && len(dst) >= 3 {
			a := p[3]
			dst[0], dst[1], dst[2] = alpha.over8(p[0], a), alpha.over8(p[1], a), alpha.over8(p[2], a)
			p, dst = p[4:], dst[3:]
		}
	case *image.NRGBA64:
		p := m.Pix[y*m.Stride+8*lo:][:8*w]
		for len(p) >= 8 && len(dst) >= 3 {
			a := p[6]
			dst[0], dst[1], dst[2] = alpha.over(p[0], a), alpha.over(p[2], a), alpha.over(p[4], a)
			p, dst = p[8:], dst[3:]
		}
	case *image.RGBA64:
		p := m.Pix[y*m.Stride+8*lo:][:8*w]
		for len(p) >= 8 && len(dst) >= 3 {
			a := uint32(p[6])<<8 | uint32(p[7])
			dst[0] = alpha.over16(uint32(p[0])<<8|uint32(p[1]), a)
			dst[1] = alpha.over16(uint32(p[2])<<8|uint32(p[3]), a)
			dst[2] = alpha.over16(uint32(p[4])<<8|uint32(p[5]), a)
			p, dst = p[8:], dst[3:]
		}
	case *image.Gray:
		for x, v := range m.Pix[y*m.Stride+lo:][:w] {
			d := dst[3*x:][:3]
			d[0], d[1], d[2] = v, v, v
		}
	case *image.Gray16:
		p := m.Pix[y*m.Stride+2*lo:][:2*w]
		for x := range w {
			v, d := p[2*x], dst[3*x:][:3]
			d[0], d[1], d[2] = v, v, v
		}
	case *image.CMYK:
		p := m.Pix[y*m.Stride+4*lo:][:4*w]
		for x := range w {
			q := p[4*x:][:4]
			c := cmyk(q[0], q[1], q[2], q[3])
			copy(dst[3*x:], c[:])
		}
	case *image.Paletted:
		for x, v := range m.Pix[y*m.Stride+lo:][:w] {
			c, d := &s.palette[v], dst[3*x:][:3]
			d[0], d[1], d[2] = c[0], c[1], c[2]
		}
	case *image.YCbCr:
		s.rowYCbCr(dst, m, y, lo, hi)
	case *image.NYCbCrA:
		s.rowYCbCr(dst, &m.YCbCr, y, lo, hi)
		for x, a := range m.A[y*m.AStride+lo:][:w] {
			d := dst[3*x:][:3]
			d[0], d[1], d[2] = alpha.over(d[0], a), alpha.over(d[1], a), alpha.over(d[2], a)
		}
	default:
		b := m.Bounds().Min
		for x := range w {
			c := alpha.color(m.At(b.X+lo+x, b.Y+y))
			copy(dst[3*x:], c[:])
		}
	}
}
