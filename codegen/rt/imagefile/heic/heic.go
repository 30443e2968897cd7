//go:build nodynamic

package heic

import (
	"errors"
	"fmt"
	_ "unsafe" // for go:linkname

	_ "github.com/gen2brain/heic"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif"
)

// program is the decoder of module gen2brain/heic, gzipped WebAssembly. The module's own Go
// code is not used: it does not bound the decoder's memory, loses alpha and the colour
// description, and takes the rows of narrow pictures to be shorter than they are.
//
//go:linkname program github.com/gen2brain/heic.heifWasm
var program []byte

func init() {
	sandbox := heif.NewSandbox(program)
	imagefile.Register("heic", heif.Reader("hvc1", true, memory, func(m *heif.Memory, c heif.Coded) (heif.Pixels, error) {
		return coded(sandbox, m, c)
	}))
}

// memory returns the limit of the decoder's memory, in bytes, for a coded picture of the given
// number of pixels.
func memory(pixels int64) int64 { return 8<<20 + 40*pixels }

// coded decodes one coded picture.
func coded(sandbox *heif.Sandbox, m *heif.Memory, c heif.Coded) (out heif.Pixels, err error) {
	h, err := heif.ReadHEVC(c.Config)
	if err != nil {
		return out, err
	}
	if h.Size != c.Size {
		return out, fmt.Errorf("a picture is %d x %d pixels in its ispe box and %d x %d in its HEVC data", c.Size.X, c.Size.Y, h.Size.X, h.Size.Y)
	}
	convert := func(row []uint8) {} // grey is used as coded, whatever its range
	switch colour := c.Colour; {
	case h.Chroma == 0:
	case c.Alpha:
		convert = func(row []uint8) {
			for ; len(row) >= 4; row = row[4:] {
				row[0] = row[1]
			}
		}
	default:
		if !colour.Known {
			colour = h.Colour
		}
		if convert, err = converter(colour); err != nil {
			return out, err
		}
	}
	// With an nclx box that says RGB (matrix 0), libheif returns the 4:4:4 planes unconverted
	// as red, green and blue. Its own YCbCr output would convert 4:2:0 to 4:4:4 and back to
	// 4:2:0, which blurs colours.
	said, sample := heif.Colour{Known: true, Primaries: 1, Transfer: 13, Matrix: 0, Full: true}, 4
	if h.Chroma == 0 {
		said, sample = heif.Colour{}, (h.Bits+7)/8
	}
	file, err := c.File(h.Chroma == 0, said)
	if err != nil {
		return out, err
	}
	// libheif's rows hold an even number of samples, at least 64, and are padded to 16 bytes.
	stride := (max(64, (c.Size.X+1)&^1)*sample + 15) &^ 15
	err = sandbox.Run(m, func(r heif.Run) error {
		in, b, err := r.Bytes(int64(len(file)))
		if err != nil {
			return err
		}
		copy(b, file)
		answers, _, err := r.Bytes(5 * 4)
		if err != nil {
			return err
		}
		at, _, err := r.Bytes(int64(stride) * int64(c.Size.Y))
		if err != nil {
			return err
		}
		ok, err := r.Call("decode", in, uint32(len(file)), 0, answers, answers+4, answers+8, answers+12, answers+16, at)
		if err != nil {
			return err
		}
		if ok == 0 {
			return errors.New("libheif cannot decode it")
		}
		out.Stride, out.Step = stride, sample
		out.Pix, err = r.At(at, int64(stride)*int64(c.Size.Y))
		return err
	})
	if err != nil {
		return out, err
	}
	if sample == 2 {
		for y := range c.Size.Y {
			row := out.Pix[y*stride:][:stride]
			for x := range c.Size.X {
				v := (uint(row[2*x]) | uint(row[2*x+1])<<8) >> (h.Bits - 8)
				row[x] = uint8(v)
			}
		}
		out.Step = 1
	}
	for y := range c.Size.Y {
		convert(out.Pix[y*stride:][:c.Size.X*out.Step])
	}
	return out, nil
}

// converter returns a function that converts a row to RGB in place; on input the row's green,
// blue and red channels hold Y, Cb and Cr.
func converter(colour heif.Colour) (func(row []uint8), error) {
	gain, shift := 255./219, 16.
	chroma := 255. / 224
	if colour.Full {
		gain, shift, chroma = 1, 0, 1
	}
	var luma [256]int32 // 16 fractional bits, with one half added for rounding
	for v := range luma {
		luma[v] = int32((float64(v)-shift)*gain*65536) + 32768
	}
	var kr, kb float64
	switch colour.Matrix {
	case 0:
		if !colour.Full {
			return nil, errors.New("its RGB has a limited range, which is not supported")
		}
		return func([]uint8) {}, nil
	case 1:
		kr, kb = 0.2126, 0.0722
	case 4:
		kr, kb = 0.30, 0.11
	case 2, 5, 6:
		kr, kb = 0.299, 0.114
	case 7:
		kr, kb = 0.212, 0.087
	case 9:
		kr, kb = 0.2627, 0.0593
	default:
		return nil, fmt.Errorf("its colour matrix is number %d of ISO 23091-2, which is not supported", colour.Matrix)
	}
	kg := 1 - kr - kb
	var rCr, gCr, gCb, bCb [256]int32
	for v := range rCr {
		c := (float64(v) - 128) * chroma * 65536
		rCr[v], bCb[v] = int32(2*(1-kr)*c), int32(2*(1-kb)*c)
		gCr[v], gCb[v] = int32(2*kr*(1-kr)/kg*c), int32(2*kb*(1-kb)/kg*c)
	}
	return func(row []uint8) {
		for ; len(row) >= 4; row = row[4:] {
			cr, y, cb := row[0], luma[row[1]], row[2]
			row[0], row[1], row[2] = clamp(y+rCr[cr]), clamp(y-gCr[cr]-gCb[cb]), clamp(y+bCb[cb])
		}
	}, nil
}

func clamp(v int32) uint8 { return uint8(min(max(v>>16, 0), 255)) }
