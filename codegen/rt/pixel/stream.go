package pixel

import (
	"fmt"
	"image"
	"image/color"
	"iter"
	"sync"
)

// Stream is a picture in a file whose rows are decoded while this package reads them, so that it is
// never in memory as a whole. It is an image.Image, but other packages do better with a decoded
// picture: At decodes all of it, and colours are black where that fails.
type Stream struct {
	Size image.Point // in pixels, as stored
	Turn Turn        // makes the picture upright

	// Strips yields the picture from top to bottom, as stored. It may be called several times. An
	// error ends it.
	Strips iter.Seq2[Strip, error]

	// Reduced returns the picture at a half, a quarter or an eighth of its size, rounded up, for by =
	// 2, 4 or 8, as its decoder reduces it: coarser and faster than a resize. nil: it cannot.
	Reduced func(by int) *Stream

	whole *RGB
	once  sync.Once
}

// Strip is a part of a Stream: all of rows From <= y < To. It is valid until the next one.
type Strip struct {
	// Image holds the rows at their place in the whole picture, and the rows beside them on whose
	// chroma theirs depends. It is opaque, an image.Gray, an image.YCbCr or an RGB that is the
	// whole picture.
	Image    image.Image
	From, To int
}

// ColorModel returns color.RGBAModel.
func (m *Stream) ColorModel() color.Model { return color.RGBAModel }

// Bounds returns the rectangle of the upright picture, which starts at (0, 0).
func (m *Stream) Bounds() image.Rectangle {
	if m.Turn.transposed() {
		return image.Rect(0, 0, m.Size.Y, m.Size.X)
	}
	return image.Rectangle{Max: m.Size}
}

// At returns a colour of the upright picture. The first call decodes all of it.
func (m *Stream) At(x, y int) color.Color {
	m.once.Do(func() {
		m.whole = new(RGB)
		ToRGB(m.whole, m, Drop, nil)
	})
	return m.whole.At(x, y)
}

// draft returns the picture reduced as far as possible to sides of at least side pixels, which is
// what draft of Pillow does.
func (m *Stream) draft(side int) *Stream {
	if m.Reduced == nil {
		return m
	}
	for by := 8; by > 1; by /= 2 {
		if min(m.Size.X, m.Size.Y)/side >= by {
			return m.Reduced(by)
		}
	}
	return m
}

// Turn is the way from a picture as it is stored to the upright one, as an EXIF orientation: 1 to
// 8. 0 is 1, upright.
type Turn uint8

// mirrored reports whether the columns and whether the rows are in reverse order.
func (t Turn) mirrored() (columns, rows bool) {
	return t == 2 || t == 3 || t == 7 || t == 8, t == 3 || t == 4 || t == 6 || t == 7
}

// transposed reports whether the columns become rows, after they have been reversed if they are
// mirrored.
func (t Turn) transposed() bool { return t >= 5 }

// Place returns where a picture of w x h pixels, as stored, has its pixels when it is upright: pixel
// (x, y) becomes pixel number first + x*dx + y*dy, counted from the top left, row by row.
func (t Turn) Place(w, h int) (first, dx, dy int) {
	dx, dy = 1, w
	if t.transposed() {
		dx, dy = h, 1
	}
	columns, rows := t.mirrored()
	if columns {
		first, dx = (w-1)*dx, -dx
	}
	if rows {
		first, dy = first+(h-1)*dy, -dy
	}
	return first, dx, dy
}

// rows yields from <= y < to, where row can be called for row y of the stream. It sets s.err if the
// picture cannot be decoded.
func (s *source) rows(from, to int) iter.Seq[int] {
	return func(yield func(int) bool) {
		end := 0
		for strip, err := range s.stream.Strips {
			if err == nil {
				err = s.openStrip(strip, end)
			}
			if s.err = err; err != nil {
				return
			}
			for y := max(from, strip.From); y < min(to, strip.To); y++ {
				if !yield(y) {
					return
				}
			}
			end = strip.To
		}
		if end != s.stream.Size.Y {
			s.err = fmt.Errorf("broken %T: it ends after %d of %d rows", s.stream, end, s.stream.Size.Y)
		}
	}
}

// openStrip prepares to read the rows of a strip, the first of which must be row from.
func (s *source) openStrip(strip Strip, from int) error {
	w, h := s.w, s.h
	defer func() { s.w, s.h = w, h }()
	if err := s.openImage(strip.Image); err != nil {
		return err
	}
	b := strip.Image.Bounds()
	if s.top = b.Min.Y; b.Dx() != s.stream.Size.X || strip.From != from || strip.From < b.Min.Y || strip.To > b.Max.Y {
		return fmt.Errorf("broken %T: rows %d to %d in %v, want %d columns, rows from %d on", s.stream, strip.From, strip.To, b, s.stream.Size.X, from)
	}
	return nil
}

// convertStream writes the open stream, upright, to dst.
func (s *Scratch) convertStream(dst []uint8) {
	m := s.src.stream
	s.line = grow(s.line, 3*m.Size.X)
	at, dx, dy := m.Turn.Place(m.Size.X, m.Size.Y)
	for y := range s.src.rows(0, m.Size.Y) {
		s.src.row(s.line, y, 0, m.Size.X)
		scatter(dst, s.line, at+y*dy, dx)
	}
}

// scatter writes the pixels of a row to dst, from pixel number at on, dx pixels apart.
func scatter(dst, row []uint8, at, dx int) {
	if dx == 1 {
		copy(dst[3*at:], row)
		return
	}
	for ; len(row) > 0; row = row[3:] {
		copy(dst[3*at:][:3], row)
		at += dx
	}
}

// resampleStream is resample for the open stream. Its rows arrive as they are stored, and pass
// through mirrored axes. If it is transposed, what is horizontal in the upright picture is the
// vertical pass over the stored rows, and comes first.
func (s *Scratch) resampleStream(dst []uint8, w, h int, window image.Rectangle, f Filter) {
	t, r := s.src.stream.Turn, &s.resizer
	columns, rows := t.mirrored()
	out := window.Size() // as stored
	last := r
	if t.transposed() {
		out.X, out.Y = out.Y, out.X
		last = &s.second
		last.x.mirrored, last.y.mirrored = columns, false
		last.start(s.src.h, out.Y, h, out.Y, image.Rect(window.Min.Y, 0, window.Max.Y, out.Y), f)
		r.x.mirrored, r.y.mirrored = false, rows
		r.start(s.src.h, s.src.w, s.src.h, w, image.Rect(last.x.lo, window.Min.X, last.x.hi, window.Max.X), f)
	} else {
		r.x.mirrored, r.y.mirrored = columns, rows
		r.start(s.src.w, s.src.h, w, h, window, f)
	}
	s.line = grow(s.line, 3*out.X)
	at, dx, dy := t.Place(out.X, out.Y)
	pop := func() bool {
		if last == r {
			return r.pop(s.line)
		}
		if last.out == out.Y || !r.pop(last.next()) { // after the last row, it has no next one
			return false
		}
		last.push()
		return last.pop(s.line)
	}
	for y := range s.src.rows(r.y.lo, r.y.hi) {
		s.src.row(r.next(), y, r.x.lo, r.x.hi)
		for r.push(); pop(); at += dy {
			scatter(dst, s.line, at, dx)
		}
	}
}
