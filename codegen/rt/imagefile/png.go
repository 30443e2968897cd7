package imagefile

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Colour types of a PNG.
const (
	pngGray    = 0
	pngRGB     = 2
	pngPalette = 3
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// checkPNG checks the number of chunks and the compressed size against the budget.
func checkPNG(data []byte, o Options) error {
	n := 0
	var idat, raw int64
	for c := range chunksOfPNG(data) {
		if n++; n > maxParts {
			return parts(n, "chunks")
		}
		switch c.kind {
		case "IHDR":
			raw = rawPNG(c.body, o)
		case "IDAT":
			idat += int64(len(c.body))
		}
	}
	return packed(idat, raw) // idat checks again as it unpacks
}

// rawPNG returns the unpacked size in bytes that the header announces, at most the size for
// Options.MaxPixels.
func rawPNG(header []byte, o Options) int64 {
	if len(header) < 10 {
		return 0
	}
	w, h := int64(be32(header)), int64(be32(header[4:]))
	if h == 0 || w > o.maxPixels()/h {
		return 8 * o.maxPixels()
	}
	// Each row has a filter byte, and an interlaced picture has up to twice as many rows.
	return h * (w*bitsPNG(header)/8 + 3)
}

// bitsPNG returns the bits per pixel, 0 for an unknown colour type.
func bitsPNG(header []byte) int64 {
	return map[byte]int64{pngGray: 1, pngRGB: 3, pngPalette: 1, 4: 2, 6: 4}[header[9]] * int64(header[8])
}

func perPixelPNG(head []byte, _ image.Config) int64 {
	const depth = len(pngSignature) + 16
	if len(head) > depth && head[depth] == 16 {
		return 16 // twice the pixels if the picture is interlaced
	}
	return 8
}

// configPNG reads the header.
func configPNG(r io.Reader) (image.Config, error) {
	var head [len(pngSignature) + 16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return image.Config{}, err
	}
	if b := head[len(pngSignature):]; string(b[4:8]) == "IHDR" {
		return image.Config{Width: int(min(be32(b[8:]), math.MaxInt32)), Height: int(min(be32(b[12:]), math.MaxInt32))}, nil
	}
	return image.Config{}, errors.New("its header is missing")
}

// pngChunk is a chunk. If it is cut off, body is the part that is there.
type pngChunk struct {
	kind  string
	body  []byte
	whole bool // the body is complete
	sum   bool // the body is complete and its checksum is right (not checked for IDAT)
}

// chunksOfPNG yields the chunks up to IEND, to the first one that is cut off, or to the first
// bytes that are not a chunk.
func chunksOfPNG(data []byte) func(yield func(pngChunk) bool) {
	return func(yield func(pngChunk) bool) {
		data := data[len(pngSignature):]
		for len(data) >= 8 {
			n, c := uint64(be32(data)), pngChunk{kind: string(data[4:8])}
			if strings.ContainsFunc(c.kind, notInKind) {
				return
			}
			body := data[8:]
			if n > uint64(len(body)) {
				c.body = body
				yield(c)
				return
			}
			c.body, c.whole = body[:n], true
			rest := body[n:]
			c.sum = len(rest) >= 4 && (c.kind == "IDAT" || be32(rest) == crc32.ChecksumIEEE(data[4:8+n]))
			if !yield(c) || c.kind == "IEND" {
				return
			}
			data = rest[min(4, len(rest)):]
		}
	}
}

// notInKind reports whether a character is not valid in a chunk type.
func notInKind(c rune) bool {
	return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// decodePNG decodes a PNG, tolerating the same harmless damage as Pillow.
func decodePNG(data []byte) (image.Image, error) {
	m, err := newMender(data)
	if err != nil {
		return nil, err
	}
	img, err := png.Decode(m)
	if err != nil {
		return nil, err
	}
	switch {
	case m.kind == pngGray && m.depth == 1:
		return bilevel(img), nil
	case m.kind == pngGray || m.kind == pngRGB:
		switch img.(type) {
		case *image.NRGBA, *image.NRGBA64:
			return pixel.Keyed{Image: img}, nil
		}
	}
	return img, nil
}

// bilevel returns a picture of black and white pixels with a palette, because Pillow resizes it as it resizes palette pictures. One of
// the two may be transparent. It reuses the pixels of img, an image.Gray or image.NRGBA.
func bilevel(img image.Image) image.Image {
	black, white := color.NRGBA{A: 255}, color.NRGBA{255, 255, 255, 255}
	switch m := img.(type) {
	case *image.Gray:
		for i, v := range m.Pix {
			m.Pix[i] = v >> 7
		}
		return &image.Paletted{Pix: m.Pix, Stride: m.Stride, Rect: m.Rect, Palette: color.Palette{black, white}}
	case *image.NRGBA:
		n := len(m.Pix) / 4
		for i := range n {
			v, a := m.Pix[4*i]>>7, m.Pix[4*i+3]
			m.Pix[i] = v
			if v == 0 {
				black.A = a
			} else {
				white.A = a
			}
		}
		return &image.Paletted{Pix: m.Pix[:n], Stride: m.Stride / 4, Rect: m.Rect, Palette: color.Palette{black, white}}
	}
	return img
}

// mender reads as a valid PNG with the pixels of a possibly damaged one, for the standard
// library's decoder: it has right checksums and as many pixels as the header says. Damage that
// affects pixels is an error:
//
//   - a chunk before the pixels with a wrong checksum, or a chunk after them that is cut off;
//   - pixels that are cut off, that do not decompress, or whose Adler-32 checksum shows that they differ.
//
// The end of the file, checksums of chunks after the header's chunks, and surplus pixels do not
// matter.
type mender struct {
	kind, depth byte // colour type and bits per sample

	body  []byte // buffer for the next chunk's body, with room for pngBlock bytes of pixels
	chunk []byte // the last chunk made
	out   []byte // the part of it that is still to be read
	rows  []pngRows
	left  int64 // bytes of pixels still to be emitted
	done  int64 // bytes of pixels decompressed so far
	idat  *idat
	raw   io.Reader // the decompressed pixels
	sum   hash.Hash32
	ended bool // the compressed data ended early: the remaining pixels are 0
}

// pngBlock is the most bytes of pixels per chunk that a mender emits: the most that a stored
// deflate block holds.
const pngBlock = 1<<16 - 1

// pngRows are the rows of an interlace pass: their number and their size in bytes.
type pngRows struct{ count, size int64 }

func newMender(data []byte) (*mender, error) {
	m := &mender{sum: adler32.New(), body: make([]byte, 0, pngBlock+16)}
	var header, palette, clear []byte
	var bodies [][]byte
	begun, over := false, false // whether the pixels have begun, and ended
	for c := range chunksOfPNG(data) {
		switch {
		case over || begun && c.kind != "IDAT":
			over = true
			if !c.whole && c.kind != "IEND" {
				return nil, io.ErrUnexpectedEOF
			}
		case c.kind == "IDAT":
			begun = true
			bodies = append(bodies, c.body)
		case !c.whole:
			return nil, io.ErrUnexpectedEOF
		case !c.sum:
			return nil, fmt.Errorf("its chunk %q has a wrong checksum", c.kind)
		case c.kind == "IHDR":
			header = c.body
		case c.kind == "PLTE":
			palette = c.body
		case c.kind == "tRNS":
			clear = c.body
		}
	}
	if len(header) != 13 {
		return nil, errors.New("its header is missing")
	}
	if !begun {
		return nil, io.ErrUnexpectedEOF
	}
	m.idat = &idat{bodies: bodies}
	m.out = chunkPNG([]byte(pngSignature), "IHDR", header)
	kind, depth := header[9], header[8]
	m.kind, m.depth = kind, depth
	if kind == pngPalette {
		n := min(len(palette)/3, 1<<min(depth, 8))
		m.out = chunkPNG(m.out, "PLTE", palette[:3*n])
		clear = clear[:min(n, len(clear))]
	}
	if n := map[byte]int{pngGray: 2, pngRGB: 6, pngPalette: len(clear)}[kind]; n > 0 && n <= len(clear) {
		m.out = chunkPNG(m.out, "tRNS", clear[:n])
	}
	w, h, bits := int64(be32(header)), int64(be32(header[4:])), bitsPNG(header)
	pass := func(w, h int64) {
		if w > 0 && h > 0 {
			rows := pngRows{h, 1 + (w*bits+7)/8}
			m.rows = append(m.rows, rows)
			m.left += rows.count * rows.size
		}
	}
	if header[12] == 0 {
		pass(w, h)
	} else {
		for _, p := range [...]struct{ x, y, dx, dy int64 }{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
			pass((w-p.x+p.dx-1)/p.dx, (h-p.y+p.dy-1)/p.dy)
		}
	}
	// Of the zlib header only the compression method and the absence of a preset dictionary
	// matter.
	var zlibHead [2]byte
	if _, err := io.ReadFull(m.idat, zlibHead[:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if zlibHead[0]&15 != 8 || zlibHead[0]>>4 > 7 || zlibHead[1]&0x20 != 0 || binary.BigEndian.Uint16(zlibHead[:])%31 != 0 {
		return nil, zlib.ErrHeader
	}
	m.raw = flate.NewReader(m.idat)
	return m, nil
}

// Read implements io.Reader.
func (m *mender) Read(p []byte) (int, error) {
	if len(m.out) == 0 {
		if m.left == 0 {
			return 0, io.EOF
		}
		if err := m.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// fill makes the next chunk: pixels in a stored (uncompressed) deflate block.
func (m *mender) fill() error {
	n := int(min(m.left, pngBlock))
	body := m.body[:0]
	if m.done == 0 {
		body = append(body, 0x78, 0x01)
	}
	m.left -= int64(n)
	last := byte(0)
	if m.left == 0 {
		last = 1
	}
	body = append(body, last, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
	body = body[:len(body)+n]
	if err := m.unpack(body[len(body)-n:]); err != nil {
		return err
	}
	if m.left == 0 {
		body = m.sum.Sum(body)
	}
	m.chunk = chunkPNG(m.chunk[:0], "IDAT", body)
	if m.left == 0 {
		m.chunk = chunkPNG(m.chunk, "IEND", nil)
	}
	m.out = m.chunk
	return nil
}

// unpack decompresses the next bytes of the rows. Data that ends properly after a whole row may
// hold too few rows: the missing pixels are 0.
func (m *mender) unpack(dst []byte) error {
	if !m.ended {
		m.idat.unpacked = m.done + int64(len(dst))
		n, err := io.ReadFull(m.raw, dst)
		m.done += int64(n)
		m.sum.Write(dst[:n])
		dst = dst[n:]
		switch {
		case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
			return err
		case err != nil:
			if m.ended, err = m.end(); err != nil {
				return err
			}
			if !m.ended || !m.betweenRows() {
				return io.ErrUnexpectedEOF
			}
		case m.left == 0:
			_, err := m.end()
			return err
		}
	}
	clear(dst)
	m.sum.Write(dst)
	return nil
}

// end checks what follows the decompressed pixels. It reports true for the end of the data with
// a right Adler-32 checksum, and returns an error for a wrong one; surplus pixels or a missing
// checksum are not an error.
func (m *mender) end() (ended bool, err error) {
	n, err := m.raw.Read(make([]byte, 1))
	if n > 0 || err == io.ErrUnexpectedEOF {
		return false, nil
	}
	if err != io.EOF {
		return false, err
	}
	var sum [4]byte
	if _, err := io.ReadFull(m.idat, sum[:]); err != nil {
		return false, nil
	}
	if be32(sum[:]) != m.sum.Sum32() {
		return false, zlib.ErrChecksum
	}
	return true, nil
}

// betweenRows reports whether the decompressed bytes are whole rows.
func (m *mender) betweenRows() bool {
	done := m.done
	for _, r := range m.rows {
		if done <= r.count*r.size {
			return done%r.size == 0
		}
		done -= r.count * r.size
	}
	return false
}

// chunkPNG appends a chunk to b.
func chunkPNG(b []byte, kind string, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	at := len(b)
	b = append(append(b, kind...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

// idat reads the compressed pixels of all IDAT chunks and checks the amount read against the
// amount unpacked.
type idat struct {
	bodies         [][]byte
	read, unpacked int64
}

// ReadByte implements io.ByteReader, so that the decompressor does not read past the end of its
// data.
func (d *idat) ReadByte() (byte, error) {
	if !d.more() {
		return 0, io.EOF
	}
	b := d.bodies[0][0]
	d.bodies[0] = d.bodies[0][1:]
	d.read++
	return b, flowing(d.read, d.unpacked)
}

// Read implements io.Reader.
func (d *idat) Read(p []byte) (int, error) {
	if !d.more() {
		return 0, io.EOF
	}
	n := copy(p, d.bodies[0])
	d.bodies[0] = d.bodies[0][n:]
	d.read += int64(n)
	return n, flowing(d.read, d.unpacked)
}

// more skips empty bodies and reports whether bytes are left.
func (d *idat) more() bool {
	for len(d.bodies) > 0 && len(d.bodies[0]) == 0 {
		d.bodies = d.bodies[1:]
	}
	return len(d.bodies) > 0
}

// aboutPNG reads the eXIf chunk, and EXIF and XMP in text chunks.
func aboutPNG(data []byte) about {
	const xmp, profile = "XML:com.adobe.xmp", "Raw profile type "
	var a about
	var raw []byte
	for c := range chunksOfPNG(data) {
		if !c.whole {
			break
		}
		key, value := textOfPNG(c)
		switch {
		case c.kind == "eXIf":
			a.exif = c.body
		case key == "exif" && c.kind == "tEXt":
			a.exif = value
		case key == xmp:
			a.xmp = value
		case key == profile+"exif", key == profile+"APP1" && bytes.HasPrefix(unhex(value), []byte(exifPrefix)):
			raw = unhex(value)
		}
	}
	if a.exif == nil {
		a.exif = raw
	}
	return a
}

// maxText is the largest unpacked text, in bytes.
const maxText = 1 << 20

// textOfPNG returns the key and the text of a text chunk; "" and nil for another chunk or a
// damaged one.
func textOfPNG(c pngChunk) (key string, value []byte) {
	k, v, ok := bytes.Cut(c.body, []byte{0})
	if !ok {
		return "", nil
	}
	unpacked := true
	switch c.kind {
	case "tEXt":
	case "zTXt":
		if len(v) < 1 || v[0] != 0 {
			return "", nil
		}
		v, unpacked = v[1:], false
	case "iTXt":
		if len(v) < 2 || v[0] != 0 && v[1] != 0 {
			return "", nil
		}
		unpacked = v[0] == 0
		parts := bytes.SplitN(v[2:], []byte{0}, 3) // language, translated key, text
		if len(parts) < 3 {
			return "", nil
		}
		v = parts[2]
	default:
		return "", nil
	}
	if !unpacked {
		z, err := zlib.NewReader(bytes.NewReader(v))
		if err != nil {
			return "", nil
		}
		if v, err = io.ReadAll(io.LimitReader(z, maxText+1)); err != nil || len(v) > maxText {
			return "", nil
		}
	}
	return string(k), v
}

// unhex decodes the hexadecimal digits after the first three lines of a raw profile; nil if
// they are damaged.
func unhex(text []byte) []byte {
	lines := strings.SplitN(string(text), "\n", 4)
	if len(lines) < 4 {
		return nil
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(lines[3]), ""))
	if err != nil {
		return nil
	}
	return b
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
