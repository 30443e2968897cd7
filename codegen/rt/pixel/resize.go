package pixel

import (
	"errors"
	"image"
	"math"
)

// Pillow resamples 8-bit channels in integers: weights are fixed point with precision
// fractional bits, and sums start at one half so that the final shift rounds.
const (
	precision = 22
	half      = 1 << (precision - 1)
)

// Resize writes img, converted to RGB (see ToRGB) and resized to w x h pixels, to dst, whose
// memory it reuses. It does not preserve the aspect ratio. Every byte equals resize((w, h),
// BICUBIC) of Pillow 11 and 12 on the RGB picture; later versions resize tall pictures
// vertically first. dst must not be img; s may be nil.
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
	return nil
}

// axis is one direction of a resize: for each output of a window, the range of inputs that
// contribute to it and their weights.
type axis struct {
	same    bool // input and output sizes are equal: the pass is skipped
	taps    []tap
	weights []int32
	lo, hi  int // range of inputs that the window needs
	buf     []float64
}

// tap describes one output: the weighted sum of inputs lo <= i < hi, with the weights from
// index at of axis.weights on.
type tap struct{ lo, hi, at int }

func (t tap) weights(a *axis) []int32 { return a.weights[t.at:][:t.hi-t.lo] }

// set computes the taps and weights of outputs from <= i < from+count of a resize from n inputs
// to out outputs.
//
// The arithmetic and its order are Pillow's: the filter's support is scaled by max(n/out, 1),
// weights are divided by their sum and rounded half away from zero. The explicit conversions
// keep the compiler from fusing multiply and add, which would change bits on some CPUs.
func (a *axis) set(n, out, from, count int, f Filter) {
	a.same = n == out
	a.taps, a.weights = a.taps[:0], a.weights[:0]
	if a.same {
		a.lo, a.hi = from, from+count
		return
	}
	scale := float64(n) / float64(out)
	filterScale := max(scale, 1)
	kernel, reach := f.kernel()
	support := float64(reach * filterScale)
	inverse := 1 / filterScale
	for i := from; i < from+count; i++ {
		center := float64((float64(i) + 0.5) * scale)
		lo := max(int(center-support+0.5), 0)
		hi := min(int(center+support+0.5), n)
		a.buf = a.buf[:0]
		sum := 0.0
		for j := lo; j < hi; j++ {
			w := kernel(float64((float64(j) - center + 0.5) * inverse))
			a.buf = append(a.buf, w)
			sum += w
		}
		a.taps = append(a.taps, tap{lo, hi, len(a.weights)})
		for _, w := range a.buf {
			if sum != 0 {
				w /= sum
			}
			w = float64(w * (1 << precision))
			if w < 0 {
				w -= 0.5
			} else {
				w += 0.5
			}
			a.weights = append(a.weights, int32(w))
		}
	}
	a.lo, a.hi = a.taps[0].lo, a.taps[len(a.taps)-1].hi
}

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

// A lane pair is two signed sums in one int64, low + high<<32, so that one multiplication
// serves both. A sum is at most 255 times the sum of the weights' magnitudes (below 1.3 <<
// precision for these filters), so it fits in 32 bits, the rounding of the weights included.

// pair packs two bytes as a lane pair.
func pair(low, high uint8) int64 { return int64(low) | int64(high)<<32 }

// startPair is the initial value of both sums: one half each, for rounding.
const startPair = half | half<<32

// unpair returns both sums of a lane pair, shifted and clamped to bytes.
func unpair(v int64) (low, high uint8) {
	l := int32(v)
	h := int32((v - int64(l)) >> 32)
	return clamp(l >> precision), clamp(h >> precision)
}

// resample writes the window of the open picture, resized to w x h, to dst (3 bytes per pixel
// of the window). The horizontal pass comes first, then the vertical one, each rounded to
// bytes, as in Pillow. A pass is skipped when its size does not change.
func (s *Scratch) resample(dst []uint8, w, h int, window image.Rectangle, f Filter) {
	x, y := &s.x, &s.y
	x.set(s.src.w, w, window.Min.X, window.Dx(), f)
	y.set(s.src.h, h, window.Min.Y, window.Dy(), f)
	row := 3 * window.Dx()
	s.column.start(y, row)
	for r := range s.in {
		s.in[r] = grow(s.in[r], 3*s.src.w)
		s.out[r] = grow(s.out[r], row)
	}
	// The horizontal pass handles two rows at a time, one per lane.
	for at := y.lo; at < y.hi; at += 2 {
		n := min(2, y.hi-at)
		for r := range n {
			s.src.row(s.in[r], at+r)
		}
		out := [2][]uint8{s.out[0], s.out[1]}
		if x.same {
			out[0], out[1] = s.in[0][3*x.lo:3*x.hi], s.in[1][3*x.lo:3*x.hi]
		} else {
			s.horizontal(out[0], out[1], s.in[0], s.in[n-1])
		}
		for r := range n {
			if y.same {
				copy(dst[(at+r-y.lo)*row:], out[r])
			} else {
				dst = s.column.add(dst, y, at+r, out[r])
			}
		}
	}
}

// horizontal resamples two rows along x; both may be the same row.
func (s *Scratch) horizontal(out0, out1, in0, in1 []uint8) {
	a := &s.x
	s.packed = grow(s.packed, a.hi-a.lo)
	in0, in1 = in0[3*a.lo:3*a.hi], in1[3*a.lo:3*a.hi]
	in1 = in1[:len(in0)]
	packed := s.packed
	for i, x := 0, 0; i <= len(in0)-3 && x < len(packed); i, x = i+3, x+1 {
		v := &packed[x]
		v[0] = pair(in0[i], in0[i+1])
		v[1] = pair(in1[i], in1[i+1])
		v[2] = pair(in0[i+2], in1[i+2])
	}
	for i, t := range a.taps {
		weights := t.weights(a)
		in := packed[t.lo-a.lo:][:len(weights)]
		rg0, rg1, b := int64(startPair), int64(startPair), int64(startPair)
		for j, w := range weights {
			v := &in[j]
			rg0 += int64(w) * v[0]
			rg1 += int64(w) * v[1]
			b += int64(w) * v[2]
		}
		o0, o1 := out0[3*i:][:3], out1[3*i:][:3]
		o0[0], o0[1] = unpair(rg0)
		o1[0], o1[1] = unpair(rg1)
		o0[2], o1[2] = unpair(b)
	}
}

// column is the vertical pass over a stream of rows: a ring of the output rows that are begun
// and not complete. Integer sums do not depend on the order of the rows, so input rows are not
// stored.
type column struct {
	pairs       int     // lane pairs per row: two neighbouring bytes share an int64
	ring        []int64 // output row i is at i mod height
	height      int     // rows of the ring
	first, next int     // output rows first <= i < next are begun and not complete
	in          []int64 // the input row, as lane pairs
}

func (c *column) start(a *axis, row int) {
	c.first, c.next = 0, 0
	if a.same {
		return
	}
	c.pairs = (row + 1) / 2
	c.height = 0
	done := 0
	for i, t := range a.taps {
		for a.taps[done].hi <= t.lo {
			done++
		}
		c.height = max(c.height, i+1-done)
	}
	c.ring = grow(c.ring, c.height*c.pairs)
	c.in = grow(c.in, c.pairs)
}

func (c *column) row(i int) []int64 { return c.ring[i%c.height*c.pairs:][:c.pairs] }

// add accumulates input row y, writes the output rows that it completes to the start of dst and
// returns the rest of dst.
func (c *column) add(dst []uint8, a *axis, y int, row []uint8) []uint8 {
	in := c.in
	for i, x := 0, 0; i <= len(row)-2 && x < len(in); i, x = i+2, x+1 {
		in[x] = pair(row[i], row[i+1])
	}
	if len(row)%2 == 1 {
		in[len(in)-1] = pair(row[len(row)-1], 0)
	}
	for c.next < len(a.taps) && a.taps[c.next].lo <= y {
		sums := c.row(c.next)
		for i := range sums {
			sums[i] = startPair
		}
		c.next++
	}
	for i := c.first; i < c.next; i++ {
		t := a.taps[i]
		w := int64(t.weights(a)[y-t.lo])
		sums := c.row(i)[:len(in)]
		for j, v := range in {
			sums[j] += w * v
		}
	}
	for c.first < c.next && a.taps[c.first].hi == y+1 {
		sums := c.row(c.first)
		for i := range len(row) / 2 {
			d := dst[2*i:][:2]
			d[0], d[1] = unpair(sums[i])
		}
		if n := len(row); n%2 == 1 {
			dst[n-1], _ = unpair(sums[n/2])
		}
		dst = dst[len(row):]
		c.first++
	}
	return dst
}
