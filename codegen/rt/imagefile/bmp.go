package imagefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math/bits"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Compression codes of a BMP, and header sizes in bytes.
const (
	bmpRaw       = 0
	bmpRLE8      = 1
	bmpRLE4      = 2
	bmpMasks     = 3
	bmpMasksOf4  = 6 // masks for red, green, blue and alpha after a 40-byte header
	bmpFileLen   = 14
	bmpLongest   = 124 // the longest header
	bmpHeaderOS2 = 12
)

var bmpHeaders = []int{bmpHeaderOS2, 40, 52, 56, 64, 108, bmpLongest}

// bitmap is the header of a BMP.
type bitmap struct {
	w, h        int
	topDown     bool
	bits        int
	compression uint32
	masks       [4]uint32 // bit masks of red, green, blue and alpha
	colors      int       // number of palette colours
	padded      int       // bytes per palette colour
	palette     int       // offset of the palette in the file
	pixels      int       // offset of the pixels in the file
}

// bitmapOf reads the headers of a BMP.
func bitmapOf(data []byte) (b bitmap, err error) {
	if len(data) < bmpFileLen+4 {
		return b, io.ErrUnexpectedEOF
	}
	le := binary.LittleEndian
	offset := le.Uint32(data[10:])
	size := le.Uint32(data[bmpFileLen:])
	if !slices.Contains(bmpHeaders, int(size)) {
		return b, fmt.Errorf("its header has %d bytes, want one of %d", size, bmpHeaders)
	}
	header := data[bmpFileLen:]
	if len(header) < int(size) {
		return b, io.ErrUnexpectedEOF
	}
	b.palette = bmpFileLen + int(size)
	w, h, colors := uint32(0), uint32(0), uint32(0)
	if size == bmpHeaderOS2 {
		w, h, b.bits, b.padded = uint32(le.Uint16(header[4:])), uint32(le.Uint16(header[6:])), int(le.Uint16(header[10:])), 3
	} else {
		w, h, b.bits, b.padded = le.Uint32(header[4:]), le.Uint32(header[8:]), int(le.Uint16(header[14:])), 4
		b.compression, colors = le.Uint32(header[16:]), le.Uint32(header[32:])
		if b.topDown = h>>24 == 0xff; b.topDown { // the height is negative
			h = -h
		}
	}
	b.w, b.h = int(min(w, 1<<30)), int(min(h, 1<<30)) // far above the limit on pixels
	if !slices.Contains([]int{1, 2, 4, 8, 16, 24, 32}, b.bits) {
		return b, fmt.Errorf("its pixels have %d bits, want 1, 2, 4, 8, 16, 24 or 32", b.bits)
	}
	if err := b.setMasks(header, size); err != nil {
		return b, err
	}
	if b.bits <= 8 {
		if colors == 0 {
			colors = 1 << b.bits
		}
		if colors > 1<<16 {
			return b, fmt.Errorf("its palette has %d colours, want at most 65536", colors)
		}
		b.colors = int(colors)
		// Some writers set the offset of the pixels to the palette's.
		if offset == uint32(b.palette) {
			offset += 4 * colors
		}
	}
	if offset == 0 {
		offset = uint32(b.palette + b.padded*b.colors)
	}
	b.pixels = int(min(offset, 1<<30))
	return b, nil
}

// setMasks sets the bit masks of the colour channels.
func (b *bitmap) setMasks(header []byte, size uint32) error {
	switch b.compression {
	case bmpRaw:
		switch b.bits {
		case 16:
			b.masks = [4]uint32{0x7c00, 0x3e0, 0x1f}
		case 24, 32: // the fourth byte of a pixel is not alpha without a mask for it
			b.masks = [4]uint32{0xff0000, 0xff00, 0xff}
		}
		return nil
	case bmpRLE8, bmpRLE4:
		if want := map[uint32]int{bmpRLE8: 8, bmpRLE4: 4}[b.compression]; b.bits != want {
			return fmt.Errorf("its run-length encoding has pixels of %d bits, want %d", b.bits, want)
		}
		return nil
	case bmpMasks, bmpMasksOf4:
		if b.bits < 16 {
			return fmt.Errorf("it has colour masks for pixels of %d bits, want 16, 24 or 32", b.bits)
		}
		n := 4
		if size <= 52 && b.compression == bmpMasks {
			n = 3
		}
		if size == 40 {
			b.palette += 4 * n
		}
		if len(header) < 40+4*n {
			return io.ErrUnexpectedEOF
		}
		for i := range n {
			b.masks[i] = binary.LittleEndian.Uint32(header[40+4*i:])
		}
		if b.masks == [4]uint32{} && b.bits == 32 {
			b.masks = [4]uint32{0xff0000, 0xff00, 0xff, 0xff000000}
		}
		for i, m := range b.masks {
			if m>>bits.TrailingZeros32(m)&(m>>bits.TrailingZeros32(m)+1) != 0 || i < 3 && m == 0 || uint64(m)>>b.bits != 0 {
				return fmt.Errorf("its colour masks are %#x for pixels of %d bits, want contiguous bits in each", b.masks, b.bits)
			}
		}
		return nil
	}
	return fmt.Errorf("compression %d is not supported, want none (0), run length (1, 2) or masks (3, 6)", b.compression)
}

// configBMP reads the size of a BMP.
func configBMP(r io.Reader) (image.Config, error) {
	head := make([]byte, bmpFileLen+bmpLongest)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return image.Config{}, err
	}
	b, err := bitmapOf(head[:n])
	return image.Config{Width: b.w, Height: b.h}, err
}

// decodeBMP decodes BMPs with a palette, raw or run-length encoded, and BMPs with colour masks.
func decodeBMP(data []byte) (image.Image, error) {
	b, err := bitmapOf(data)
	if err != nil {
		return nil, err
	}
	pixels := data[min(b.pixels, len(data)):]
	if b.bits <= 8 {
		colors, ramp := b.colorsOf(data)
		m := image.NewPaletted(image.Rect(0, 0, b.w, b.h), colors)
		if b.compression == bmpRaw {
			err = b.unpack(m.Pix, pixels)
		} else {
			err = b.unrun(m.Pix, pixels)
		}
		if ramp {
			return grey(m), err
		}
		return m, err
	}
	stride := (b.w*b.bits/8 + 3) &^ 3
	if last := b.w * b.bits / 8; int64(len(pixels)) < int64(stride)*int64(b.h-1)+int64(last) {
		return nil, io.ErrUnexpectedEOF
	}
	if b.masks[3] != 0 {
		m := image.NewNRGBA(image.Rect(0, 0, b.w, b.h))
		if b.colorsInto(m.Pix, 4, pixels, stride) {
			return m, nil
		}
	}
	m := &pixel.RGB{Pix: make([]uint8, 3*b.w*b.h), W: b.w, H: b.h}
	b.colorsInto(m.Pix, 3, pixels, stride)
	return m, nil
}

// row returns the row of the picture that row y of the file holds.
func (b *bitmap) row(y int) int {
	if b.topDown {
		return y
	}
	return b.h - 1 - y
}

// colorsOf reads the palette. The missing colours of a palette that is cut off are black. An 8-bit
// palette of more than two colours that is the start of the grey ramp 0, 1, 2, ... is continued to 256
// colours, and ramp is true.
func (b *bitmap) colorsOf(data []byte) (p color.Palette, ramp bool) {
	p = make(color.Palette, 256)
	for i := range p {
		p[i] = color.RGBA{A: 255}
	}
	data = data[min(b.palette, len(data)):]
	ramp = b.bits == 8 && b.colors > 2
	for i := range min(b.colors, len(data)/b.padded, len(p)) {
		c := data[i*b.padded:][:3]
		p[i] = color.RGBA{c[2], c[1], c[0], 255}
		ramp = ramp && p[i] == color.RGBA{uint8(i), uint8(i), uint8(i), 255}
	}
	for i := b.colors; ramp && i < len(p); i++ {
		p[i] = color.RGBA{uint8(i), uint8(i), uint8(i), 255}
	}
	return p, ramp
}

// unpack expands uncompressed palette indices to one byte per pixel in dst.
func (b *bitmap) unpack(dst, data []byte) error {
	stride, last := (b.w*b.bits+31)/32*4, (b.w*b.bits+7)/8
	if int64(len(data)) < int64(stride)*int64(b.h-1)+int64(last) {
		return io.ErrUnexpectedEOF
	}
	for y := range b.h {
		unpackBits(dst[b.row(y)*b.w:][:b.w], data[y*stride:], b.bits)
	}
	return nil
}

// unpackBits expands samples of 1, 2, 4 or 8 bits to one byte each. src must hold enough.
func unpackBits(dst, src []byte, bits int) {
	if bits == 8 {
		copy(dst, src)
		return
	}
	per, mask := 8/bits, byte(1<<bits-1)
	for x := range dst {
		dst[x] = src[x/per] >> (8 - bits*(x%per+1)) & mask
	}
}

// unrun decodes run-length encoded pixels to one byte each. Pixels that no run covers have
// colour 0.
func (b *bitmap) unrun(dst, data []byte) error {
	at, n := 0, b.w*b.h // position in file order
	put := func(v byte) {
		if at < n {
			dst[b.row(at/b.w)*b.w+at%b.w] = v
		}
		at++
	}
	nibble := func(v byte, i int) byte {
		if b.compression == bmpRLE8 {
			return v
		}
		return v >> (4 * (1 - i%2)) & 15
	}
	x := 0
	for at < n {
		if len(data) < 2 {
			return io.ErrUnexpectedEOF
		}
		count, v := int(data[0]), data[1]
		data = data[2:]
		switch {
		case count > 0:
			count = min(count, max(0, b.w-x)) // a run does not cross the end of its row
			for i := range count {
				put(nibble(v, i))
			}
			x += count
		case v == 0: // the end of a row
			at, x = (at+b.w-1)/b.w*b.w, 0
		case v == 1: // the end of the picture
			return nil
		case v == 2: // move right and up
			if len(data) < 2 {
				return io.ErrUnexpectedEOF
			}
			at += int(data[0]) + int(data[1])*b.w
			x = at % b.w
			data = data[2:]
		default: // literal pixels, padded to an even number of bytes
			size := int(v)
			if b.compression == bmpRLE4 {
				size = (size + 1) / 2
			}
			if len(data) < size {
				return io.ErrUnexpectedEOF
			}
			for i := range int(v) {
				if b.compression == bmpRLE8 {
					put(data[i])
				} else {
					put(nibble(data[i/2], i))
				}
			}
			x += int(v)
			data = data[min((size+1)&^1, len(data)):]
		}
	}
	return nil
}

// colorsInto writes pixels of n channels to dst. It reports whether some alpha is not 0: alpha
// that is 0 everywhere is ignored.
func (b *bitmap) colorsInto(dst []byte, n int, data []byte, stride int) (seen bool) {
	var shift [4]int
	var scaled [4][256]uint8 // 8-bit value by the channel's value of up to 8 bits
	for i, m := range b.masks {
		shift[i] = bits.TrailingZeros32(m) & 31
		most := m >> shift[i]
		for most > 255 { // only the 8 high bits of a wider channel count
			most >>= 1
			shift[i]++
		}
		for v := range most + 1 {
			scaled[i][v] = uint8(v * 255 / max(most, 1))
		}
	}
	for y := range b.h {
		src, out := data[y*stride:], dst[b.row(y)*b.w*n:][:b.w*n]
		for x := range b.w {
			v := uint32(0)
			switch b.bits {
			case 16:
				v = uint32(binary.LittleEndian.Uint16(src[2*x:]))
			case 24:
				v = uint32(src[3*x]) | uint32(src[3*x+1])<<8 | uint32(src[3*x+2])<<16
			case 32:
				v = binary.LittleEndian.Uint32(src[4*x:])
			}
			for i := range n {
				c := scaled[i][v&b.masks[i]>>shift[i]&255]
				out[n*x+i] = c
				seen = seen || i == 3 && c != 0
			}
		}
	}
	return seen
}
