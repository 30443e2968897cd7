package pixel

import (
	"fmt"
	"image"
	"math"
)

// Resize modes: how a picture becomes a square.
const (
	// Stretch resizes to Size x Size and ignores the aspect ratio.
	Stretch Mode = iota
	// Crop resizes the shorter side to Size and the longer one in proportion, rounded down,
	// then crops the square in the middle (see Offset).
	Crop
)

// Mode is the way a picture becomes a square: Stretch or Crop.
type Mode uint8

// String returns the mode's name: stretch or crop.
func (m Mode) String() string {
	switch m {
	case Stretch:
		return "stretch"
	case Crop:
		return "crop"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// maxSize is the upper bound of Preprocess.Size, in pixels: 3*maxSize² fits an int32.
const maxSize = 1 << 14

// Preprocess is the preprocessing that a model expects, as plain data. Its methods do not
// change it, so any number of goroutines may share one value.
type Preprocess struct {
	Size   int        // side of the square in pixels
	Resize Mode       // Stretch or Crop
	Filter Filter     // of the resize: Bicubic or Bilinear
	Offset Offset     // of Crop: Even or Floor
	Order  Order      // ConvertFirst or ConvertLast
	Draft  bool       // a Stream is reduced by its decoder first, as by draft of Pillow
	Alpha  Alpha      // treatment of transparency: White, Black or Drop; must be Drop under ConvertLast
	Mean   [3]float32 // of R, G, B, with channel values scaled to 0..1
	Std    [3]float32 // of R, G, B on the same scale; not zero
}

// Scratch holds the buffers of preprocessing. The zero value is ready to use. It serves one
// goroutine at a time and pictures of any size. Once the buffers have grown to the largest
// picture nothing is allocated, except by the At method of picture types that this package
// reads through At.
type Scratch struct {
	src     source
	resizer resizer
	second  resizer // the other pass of a transposed Stream
	line    []uint8 // a source row, where the nearest pixel counts, or a row of a turned Stream
	last    []uint8 // the resized fourth channel under ConvertLast

	square    RGB
	table     [3][256]float32 // normalised value of each byte, per channel
	tableMean [3]float32
	tableStd  [3]float32
}

// Check returns an error if a field is out of range.
func (p *Preprocess) Check() error {
	if p.Size < 1 || p.Size > maxSize {
		return fmt.Errorf("preprocessing: size is %d, want 1 to %d", p.Size, maxSize)
	}
	if p.Resize != Stretch && p.Resize != Crop {
		return fmt.Errorf("preprocessing: unknown resize %v, want stretch or crop", p.Resize)
	}
	if p.Filter > Bilinear || p.Offset > Floor || p.Order > ConvertLast {
		return fmt.Errorf("preprocessing: got filter %v, offset %v and order %v, want bicubic or bilinear, even or floor, first or last", p.Filter, p.Offset, p.Order)
	}
	if err := p.Alpha.check(); err != nil {
		return fmt.Errorf("preprocessing: %w", err)
	}
	if p.Order == ConvertLast && p.Alpha != Drop {
		return fmt.Errorf("preprocessing: alpha is %v, want drop for pictures that are converted to RGB after the resize", p.Alpha)
	}
	for c := range 3 {
		if !finite(p.Mean[c]) || !finite(p.Std[c]) || p.Std[c] == 0 {
			return fmt.Errorf("preprocessing: channel %d has mean %v and std %v, want finite numbers and std not 0", c, p.Mean[c], p.Std[c])
		}
	}
	return nil
}

func finite(v float32) bool { return !math.IsInf(float64(v), 0) && v == v }

// Len returns the number of floats of the tensor [3][Size][Size].
func (p *Preprocess) Len() int { return 3 * p.Size * p.Size }

// Into writes the tensor [3][Size][Size] (planes R, G, B) of img to dst, which must have length
// Len: the resized picture, normalised to (byte/255 - mean)/std in float32 with each operation
// rounded. s may be nil.
func (p *Preprocess) Into(dst []float32, img image.Image, s *Scratch) error {
	if s == nil {
		s = new(Scratch)
	}
	if err := p.Check(); err != nil {
		return err
	}
	if len(dst) != p.Len() {
		return fmt.Errorf("preprocessing: the tensor holds %d floats, want %d (3 x %d x %d)", len(dst), p.Len(), p.Size, p.Size)
	}
	if err := p.Square(&s.square, img, s); err != nil {
		return err
	}
	s.setTable(p.Mean, p.Std)
	n := p.Size * p.Size
	pix := s.square.Pix[:3*n]
	r, g, b := dst[:n], dst[n:][:n], dst[2*n:][:n]
	tr, tg, tb := &s.table[0], &s.table[1], &s.table[2]
	for i := range r {
		v := pix[3*i:][:3]
		r[i], g[i], b[i] = tr[v[0]], tg[v[1]], tb[v[2]]
	}
	return nil
}

// Append appends the tensor of img to dst, as Into writes it.
func (p *Preprocess) Append(dst []float32, img image.Image, s *Scratch) ([]float32, error) {
	if err := p.Check(); err != nil {
		return dst, err
	}
	n := len(dst)
	if cap(dst)-n < p.Len() {
		dst = append(make([]float32, 0, n+p.Len()), dst...)
	}
	if err := p.Into(dst[n:n+p.Len()], img, s); err != nil {
		return dst[:n], err
	}
	return dst[:n+p.Len()], nil
}

// Square writes the resized and cropped picture of Size x Size pixels, before normalisation, to
// dst. dst must not be img; s may be nil.
func (p *Preprocess) Square(dst *RGB, img image.Image, s *Scratch) error {
	if err := p.Check(); err != nil {
		return err
	}
	if m, ok := img.(*RGB); ok && m == dst {
		return fmt.Errorf("a picture cannot be resized into itself: give another RGB to write to")
	}
	if m, ok := img.(*Stream); ok && p.Draft {
		img = m.draft(p.Size)
	}
	if s == nil {
		s = new(Scratch)
	}
	defer s.src.close()
	if err := s.src.open(img, p.Alpha); err != nil {
		return err
	}
	// Unless the picture is stretched, its shorter side becomes Size and the longer side is cropped.
	// Only the cropped window is computed, so that an extreme aspect ratio costs no memory.
	w, h := p.Size, p.Size
	switch {
	case p.Resize == Stretch:
	case s.src.w <= s.src.h:
		h = p.Size * s.src.h / s.src.w
	default:
		w = p.Size * s.src.w / s.src.h
	}
	dst.reset(p.Size, p.Size)
	at := image.Pt(p.Offset.half(w-p.Size), p.Offset.half(h-p.Size))
	window := image.Rectangle{at, at.Add(image.Pt(p.Size, p.Size))}
	if p.Order == ConvertLast {
		s.resampleLate(dst.Pix, w, h, window, p.Filter)
	} else {
		s.resample(dst.Pix, w, h, window, p.Filter)
	}
	return s.src.err
}

// setTable fills the table of (v/255 - mean)/std for each byte v.
func (s *Scratch) setTable(mean, std [3]float32) {
	if s.tableMean == mean && s.tableStd == std {
		return // the zero Scratch never returns here, because a std is not 0
	}
	s.tableMean, s.tableStd = mean, std
	for c := range 3 {
		for v := range 256 {
			s.table[c][v] = float32(float32(float32(v)/255)-mean[c]) / std[c]
		}
	}
}
