package jpeg

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"iter"
	"slices"
)

// Marker codes (the byte after 0xff).
const (
	tem = 0x01

	sof0  = 0xc0 // baseline
	sof1  = 0xc1 // extended
	sof2  = 0xc2 // progressive
	dht   = 0xc4
	sof9  = 0xc9 // extended, arithmetic
	sof10 = 0xca // progressive, arithmetic
	dac   = 0xcc
	rst0  = 0xd0
	rst7  = 0xd7
	soi   = 0xd8
	EOI   = 0xd9 // end of image
	SOS   = 0xda // start of scan
	dqt   = 0xdb
	dnl   = 0xdc
	dri   = 0xdd
	APP0  = 0xe0
	APP1  = 0xe1
	app14 = 0xee
	app15 = 0xef
	com   = 0xfe
)

// IsFrame reports whether a marker starts a frame (SOFn), whether Decode supports its kind or
// not.
func IsFrame(marker byte) bool {
	return sof0 <= marker && marker <= 0xcf && marker != dht && marker != 0xc8 && marker != dac
}

func isRestart(marker byte) bool { return rst0 <= marker && marker <= rst7 }

// Segment is a marker and the data that belongs to it.
type Segment struct {
	Marker byte
	Body   []byte // without its length field; nil for EOI
	Packed []byte // of SOS: the entropy-coded data up to the next segment
	Cut    bool   // the file ends within the segment
}

// Segments yields the segments of a file after its first marker. It stops after the first EOI,
// and after a segment that is cut off, whose body is nil. Bytes between segments are skipped.
func Segments(data []byte) iter.Seq[Segment] {
	return func(yield func(Segment) bool) {
		data := data[min(2, len(data)):]
		for {
			data = data[next(data):]
			if len(data) < 2 {
				return
			}
			s := Segment{Marker: data[1]}
			data = data[2:]
			if isRestart(s.Marker) || s.Marker == tem {
				continue
			}
			if s.Marker == EOI {
				yield(s)
				return
			}
			n := 0
			if len(data) >= 2 {
				n = int(data[0])<<8 | int(data[1])
			}
			if n < 2 || n > len(data) {
				s.Cut = true
				yield(s)
				return
			}
			s.Body, data = data[2:n], data[n:]
			if s.Marker == SOS {
				end := 0
				for end < len(data) {
					end += next(data[end:])
					if end == len(data) || sof0 <= data[end+1] && !isRestart(data[end+1]) {
						break
					}
					end += 2 // a restart marker, or an invalid one in damaged data
				}
				s.Packed, data = data[:end], data[end:]
				s.Cut = len(data) == 0
			}
			if !yield(s) {
				return
			}
		}
	}
}

// next returns the index of the next marker in data, len(data) if there is none.
func next(data []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(data[at:], 0xff)
		if i < 0 || at+i+1 >= len(data) {
			return len(data)
		}
		at += i
		switch data[at+1] {
		case 0: // stuffing: a byte 0xff of entropy-coded data
			at += 2
		case 0xff: // padding
			at++
		default:
			return at
		}
	}
}

// Component describes one plane of a picture.
type Component struct {
	ID    byte
	H, V  int // sampling factors, 1 to 4
	table byte
}

// Frame is the header of a frame (SOFn).
type Frame struct {
	Size        image.Point
	Components  []Component // 1, 3 or 4
	Progressive bool
	Arithmetic  bool // arithmetic coding, otherwise Huffman coding
}

// ReadFrame reads a frame header. It returns an error for kinds of pictures that Decode does
// not support.
func ReadFrame(s Segment) (*Frame, error) {
	f := &Frame{}
	switch s.Marker {
	case sof0, sof1:
	case sof2:
		f.Progressive = true
	case sof9:
		f.Arithmetic = true
	case sof10:
		f.Progressive, f.Arithmetic = true, true
	case 0xc3, 0xcb:
		return nil, errors.New("lossless pictures are not supported")
	default:
		return nil, errors.New("hierarchical pictures are not supported")
	}
	b := s.Body
	if len(b) < 6 || len(b) != 6+3*int(b[5]) {
		return nil, fmt.Errorf("the frame's header has %d bytes, want 6 and 3 a component", len(b))
	}
	if b[0] != 8 {
		return nil, fmt.Errorf("pictures of %d bits a sample are not supported, want 8", b[0])
	}
	f.Size = image.Pt(int(b[3])<<8|int(b[4]), int(b[1])<<8|int(b[2]))
	if f.Size.X == 0 || f.Size.Y == 0 {
		return nil, fmt.Errorf("the picture is %d x %d pixels, want at least 1 x 1", f.Size.X, f.Size.Y)
	}
	if n := b[5]; n != 1 && n != 3 && n != 4 {
		return nil, fmt.Errorf("pictures of %d components are not supported, want 1, 3 or 4", n)
	}
	for c := b[6:]; len(c) >= 3; c = c[3:] {
		k := Component{ID: c[0], H: int(c[1] >> 4), V: int(c[1] & 15), table: c[2]}
		if k.H < 1 || k.H > 4 || k.V < 1 || k.V > 4 {
			return nil, fmt.Errorf("a component is sampled %d x %d, want 1 to 4", k.H, k.V)
		}
		f.Components = append(f.Components, k)
	}
	across, down := f.sampling()
	for _, c := range f.Components {
		if across%c.H != 0 || down%c.V != 0 {
			return nil, fmt.Errorf("a component is sampled %d x %d of %d x %d, want whole parts", c.H, c.V, across, down)
		}
	}
	return f, nil
}

// FindFrame reads the first frame header of a file, given its beginning.
func FindFrame(data []byte) (*Frame, error) {
	for s := range Segments(data) {
		if IsFrame(s.Marker) {
			return ReadFrame(s)
		}
		if s.Marker == SOS {
			break
		}
	}
	return nil, errors.New("there is no frame")
}

// Padded returns the number of pixels with the padding to whole MCUs.
func (f *Frame) Padded() int64 {
	across, down := f.sampling()
	return int64(8*across*parts(f.Size.X, 8*across)) * int64(8*down*parts(f.Size.Y, 8*down))
}

// Passes returns the share of the padded pixels that a scan visits, summed over its components:
// 1 for a full-resolution plane.
func (f *Frame) Passes(s Segment) float64 {
	n := 0
	if len(s.Body) > 0 {
		for b := s.Body[1:]; len(b) >= 2 && len(b) > len(s.Body)-1-2*int(s.Body[0]); b = b[2:] {
			if i := slices.IndexFunc(f.Components, func(c Component) bool { return c.ID == b[0] }); i >= 0 {
				n += f.Components[i].H * f.Components[i].V
			}
		}
	}
	across, down := f.sampling()
	return float64(n) / float64(across*down)
}

// samples returns the number of samples of all planes, padding included.
func (f *Frame) samples() int64 {
	n := 0
	for _, c := range f.Components {
		n += c.H * c.V
	}
	across, down := f.sampling()
	return f.Padded() / int64(across*down) * int64(n)
}

// Memory returns an upper bound of the bytes that decoding takes, the decoded picture included,
// given the beginning of the file; 0 if that does not hold the frame header.
func Memory(head []byte) int64 {
	f, luma, whole := beginning(head)
	if f == nil {
		return 0
	}
	n, pixels := f.samples(), int64(f.Size.X)*int64(f.Size.Y)
	if !whole {
		n *= 3 // and two bytes per coefficient
	}
	if f.inPlanes(luma) {
		return n
	}
	// Planes enlarged to the size of the picture, RGB or CMYK, and the RGB from which CMYK is
	// made.
	across, down := f.sampling()
	for _, c := range f.Components {
		if c.H < across || c.V < down {
			n += int64(8*across*parts(f.Size.X, 8*across)) * int64(f.Size.Y)
		}
	}
	if len(f.Components) == 4 {
		return n + 7*pixels
	}
	return n + 3*pixels
}

// StripMemory returns an upper bound of the bytes that Strips takes, a strip included, given the
// beginning of the file; 0 if the picture does not come in strips of a row of MCUs, or if the
// beginning does not tell.
func StripMemory(head []byte) int64 {
	f, luma, whole := beginning(head)
	if f == nil || !f.inPlanes(luma) {
		return 0
	}
	across, down := f.sampling()
	n := int64(parts(f.Size.X, 8*across)) * int64(8*across) * int64(8*down+2) * int64(len(f.Components))
	if !whole {
		n += 2 * f.samples()
	}
	return n
}

// beginning reads the segments up to the first scan. It returns nil for a file whose frame header is
// not there. luma reports whether the first three components are known to be Y, Cb and Cr, and
// whole whether the first scan is known to hold the picture.
func beginning(head []byte) (f *Frame, luma, whole bool) {
	var c colours
	for s := range Segments(head) {
		if c.see(s); s.Marker == SOS {
			return f, f != nil && c.luma(f), f != nil && !f.Progressive && len(s.Body) > 0 && int(s.Body[0]) == len(f.Components)
		}
		if f == nil && IsFrame(s.Marker) {
			f, _ = ReadFrame(s)
		}
	}
	return f, false, false
}

// inPlanes reports whether a picture decodes to an image.Gray or image.YCbCr, given whether its
// components are Y, Cb and Cr.
func (f *Frame) inPlanes(luma bool) bool {
	_, ok := f.ratio()
	return len(f.Components) == 1 || len(f.Components) == 3 && ok && luma
}

// sampling returns the largest sampling factors of the components.
func (f *Frame) sampling() (across, down int) {
	for _, c := range f.Components {
		across, down = max(across, c.H), max(down, c.V)
	}
	return across, down
}

// colours holds the segments that tell the colour space of the components.
type colours struct {
	jfif, adobe bool
	transform   byte // the transform byte of Adobe's APP14 segment
}

// see reads an APP0 (JFIF) or APP14 (Adobe) segment.
func (c *colours) see(s Segment) {
	switch {
	case s.Marker == APP0 && len(s.Body) >= 14 && bytes.HasPrefix(s.Body, []byte("JFIF\x00")):
		c.jfif = true
	case s.Marker == app14 && len(s.Body) >= 12 && bytes.HasPrefix(s.Body, []byte("Adobe")):
		c.adobe, c.transform = true, s.Body[11]
	}
}

// luma reports whether the first three components are Y, Cb and Cr.
func (c *colours) luma(f *Frame) bool {
	switch len(f.Components) {
	case 3:
		if c.jfif {
			return true
		}
		if c.adobe {
			return c.transform != 0
		}
		ids := f.Components
		return ids[0].ID != 'R' || ids[1].ID != 'G' || ids[2].ID != 'B'
	case 4:
		return c.adobe && c.transform != 0
	}
	return false
}
