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

// program is the module's decoder. The module's own Go code is not used: it gives the
// decoder no bound of memory, loses transparency and what colours mean, and takes rows of
// narrow pictures for shorter than they are.
//
//go:linkname program github.com/gen2brain/heic.heifWasm
var program []byte

func init() {
	sandbox := heif.NewSandbox(program)
	imagefile.Register("heic", heif.Reader("hvc1", true, memory, func(m *heif.Memory, c heif.Coded) (heif.Pixels, error) {
		return coded(sandbox, m, c)
	}))
}

// memory is the most that the decoder may take for a coded picture of so many pixels.
func memory(pixels int64) int64 { return 8<<20 + 40*pixels }

// coded decodes one coded picture.
func coded(sandbox *heif.Sandbox, m *heif.Memory, c heif.Coded) (out heif.Pixels, err error) {
	h, err := heif.ReadHEVC(c.Config)
	if err != nil {
		return out, err
	}
	if h.Size != c.Size {
		return out, fmt.Errorf("a picture is %d x %d pixels, and coded as %d x %d", c.Size.X, c.Size.Y, h.Size.X, h.Size.Y)
	}
	convert := func(row []uint8) {} // grey is what is coded, whatever its range
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
	// Planes at 4:4:4 come as red, green and blue where the file says that they are that.
	// Asked for YCbCr this libheif makes 4:4:4 of 4:2:0 and 4:2:0 of that again, and blurs colours.
	said, sample := heif.Colour{Known: true, Primaries: 1, Transfer: 13, Matrix: 0, Full: true}, 4
	if h.Chroma == 0 {
		said, sample = heif.Colour{}, (h.Bits+7)/8
	}
	file, err := c.File(h.Chroma == 0, said)
	if err != nil {
		return out, err
	}
	// libheif's rows: an even number of samples, at least 64, up to a multiple of 16 bytes.
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

// converter returns what makes RGB, in place, of a row whose green, blue and red are Y, Cb
// and Cr.
func converter(colour heif.Colour) (func(row []uint8), error) {
	gain, shift := 255./219, 16.
	chroma := 255. / 224
	if colour.Full {
		gain, shift, chroma = 1, 0, 1
	}
	var luma [256]int32 // in 16 bits after the point, with what rounds
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
		return nil, fmt.Errorf("its colours are made by matrix %d of ISO 23091-2, which is not supported", colour.Matrix)
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
