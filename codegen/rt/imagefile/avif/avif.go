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

// program is the module's decoder. The module's own Go code is not used: it gives the
// decoder no bound of memory, multiplies colours by their transparency, and shows a black
// picture for one that cannot be decoded.
//
//go:linkname program github.com/gen2brain/avif.decodeWasm
var program []byte

func init() {
	sandbox := heif.NewSandbox(program)
	imagefile.Register("avif", heif.Reader("av01", false, memory, func(m *heif.Memory, c heif.Coded) (heif.Pixels, error) {
		return coded(sandbox, m, c)
	}))
}

// memory is the most that the decoder may take for a coded picture of so many pixels.
func memory(pixels int64) int64 { return 32<<20 + 48*pixels }

// coded decodes one coded picture.
func coded(sandbox *heif.Sandbox, m *heif.Memory, c heif.Coded) (out heif.Pixels, err error) {
	// Of more than 8 bits, as the third byte says of all pictures then, this libavif makes
	// 16 by its own code, which interpolates chroma as Pillow's does. Of 8 it does not.
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
			return errors.New("libavif takes it for one of another size")
		}
		at, b, err := r.Bytes(size)
		if err != nil {
			return err
		}
		// The decoder says nothing of a picture that it could not decode, and writes nothing.
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

// asLibyuv changes colours, of 16 bits a channel, to what Pillow shows of a picture of so
// many bits, whose libavif calls libyuv for the matrices below. libyuv does not interpolate
// chroma in the last column of an odd width, takes too small a factor for the blue of a
// limited range, and of more than 8 bits cuts chroma to 8 and makes luma of a limited range
// smaller.
func asLibyuv(pix []uint8, c heif.Coded, bits int) {
	const one = 1 << 16
	if grey := c.Config[2]&0x10 != 0; grey {
		return
	}
	matrix := 6
	if c.Colour.Known {
		matrix = c.Colour.Matrix
	}
	if matrix == 12 { // 12 derives the matrix from the primaries
		matrix = c.Colour.Primaries
	}
	var kr, kb, blue int64 // shares of one; blue is that of 2, its factor, in the right one, 2 * (1-kb) * 255/224
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
		// What a level of 8 bits of chroma adds to red and blue, in 8 bits after the point; the
		// share of luma that is lost.
		ofRed, ofBlue, less := 257*2*(one-kr)/256, 257*2*(one-kb)/256, int64(0)
		if limited {
			ofRed, ofBlue, less = ofRed*255/224, ofBlue*255/224, 191
			if bits == 12 {
				less = 239
			}
		}
		// Half a step of its own bits rounds chroma before it is cut.
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

// number reads one of the decoder's answers.
func number(b []byte) int {
	return int(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
}
