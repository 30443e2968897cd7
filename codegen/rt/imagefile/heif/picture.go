package heif

import (
	"encoding/binary"
	"fmt"
	"image"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Pixels are the decoded pixels of a coded picture, 8 bits per channel: red, green and blue are
// the first of each Step bytes, or grey if Step is 1. They alias the decoder's memory and are
// valid until a program runs in it again.
type Pixels struct {
	Pix          []uint8
	Stride, Step int
}

// image decodes the visible part to a pixel.RGB, or to an image.NRGBA if there is alpha. It
// does not turn the picture.
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
	if p.Multiplied {
		for i := 0; i < len(pix); i += 4 {
			if a := int(pix[i+3]); a > 0 {
				for c := range 3 {
					pix[i+c] = uint8(min(255, 255*int(pix[i+c])/a))
				}
			}
		}
	}
	return &image.NRGBA{Pix: pix, Stride: 4 * p.Size.X, Rect: image.Rectangle{Max: p.Size}}, err
}

// rows decodes the tiles that overlap the crop and yields the visible part of each, row by row: at is
// the place of the first pixel in the cropped picture, step the bytes from one pixel of row to the
// next.
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

// coded returns the number of pixels by which to bound the decoder's memory: those of the
// largest coded picture. The pixels of a grid that is decoded as one count by half, because
// only its planes and the result hold them, not the buffers of the tile decoder.
func (p *Picture) coded() int64 {
	n := int64(p.tile.X) * int64(p.tile.Y)
	if grid := p.tiles[0].grid; grid != nil {
		n = n/2 + int64(grid.tile.X)*int64(grid.tile.Y)
	}
	if p.Alpha != nil {
		n = max(n, p.Alpha.coded())
	}
	return n
}

// File returns a minimal file of this picture alone: the decoder configuration, the size and
// the given colour description, whatever the original file says of colour. If grey is set, a
// pixi box says that there is one channel.
func (c Coded) File(grey bool, colour Colour) ([]byte, error) {
	brand, config := "heic", "hvcC"
	if c.Kind == "av01" {
		brand, config = "avif", "av1C"
	}
	if len(c.Config) == 0 {
		return nil, fmt.Errorf("there is no %s, which its decoder needs", config)
	}
	be := binary.BigEndian
	properties, count := []byte(nil), byte(0)
	property := func(kind string, body []byte) (use byte) {
		properties = append(properties, box(kind, body)...)
		count++
		return count
	}
	size := func(p image.Point) byte {
		return property("ispe", be.AppendUint32(be.AppendUint32(make([]byte, 4), uint32(p.X)), uint32(p.Y)))
	}
	const essential = 0x80
	codec := property(config, c.Config) | essential
	uses := []byte{size(c.Size)}
	if grey {
		uses = append(uses, property("pixi", []byte{0, 0, 0, 0, 1, 8}))
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
		uses = append(uses, property("colr", append(b, full)))
	}

	var iloc, iinf, ipma, iref, data []byte
	n := uint16(0)
	item := func(kind string, at, length int, uses ...byte) {
		n++
		iloc = append(be.AppendUint16(iloc, n), 0, 0, 0, 1)
		iloc = be.AppendUint32(be.AppendUint32(iloc, uint32(at)), uint32(length))
		iinf = append(iinf, box("infe", append(be.AppendUint16([]byte{2, 0, 0, 0}, n), "\x00\x00"+kind+"\x00"...))...)
		ipma = append(append(be.AppendUint16(ipma, n), byte(len(uses))), uses...)
	}
	if c.grid == nil {
		b, err := c.data()
		if err != nil {
			return nil, err
		}
		data = b
		item(c.Kind, 0, len(data), append(uses, codec)...)
	} else {
		rows := len(c.grid.tiles) / c.grid.columns
		data = []byte{0, 1, byte(rows - 1), byte(c.grid.columns - 1)}
		data = be.AppendUint32(be.AppendUint32(data, uint32(c.Size.X)), uint32(c.Size.Y))
		item("grid", 0, len(data), uses...)
		uses[0] = size(c.grid.tile)
		references := be.AppendUint16([]byte{0, 1}, uint16(len(c.grid.tiles)))
		for i, t := range c.grid.tiles {
			b, err := t.data()
			if err != nil {
				return nil, fmt.Errorf("tile %d: %w", i, err)
			}
			item(c.Kind, len(data), len(b), append(uses, codec)...)
			data = append(data, b...)
			references = be.AppendUint16(references, n)
		}
		iref = box("iref", append(make([]byte, 4), box("dimg", references)...))
	}

	head := box("ftyp", []byte(brand+"\x00\x00\x00\x00mif1"+brand))
	meta := func() []byte {
		b := make([]byte, 4)
		b = append(b, box("hdlr", []byte("\x00\x00\x00\x00\x00\x00\x00\x00pict\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))...)
		b = append(b, box("pitm", []byte{0, 0, 0, 0, 0, 1})...)
		b = append(b, box("iloc", append(be.AppendUint16([]byte{0, 0, 0, 0, 0x44, 0}, n), iloc...))...)
		b = append(b, box("iinf", append(be.AppendUint16(make([]byte, 4), n), iinf...))...)
		b = append(b, iref...)
		b = append(b, box("iprp", append(box("ipco", properties), box("ipma", append(be.AppendUint32(make([]byte, 4), uint32(n)), ipma...))...))...)
		return box("meta", b)
	}
	// Offsets count from the beginning of the file.
	start := len(head) + len(meta()) + 8
	for i := 6; i < len(iloc); i += 14 {
		be.PutUint32(iloc[i:], be.Uint32(iloc[i:])+uint32(start))
	}
	file := append(head, meta()...)
	file = be.AppendUint32(slices.Grow(file, 8+len(data)), uint32(8+len(data)))
	return append(append(file, "mdat"...), data...), nil
}

func box(kind string, body []byte) []byte {
	b := make([]byte, 0, 8+len(body))
	b = binary.BigEndian.AppendUint32(b, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}
