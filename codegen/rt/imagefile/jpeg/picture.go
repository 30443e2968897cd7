package jpeg

import (
	"errors"
	"image"
	"iter"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Decode decodes a picture to an image.Gray, an image.YCbCr, a pixel.RGB, or an image.CMYK. CMYK
// values are amounts of ink (255: full), though files store them inverted.
func Decode(data []byte) (img image.Image, err error) {
	d := decoder{yield: func(s pixel.Strip) bool {
		img = s.Image
		return true
	}}
	if err := d.decode(data); err != nil {
		return nil, err
	}
	return img, nil
}

// Strips decodes a picture in strips, for a pixel.Stream. A picture whose planes are Y, or Y, Cb
// and Cr with a ratio of image.YCbCrSubsampleRatio, has strips of a row of MCUs, and another one
// has one strip. The memory of a strip is reused for the next. The last pair holds the error that
// Decode returns, if any.
//
// by is 1, or 2, 4 or 8 for a picture of that part of its size in each direction, rounded up, as
// libjpeg scales it: from the low frequencies of each block.
func Strips(data []byte, by int) iter.Seq2[pixel.Strip, error] {
	return func(yield func(pixel.Strip, error) bool) {
		d := decoder{strips: true, by: by, yield: func(s pixel.Strip) bool { return yield(s, nil) }}
		if err := d.decode(data); err != nil && err != errStopped {
			yield(pixel.Strip{}, err)
		}
	}
}

var errStopped = errors.New("no more of the picture is wanted")

// decode passes the picture to d.yield. It returns errStopped if that returns false.
func (d *decoder) decode(data []byte) error {
	ended := false
	for s := range Segments(data) {
		if err := d.read(s); err != nil {
			return err
		}
		ended = s.Marker == EOI
	}
	switch {
	case !ended && (d.scans == 0 || d.kept || d.cut):
		return errors.New("the file ends without an end marker: it was cut off")
	case d.scans == 0:
		return errors.New("there is no scan")
	}
	if d.kept {
		return d.transform()
	}
	return nil
}

// layOut decides which rows of the picture the planes' samples hold at a time.
func (d *decoder) layOut() {
	_, d.unit = d.out.sampling()
	ratio, _ := d.out.ratio()
	single := len(d.planes) == 1
	if single {
		d.unit = d.planes[0].side // its MCUs are single blocks
	}
	d.strips = d.strips && d.frame.inPlanes(d.colours.luma(d.frame))
	between := d.by < 8 && (ratio == image.YCbCrSubsampleRatio420 || ratio == image.YCbCrSubsampleRatio440)
	for i, p := range d.planes {
		if p.high = p.V; single {
			p.high = 1
		}
		if p.rows = p.height; d.strips {
			p.rows = p.high
		}
		if d.strips && between { // pixel rows lie between rows of chroma
			p.above = 1
			if i == 0 {
				p.above = 2
			}
		}
	}
}

// show yields the rows of the picture that row y of MCUs completes.
func (d *decoder) show(y int) error {
	size, above := d.out.Size, d.planes[0].above
	rect := image.Rect(0, max(y*d.unit-above, 0), size.X, min((y+1)*d.unit, size.Y))
	last := rect.Max.Y == size.Y
	if !d.strips {
		if !last {
			return nil
		}
		rect.Min.Y = 0
	}
	img, err := d.picture(rect)
	if err != nil {
		return err
	}
	strip := pixel.Strip{Image: img, From: d.shown, To: rect.Max.Y}
	if !last && above > 0 {
		strip.To-- // the chroma of the last row depends on the next strip
	}
	if d.shown = strip.To; !d.yield(strip) {
		return errStopped
	}
	if last {
		return nil
	}
	for _, p := range d.planes {
		copy(p.samples, p.samples[p.side*p.rows*p.stride:])
		p.top += p.rows
	}
	return nil
}

// picture returns the part of the picture that the planes hold.
func (d *decoder) picture(rect image.Rectangle) (image.Image, error) {
	luma := d.colours.luma(d.frame)
	switch ratio, ok := d.out.ratio(); {
	case len(d.planes) == 1:
		return &image.Gray{Pix: d.planes[0].from(rect), Stride: d.planes[0].stride, Rect: rect}, nil
	case len(d.planes) == 3 && luma && ok && (d.by < 8 || ratio == image.YCbCrSubsampleRatio444):
		return yCbCr(d.planes, ratio, rect), nil
	}
	across, down := d.out.sampling()
	stride := across * parts(rect.Dx(), across)
	planes := make([]*plane, len(d.planes))
	for i, p := range d.planes {
		c := d.out.Components[i]
		planes[i] = p.enlarged(rect.Size(), stride, across/c.H, down/c.V, d.by < 8)
	}
	if len(planes) == 3 && luma {
		return yCbCr(planes, image.YCbCrSubsampleRatio444, rect), nil
	}
	if len(planes) == 3 {
		m := &pixel.RGB{Pix: make([]byte, 3*rect.Dx()*rect.Dy()), W: rect.Dx(), H: rect.Dy()}
		for i, p := range planes {
			p.spread(m.Pix[i:], rect.Max, 3, 0)
		}
		return m, nil
	}
	m := image.NewCMYK(rect)
	if luma {
		// YCCK encodes ink as RGB = 255 - CMY, and the file stores ink inverted: the two cancel.
		var rgb pixel.RGB
		if err := pixel.ToRGB(&rgb, yCbCr(planes, image.YCbCrSubsampleRatio444, rect), pixel.Drop, nil); err != nil {
			return nil, err
		}
		for i, v := range rgb.Pix {
			m.Pix[i/3*4+i%3] = v
		}
	} else {
		for i, p := range planes[:3] {
			p.spread(m.Pix[i:], rect.Max, 4, 255)
		}
	}
	planes[3].spread(m.Pix[3:], rect.Max, 4, 255)
	return m, nil
}

// from returns the samples from the top of rect on, which is the first strip or includes the rows
// above.
func (p *plane) from(rect image.Rectangle) []byte {
	if rect.Min.Y == 0 {
		return p.samples[p.above*p.stride:]
	}
	return p.samples
}

// transform computes and shows the samples of stored coefficients.
func (d *decoder) transform() error {
	smooth := d.unfinished()
	var scratch [64]int16
	for _, p := range d.planes {
		p.allocate()
		if p.quant == nil {
			p.quant = new([64]uint16) // no scan had this plane
		}
	}
	for my := range parts(d.out.Size.Y, d.unit) {
		for _, p := range d.planes {
			for y := my * p.high; y < min((my+1)*p.high, p.down); y++ {
				for x := range p.across {
					block := p.block(x, y)
					if smooth {
						scratch = *block
						d.smooth(&scratch, p, x, y)
						block = &scratch
					}
					p.transform(x, y, block)
				}
			}
		}
		if err := d.show(my); err != nil {
			return err
		}
	}
	return nil
}

// ratio returns the chroma subsampling as an image.YCbCrSubsampleRatio; false if there is none
// that matches.
func (f *Frame) ratio() (image.YCbCrSubsampleRatio, bool) {
	if len(f.Components) < 3 {
		return 0, false
	}
	y, cb, cr := f.Components[0], f.Components[1], f.Components[2]
	across, down := f.sampling()
	if cb.H != cr.H || cb.V != cr.V || y.H != across || y.V != down {
		return 0, false
	}
	ratio, ok := ratios[image.Pt(across/cb.H, down/cb.V)]
	return ratio, ok
}

// ratios holds the kinds of subsampling by the pixels per sample of chroma.
var ratios = map[image.Point]image.YCbCrSubsampleRatio{
	{X: 1, Y: 1}: image.YCbCrSubsampleRatio444,
	{X: 2, Y: 1}: image.YCbCrSubsampleRatio422,
	{X: 2, Y: 2}: image.YCbCrSubsampleRatio420,
	{X: 1, Y: 2}: image.YCbCrSubsampleRatio440,
	{X: 4, Y: 1}: image.YCbCrSubsampleRatio411,
	{X: 4, Y: 2}: image.YCbCrSubsampleRatio410,
}

func yCbCr(planes []*plane, ratio image.YCbCrSubsampleRatio, rect image.Rectangle) *image.YCbCr {
	y, cb, cr := planes[0], planes[1], planes[2]
	return &image.YCbCr{
		Y: y.from(rect), YStride: y.stride,
		Cb: cb.from(rect), Cr: cr.from(rect), CStride: cb.stride,
		SubsampleRatio: ratio, Rect: rect,
	}
}

// spread writes each sample, XOR mask, to every nth byte of to.
func (p *plane) spread(to []byte, size image.Point, n int, mask byte) {
	for y := range size.Y {
		row := to[n*size.X*y:]
		for x, v := range p.samples[p.stride*y:][:size.X] {
			row[n*x] = v ^ mask
		}
	}
}

// enlarged upsamples a plane to the size of the picture as libjpeg does; across and down are the
// picture's pixels per sample. Factors of 1 and 2 interpolate linearly, unless a factor of 2
// across meets a plane of two columns or fewer, and unless linear is not set. Other factors repeat
// samples.
func (p *plane) enlarged(size image.Point, stride, across, down int, linear bool) *plane {
	if across == 1 && down == 1 {
		return p // its stride is the given one already
	}
	full := make([]byte, stride*size.Y)
	fancy := across <= 2 && down <= 2 && (across == 1 || p.w > 2) && linear
	sum := make([]int, p.w) // a row after the vertical part of the filter
	for y := range size.Y {
		at, odd := y/down, y%down
		near := p.samples[p.stride*at:][:p.w]
		out := full[stride*y:][:size.X]
		if !fancy {
			for x := range out {
				out[x] = near[x/across]
			}
			continue
		}
		for x, v := range near {
			sum[x] = int(v)
		}
		unit, round := 4, [2]int{1, 2} // rounding of the left and of the right of two columns
		if down == 2 {
			// The pixel row lies between two rows of samples and is nearer to row at. The other
			// row is above it for an even y and below it for an odd y.
			far := min(max(at+2*odd-1, 0), p.h-1)
			for x, v := range p.samples[p.stride*far:][:p.w] {
				sum[x] = 3*sum[x] + int(v)
			}
			unit, round = 16, [2]int{8, 7}
		}
		if across == 1 {
			for x := range out {
				out[x] = byte((sum[x] + 1 + odd) / 4)
			}
			continue
		}
		for x := range out {
			far := min(max(x/2+x%2*2-1, 0), p.w-1)
			out[x] = byte((3*sum[x/2] + sum[far] + round[x%2]) / unit)
		}
	}
	return &plane{samples: full, stride: stride}
}
