package jpeg

import (
	"bytes"
	"image"
	"slices"

	"github.com/gen2brain/jpegn"
)

// fast decodes by jpegn what that reads as libjpeg does. It returns nil for other files, where jpegn came upon
// damage, and unless always is set, for pictures of few samples or of many bits a sample, where what jpegn's samples are
// off by shows.
func fast(data []byte, always bool) image.Image {
	var d decoder
	var c *scan
	ended := false
	for s := range Segments(data) {
		var err error
		switch {
		case s.Marker == EOI:
			ended = true
		case c != nil:
			return nil // something follows the first scan
		case s.Marker == SOS:
			c, err = d.readScan(s)
		default:
			err = d.read(s)
		}
		if err != nil {
			return nil
		}
	}
	if c == nil || !ended || !d.common(c) {
		return nil
	}
	if n := d.frame.samples(); int64(len(data)) > n || !always && (n < 1<<17 || int64(len(data)) > n/4) {
		return nil
	}
	intervals := d.intervals(c)
	if intervals == nil {
		return nil
	}
	// An error is no reason to refuse the file: the other decoder has its own.
	img, err := jpegn.Decode(bytes.NewReader(data))
	if err != nil || img.Bounds().Size() != d.frame.Size {
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

// common says whether a picture in one scan is of a kind that jpegn reads as libjpeg does.
func (d *decoder) common(c *scan) bool {
	f := d.frame
	if f.Progressive || f.Arithmetic || !slices.Equal(c.planes, d.planes) ||
		c.from != 0 || c.to != 63 || c.high != 0 || c.low != 0 {
		return false
	}
	d.addStandard()
	// Without a table jpegn makes a picture of nothing.
	if d.quantise(c) != nil {
		return false
	}
	if _, err := newCoded(d, c, &bits{}); err != nil {
		return false
	}
	if len(f.Components) == 1 {
		return true
	}
	// Of other factors than 1 for chroma, jpegn makes RGB itself, not as libjpeg does. It takes three letters or
	// a transform of 0 for RGB where JFIF says otherwise.
	_, ok := f.ratio()
	return ok && len(f.Components) == 3 && d.colours.luma(f) && f.Components[1].H == 1 && f.Components[1].V == 1 &&
		f.Components[0].ID != 'R' && (!d.colours.adobe || d.colours.transform != 0)
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
// an interval's last MCU they have. In pictures of many intervals it looks at the last plane only, for
// what jpegn gives up in last MCUs adds up.
func (d *decoder) flat(img image.Image, c *scan, mcu int) bool {
	for i, p := range c.planes {
		if d.interval > 0 && i < len(c.planes)-1 {
			continue
		}
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
