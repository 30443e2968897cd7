package jpeg

import (
	"bytes"
	"image"

	"github.com/gen2brain/jpegn"
)

// fast decodes by jpegn what that reads as libjpeg does. It returns nil for other files, and where jpegn
// came upon damage.
func (d *decoder) fast(data []byte, c *scan) image.Image {
	f := d.frame
	if f.Progressive || f.arithmetic || len(c.planes) != len(d.planes) ||
		c.from != 0 || c.to != 63 || c.high != 0 || c.low != 0 || int64(len(data)) > f.samples() {
		return nil
	}
	switch n := len(d.planes); {
	case n == 1:
	case n == 3 && d.colours.luma(f) && (!d.colours.adobe || d.colours.transform != 0):
		// A plane that is smaller than its neighbours by other factors than these is enlarged by jpegn's rule.
		if _, ok := f.ratio(); !ok || d.planes[1].H != 1 || d.planes[1].V != 1 || d.planes[0].ID == 'R' {
			return nil
		}
		for i, p := range d.planes {
			if p != c.planes[i] {
				return nil
			}
		}
	default:
		return nil
	}
	d.addStandard()
	intervals := d.intervals(c)
	if intervals == nil {
		return nil
	}
	// An error is no reason to refuse the file: the other decoder has its own.
	img, err := jpegn.Decode(bytes.NewReader(data))
	if err != nil || img.Bounds().Size() != f.Size {
		return nil
	}
	for i, packed := range intervals {
		last := c.across * c.down
		if d.interval > 0 {
			last = min(last, (i+1)*d.interval)
		}
		if d.flat(img, c, last-1) && !d.sound(c, packed, last-i*d.interval) {
			return nil
		}
	}
	return img
}

// intervals is the data of a scan between its restart markers, nil if some are missing, wrong or too
// many.
func (d *decoder) intervals(c *scan) [][]byte {
	want := 1
	if d.interval > 0 {
		want = parts(c.across*c.down, d.interval)
	}
	var all [][]byte
	for rest := c.packed; ; {
		n := next(rest)
		all = append(all, rest[:n])
		if n == len(rest) {
			break
		}
		if len(all) == want || rest[n+1] != rst0|byte(len(all)-1)&7 {
			return nil
		}
		rest = rest[n+2:]
	}
	if len(all) != want {
		return nil
	}
	return all
}

// flat says whether the last block of each plane in an MCU has one colour. Where jpegn gives up before
// an interval's end it has.
func (d *decoder) flat(img image.Image, c *scan, mcu int) bool {
	for i, p := range c.planes {
		var samples []byte
		var stride int
		switch m := img.(type) {
		case *image.Gray:
			samples, stride = m.Pix, m.Stride
		case *image.YCbCr:
			samples, stride = [][]byte{m.Y, m.Cb, m.Cr}[i], []int{m.YStride, m.CStride, m.CStride}[i]
		}
		h, v := p.H, p.V
		if c.single {
			h, v = 1, 1
		}
		x, y := 8*(mcu%c.across*h+h-1), 8*(mcu/c.across*v+v-1)
		block := samples[y*stride+x:]
		for at := range 64 {
			if block[at/8*stride+at%8] != block[0] {
				return false
			}
		}
	}
	return true
}

// sound says whether the data of an interval has a number of MCUs.
func (d *decoder) sound(c *scan, packed []byte, mcus int) bool {
	b := &bits{data: packed}
	e, err := newCoded(d, c, b)
	if err != nil {
		return false
	}
	var scratch [64]int16
	for range mcus {
		for i, p := range c.planes {
			n := p.H * p.V
			if c.single {
				n = 1
			}
			for range n {
				e.block(i, &scratch)
			}
		}
		if b.bad || b.over() {
			return false
		}
	}
	return true
}
