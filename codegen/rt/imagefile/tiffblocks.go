package imagefile

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"slices"

	"golang.org/x/image/tiff/lzw"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/jpeg"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Compression codes of a TIFF.
const (
	tiffRaw     = 1
	tiffRuns    = 2 // T.4 one-dimensional without end-of-line codes, rows at byte boundaries (modified Huffman)
	tiffGroup3  = 3
	tiffGroup4  = 4
	tiffLZW     = 5
	tiffJPEG    = 7
	tiffDeflate = 8
	tiffOther   = 32946 // deflate, the code of older writers
	tiffPacked  = 32773
)

const (
	startOfJPEG = "\xff\xd8"
	endOfJPEG   = "\xff\xd9"
	maxTables   = 1 << 14 // bytes; four quantisation and eight Huffman tables take half of it
)

// tiffBlocks decodes the strips or tiles of a picture.
type tiffBlocks struct {
	*tiffPicture
	data []byte
	pix  []uint8 // kept samples per pixel

	offsets, sizes []uint64
	tables         []byte  // JPEG tables shared by all blocks
	raw            []byte  // decompressed bytes of a block
	samples        []uint8 // samples of a row
}

// blocks returns the decoder of the picture's strips or tiles.
func (p *tiffPicture) blocks(data []byte) *tiffBlocks {
	offsets, sizes := uint16(tagStrips), uint16(tagStripBytes)
	if p.tiled {
		offsets, sizes = tagTiles, tagTileBytes
	}
	collect := func(tag uint16) (list []uint64) {
		if e := p.entry(tag); e != nil {
			e.each(maxBlocks+1, func(v uint64) { list = append(list, v) })
		}
		return list
	}
	b := &tiffBlocks{tiffPicture: p, data: data, offsets: collect(offsets), sizes: collect(sizes)}
	if e := p.entry(tagTables); e != nil {
		b.tables = bytes.TrimSuffix(bytes.TrimPrefix(e.bytes(maxTables), []byte(startOfJPEG)), []byte(endOfJPEG))
	}
	return b
}

// packed returns the compressed bytes of block i. If no byte count is given they extend to the
// end of the file.
func (b *tiffBlocks) packed(i int) []byte {
	if i >= len(b.offsets) || b.offsets[i] >= uint64(len(b.data)) {
		return nil
	}
	data := b.data[b.offsets[i]:]
	if b.compression != tiffRaw && i < len(b.sizes) && b.sizes[i] > 0 {
		data = data[:min(b.sizes[i], uint64(len(data)))]
	}
	return data
}

// read decodes all blocks.
func (b *tiffBlocks) read() error {
	i := 0
	for plane := range b.planes {
		for y := 0; y < b.h; y += b.bh {
			for x := 0; x < b.w; x += b.bw {
				if plane < b.kept {
					if err := b.block(i, plane, x, y); err != nil {
						return err
					}
				}
				i++
			}
		}
	}
	return nil
}

// block decodes block i, whose first pixel is (x, y), into the picture.
func (b *tiffBlocks) block(i, plane, x, y int) error {
	rows := b.bh
	if !b.tiled {
		rows = min(rows, b.h-y)
	}
	data := b.packed(i)
	if len(data) == 0 {
		return io.ErrUnexpectedEOF
	}
	if b.compression == tiffJPEG {
		return b.jpeg(data, plane, x, y, rows)
	}
	if b.reversed && b.compression != tiffRaw {
		data = reverse(data)
	}
	perPixel := b.perPixel()
	row := (b.bw*perPixel*b.bits + 7) / 8
	size := row * rows
	shared := b.sub != image.Pt(1, 1)
	if shared {
		size = (b.bw + b.sub.X - 1) / b.sub.X * ((rows + b.sub.Y - 1) / b.sub.Y) * (b.sub.X*b.sub.Y + 2)
	}
	raw, err := b.unpack(data, size, rows)
	if err != nil {
		return err
	}
	if shared {
		b.shared(raw, x, y, rows)
		return nil
	}
	w := min(b.bw, b.w-x)
	for r := range min(rows, b.h-y) {
		line := raw[r*row:][:row]
		b.unpredict(line, perPixel)
		b.samples = b.bytesOf(b.samples[:0], line, w*perPixel)
		at := b.kept * ((y+r)*b.w + x)
		if b.planes > 1 {
			for i, v := range b.samples {
				b.pix[at+i*b.kept+plane] = v
			}
			continue
		}
		for i := range w {
			copy(b.pix[at+i*b.kept:][:b.kept], b.samples[i*perPixel:])
		}
	}
	return nil
}

// perPixel returns the samples per pixel that a block holds.
func (b *tiffBlocks) perPixel() int {
	if b.planes > 1 {
		return 1
	}
	return b.tiffPicture.samples
}

// unpack returns the size decompressed bytes of a block. They are valid until the next call.
func (b *tiffBlocks) unpack(data []byte, size, rows int) ([]byte, error) {
	var r io.Reader = bytes.NewReader(data)
	switch b.compression {
	case tiffRaw:
		if len(data) < size {
			return nil, io.ErrUnexpectedEOF
		}
		if b.reversed {
			return reverse(data[:size]), nil
		}
		// Copied below, because unpredict changes the samples in place.
	case tiffLZW:
		r = lzw.NewReader(r, lzw.MSB, 8)
	case tiffDeflate, tiffOther:
		z, err := zlib.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = z
	case tiffPacked:
		r = &packBits{data: data}
	case tiffRuns, tiffGroup3, tiffGroup4:
		if b.bits != 1 || b.tiffPicture.samples != 1 {
			return nil, fmt.Errorf("compression %d (fax) needs pixels of 1 bit", b.compression)
		}
		// White runs decode to 0, whatever the photometric interpretation.
		const twoD = 1
		f := fax{data: data, w: b.bw, group4: b.compression == tiffGroup4, aligned: b.compression == tiffRuns,
			twoD: b.compression == tiffGroup3 && max(b.number(tagT4), 0)&twoD != 0}
		b.grow(size)
		for row := range slices.Chunk(b.raw, size/rows) {
			if err := f.read(row); err != nil {
				return nil, err
			}
		}
		return b.raw, nil
	default:
		return nil, fmt.Errorf("compression %d is not supported, want none, LZW, deflate, PackBits, JPEG or fax (2, 3, 4)", b.compression)
	}
	b.grow(size)
	if _, err := io.ReadFull(r, b.raw); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b.raw, nil
}

// grow sets the length of raw, with unspecified contents.
func (b *tiffBlocks) grow(size int) {
	if cap(b.raw) < size {
		b.raw = make([]byte, size)
	}
	b.raw = b.raw[:size]
}

// unpredict undoes the predictor in a row of perPixel samples per pixel.
func (b *tiffBlocks) unpredict(row []byte, perPixel int) {
	if b.compression != tiffLZW && b.compression != tiffDeflate && b.compression != tiffOther {
		return
	}
	size := b.bits / 8
	switch {
	case b.predictor == differences && b.bits == 8:
		for i := perPixel; i < len(row); i++ {
			row[i] += row[i-perPixel]
		}
	case b.predictor == differences && b.bits == 16:
		for i := perPixel * size; i+size <= len(row); i += size {
			b.order.PutUint16(row[i:], b.order.Uint16(row[i:])+b.order.Uint16(row[i-perPixel*size:]))
		}
	case b.predictor == differences && b.bits == 32:
		for i := perPixel * size; i+size <= len(row); i += size {
			b.order.PutUint32(row[i:], b.order.Uint32(row[i:])+b.order.Uint32(row[i-perPixel*size:]))
		}
	case b.predictor == floatPlanes && b.format == sampleFloat:
		for i := perPixel; i < len(row); i++ {
			row[i] += row[i-perPixel]
		}
		// The most significant bytes of all numbers come first, then the next ones, down to the
		// least significant.
		n := len(row) / size
		planes := bytes.Clone(row)
		for i := range n {
			v := uint32(0)
			for k := range size {
				v = v<<8 | uint32(planes[k*n+i])
			}
			b.order.PutUint32(row[i*size:], v)
		}
	}
}

// bytesOf appends n samples of a row to dst as bytes. 16-bit unsigned and 12-bit samples keep
// their 8 high bits; grey of fewer than 8 bits is scaled to 0..255; signed, 32-bit and float
// samples are clamped to 0..255.
func (b *tiffBlocks) bytesOf(dst []uint8, row []byte, n int) []uint8 {
	at := len(dst)
	dst = append(dst, make([]uint8, n)...)
	out := dst[at:]
	clamp := func(v int64) uint8 { return uint8(min(max(v, 0), 255)) }
	switch {
	case b.bits <= 8:
		unpackBits(out, row, b.bits)
		if b.photometric != tiffPalette && b.bits < 8 {
			for i := range out {
				out[i] *= uint8(255 / (1<<b.bits - 1))
			}
		}
	case b.bits == 12:
		for i := range out {
			if p := row[i/2*3:]; i%2 == 0 {
				out[i] = p[0]
			} else {
				out[i] = p[1]<<4 | p[2]>>4
			}
		}
	case b.bits == 16 && b.format == sampleInt:
		for i := range out {
			out[i] = clamp(int64(int16(b.order.Uint16(row[2*i:]))))
		}
	case b.bits == 16:
		for i := range out {
			out[i] = uint8(b.order.Uint16(row[2*i:]) >> 8)
		}
	case b.format == sampleFloat:
		for i := range out {
			if v := math.Float32frombits(b.order.Uint32(row[4*i:])); v > 0 {
				out[i] = uint8(min(v, 255))
			}
		}
	default:
		for i := range out {
			out[i] = clamp(int64(int32(b.order.Uint32(row[4*i:]))))
		}
	}
	return dst
}

// shared expands YCbCr pixels with subsampled chroma. A group holds its lumas, then one Cb and
// one Cr.
func (b *tiffBlocks) shared(raw []byte, x, y, rows int) {
	group := b.sub.X*b.sub.Y + 2
	across := (b.bw + b.sub.X - 1) / b.sub.X
	for r := range min(rows, b.h-y) {
		for c := range min(b.bw, b.w-x) {
			g := raw[(r/b.sub.Y*across+c/b.sub.X)*group:][:group]
			p := b.pix[3*((y+r)*b.w+x+c):][:3]
			p[0], p[1], p[2] = g[r%b.sub.Y*b.sub.X+c%b.sub.X], g[group-2], g[group-1]
		}
	}
}

// jpeg decodes a JPEG block, whose tables may be in the directory.
func (b *tiffBlocks) jpeg(data []byte, plane, x, y, rows int) error {
	if b.bits != 8 {
		return errors.New("JPEG compression needs samples of 8 bits")
	}
	data, ok := bytes.CutPrefix(data, []byte(startOfJPEG))
	if !ok {
		return errors.New("a JPEG block does not begin with a start-of-image marker")
	}
	// An Adobe segment tells the decoder the colour space that the directory gives.
	adobe := []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")
	switch {
	case b.perPixel() == 1:
		adobe = nil
	case b.photometric == tiffYCbCr:
		adobe[len(adobe)-1] = 1
	}
	stream := bytes.Join([][]byte{[]byte(startOfJPEG), b.tables, adobe, data}, nil)
	if !bytes.HasSuffix(bytes.TrimRight(stream, "\x00"), []byte(endOfJPEG)) {
		stream = append(stream, endOfJPEG...)
	}
	img, err := b.decodeBlock(stream, min(b.bw, b.w-x), min(rows, b.h-y))
	if err != nil {
		return err
	}
	var rgb pixel.RGB
	put := func(pix []uint8, stride, samples int, flip uint8) error {
		if want := b.perPixel(); samples != want {
			return fmt.Errorf("a JPEG block has %d samples per pixel, want %d", samples, want)
		}
		for r := range min(rows, b.h-y) {
			at := b.kept*((y+r)*b.w+x) + plane
			for i := range min(b.bw, b.w-x) {
				for k := range min(samples, b.kept) {
					b.pix[at+i*b.kept+k] = pix[r*stride+i*samples+k] ^ flip
				}
			}
		}
		return nil
	}
	switch m := img.(type) {
	case *image.Gray:
		return put(m.Pix, m.Stride, 1, 0)
	case *image.CMYK: // a JPEG in Adobe's convention has inverted ink, a TIFF has not
		return put(m.Pix, m.Stride, 4, 255)
	}
	if err := pixel.ToRGB(&rgb, img, pixel.Drop, nil); err != nil {
		return err
	}
	return put(rgb.Pix, 3*rgb.W, 3, 0)
}

// decodeBlock decodes a JPEG block, which must have at least w x h pixels.
func (b *tiffBlocks) decodeBlock(stream []byte, w, h int) (image.Image, error) {
	f, err := jpeg.FindFrame(stream)
	if err != nil {
		return nil, err
	}
	if f.Size.X < w || f.Size.Y < h || f.Size.X > b.bw || f.Size.Y > b.bh {
		return nil, fmt.Errorf("a JPEG block has %d x %d pixels, want %d x %d", f.Size.X, f.Size.Y, b.bw, b.bh)
	}
	const largest = 32 // pixels per side of the largest MCU
	up := func(v int) int64 { return int64(v+largest-1) / largest * largest }
	if err := checkJPEG(stream, Options{MaxPixels: up(f.Size.X) * up(f.Size.Y)}); err != nil {
		return nil, err
	}
	return jpeg.Decode(stream)
}

// packBits decodes PackBits run-length encoding.
type packBits struct {
	data []byte
	run  int // remaining repetitions of the first byte of data
	copy int // remaining literal bytes of data
}

// Read implements io.Reader.
func (p *packBits) Read(dst []byte) (int, error) {
	for p.run == 0 && p.copy == 0 {
		if len(p.data) < 2 {
			return 0, io.EOF
		}
		switch n := int(int8(p.data[0])); {
		case n >= 0:
			p.copy = n + 1
		case n > -128:
			p.run = 1 - n
		}
		p.data = p.data[1:]
	}
	if p.run > 0 {
		n := min(p.run, len(dst))
		for i := range n {
			dst[i] = p.data[0]
		}
		if p.run -= n; p.run == 0 {
			p.data = p.data[1:]
		}
		return n, nil
	}
	n := copy(dst, p.data[:min(p.copy, len(p.data))])
	if n == 0 && len(dst) > 0 {
		return 0, io.EOF
	}
	p.data = p.data[n:]
	p.copy -= n
	return n, nil
}
