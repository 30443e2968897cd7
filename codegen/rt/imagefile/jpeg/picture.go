package jpeg

import (
	"errors"
	"image"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Decode decodes a picture to an image.Gray, an image.YCbCr, a pixel.RGB, or an image.CMYK. CMYK
// values are amounts of ink (255: full), though files store them inverted.
func Decode(data []byte) (image.Image, error) {
	var d decoder
	ended := false
	for s := range Segments(data) {
		if err := d.read(s); err != nil {
			return nil, err
		}
		ended = s.Marker == EOI
	}
	switch {
	case !ended && (d.scans == 0 || d.kept || d.cut):
		return nil, errors.New("the file ends without an end marker: it was cut off")
	case d.scans == 0:
		return nil, errors.New("there is no scan")
	}
	return d.picture()
}

// picture assembles the picture from the decoded planes.
func (d *decoder) picture() (image.Image, error) {
	if d.kept {
		d.transform()
	}
	rect := image.Rectangle{Max: d.frame.Size}
	luma := d.colours.luma(d.frame)
	switch ratio, ok := d.frame.ratio(); {
	case len(d.planes) == 1:
		return &image.Gray{Pix: d.planes[0].samples, Stride: d.planes[0].stride, Rect: rect}, nil
	case len(d.planes) == 3 && luma && ok:
		return d.yCbCr(ratio), nil
	}
	across, down := d.frame.sampling()
	stride := 8 * across * parts(rect.Dx(), 8*across)
	for _, p := range d.planes {
		p.enlarge(rect.Max, stride, across/p.H, down/p.V)
	}
	if len(d.planes) == 3 && luma {
		return d.yCbCr(image.YCbCrSubsampleRatio444), nil
	}
	if len(d.planes) == 3 {
		m := &pixel.RGB{Pix: make([]byte, 3*rect.Dx()*rect.Dy()), W: rect.Dx(), H: rect.Dy()}
		for i, p := range d.planes {
			p.spread(m.Pix[i:], rect.Max, 3, 0)
		}
		return m, nil
	}
	m := image.NewCMYK(rect)
	if luma {
		// YCCK encodes ink as RGB = 255 - CMY, and the file stores ink inverted: the two cancel.
		var rgb pixel.RGB
		if err := pixel.ToRGB(&rgb, d.yCbCr(image.YCbCrSubsampleRatio444), pixel.Drop, nil); err != nil {
			return nil, err
		}
		for i, v := range rgb.Pix {
			m.Pix[i/3*4+i%3] = v
		}
	} else {
		for i, p := range d.planes[:3] {
			p.spread(m.Pix[i:], rect.Max, 4, 255)
		}
	}
	d.planes[3].spread(m.Pix[3:], rect.Max, 4, 255)
	return m, nil
}

// transform computes the samples of stored coefficients.
func (d *decoder) transform() {
	smooth := d.unfinished()
	var scratch [64]int16
	for _, p := range d.planes {
		p.samples = make([]byte, 64*p.width*p.height)
		if p.quant == nil {
			p.quant = new([64]uint16) // no scan had this plane
		}
		for y := range p.down {
			for x := range p.across {
				block := p.block(x, y)
				if smooth {
					scratch = *block
					d.smooth(&scratch, p, x, y)
					block = &scratch
				}
				idct(p.samples[8*y*p.stride+8*x:], p.stride, block, p.quant)
			}
		}
		p.coefficients = nil
	}
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
	for ratio, of := range map[image.YCbCrSubsampleRatio]image.Point{
		image.YCbCrSubsampleRatio444: {1, 1},
		image.YCbCrSubsampleRatio422: {2, 1},
		image.YCbCrSubsampleRatio420: {2, 2},
		image.YCbCrSubsampleRatio440: {1, 2},
		image.YCbCrSubsampleRatio411: {4, 1},
		image.YCbCrSubsampleRatio410: {4, 2},
	} {
		if of == image.Pt(across/cb.H, down/cb.V) {
			return ratio, true
		}
	}
	return 0, false
}

func (d *decoder) yCbCr(ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	y, cb, cr := d.planes[0], d.planes[1], d.planes[2]
	return &image.YCbCr{
		Y: y.samples, YStride: y.stride,
		Cb: cb.samples, Cr: cr.samples, CStride: cb.stride,
		SubsampleRatio: ratio, Rect: image.Rectangle{Max: d.frame.Size},
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

// enlarge upsamples a plane to the size of the picture as libjpeg does; across and down are the
// picture's pixels per sample. Factors of 1 and 2 interpolate linearly, unless a factor of 2
// across meets a plane of two columns or fewer. Other factors repeat samples.
func (p *plane) enlarge(size image.Point, stride, across, down int) {
	if across == 1 && down == 1 {
		return // its stride is the given one already
	}
	full := make([]byte, stride*size.Y)
	fancy := across <= 2 && down <= 2 && (across == 1 || p.w > 2)
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
	p.samples, p.stride = full, stride
}
