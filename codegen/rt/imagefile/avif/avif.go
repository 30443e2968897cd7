//go:build nodynamic

package avif

import (
	"errors"
	"slices"
	_ "unsafe" // for go:linkname

	_ "github.com/gen2brain/avif"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif"
)

// program is the decoder of module gen2brain/avif, gzipped WebAssembly. The module's own Go
// code is not used: it does not bound the decoder's memory, premultiplies colours by alpha, and
// returns a black picture when decoding fails.
//
//go:linkname program github.com/gen2brain/avif.decodeWasm
var program []byte

func init() {
	sandbox := heif.NewSandbox(program)
	imagefile.Register("avif", heif.Reader("av01", false, memory, func(m *heif.Memory, c heif.Coded) (heif.Pixels, error) {
		return coded(sandbox, m, c)
	}))
}

// memory returns the limit of the decoder's memory, in bytes, for a coded picture of the given
// number of pixels.
func memory(pixels int64) int64 { return 32<<20 + 48*pixels }

// coded decodes one coded picture.
func coded(sandbox *heif.Sandbox, m *heif.Memory, c heif.Coded) (out heif.Pixels, err error) {
	// If the third byte of av1C announces more than 8 bits, this libavif converts to 16-bit RGB
	// by its own code, which interpolates chroma as Pillow's libavif does. For 8 bits it would
	// not: the flag is therefore always set.
	if len(c.Config) < 4 {
		return out, errors.New("its av1C is cut off")
	}
	bits := 8
	if c.Config[2]&0x40 != 0 {
		bits = 10 + 2*int(c.Config[2]>>5&1)
	}
	c.Config = slices.Clone(c.Config)
	c.Config[2] |= 0x40
	file, err := c.File(false, c.Colour)
	if err != nil {
		return out, err
	}
	size := 8 * int64(c.Size.X) * int64(c.Size.Y)
	err = sandbox.Run(m, func(r heif.Run) error {
		in, b, err := r.Bytes(int64(len(file)))
		if err != nil {
			return err
		}
		copy(b, file)
		answers, _, err := r.Bytes(4*4 + 8)
		if err != nil {
			return err
		}
		decode := func(sizeOnly, at uint32) error {
			ok, err := r.Call("decode", in, uint32(len(file)), sizeOnly, 0, answers, answers+4, answers+8, answers+12, answers+16, at)
			if err == nil && ok == 0 {
				err = errors.New("libavif cannot decode it")
			}
			return err
		}
		if err := decode(1, 0); err != nil {
			return err
		}
		b, err = r.At(answers, 8)
		if err != nil {
			return err
		}
		if w, h := number(b), number(b[4:]); w != c.Size.X || h != c.Size.Y {
			return errors.New("libavif decodes it to another size")
		}
		at, b, err := r.Bytes(size)
		if err != nil {
			return err
		}
		// On failure the decoder reports no error and writes nothing: the last alpha byte, 255
		// after success, tells.
		b[size-1] = 0
		if err := decode(0, at); err != nil {
			return err
		}
		if out.Pix, err = r.At(at, size); err != nil {
			return err
		}
		if out.Pix[size-1] != 255 {
			return errors.New("libavif cannot decode it")
		}
		if !c.Alpha {
			asLibyuv(out.Pix, c, bits)
		}
		out.Step, out.Stride = 4, 4*c.Size.X
		for i := range size / 2 {
			v := uint32(out.Pix[2*i]) | uint32(out.Pix[2*i+1])<<8
			out.Pix[i] = uint8((v*255 + 32767) / 65535)
		}
		return nil
	})
	return out, err
}

// asLibyuv changes the decoded colours (16 bits per channel) to the ones that Pillow shows for
// a picture of the given bit depth. Pillow's libavif calls libyuv for the matrices below.
// libyuv does not interpolate chroma in the last column of an odd width, uses too small a blue
// factor for limited range, and, for more than 8 bits, truncates chroma to 8 bits and reduces
// the luma of limited range.
func asLibyuv(pix []uint8, c heif.Coded, bits int) {
	const one = 1 << 16
	if grey := c.Config[2]&0x10 != 0; grey {
		return
	}
	matrix := 6
	if c.Colour.Known {
		matrix = c.Colour.Matrix
	}
	if matrix == 12 { // 12: chromaticity-derived, the primaries give the matrix
		matrix = c.Colour.Primaries
	}
	var kr, kb, blue int64 // scaled by 1<<16; blue is the ratio of libyuv's blue factor, 2, to the right one, 2 * (1-kb) * 255/224
	switch matrix {
	case 1:
		kr, kb, blue = 13933, 4732, 62049
	case 2, 5, 6:
		kr, kb, blue = 19595, 7471, 64976
	case 9:
		kr, kb, blue = 17216, 3886, 61198
	default:
		return
	}
	limited := c.Colour.Known && !c.Colour.Full
	level := func(at int) int64 { return int64(pix[at]) | int64(pix[at+1])<<8 }
	luma := func(at int) int64 { return (kr*level(at) + (one-kr-kb)*level(at+2) + kb*level(at+4)) / one }
	set := func(at int, v int64) {
		v = min(max(v, 0), 65535)
		pix[at], pix[at+1] = uint8(v), uint8(v>>8)
	}
	width := 8 * c.Size.X
	if subsampled := c.Config[2]&8 != 0; c.Size.X > 1 && c.Size.X%2 != 0 && subsampled {
		for last := width - 8; last < len(pix); last += width {
			more := luma(last) - luma(last-8)
			for at := last; at < last+6; at += 2 {
				set(at, level(at)+(level(at)-level(at-8)-more)/2)
			}
		}
	}
	if bits > 8 {
		// ofRed and ofBlue are the change of red and of blue for one 8-bit level of chroma, with 8 fractional bits; less
		// is the share of luma that the conversion loses, times 1<<16.
		ofRed, ofBlue, less := 257*2*(one-kr)/256, 257*2*(one-kb)/256, int64(0)
		if limited {
			ofRed, ofBlue, less = ofRed*255/224, ofBlue*255/224, 191
			if bits == 12 {
				less = 239
			}
		}
		// libyuv rounds chroma by half a step of the coded bit depth before it truncates.
		cut := func(v, level int64) int64 {
			return ((v*256+level>>(bits-7)+256*level)/level - 256) * level / 256
		}
		for at := 0; at < len(pix); at += 8 {
			y := luma(at)
			r, b := cut(level(at)-y, ofRed), cut(level(at+4)-y, ofBlue)
			y -= (y + 4788) * less / one
			set(at, y+r)
			set(at+2, y-(kr*r+kb*b)/(one-kr-kb))
			set(at+4, y+b)
		}
	}
	if limited {
		for at := 0; at < len(pix); at += 8 {
			y := luma(at)
			set(at+4, y+(level(at+4)-y)*blue/one)
		}
	}
}

// number reads a little-endian uint32, the decoder's result format.
func number(b []byte) int {
	return int(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
}
