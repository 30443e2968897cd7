package pixel

import (
	"fmt"
	"image"
)

// ycc locates the chroma of the open YCbCr picture.
type ycc struct {
	fx, fy int      // luma columns and rows per chroma sample
	x0, y0 int      // offset of the picture's first pixel within its first chroma sample
	cw, ch int      // columns and rows of a chroma plane
	sum    []uint32 // a chroma row, after the vertical part of the filter
	out    []uint32 // a chroma row, one sample per luma column
}

func (s *source) openYCbCr(m *image.YCbCr) error {
	c := &s.chroma
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
		c.fx, c.fy = 1, 1
	case image.YCbCrSubsampleRatio422:
		c.fx, c.fy = 2, 1
	case image.YCbCrSubsampleRatio420:
		c.fx, c.fy = 2, 2
	case image.YCbCrSubsampleRatio440:
		c.fx, c.fy = 1, 2
	case image.YCbCrSubsampleRatio411:
		c.fx, c.fy = 4, 1
	case image.YCbCrSubsampleRatio410:
		c.fx, c.fy = 4, 2
	default:
		return fmt.Errorf("broken %T: unknown chroma subsampling %d", s.img, int(m.SubsampleRatio))
	}
	r := m.Rect
	if r.Min.X < 0 || r.Min.Y < 0 {
		return fmt.Errorf("broken %T: it starts at %v, want no negative coordinate", s.img, r.Min)
	}
	c.x0, c.y0 = r.Min.X%c.fx, r.Min.Y%c.fy
	c.cw = (c.x0 + s.w + c.fx - 1) / c.fx
	c.ch = (c.y0 + s.h + c.fy - 1) / c.fy
	if err := s.check("Y", len(m.Y), m.YStride, 1); err != nil {
		return err
	}
	if err := checkPlane(s.img, "Cb", len(m.Cb), m.CStride, c.cw, c.ch); err != nil {
		return err
	}
	return checkPlane(s.img, "Cr", len(m.Cr), m.CStride, c.cw, c.ch)
}

// rowYCbCr converts columns lo <= x < hi of a row as libjpeg does with its default settings. Chroma is upsampled by a
// triangle filter where it is halved, and by replication for other ratios and for pictures of
// one or two chroma columns. The JFIF matrix follows, with 16 fractional bits.
func (s *source) rowYCbCr(dst []uint8, m *image.YCbCr, y, lo, hi int) {
	luma := m.Y[y*m.YStride:][lo:hi]
	cbcr := s.chroma.upsample(m, y)[lo:hi]
	const half = 1 << 15
	done := vectorYCC(dst, luma, cbcr)
	dst, luma, cbcr = dst[3*done:], luma[done:], cbcr[done:]
	for i, x := 0, 0; i <= len(dst)-3 && x < len(luma); i, x = i+3, x+1 {
		l, c := int32(luma[x]), cbcr[x]
		cb, cr := int32(c&0xffff)-128, int32(c>>16)-128
		dst[i] = clamp(l + (91881*cr+half)>>16)
		dst[i+1] = clamp(l + (-22554*cb-46802*cr+half)>>16)
		dst[i+2] = clamp(l + (116130*cb+half)>>16)
	}
}

// clamp limits v to 0..255 without a branch, because saturated colours would cause
// mispredictions.
func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// chroma packs Cb into the low and Cr into the high 16 bits. All sums of the filters below fit
// 16 bits, so one operation processes both.
func chroma(cb, cr uint8) uint32 { return uint32(cb) | uint32(cr)<<16 }

const (
	bothOnes  = 1 | 1<<16
	bothBytes = 0xff | 0xff<<16
)

// upsample returns the packed chroma of each pixel of row y.
func (c *ycc) upsample(m *image.YCbCr, y int) []uint32 {
	y += c.y0
	at := y / c.fy
	n := c.cw
	cb, cr := m.Cb[at*m.CStride:][:n], m.Cr[at*m.CStride:][:n]
	c.sum = grow(c.sum, n)
	sum := c.sum[:n]
	if c.fy != 2 || c.fx > 2 || c.fx == 2 && n <= 2 {
		for x := vectorPairs(sum, cb, cr, nil, nil); x < n; x++ {
			sum[x] = chroma(cb[x], cr[x])
		}
	}
	if c.fx > 2 || c.fx == 2 && n <= 2 {
		out := grow(c.out, c.fx*n)
		c.out = out
		for x := range out {
			out[x] = sum[x/c.fx]
		}
		return out[c.x0:]
	}
	if c.fy == 2 {
		// The pixel row lies between two chroma rows and is nearer to row at. The other row is
		// above it for an even y and below for an odd y; at the edges of the picture it is row
		// at again.
		odd := y % 2
		far := min(max(at+2*odd-1, 0), c.ch-1)
		farCb, farCr := m.Cb[far*m.CStride:][:n], m.Cr[far*m.CStride:][:n]
		for x := vectorPairs(sum, cb, cr, farCb, farCr); x < n; x++ {
			sum[x] = 3*chroma(cb[x], cr[x]) + chroma(farCb[x], farCr[x])
		}
		if c.fx == 1 {
			for x, v := range sum {
				sum[x] = (v + uint32(1+odd)*bothOnes) >> 2 & bothBytes
			}
		}
	}
	if c.fx == 1 {
		return sum
	}
	// Each chroma sample yields two pixels: three quarters of it and one quarter of the
	// neighbour on that side.
	shift, left, right := 2, uint32(1*bothOnes), uint32(2*bothOnes)
	if c.fy == 2 {
		shift, left, right = 4, 8*bothOnes, 7*bothOnes
	}
	c.out = grow(c.out, 2*n)
	out := c.out
	out[0] = (4*sum[0] + left) >> (shift & 31) & bothBytes
	out[2*n-1] = (4*sum[n-1] + right) >> (shift & 31) & bothBytes
	done := vectorSpread(out[1:], sum, right, left, shift)
	this, pairs := sum[done], out[1+2*done:2*n-1]
	for i, x := 0, 1+done; i <= len(pairs)-2 && x < len(sum); i, x = i+2, x+1 {
		next := sum[x]
		pairs[i] = (3*this + next + right) >> (shift & 31) & bothBytes
		pairs[i+1] = (3*next + this + left) >> (shift & 31) & bothBytes
		this = next
	}
	return out[c.x0:]
}
