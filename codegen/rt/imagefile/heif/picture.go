package heif

import (
	"encoding/binary"
	"fmt"
	"image"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Pixels are those of a coded picture, 8 bits a channel: red, green and blue at the
// beginning of each Step bytes, or grey if Step is 1. They may change when a program runs
// in the same memory again.
type Pixels struct {
	Pix          []uint8
	Stride, Step int
}

// image decodes what is seen: a pixel.RGB, or an image.NRGBA of a picture with
// transparency, not turned.
func (p *Picture) image(decode func(Coded) (Pixels, error)) (image.Image, error) {
	n := 3
	if p.Alpha != nil {
		n = 4
	}
	pix := make([]uint8, n*p.Size.X*p.Size.Y)
	err := p.rows(decode, func(at image.Point, row []uint8, step int) {
		dst := pix[n*(at.Y*p.Size.X+at.X):]
		for i := 0; i < len(row); i += step {
			if dst[0], dst[1], dst[2] = row[i], row[i], row[i]; step > 1 {
				dst[1], dst[2] = row[i+1], row[i+2]
			}
			dst = dst[min(n, len(dst)):]
		}
	})
	if err != nil || p.Alpha == nil {
		return &pixel.RGB{Pix: pix, W: p.Size.X, H: p.Size.Y}, err
	}
	err = p.Alpha.rows(decode, func(at image.Point, row []uint8, step int) {
		dst := pix[4*(at.Y*p.Size.X+at.X):]
		for i := 0; i < len(row); i += step {
			dst[4*(i/step)+3] = row[i]
		}
	})
	return &image.NRGBA{Pix: pix, Stride: 4 * p.Size.X, Rect: image.Rectangle{Max: p.Size}}, err
}

// rows decodes the tiles of which something is seen, and yields it row by row.
func (p *Picture) rows(decode func(Coded) (Pixels, error), yield func(at image.Point, row []uint8, step int)) error {
	for i, c := range p.tiles {
		tile := image.Rectangle{Max: p.tile}.Add(image.Pt(i%p.columns*p.tile.X, i/p.columns*p.tile.Y))
		seen := tile.Intersect(p.crop)
		if seen.Empty() {
			continue
		}
		m, err := decode(c)
		if err != nil {
			if len(p.tiles) > 1 {
				err = fmt.Errorf("tile %d: %w", i, err)
			}
			return err
		}
		for y := seen.Min.Y; y < seen.Max.Y; y++ {
			from := (y-tile.Min.Y)*m.Stride + (seen.Min.X-tile.Min.X)*m.Step
			yield(image.Pt(seen.Min.X, y).Sub(p.crop.Min), m.Pix[from:][:seen.Dx()*m.Step], m.Step)
		}
	}
	return nil
}

// coded returns how many pixels the largest coded picture has, for which decoding takes
// memory.
func (p *Picture) coded() int64 {
	n := int64(p.tile.X) * int64(p.tile.Y)
	if p.Alpha != nil {
		n = max(n, p.Alpha.coded())
	}
	return n
}

// File is a file of this picture alone: with what the decoder needs, its size, and what
// the caller says of colour, whatever it was in its own file. It says that there is one
// channel where grey is true.
func (c Coded) File(grey bool, colour Colour) ([]byte, error) {
	data, err := c.data()
	if err != nil {
		return nil, err
	}
	brand, config := "heic", "hvcC"
	if c.Kind == "av01" {
		brand, config = "avif", "av1C"
	}
	if len(c.Config) == 0 {
		return nil, fmt.Errorf("there is no %s, which its decoder needs", config)
	}
	be := binary.BigEndian
	properties := box(config, c.Config)
	properties = append(properties, box("ispe", be.AppendUint32(be.AppendUint32(make([]byte, 4), uint32(c.Size.X)), uint32(c.Size.Y)))...)
	uses := []byte{0x81, 0x02}
	use := func(b []byte) {
		properties = append(properties, b...)
		uses = append(uses, byte(len(uses)+1))
	}
	if grey {
		use(box("pixi", []byte{0, 0, 0, 0, 1, 8}))
	}
	if colour.Known {
		full := byte(0)
		if colour.Full {
			full = 0x80
		}
		b := []byte("nclx")
		for _, v := range []int{colour.Primaries, colour.Transfer, colour.Matrix} {
			b = be.AppendUint16(b, uint16(v))
		}
		use(box("colr", append(b, full)))
	}
	ipma := append([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 1, byte(len(uses))}, uses...)
	head := box("ftyp", []byte(brand+"\x00\x00\x00\x00mif1"+brand))
	meta := func(offset int) []byte {
		b := make([]byte, 4)
		b = append(b, box("hdlr", []byte("\x00\x00\x00\x00\x00\x00\x00\x00pict\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))...)
		b = append(b, box("pitm", []byte{0, 0, 0, 0, 0, 1})...)
		iloc := []byte{0, 0, 0, 0, 0x44, 0, 0, 1, 0, 1, 0, 0, 0, 1}
		b = append(b, box("iloc", be.AppendUint32(be.AppendUint32(iloc, uint32(offset)), uint32(len(data))))...)
		b = append(b, box("iinf", append([]byte{0, 0, 0, 0, 0, 1}, box("infe", []byte("\x02\x00\x00\x00\x00\x01\x00\x00"+c.Kind+"\x00"))...))...)
		b = append(b, box("iprp", append(box("ipco", properties), box("ipma", ipma)...))...)
		return box("meta", b)
	}
	head = append(head, meta(len(head)+len(meta(0))+8)...)
	return append(head, box("mdat", data)...), nil
}

func box(kind string, body []byte) []byte {
	b := make([]byte, 0, 8+len(body))
	b = binary.BigEndian.AppendUint32(b, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}
