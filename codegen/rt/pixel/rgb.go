package pixel

import (
	"fmt"
	"image"
	"image/color"
)

// MaxSide is the longest side, in pixels, of a picture that this package reads or writes. It
// bounds the work and memory per picture.
const MaxSide = 1 << 15

// RGB is a picture of packed 8-bit RGB without padding: pixel (x, y) is Pix[3*(y*W+x):][:3]. It
// implements image.Image; reading Pix avoids the allocations of At.
type RGB struct {
	Pix  []uint8
	W, H int
}

// ColorModel returns color.RGBAModel.
func (m *RGB) ColorModel() color.Model { return color.RGBAModel }

// Bounds returns the picture's rectangle, which starts at (0, 0).
func (m *RGB) Bounds() image.Rectangle { return image.Rect(0, 0, m.W, m.H) }

// At returns the opaque colour of a pixel, the zero colour outside the picture.
func (m *RGB) At(x, y int) color.Color { return m.RGBAAt(x, y) }

// RGBAAt is At with a concrete result type, which does not allocate.
func (m *RGB) RGBAAt(x, y int) color.RGBA {
	if x < 0 || y < 0 || x >= m.W || y >= m.H {
		return color.RGBA{}
	}
	p := m.Pix[3*(y*m.W+x):]
	return color.RGBA{p[0], p[1], p[2], 255}
}

// Opaque returns true: RGB has no alpha.
func (m *RGB) Opaque() bool { return true }

// reset sets the size to w x h pixels and reuses Pix when it is large enough.
func (m *RGB) reset(w, h int) {
	m.W, m.H = w, h
	m.Pix = grow(m.Pix, 3*w*h)
}

// ToRGB converts img to RGB into dst, whose memory it reuses. It does nothing if img is dst
// itself. s may be nil.
//
// Transparent pixels are converted as alpha says. 16-bit channels are truncated to the high
// byte. CMYK and YCbCr (JPEG) are converted as in Pillow; the chroma of 4:2:0, 4:2:2 and 4:4:0
// is interpolated linearly.
func ToRGB(dst *RGB, img image.Image, alpha Alpha, s *Scratch) error {
	if m, ok := img.(*RGB); ok && m == dst {
		return nil
	}
	if s == nil {
		s = new(Scratch)
	}
	defer s.src.close()
	if err := s.src.open(img, alpha); err != nil {
		return err
	}
	dst.reset(s.src.w, s.src.h)
	if s.src.stream != nil {
		s.convertStream(dst.Pix)
		return s.src.err
	}
	for y := range dst.H {
		s.src.row(dst.Pix[3*dst.W*y:], y, 0, dst.W)
	}
	return nil
}

// checkSize returns an error unless both sides are 1 to MaxSide pixels.
func checkSize(w, h int) error {
	if w <= 0 || h <= 0 {
		return fmt.Errorf("the picture is %d x %d pixels, want at least 1 x 1", w, h)
	}
	if w > MaxSide || h > MaxSide {
		return fmt.Errorf("the picture is %d x %d pixels, want at most %d on a side: scale it down first", w, h, MaxSide)
	}
	return nil
}

// grow returns a slice of length n with unspecified contents, in the memory of b if that is
// large enough.
func grow[T any](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n)
	}
	return b[:n]
}
