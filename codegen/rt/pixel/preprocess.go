package pixel

import (
	"fmt"
	"image"
	"math"
)

// Resize modes: how a picture reaches the model's square.
const (
	// Stretch resizes to Size x Size and ignores the aspect ratio.
	Stretch Mode = iota
	// Crop resizes the shorter side to Size and the longer one in proportion,
	// rounded down, then cuts the square out of the middle.
	Crop
)

// Mode is how a picture reaches the model's square: Stretch or Crop.
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

// maxSize is the largest Preprocess.Size: far above any model's, and 3*maxSize²
// fits an int everywhere.
const maxSize = 1 << 14

// Preprocess says what a model expects of a picture. It is plain data; its methods
// do not change it, so one value may serve any number of goroutines.
type Preprocess struct {
	Size   int        // side of the square in pixels
	Resize Mode       // Stretch or Crop
	Filter Filter     // of the resize: Bicubic or Bilinear
	Offset Offset     // of Crop: Even or Floor
	Order  Order      // ConvertFirst or ConvertLast
	Alpha  Alpha      // what is seen of transparency: White, Black or Drop; of ConvertLast it is Drop
	Mean   [3]float32 // of R, G, B in 0..1
	Std    [3]float32 // likewise; not zero
}

// Scratch holds the buffers for work on pictures. The zero value is ready. It
// serves one goroutine at a time, and pictures of any size in turn; once it has seen
// the largest, nothing is allocated any more (unless img is of a type that only
// offers At, and At allocates).
type Scratch struct {
	src    source
	x, y   axis
	in     [2][]uint8 // source rows
	last   []uint8    // the fourth channel of a picture that is converted last
	out    [2][]uint8 // the same after the horizontal pass
	packed [][3]int64 // both, in lanes
	column column

	square    RGB
	table     [3][256]float32 // what a byte of a channel becomes
	tableMean [3]float32
	tableStd  [3]float32
}

// Check reports a Preprocess that cannot work.
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
		return fmt.Errorf("preprocessing: a picture that is converted last has alpha %v, want drop", p.Alpha)
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

// Into writes img as the tensor [3][Size][Size] (R, G, B planes of rows) to dst,
// which must have length Len: resized, then (byte/255 - mean)/std in float32, each
// operation rounded. s may be nil.
func (p *Preprocess) Into(dst []float32, img image.Image, s *Scratch) error {
	if s == nil {
		s = new(Scratch)
	}
	if err := p.Check(); err != nil {
		return err
	}
	if len(dst) != p.Len() {
		return fmt.Errorf("preprocessing: the tensor has room for %d floats, want %d (3 x %d x %d)", len(dst), p.Len(), p.Size, p.Size)
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

// Append appends the tensor of img to dst; see Into.
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

// Square writes the resized and cropped picture, Size x Size pixels, to dst: the
// bytes before normalisation. dst must not be img; s may be nil.
func (p *Preprocess) Square(dst *RGB, img image.Image, s *Scratch) error {
	if err := p.Check(); err != nil {
		return err
	}
	if m, ok := img.(*RGB); ok && m == dst {
		return fmt.Errorf("a picture cannot be resized into itself: give another RGB to write to")
	}
	if s == nil {
		s = new(Scratch)
	}
	defer s.src.close()
	if err := s.src.open(img, p.Alpha); err != nil {
		return err
	}
	// The shorter side becomes Size; only the window of the longer side is ever
	// computed, so that an extreme aspect ratio costs no memory.
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
	return nil
}

// setTable fills the table of (v/255 - mean)/std.
func (s *Scratch) setTable(mean, std [3]float32) {
	if s.tableMean == mean && s.tableStd == std {
		return // never true of the zero Scratch: a std is not 0
	}
	s.tableMean, s.tableStd = mean, std
	for c := range 3 {
		for v := range 256 {
			s.table[c][v] = float32(float32(float32(v)/255)-mean[c]) / std[c]
		}
	}
}
