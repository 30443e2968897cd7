package imagefile

import (
	"bufio"
	"bytes"
	"compress/lzw"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
)

// gifFrame is the first frame of a GIF on its canvas.
type gifFrame struct {
	canvas      image.Point     // the logical screen, enlarged to contain the frame
	at          image.Rectangle // of the frame on the canvas
	palette     []byte          // RGB
	transparent int             // palette index of the transparent colour, -1 for none
	interlaced  bool
	width       int // LZW minimum code size, in bits
	blocks      int // number of blocks read
}

// readGIF reads up to the compressed pixels of the first frame.
func readGIF(r *bufio.Reader) (f gifFrame, err error) {
	const (
		hasTable   = 0x80
		interlaced = 0x40
		extension  = '!'
		control    = 0xf9
		frame      = ','
		end        = ';'
	)
	table := func(flags byte) ([]byte, error) {
		t := make([]byte, 3<<(1+flags&7))
		_, err := io.ReadFull(r, t)
		return t, err
	}
	var screen [13]byte
	if _, err := io.ReadFull(r, screen[:]); err != nil {
		return f, err
	}
	f.canvas = image.Pt(int(screen[6])|int(screen[7])<<8, int(screen[8])|int(screen[9])<<8)
	f.transparent = -1
	if screen[10]&hasTable != 0 {
		if f.palette, err = table(screen[10]); err != nil {
			return f, err
		}
	}
	for {
		kind, err := r.ReadByte()
		if err != nil {
			return f, err
		}
		if f.blocks++; f.blocks > maxParts {
			return f, parts(f.blocks, "blocks")
		}
		switch kind {
		case end:
			return f, errors.New("there is no picture in the file")
		case extension:
			label, err := r.ReadByte()
			if err != nil {
				return f, err
			}
			for first := true; ; first = false {
				body, err := f.block(r)
				if err != nil {
					return f, err
				}
				if first && label == control && len(body) >= 4 && body[0]&1 != 0 {
					f.transparent = int(body[3])
				}
				if len(body) == 0 {
					break
				}
			}
		case frame:
			var d [9]byte
			if _, err := io.ReadFull(r, d[:]); err != nil {
				return f, err
			}
			x, y := int(d[0])|int(d[1])<<8, int(d[2])|int(d[3])<<8
			f.at = image.Rect(x, y, x+(int(d[4])|int(d[5])<<8), y+(int(d[6])|int(d[7])<<8))
			f.canvas = image.Pt(max(f.canvas.X, f.at.Max.X), max(f.canvas.Y, f.at.Max.Y))
			f.interlaced = d[8]&interlaced != 0
			if d[8]&hasTable != 0 {
				if f.palette, err = table(d[8]); err != nil {
					return f, err
				}
			}
			width, err := r.ReadByte()
			f.width = int(width)
			return f, err
		}
	}
}

// block reads a data sub-block of at most 255 bytes; an empty one ends the data. The result is
// valid until the next read.
func (f *gifFrame) block(r *bufio.Reader) ([]byte, error) {
	if f.blocks++; f.blocks > maxParts {
		return nil, parts(f.blocks, "blocks")
	}
	n, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	body, err := r.Peek(int(n))
	if err != nil {
		return nil, err
	}
	r.Discard(int(n))
	return body, nil
}

// checkGIF checks the blocks up to the end of the first frame against the budget.
func checkGIF(data []byte, o Options) error {
	r := bufio.NewReader(bytes.NewReader(data))
	f, err := readGIF(r)
	sum := int64(0)
	for err == nil {
		var body []byte
		if body, err = f.block(r); len(body) == 0 {
			break
		}
		sum += int64(len(body))
	}
	if f.blocks > maxParts {
		return parts(f.blocks, "blocks")
	}
	return packed(sum, min(int64(f.at.Dx())*int64(f.at.Dy()), o.maxPixels()))
}

func configGIF(r io.Reader) (image.Config, error) {
	f, err := readGIF(bufio.NewReader(r))
	return image.Config{Width: f.canvas.X, Height: f.canvas.Y}, err
}

// decodeGIF decodes the first frame on its canvas. The rest of the canvas is transparent if the
// frame has a transparent colour, otherwise it has colour 0.
func decodeGIF(data []byte) (image.Image, error) {
	r := bufio.NewReader(bytes.NewReader(data))
	f, err := readGIF(r)
	if err != nil {
		return nil, err
	}
	if f.width < 2 || f.width > 8 {
		return nil, fmt.Errorf("its LZW code size is %d bits, want 2 to 8", f.width)
	}
	colors, ramp := f.colors()
	m := image.NewPaletted(image.Rectangle{Max: f.canvas}, colors)
	if f.transparent >= 0 {
		for i := range m.Pix {
			m.Pix[i] = uint8(f.transparent)
		}
	}
	pixels := lzw.NewReader(&gifBlocks{r: r, f: &f}, lzw.LSB, f.width)
	for y := range f.rows {
		if _, err := io.ReadFull(pixels, m.Pix[m.PixOffset(f.at.Min.X, f.at.Min.Y+y):][:f.at.Dx()]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	if ramp {
		return grey(m), nil
	}
	return m, nil
}

// grey returns m, whose palette is the ramp 0, 1, 2, ..., as a picture without a palette: its colours can be interpolated.
func grey(m *image.Paletted) *image.Gray {
	return &image.Gray{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect}
}

// rows yields the rows of the frame in file order.
func (f *gifFrame) rows(yield func(int) bool) {
	passes := [][2]int{{0, 1}}
	if f.interlaced {
		passes = [][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
	}
	for _, p := range passes {
		for y := p[0]; y < f.at.Dy(); y += p[1] {
			if !yield(y) {
				return
			}
		}
	}
}

// colors returns a palette of 256 colours. If the file has no palette, or a grey ramp, all 256
// colours are a grey ramp; otherwise colours past the end of the file's palette are black. ramp is
// true for a grey ramp without a transparent colour.
func (f *gifFrame) colors() (p color.Palette, ramp bool) {
	n := len(f.palette) / 3
	ramp = true
	p = make(color.Palette, 256)
	for i := range n {
		c := color.NRGBA{f.palette[3*i], f.palette[3*i+1], f.palette[3*i+2], 255}
		ramp = ramp && c == color.NRGBA{uint8(i), uint8(i), uint8(i), 255}
		p[i] = c
	}
	for i := n; i < len(p); i++ {
		v := uint8(0)
		if ramp {
			v = uint8(i)
		}
		p[i] = color.NRGBA{v, v, v, 255}
	}
	if f.transparent >= 0 {
		c := p[f.transparent].(color.NRGBA)
		c.A = 0
		p[f.transparent] = c
		ramp = false
	}
	return p, ramp
}

// gifBlocks reads the concatenated contents of data sub-blocks.
type gifBlocks struct {
	r    *bufio.Reader
	f    *gifFrame
	left []byte
}

// Read implements io.Reader.
func (b *gifBlocks) Read(p []byte) (int, error) {
	if err := b.more(); err != nil {
		return 0, err
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

// more reads the next block if none of the current one is left.
func (b *gifBlocks) more() (err error) {
	if len(b.left) > 0 {
		return nil
	}
	if b.left, err = b.f.block(b.r); err == nil && len(b.left) == 0 {
		err = io.EOF
	}
	return err
}

// ReadByte implements io.ByteReader.
func (b *gifBlocks) ReadByte() (byte, error) {
	if err := b.more(); err != nil {
		return 0, err
	}
	c := b.left[0]
	b.left = b.left[1:]
	return c, nil
}
