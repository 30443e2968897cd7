package pixel

import "image"

// Under ConvertLast a picture is resized in the colour mode of its file, as in Pillow. A
// palette picture takes the nearest pixel. Colours with transparency are premultiplied before
// the resize and divided by the opacity after it; a picture that keeps its size keeps its colours.
// CMYK inks are resized as four channels. The fourth channel (opacity or black ink) takes a resize
// pass of its own.

// Keyed is a picture in which one colour stands for transparency, as in a PNG without an alpha
// channel. Under ConvertLast that colour is a colour like any other, since Pillow resizes such a
// picture without alpha. Otherwise Keyed is the same as its Image.
type Keyed struct{ image.Image }

// late reports how ConvertLast resizes the open picture: by the nearest pixel, or as four
// channels.
func (s *source) late() (nearest, four bool) {
	if s.keyed {
		return false, false
	}
	switch m := s.img.(type) {
	case *image.Paletted:
		return true, false
	case *image.CMYK, *image.NYCbCrA:
		return false, true
	case *image.NRGBA:
		return false, !m.Opaque()
	case *image.RGBA:
		return false, !m.Opaque()
	case *image.NRGBA64:
		return false, !m.Opaque()
	case *image.RGBA64:
		return false, !m.Opaque()
	}
	return false, false
}

// layer selects the channels that source.row writes: RGB, the first three of the file's four
// channels, or the fourth.
type layer uint8

const (
	seen layer = iota
	colours
	fourth
)

// raw writes the three colours of columns lo <= x < hi of row y to dst, or the fourth channel
// three times per pixel.
func (s *source) raw(dst []uint8, y, lo, hi int) {
	w := hi - lo
	dst = dst[:3*w]
	if m, ok := s.img.(*image.CMYK); ok {
		p := m.Pix[y*m.Stride+4*lo:][:4*w]
		for x := range w {
			q, d := p[4*x:][:4], dst[3*x:][:3]
			if s.layer == fourth {
				d[0], d[1], d[2] = q[3], q[3], q[3]
			} else {
				copy(d, q[:3])
			}
		}
		return
	}
	if s.layer == colours {
		s.colours(dst, y, lo, hi)
	}
	for x := range w {
		d, o := dst[3*x:][:3], s.opacity(lo+x, y)
		if s.layer == fourth {
			d[0], d[1], d[2] = o, o, o
		} else {
			d[0], d[1], d[2] = times(d[0], o), times(d[1], o), times(d[2], o)
		}
	}
}

// colours writes the colours of columns lo <= x < hi of row y, not premultiplied, as if opaque.
func (s *source) colours(dst []uint8, y, lo, hi int) {
	was := s.alpha
	s.alpha, s.layer = Drop, seen
	s.row(dst, y, lo, hi)
	s.alpha, s.layer = was, colours
}

// opacity returns the opacity (0 to 255) of pixel (x, y), 255 for a picture type without alpha. 16-bit
// alpha is truncated to the high byte.
func (s *source) opacity(x, y int) uint8 {
	switch m := s.img.(type) {
	case *image.NRGBA:
		return m.Pix[y*m.Stride+4*x+3]
	case *image.RGBA:
		return m.Pix[y*m.Stride+4*x+3]
	case *image.NRGBA64:
		return m.Pix[y*m.Stride+8*x+6]
	case *image.RGBA64:
		return m.Pix[y*m.Stride+8*x+6]
	case *image.NYCbCrA:
		return m.A[y*m.AStride+x]
	}
	return 255
}

// times returns c*o/255, rounded as by Pillow's MULDIV255.
func times(c, o uint8) uint8 {
	t := uint(c)*uint(o) + 128
	return uint8((t + t>>8) >> 8)
}

// divided undoes premultiplication: it divides a colour by its opacity, as Pillow does.
func divided(c, o uint8) uint8 {
	if o == 0 || o == 255 {
		return c
	}
	return uint8(min(255*uint(c)/uint(o), 255))
}

// resampleLate is resample under ConvertLast.
func (s *Scratch) resampleLate(dst []uint8, w, h int, window image.Rectangle, f Filter) {
	nearest, four := s.src.late()
	switch {
	case nearest:
		s.nearest(dst, w, h, window)
		return
	case !four, w == s.src.w && h == s.src.h:
		s.resample(dst, w, h, window, f)
		return
	}
	s.src.layer = colours
	s.resample(dst, w, h, window, f)
	s.src.layer = fourth
	s.last = grow(s.last, len(dst))
	s.resample(s.last, w, h, window, f)
	s.src.layer = seen
	_, ink := s.src.img.(*image.CMYK)
	for i := 0; i < len(dst); i += 3 {
		d, o := dst[i:][:3], s.last[i]
		if ink {
			c := cmyk(d[0], d[1], d[2], o)
			copy(d, c[:])
		} else {
			d[0], d[1], d[2] = divided(d[0], o), divided(d[1], o), divided(d[2], o)
		}
	}
}

// nearest writes the window of the open picture, resized to w x h by the nearest pixel, to dst.
func (s *Scratch) nearest(dst []uint8, w, h int, window image.Rectangle) {
	columns := positions(s.src.w, w, window.Min.X, window.Dx())
	rows := positions(s.src.h, h, window.Min.Y, window.Dy())
	left, right := columns[0], columns[len(columns)-1]+1
	s.line = grow(s.line, 3*(right-left))
	at := -1
	for _, y := range rows {
		if y != at {
			s.src.row(s.line, y, left, right)
			at = y
		}
		for _, x := range columns {
			copy(dst[:3], s.line[3*(x-left):])
			dst = dst[3:]
		}
	}
}

// positions returns the index of the nearest of n input pixels for the output pixels
// from <= i < from+count of a resize to out pixels. The position accumulates in float64, pixel
// by pixel, so that it rounds as in Pillow. Pixels before from take no memory: an extreme aspect
// ratio has far more of them than the window has.
func positions(n, out, from, count int) []int {
	step := float64(n) / float64(out)
	list := make([]int, 0, count)
	at := float64(step * 0.5)
	for i := range from + count {
		if i >= from {
			list = append(list, min(int(at), n-1))
		}
		at += step
	}
	return list
}
