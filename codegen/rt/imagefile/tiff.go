package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Values of TIFF tags: photometric interpretation, ExtraSamples, SampleFormat, Predictor,
// PlanarConfiguration and FillOrder, and limits of this package.
const (
	whiteIsZero  = 0
	blackIsZero  = 1
	tiffRGB      = 2
	tiffPalette  = 3
	tiffCMYK     = 5
	tiffYCbCr    = 6
	tiffLab      = 8
	extraOver    = 1 // alpha, colours are premultiplied
	extraAlpha   = 2
	extraCorel   = 999 // alpha, written by Corel Draw 10
	sampleUint   = 1
	sampleInt    = 2
	sampleFloat  = 3
	differences  = 2 // predictors
	floatPlanes  = 3
	separate     = 2 // planar configuration: one plane per sample
	mostSamples  = 8
	mostPalette  = 1 << 8
	tiffReversed = 2 // fill order
)

// tiffPicture describes the picture of the first directory.
type tiffPicture struct {
	ifd
	w, h        int
	bits        int // per sample
	samples     int // samples per pixel
	format      int // sample format
	photometric int
	compression int
	predictor   int
	planes      int // 1, or one per sample
	kept        int // samples per pixel that are used: the colours, then alpha
	multiplied  bool
	supposed    bool // the last sample used is assumed to be alpha, though no tag says so
	reversed    bool // the bits of each byte are in reverse order
	across      int  // blocks per row of blocks
	bw, bh      int  // columns and rows of a block (strip or tile)
	tiled       bool
	sub         image.Point // size of the pixel group that shares a chroma sample
}

// pictureOf reads the directory of a picture.
func pictureOf(r io.ReaderAt) (p *tiffPicture, err error) {
	d := directory(r)
	number := func(tag uint16, missing int) int {
		if v := d.number(tag); v >= 0 {
			return int(min(v, math.MaxInt32))
		}
		return missing
	}
	p = &tiffPicture{
		ifd: d, w: number(tagWidth, 0), h: number(tagHeight, 0), bits: number(tagBits, 1), format: number(tagFormat, sampleUint),
		photometric: number(tagPhotometric, whiteIsZero), compression: number(tagCompression, 1), samples: number(tagSamples, 1),
		predictor: number(tagPredictor, 1), planes: 1, tiled: d.entry(tagTileWidth) != nil, reversed: number(tagFillOrder, 1) == tiffReversed,
	}
	if p.entries == nil {
		return nil, errors.New("it has no directory")
	}
	if e := p.entry(tagBits); e != nil {
		e.each(mostSamples, func(v uint64) {
			if int(min(v, 1<<16)) != p.bits {
				err = errors.New("its samples have different numbers of bits")
			}
		})
	}
	if err != nil {
		return nil, err
	}
	return p, p.setKind()
}

// setKind checks that the pixel format is supported, and sets the fields that depend on it.
func (p *tiffPicture) setKind() error {
	colors := map[int]int{whiteIsZero: 1, blackIsZero: 1, tiffRGB: 3, tiffPalette: 1, tiffCMYK: 4, tiffYCbCr: 3, tiffLab: 3}[p.photometric]
	if p.photometric == tiffYCbCr && p.samples == 1 { // grey: luma without chroma
		p.photometric, colors = blackIsZero, 1
	}
	widths := map[int][]int{
		whiteIsZero: {1, 2, 4, 8, 12, 16, 32}, blackIsZero: {1, 2, 4, 8, 12, 16, 32}, tiffRGB: {8, 16}, tiffPalette: {1, 2, 4, 8},
		tiffCMYK: {8, 16}, tiffYCbCr: {8}, tiffLab: {8},
	}[p.photometric]
	switch {
	case colors == 0:
		return fmt.Errorf("photometric interpretation %d is not supported, want grey, RGB, a palette, CMYK, YCbCr or Lab", p.photometric)
	case p.samples < colors || p.samples > mostSamples:
		return fmt.Errorf("a pixel has %d samples, want %d to %d", p.samples, colors, mostSamples)
	case !slices.Contains(widths, p.bits):
		return fmt.Errorf("a sample has %d bits, want one of %d", p.bits, widths)
	case p.format == sampleFloat && p.bits != 32 || p.format < sampleUint || p.format > sampleFloat || p.samples > 1 && p.format != sampleUint:
		return fmt.Errorf("samples of %d bits of sample format %d are not supported", p.bits, p.format)
	}
	p.kept = colors
	if p.samples > colors && p.photometric != tiffCMYK && p.photometric != tiffYCbCr && p.photometric != tiffLab && p.bits >= 8 {
		extra := p.number(tagExtra)
		p.supposed = extra < 0
		if p.multiplied = extra == extraOver; p.multiplied || p.supposed || extra == extraAlpha || extra == extraCorel {
			p.kept++
		}
	}
	if p.number(tagPlanar) == separate {
		p.planes = p.samples
	}
	p.sub = image.Pt(1, 1)
	if p.photometric == tiffYCbCr && p.compression != tiffJPEG {
		p.sub = image.Pt(2, 2)
		if e := p.entry(tagSubsampling); e != nil {
			var v []int
			e.each(2, func(x uint64) { v = append(v, int(min(x, 9))) })
			if len(v) == 2 {
				p.sub = image.Pt(v[0], v[1])
			}
		}
		if !slices.Contains([]int{1, 2, 4}, p.sub.X) || !slices.Contains([]int{1, 2, 4}, p.sub.Y) || p.planes > 1 && p.sub != image.Pt(1, 1) {
			return fmt.Errorf("chroma subsampling is %v in %d planes, want factors of 1, 2 or 4 in one plane", p.sub, p.planes)
		}
	}
	return nil
}

// setBlocks sets the layout of strips or tiles. The size of the picture has been checked.
func (p *tiffPicture) setBlocks() error {
	p.bw, p.bh = p.w, p.h
	if v := p.number(tagTileWidth); v >= 0 {
		p.bw, p.bh = int(min(v, math.MaxInt32)), int(min(p.number(tagTileHeight), math.MaxInt32))
	} else if v := p.number(tagStripRows); v > 0 {
		p.bh = int(min(v, int64(p.h)))
	}
	if p.bw < 1 || p.bh < 1 {
		return fmt.Errorf("its tiles are %d x %d pixels", p.bw, p.bh)
	}
	p.across = (p.w + p.bw - 1) / p.bw
	down := (p.h + p.bh - 1) / p.bh
	if p.across*down*p.planes > maxBlocks {
		return fmt.Errorf("the picture is cut into more than %d strips or tiles: %s", maxBlocks, again)
	}
	// Tiles extend beyond the picture's edges, so their pixels are bounded separately.
	const smallest = 1 << 22
	if all := float64(p.across*p.bw) * float64(down*p.bh); all > float64(max(smallest, 4*p.w*p.h)) {
		return fmt.Errorf("its tiles of %d x %d pixels are too large for a picture of %d x %d: %s", p.bw, p.bh, p.w, p.h, again)
	}
	return nil
}

// configTIFF reads the size of the picture. It may read anywhere in the file.
func configTIFF(r io.Reader) (image.Config, error) {
	at, ok := r.(io.ReaderAt)
	if !ok {
		return image.Config{}, errors.New("want a file with random access, not a stream")
	}
	d := directory(at)
	size := func(tag uint16) int { return int(min(max(d.number(tag), 0), 1<<30)) }
	if d.entries == nil {
		return image.Config{}, errors.New("it has no directory")
	}
	return image.Config{Width: size(tagWidth), Height: size(tagHeight)}, nil
}

// checkTIFF bounds the data of the strips or tiles. They may overlap in the file, so that a
// small file can announce any amount.
func checkTIFF(data []byte, o Options) error {
	p, err := pictureOf(bytes.NewReader(data))
	if err != nil {
		return nil // the decoder returns this error
	}
	raw := 8 * o.maxPixels()
	if p.h > 0 && int64(p.w) <= o.maxPixels()/int64(p.h) {
		raw = 8 * int64(p.w) * int64(p.h) // 4 samples of 16 bits per pixel
	}
	sum := int64(0)
	b := p.blocks(data)
	for i := range b.offsets {
		n := int64(len(b.packed(i)))
		if i < len(b.sizes) {
			n = max(n, int64(min(b.sizes[i], 1<<32)))
		}
		sum += n
	}
	if len(b.offsets) > maxBlocks {
		return fmt.Errorf("the picture is cut into more than %d strips or tiles: %s", maxBlocks, again)
	}
	if p.compression != tiffRaw { // uncompressed data is read only up to the number of pixels
		if err := packed(sum, raw); err != nil {
			return err
		}
	}
	switch p.compression {
	case tiffRaw, tiffLZW, tiffPacked, tiffJPEG: // fast, whatever the data; JPEG is bounded by its scans
		return nil
	}
	return deflated(sum, o)
}

// aboutTIFF returns the file itself as EXIF, which has the TIFF format, and its XMP.
func aboutTIFF(data []byte) about {
	a := about{exif: data}
	if e := directory(bytes.NewReader(data)).entry(tagXMP); e != nil {
		a.xmp = e.bytes(maxText)
	}
	return a
}

// decodeTIFF decodes the picture of the first directory.
func decodeTIFF(data []byte) (image.Image, error) {
	p, err := pictureOf(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := p.setBlocks(); err != nil {
		return nil, err
	}
	b := p.blocks(data)
	b.pix = make([]uint8, p.kept*p.w*p.h)
	if err := b.read(); err != nil {
		return nil, err
	}
	return p.picture(b.pix)
}

// picture makes a picture from its samples, kept bytes per pixel.
func (p *tiffPicture) picture(pix []uint8) (image.Image, error) {
	r := image.Rect(0, 0, p.w, p.h)
	if p.supposed && p.kept%2 == 0 && !p.seen(pix) {
		pix = p.withoutAlpha(pix)
	}
	switch {
	case p.photometric == tiffPalette:
		colors, err := p.colors()
		if err != nil {
			return nil, err
		}
		if p.kept == 1 {
			return &image.Paletted{Pix: pix, Stride: p.w, Rect: r, Palette: colors}, nil
		}
		m := image.NewNRGBA(r)
		for i := range p.w * p.h {
			c := colors[pix[2*i]].(color.RGBA)
			copy(m.Pix[4*i:], []uint8{c.R, c.G, c.B, pix[2*i+1]})
		}
		return m, nil
	case p.photometric == tiffCMYK:
		return &image.CMYK{Pix: pix, Stride: 4 * p.w, Rect: r}, nil
	case p.kept == 1:
		// Pillow does not invert whiteIsZero samples of more than 8 bits.
		if p.photometric == whiteIsZero && p.bits <= 8 {
			for i, v := range pix {
				pix[i] = ^v
			}
		}
		m := &image.Gray{Pix: pix, Stride: p.w, Rect: r}
		if p.bits == 1 && p.samples == 1 {
			return bilevel(m), nil
		}
		return m, nil
	case p.kept == 2:
		m := image.NewNRGBA(r)
		for i := range p.w * p.h {
			v, a := pix[2*i], pix[2*i+1]
			if p.photometric == whiteIsZero {
				v = ^v
			}
			copy(m.Pix[4*i:], []uint8{v, v, v, a})
		}
		return p.divided(m), nil
	case p.kept == 4:
		return p.divided(&image.NRGBA{Pix: pix, Stride: 4 * p.w, Rect: r}), nil
	case p.photometric == tiffYCbCr && p.compression != tiffJPEG:
		if err := p.fromYCbCr(pix); err != nil {
			return nil, err
		}
	case p.photometric == tiffLab:
		fromLab(pix)
	}
	return &pixel.RGB{Pix: pix, W: p.w, H: p.h}, nil
}

// seen reports whether the last sample of some pixel is not 0.
func (p *tiffPicture) seen(pix []uint8) bool {
	for i := p.kept - 1; i < len(pix); i += p.kept {
		if pix[i] != 0 {
			return true
		}
	}
	return false
}

// withoutAlpha drops the last sample of each pixel.
func (p *tiffPicture) withoutAlpha(pix []uint8) []uint8 {
	n := p.kept
	p.kept--
	for i := range p.w * p.h {
		copy(pix[i*p.kept:][:p.kept], pix[i*n:])
	}
	return pix[:p.kept*p.w*p.h]
}

// divided undoes the premultiplication of colours by alpha.
func (p *tiffPicture) divided(m *image.NRGBA) *image.NRGBA {
	for i := 0; p.multiplied && i < len(m.Pix); i += 4 {
		c := m.Pix[i:][:4]
		for k := range 3 {
			if a := uint(c[3]); a == 0 {
				c[k] = 0
			} else {
				c[k] = uint8(min(uint(c[k])*255/a, 255))
			}
		}
	}
	return m
}

// colors reads the palette: 16-bit reds, then greens, then blues, of which the high byte is
// used. Colours past its end are black.
func (p *tiffPicture) colors() (color.Palette, error) {
	e := p.entry(tagColors)
	if e == nil {
		return nil, errors.New("it has no palette")
	}
	var v []uint8
	e.each(3*mostPalette, func(x uint64) { v = append(v, uint8(x>>8)) })
	n := len(v) / 3
	colors := make(color.Palette, mostPalette)
	for i := range colors {
		c := color.RGBA{A: 255}
		if i < n {
			c = color.RGBA{v[i], v[n+i], v[2*n+i], 255}
		}
		colors[i] = c
	}
	return colors, nil
}

// fromYCbCr converts YCbCr pixels to RGB in place, in the fixed-point arithmetic of libtiff.
func (p *tiffPicture) fromYCbCr(pix []uint8) error {
	luma, reference := [3]float32{0.299, 0.587, 0.114}, [6]float32{0, 255, 128, 255, 128, 255}
	for _, t := range []struct {
		tag uint16
		v   []float32
	}{{tagLuma, luma[:]}, {tagReference, reference[:]}} {
		if v := p.entry(t.tag).rationals(len(t.v)); len(v) == len(t.v) {
			copy(t.v, v)
		}
	}
	if luma[1] == 0 {
		return errors.New("its luma coefficient of green is 0")
	}
	const half = 1 << 15
	fixed := func(v float32) int32 { return int32(float64(float64(min(max(v, 0), 2))*(1<<16)) + 0.5) }
	red, blue := 2-2*luma[0], 2-2*luma[2]
	d1, d2 := fixed(red), -fixed(luma[0]*red/luma[1])
	d3, d4 := fixed(blue), -fixed(luma[2]*blue/luma[1])
	scaled := func(c, black, white, most float32) int32 {
		d := white - black
		if d == 0 {
			d = 1
		}
		return int32(min(max((c-black)*most/d, -128*32), 128*32))
	}
	var y, cb, cr [256]int32
	for i := range y {
		y[i] = scaled(float32(i), reference[0], reference[1], 255)
		cb[i] = scaled(float32(i-128), reference[2]-128, reference[3]-128, 127)
		cr[i] = scaled(float32(i-128), reference[4]-128, reference[5]-128, 127)
	}
	clamp := func(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
	for i := 0; i < len(pix); i += 3 {
		c := pix[i:][:3]
		l, u, v := y[c[0]], cb[c[1]], cr[c[2]]
		c[0] = clamp(l + (d1*v+half)>>16)
		c[1] = clamp(l + (d4*u+half+d2*v)>>16)
		c[2] = clamp(l + (d3*u+half)>>16)
	}
	return nil
}

// fromLab converts pixels of CIE L*a*b* (white point D50) to sRGB in place.
func fromLab(pix []uint8) {
	var curve [1 << 12]uint8 // sRGB transfer curve over linear light in 0..1
	for i := range curve {
		v := float64(i) / float64(len(curve)-1)
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = float64(1.055*math.Pow(v, 1/2.4)) - 0.055
		}
		curve[i] = uint8(float64(v*255) + 0.5)
	}
	cube := func(t float64) float64 {
		if t > 6.0/29 {
			return t * t * t
		}
		return 3 * 36.0 / 841 * (t - 4.0/29)
	}
	show := func(x, y, z float64) uint8 {
		return curve[int(float64(min(max(x+y+z, 0), 1)*float64(len(curve)-1))+0.5)]
	}
	for i := 0; i < len(pix); i += 3 {
		c := pix[i:][:3]
		l := (float64(c[0])*100/255 + 16) / 116
		x := 0.9642 * cube(l+float64(int8(c[1]))/500)
		y := cube(l)
		z := 0.8249 * cube(l-float64(int8(c[2]))/200)
		c[0] = show(float64(3.1338561*x), float64(-1.6168667*y), float64(-0.4906146*z))
		c[1] = show(float64(-0.9787684*x), float64(1.9161415*y), float64(0.0334540*z))
		c[2] = show(float64(0.0719453*x), float64(-0.2289914*y), float64(1.4052427*z))
	}
}

// reverse returns data with the bits of each byte reversed.
func reverse(data []byte) []byte {
	r := make([]byte, len(data))
	for i, v := range data {
		r[i] = bits.Reverse8(v)
	}
	return r
}
