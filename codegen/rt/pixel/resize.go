package pixel

import (
	"errors"
	"image"
	"math"
	"slices"
)

// Pillow resamples 8-bit channels in integers: weights are fixed point with precision
// fractional bits, and sums start at one half so that the final shift rounds.
// A sum is at most 255 times the sum of the weights' magnitudes (below 1.3 for these filters), so
// it fits in 32 bits, the rounding of the weights included.
const (
	precision = 22
	half      = 1 << (precision - 1)
)

// Resize writes img, converted to RGB (see ToRGB) and resized to w x h pixels, to dst, whose
// memory it reuses. It does not preserve the aspect ratio. Every byte equals resize((w, h),
// BICUBIC) of Pillow 11 and 12 on the RGB picture; from 12.2 on, Pillow resizes pictures more than
// 100 times as tall as they are wide vertically first. dst must not be img; s may be nil.
func Resize(dst *RGB, img image.Image, w, h int, alpha Alpha, s *Scratch) error {
	if m, ok := img.(*RGB); ok && m == dst {
		return errors.New("a picture cannot be resized into itself: give another RGB to write to")
	}
	if err := checkSize(w, h); err != nil {
		return err
	}
	if s == nil {
		s = new(Scratch)
	}
	defer s.src.close()
	if err := s.src.open(img, alpha); err != nil {
		return err
	}
	dst.reset(w, h)
	s.resample(dst.Pix, w, h, image.Rect(0, 0, w, h), Bicubic)
	return s.src.err
}

// axis is one direction of a resize: the inputs that a window of outputs needs, and the weights
// of each output. Every output takes the same number of inputs, in groups of four taps; the
// weights of inputs that it does not need are 0.
type axis struct {
	mirrored bool // inputs and outputs are numbered from the end: set before set

	same    bool    // input and output sizes are equal: the pass is skipped
	lo, hi  int     // range of inputs that the window needs
	groups  int     // of taps, for each output
	starts  []int32 // the first input of each output, counted from lo
	weights []int32 // of the taps of each output
	parts   []int16 // weights as vectors take them, see split
	buf     []float64
}

// set computes the weights of outputs from <= i < from+count of a resize from n inputs to out
// outputs. If the axis is mirrored, they are in reverse order, as the inputs are.
//
// The arithmetic and its order are Pillow's: the filter's support is scaled by max(n/out, 1),
// weights are divided by their sum and rounded half away from zero. The explicit conversions
// keep the compiler from fusing multiply and add, which would change bits on some CPUs.
func (a *axis) set(n, out, from, count int, f Filter) {
	a.same = n == out
	a.starts = grow(a.starts, count)
	if a.same {
		if a.lo, a.hi = from, from+count; a.mirrored {
			a.lo, a.hi = n-a.hi, n-a.lo
		}
		for i := range a.starts {
			a.starts[i] = int32(i)
		}
		return
	}
	scale := float64(n) / float64(out)
	filterScale := max(scale, 1)
	kernel, reach := f.kernel()
	support := float64(reach * filterScale)
	inverse := 1 / filterScale
	span := func(i int) (center float64, lo, hi int) {
		center = float64((float64(i) + 0.5) * scale)
		return center, max(int(center-support+0.5), 0), min(int(center+support+0.5), n)
	}
	_, a.lo, _ = span(from)
	_, _, a.hi = span(from + count - 1)
	if a.mirrored {
		a.lo, a.hi = n-a.hi, n-a.lo
	}
	most := 0
	for i := range count {
		_, lo, hi := span(from + i)
		most = max(most, hi-lo)
	}
	a.groups = (most + 3) / 4
	a.weights = grow(a.weights, 4*a.groups*count)
	clear(a.weights)
	for i := range count {
		center, lo, hi := span(from + i)
		a.buf = a.buf[:0]
		sum := 0.0
		for j := lo; j < hi; j++ {
			w := kernel(float64((float64(j) - center + 0.5) * inverse))
			a.buf = append(a.buf, w)
			sum += w
		}
		if a.mirrored {
			i, lo = count-1-i, n-hi
			slices.Reverse(a.buf)
		}
		// The last outputs start early enough for all their taps to be inputs, if there are as many.
		start := max(min(lo, a.hi-4*a.groups), a.lo)
		a.starts[i] = int32(start - a.lo)
		weights := a.of(i)[lo-start:]
		for j, w := range a.buf {
			if sum != 0 {
				w /= sum
			}
			w = float64(w * (1 << precision))
			if w < 0 {
				w -= 0.5
			} else {
				w += 0.5
			}
			weights[j] = int32(w)
		}
	}
	a.split()
}

// split sets parts: of each group of four weights the high parts, then the low parts, where a weight
// is high<<8 + low. Vectors multiply 16-bit numbers, and a weight takes 24 bits: those of a bicubic
// enlargement reach 1.2 at the edges of a picture. The sums of either part are modulo 2^32, which
// suffices, since their sum fits in 32 bits.
func (a *axis) split() {
	a.parts = grow(a.parts, 2*len(a.weights))
	for i, w := range a.weights {
		at := i/4*8 + i%4
		a.parts[at], a.parts[at+4] = int16(w>>8), int16(w&0xff)
	}
}

// taps returns the number of inputs that an output takes.
func (a *axis) taps() int {
	if a.same {
		return 1
	}
	return 4 * a.groups
}

// of returns the weights of output i, counted from the first of the window.
func (a *axis) of(i int) []int32 { return a.weights[4*a.groups*i:][:4*a.groups] }

// partsOf returns the parts of these weights.
func (a *axis) partsOf(i int) []int16 { return a.parts[8*a.groups*i:][:8*a.groups] }

// kernel returns the filter's weight as a function of the distance, and its support: the
// distance from which the weight is 0.
func (f Filter) kernel() (weight func(x float64) float64, support float64) {
	if f == Bilinear {
		return bilinear, 1
	}
	return bicubic, 2
}

// bilinear is the triangle kernel.
func bilinear(x float64) float64 { return max(0, 1-math.Abs(x)) }

// bicubic is the cubic convolution kernel with a = -0.5.
func bicubic(x float64) float64 {
	if x < 0 {
		x = -x
	}
	switch {
	case x < 1:
		return float64(float64((float64(1.5*x)-2.5)*x)*x) + 1
	case x < 2:
		return float64((float64((float64((x-5)*x)+8)*x) - 4) * -0.5)
	}
	return 0
}

// past is how many bytes after a row the passes may read, and how many they may overwrite.
const past = 16

// resizer resizes a picture of packed RGB whose rows arrive one at a time, from the top. The
// horizontal pass comes first, then the vertical one, each rounded to bytes, as in Pillow. A pass
// is skipped when its size does not change. It holds the rows that an output row takes, at most
// twice.
//
//	r.start(w, h, toW, toH, window, filter)
//	for y := r.y.lo; y < r.y.hi; y++ {
//		fill(r.next())     // with pixels r.x.lo to r.x.hi of row y
//		for r.push(); r.pop(dst); { // dst is a row of the window
//			...
//		}
//	}
type resizer struct {
	x, y   axis
	row    int        // bytes of an output row
	in     []uint8    // the next row; unused if its size stays
	packed [][2]int64 // in as lane pairs
	ring   []uint8    // rows after the horizontal pass
	limit  int        // rows that ring has room for
	first  int        // the row at the start of ring, counted from y.lo
	rows   int        // rows that were pushed
	out    int        // rows that were popped
}

// start prepares to resize a picture of w x h pixels to toW x toH pixels, of which only the window
// is computed.
func (r *resizer) start(w, h, toW, toH int, window image.Rectangle, f Filter) {
	r.x.set(w, toW, window.Min.X, window.Dx(), f)
	r.y.set(h, toH, window.Min.Y, window.Dy(), f)
	r.row = 3 * window.Dx()
	r.limit = max(min(2*r.y.taps(), r.y.hi-r.y.lo), r.y.taps())
	r.ring = grow(r.ring, r.limit*r.stride())
	r.in = grow(r.in, 3*(r.x.hi-r.x.lo)+past)
	r.first, r.rows, r.out = 0, 0, 0
}

// stride returns the distance of the rows in ring, in bytes.
func (r *resizer) stride() int { return r.row + past }

// next returns the memory of the next row, to be filled with pixels x.lo to x.hi before push.
func (r *resizer) next() []uint8 {
	if r.x.same {
		return r.free()[:r.row]
	}
	return r.in[:3*(r.x.hi-r.x.lo)]
}

// free returns the place of the next row in ring. If there is none, it drops the rows that no
// output needs any more.
func (r *resizer) free() []uint8 {
	if r.rows-r.first == r.limit {
		first := int(r.y.starts[r.out])
		copy(r.ring, r.ring[(first-r.first)*r.stride():])
		r.first = first
	}
	return r.ring[(r.rows-r.first)*r.stride():][:r.stride()]
}

// push takes the row in next. All output rows that the rows before it complete must have been
// popped.
func (r *resizer) push() {
	if !r.x.same {
		if dst := r.free(); !vectorHorizontal(dst, r.in, &r.x) {
			r.horizontal(dst)
		}
	}
	r.rows++
}

// pop writes the next output row to dst. It returns false if the rows so far do not suffice for
// it, or if there are no more.
func (r *resizer) pop(dst []uint8) bool {
	if r.out == len(r.y.starts) {
		return false
	}
	start := int(r.y.starts[r.out])
	if r.rows < min(start+r.y.taps(), r.y.hi-r.y.lo) {
		return false
	}
	rows := r.ring[(start-r.first)*r.stride():]
	if r.y.same {
		copy(dst[:r.row], rows)
	} else {
		dst = dst[:r.row]
		done := vectorVertical(dst, rows, r.stride(), r.y.partsOf(r.out))
		vertical(dst[done:], rows[done:], r.stride(), r.y.of(r.out))
	}
	r.out++
	return true
}

// rounded returns a sum of weighted bytes, which started at half, as a byte.
func rounded(sum int32) uint8 { return clamp(sum >> precision) }

// horizontal writes the pixels that r.x makes of r.in to dst. A lane pair is two signed sums in
// one int64, low + high<<32, so that one multiplication serves two channels.
func (r *resizer) horizontal(dst []uint8) {
	r.packed = grow(r.packed, len(r.in)/3)
	for i := range r.packed {
		p := r.in[3*i:][:3]
		r.packed[i] = [2]int64{int64(p[0]) | int64(p[1])<<32, int64(p[2])}
	}
	for i, start := range r.x.starts {
		weights := r.x.of(i)
		in := r.packed[start:][:len(weights)]
		pair, blue := int64(half|half<<32), int64(half)
		for j, w := range weights {
			p := &in[j]
			pair += int64(w) * p[0]
			blue += int64(w) * p[1]
		}
		red := int32(pair)
		d := dst[3*i:][:3]
		d[0], d[1], d[2] = rounded(red), rounded(int32((pair-int64(red))>>32)), rounded(int32(blue))
	}
}

// vertical writes to dst the weighted sum of rows of src, stride bytes apart.
func vertical(dst, src []uint8, stride int, weights []int32) {
	for x := range dst {
		sum := int32(half)
		for i, w := range weights {
			sum += w * int32(src[i*stride+x])
		}
		dst[x] = rounded(sum)
	}
}

// resample writes the window of the open picture, resized to w x h, to dst (3 bytes per pixel
// of the window).
func (s *Scratch) resample(dst []uint8, w, h int, window image.Rectangle, f Filter) {
	if s.src.stream != nil {
		s.resampleStream(dst, w, h, window, f)
		return
	}
	r := &s.resizer
	r.x.mirrored, r.y.mirrored = false, false
	r.start(s.src.w, s.src.h, w, h, window, f)
	for y := r.y.lo; y < r.y.hi; y++ {
		s.src.row(r.next(), y, r.x.lo, r.x.hi)
		for r.push(); r.pop(dst); {
			dst = dst[r.row:]
		}
	}
}
