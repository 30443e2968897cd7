package pixel

import (
	"fmt"
	"image"
)

// ycc is where the chroma of an open YCbCr picture lies.
type ycc struct {
	fx, fy int // luma columns and rows a chroma sample
	x0, y0 int // of the picture's first pixel, within its first chroma sample
	cw, ch int // size of a chroma plane
	cb, cr []uint8
	sum    []int32 // a row of 3*near + far, for 4:2:0
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

// rowYCbCr converts a row as libjpeg does with its default settings: chroma by
// a triangle filter where it is halved (sample replication for other ratios and
// for pictures of one or two chroma columns), then JFIF's matrix in 16-bit fixed
// point.
func (s *source) rowYCbCr(dst []uint8, m *image.YCbCr, y int) {
	c := &s.chroma
	cb := c.upsample(&c.cb, m.Cb, m.CStride, y)
	cr := c.upsample(&c.cr, m.Cr, m.CStride, y)
	luma := m.Y[y*m.YStride:][:s.w]
	cb, cr = cb[c.x0:][:len(luma)], cr[c.x0:][:len(luma)]
	const half = 1 << 15
	for x, v := range luma {
		l := int32(v)
		u, w := int32(cb[x])-128, int32(cr[x])-128
		d := dst[3*x:][:3]
		d[0] = clamp(l + (91881*w+half)>>16)
		d[1] = clamp(l + (-22554*u-46802*w+half)>>16)
		d[2] = clamp(l + (116130*u+half)>>16)
	}
}

func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// upsample returns the chroma of row y of the picture for every luma column,
// starting c.x0 columns left of it.
func (c *ycc) upsample(buf *[]uint8, plane []uint8, stride, y int) []uint8 {
	cy := (c.y0 + y) / c.fy
	near := plane[cy*stride:][:c.cw]
	if c.fx == 1 && c.fy == 1 {
		return near
	}
	// The other row that halved chroma lies between: above for an even row,
	// below for an odd one, itself at the edges.
	odd := (c.y0 + y) % c.fy
	far := near
	if c.fy == 2 {
		if i := cy + 2*odd - 1; i >= 0 && i < c.ch {
			far = plane[i*stride:][:c.cw]
		}
	}
	out := grow(*buf, c.fx*c.cw)
	*buf = out
	switch {
	case c.fx == 1: // 4:4:0
		for x, v := range near {
			out[x] = uint8((3*int32(v) + int32(far[x]) + 1 + int32(odd)) >> 2)
		}
	case c.fx > 2 || c.cw <= 2:
		for x := range out {
			out[x] = near[x/c.fx]
		}
	case c.fy == 1: // 4:2:2
		last := c.cw - 1
		out[0], out[2*last+1] = near[0], near[last]
		for x := range last {
			l, r := int32(near[x]), int32(near[x+1])
			out[2*x+1] = uint8((3*l + r + 2) >> 2)
			out[2*x+2] = uint8((3*r + l + 1) >> 2)
		}
	default: // 4:2:0
		c.sum = grow(c.sum, c.cw)
		sum := c.sum[:len(near)]
		far = far[:len(near)]
		for x, v := range near {
			sum[x] = 3*int32(v) + int32(far[x])
		}
		last := c.cw - 1
		out[0], out[2*last+1] = uint8((4*sum[0]+8)>>4), uint8((4*sum[last]+7)>>4)
		for x := range last {
			l, r := sum[x], sum[x+1]
			o := out[2*x+1:][:2]
			o[0] = uint8((3*l + r + 7) >> 4)
			o[1] = uint8((3*r + l + 8) >> 4)
		}
	}
	return out
}
