package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// hostileFile is a small file that asks for much work.
type hostileFile struct {
	name string
	data []byte
	want string // part of the error
}

// hostile makes files that ask for a little more than the budget.
func hostile() []hostileFile {
	const many = maxParts + 1
	nothing := bytes.Repeat(emptyBlocks(), 3<<20/len(emptyBlocks()))
	twice := gifOf(8, 8, bytes.Repeat([]byte{0x24, 0x49, 0x92}, 1<<20)) // clear codes
	extensions := append([]byte("GIF89a\x08\x00\x08\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"), bytes.Repeat([]byte("!\xfe\x01a\x00"), many)...)
	shared := make([]uint32, 4096)
	for i := range shared {
		shared[i] = 1 << 20
	}
	return []hostileFile{
		{"jpeg of 100 refining scans", jpegOf(0xc2, 8192, 8192, 0x11, 100), "100 scans"},
		{"jpeg of 100 pictures", jpegOf(0xc0, 8192, 8192, 0x11, 100), "passes of 8192 x 8192 pixels"},
		{"jpeg of 10 arithmetic scans", jpegOf(0xca, 8192, 8192, 0x11, 10), "48 passes of 8192 x 8192 pixels"},
		{"jpeg of scans of a line", jpegOf(0xc2, 32768, 1, 0x44, 3000), "passes of 32768 x 1 pixels"},
		{"jpeg of empty segments", append([]byte("\xff\xd8"), bytes.Repeat([]byte("\xff\xe1\x00\x02"), many)...), "more than 1048576 segments"},
		{"png of empty chunks", pngOf(8, 8, bytes.Repeat(chunkPNG(nil, "tEXt", nil), many)), "more than 1048576 chunks"},
		{"png of picture chunks of a byte", pngOf(8, 8, bytes.Repeat(chunkPNG(nil, "IDAT", []byte{0}), many)), "more than 1048576 chunks"},
		{"png of packed nothing", pngOf(8, 8, chunkPNG(nil, "IDAT", append([]byte{0x78, 0x9c}, nothing...))), "bytes of compressed data for"},
		{"gif of extensions", extensions, "more than 1048576 blocks"},
		{"gif of blocks of a byte", append(gifOf(8, 8, nil)[:30], bytes.Repeat([]byte{1, 0x24}, many)...), "more than 1048576 blocks"},
		{"gif of packed nothing", twice, "bytes of compressed data for 64 bytes of pixels"},
		{"tiff of strips on the same bytes", tiffOf(4096, 4096, tagStripBytes, shared), "4294967296 bytes of compressed data for"},
		{"tiff of large strips on the same bytes", tiffOf(8192, 8192, tagStripBytes, slices.Repeat([]uint32{66 << 10}, 1024)), "69206016 bytes of compressed data, want at most 68157440"},
		{"tiff of tiles on the same bytes", tiffOf(64, 64, tagTileBytes, shared), "4294967296 bytes of compressed data for"},
		{"tiff of many tiles", tiffOf(8192, 8192, tagTileBytes, make([]uint32, maxBlocks+1)), "more than 65536 strips or tiles"},
		{"webp of empty chunks", webpOf(bytes.Repeat([]byte("junk\x00\x00\x00\x00"), many)), "more than 1048576 chunks"},
	}
}

// A file that asks for more than the budget is refused in words before it is decoded.
func TestBudget(t *testing.T) {
	for _, h := range hostile() {
		t.Run(h.name, func(t *testing.T) {
			f, err := sniff(h.data)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = f.size(h.data, Options{}); err == nil || !strings.Contains(err.Error(), h.want) {
				t.Errorf("error is %v, want %q", err, h.want)
			} else if len(err.Error()) > 300 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// What encoders write passes at the limits, and a small picture may have more scans.
func TestWithinBudget(t *testing.T) {
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, noise(64, 64), nil); err != nil {
		t.Fatal(err)
	}
	var frames gif.GIF
	for range 3 {
		m := image.NewPaletted(image.Rect(0, 0, 64, 64), color.Palette{color.Black, color.White})
		frames.Image, frames.Delay = append(frames.Image, m), append(frames.Delay, 1)
	}
	var animation bytes.Buffer
	if err := gif.EncodeAll(&animation, &frames); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		data []byte
		o    Options
	}{
		{"jpeg of 10 scans", jpegOf(0xc2, 8192, 8192, 0x11, 10), Options{}},
		{"jpeg of 10 scans, limit raised", jpegOf(0xc2, 16384, 16384, 0x11, 10), Options{MaxPixels: 1 << 28}},
		{"jpeg of 100 scans, small", jpegOf(0xc2, 2048, 2048, 0x11, 100), Options{}},
		{"jpeg at the limit", photo.Bytes(), Options{MaxPixels: 64 * 64}},
		{"png of chunks", pngOf(8, 8, bytes.Repeat(chunkPNG(nil, "tEXt", nil), 1<<16)), Options{}},
		{"gif of frames after the first", append(animation.Bytes()[:animation.Len()-1], bytes.Repeat([]byte("!\xfe\x01a\x00"), maxParts)...), Options{}},
		{"png of packed data, limit lowered", append(pngHeader(2048, 2048), chunkPNG(nil, "IDAT", make([]byte, 12<<20))...), Options{MaxPixels: 2048 * 2048}},
		{"tiff of strips of a row", tiffOf(64, 32768, tagStripBytes, slices.Repeat([]uint32{192}, 32768)), Options{}},
	} {
		f, err := sniff(test.data)
		if err != nil {
			t.Fatal(err)
		}
		if f.check != nil {
			err = f.check(test.data, test.o)
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, _, err := Bytes(animation.Bytes(), Options{MaxPixels: 64 * 64}); err != nil {
		t.Error(err)
	}
	if _, _, err := Bytes(noisePNG(1200, 1200), Options{}); err != nil { // of 4 MB
		t.Error(err)
	}
}

// Memory says from the beginning of a file at least what decoding allocates.
func TestMemory(t *testing.T) {
	const w, h = 700, 500
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		asmtest.Write(t, path, data)
		return path
	}
	encode := func(f func(b *bytes.Buffer) error) []byte {
		var b bytes.Buffer
		if err := f(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	deep := image.NewNRGBA64(image.Rect(0, 0, w, h))
	for i := range deep.Pix {
		deep.Pix[i] = byte(i * i >> 3)
	}
	few := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.Black, color.White})
	for _, test := range []struct {
		name string
		data []byte
		most int64 // bytes a pixel
	}{
		{"rgb.png", encode(func(b *bytes.Buffer) error { return png.Encode(b, noise(w, h)) }), 8},
		{"deep.png", encode(func(b *bytes.Buffer) error { return png.Encode(b, deep) }), 16},
		{"baseline.jpg", encode(func(b *bytes.Buffer) error { return jpeg.Encode(b, noise(w, h), nil) }), 2},
		{"progressive.jpg", jpegOf(0xc2, w, h, 0x11, 1), 10},
		{"few.gif", encode(func(b *bytes.Buffer) error { return gif.Encode(b, few, nil) }), 1},
		{"rgb.bmp", encode(func(b *bytes.Buffer) error { return bmp.Encode(b, noise(w, h)) }), 4},
		{"rgb.tif", encode(func(b *bytes.Buffer) error { return tiff.Encode(b, noise(w, h), nil) }), 24 + turning},
		{"deep.tif", encode(func(b *bytes.Buffer) error { return tiff.Encode(b, deep, &tiff.Options{Compression: tiff.Deflate}) }), 24},
	} {
		path := write(test.name, test.data)
		got := Memory(path, Options{})
		if want := int64(len(test.data)) + test.most*w*h; got != want {
			t.Errorf("%s: %d bytes, want %d", test.name, got, want)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, _, err := File(path, Options{}); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		runtime.ReadMemStats(&after)
		const fixed = 1 << 20 // windows of decompressors, tables
		if took := int64(after.TotalAlloc - before.TotalAlloc); took > got+fixed {
			t.Errorf("%s: decoding allocates %d bytes, said were %d", test.name, took, got)
		}
	}
	turned := withEXIF(encode(func(b *bytes.Buffer) error { return png.Encode(b, noise(w, h)) }), exifBlock(binary.BigEndian, 6))
	long := append(bytes.Clone(turned), make([]byte, headBytes)...) // EXIF may follow the pixels
	for _, test := range []struct {
		name string
		data []byte
		o    Options
		want int64
	}{
		{"turned.png", turned, Options{}, 8 + turning},
		{"turned.png", turned, Options{IgnoreOrientation: true}, 8},
		{"long.png", long, Options{}, 8 + turning},
	} {
		if got := Memory(write(test.name, test.data), test.o); got != int64(len(test.data))+test.want*w*h {
			t.Errorf("%s, %+v: %d bytes a pixel, want %d", test.name, test.o, (got-int64(len(test.data)))/(w*h), test.want)
		}
	}
	late := append([]byte("\xff\xd8"), bytes.Repeat(append([]byte("\xff\xe1\xff\xff"), make([]byte, 65533)...), 20)...)
	for _, test := range []struct {
		name string
		data []byte
		want int64
	}{
		{"text.txt", []byte("no picture"), 10},
		{"cut.png", []byte("\x89PNG\r\n\x1a\n"), 8},
		{"vast.png", pngHeader(30000, 30000), int64(len(pngHeader(1, 1)))}, // refused
		{"late.jpg", late, int64(len(late)) + 19*1000},                     // the largest there may be
		{"picture.webp", read(t, "lossy.webp"), 0},
	} {
		got := Memory(write(test.name, test.data), Options{MaxPixels: 1000})
		if test.name == "picture.webp" {
			test.want = int64(257 * len(test.data))
			got = Memory(filepath.Join("testdata", "lossy.webp"), Options{IgnoreOrientation: true})
			got -= 16 * int64(pixelsOf(t, test.data))
		}
		if got != test.want {
			t.Errorf("%s: %d bytes, want %d", test.name, got, test.want)
		}
	}
	if got := Memory(filepath.Join(dir, "none"), Options{}) + Memory(dir, Options{}) + Memory(filepath.Join(dir, "text.txt"), Options{MaxBytes: 1}); got != 0 {
		t.Errorf("what cannot be read takes %d bytes", got)
	}
}

// A stream takes the memory that Memory says, which is far less than that of the picture.
func TestStreamMemory(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 2000, 1500), image.YCbCrSubsampleRatio420)
	for i := range m.Y {
		m.Y[i] = uint8(i * i >> 8)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	exif := exifPrefix + string(exifBlock(binary.BigEndian, 6))
	data := slices.Insert(b.Bytes(), 2, []byte("\xff\xe1\x00"+string(rune(len(exif)+2))+exif)...)
	path := filepath.Join(t.TempDir(), "turned.jpg")
	asmtest.Write(t, path, data)
	o := Options{Stream: true}
	said := Memory(path, o)
	if whole := Memory(path, Options{}); said-int64(len(data)) > (whole-int64(len(data)))/50 {
		t.Errorf("a stream takes %d bytes, and %d as a whole, of a file of %d", said, whole, len(data))
	}
	p := pixel.Preprocess{Size: 32, Alpha: pixel.Drop, Std: [3]float32{1, 1, 1}}
	x, scratch := make([]float32, p.Len()), new(pixel.Scratch)
	var took int64
	for range 2 { // the first one fills scratch
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		img, _, err := File(path, o)
		if err == nil {
			err = p.Into(x, img, scratch)
		}
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		took = int64(after.TotalAlloc - before.TotalAlloc)
	}
	const fixed = 1 << 18 // tables, and the headers of strips
	if took > said+fixed {
		t.Errorf("reading allocates %d bytes, said were %d", took, said)
	}
	if _, _, err := File(path, Options{Stream: true, MaxMemory: said - 1}); !errors.Is(err, ErrLimit) {
		t.Errorf("with less memory than that, the error is %v", err)
	}
}

func pixelsOf(t *testing.T, data []byte) int {
	img, _, err := Bytes(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return img.Bounds().Dx() * img.Bounds().Dy()
}

func noise(w, h int) *image.NRGBA {
	return colors(w, h, func(i int) color.Color { return color.NRGBA{uint8(i * i >> 2), uint8(i * 7), uint8(i >> 3), 255} })
}

// emptyBlocks returns 8 deflate blocks, a whole number of bytes, each with a Huffman code and no
// data.
func emptyBlocks() []byte {
	var b []byte
	var acc uint64
	n := 0
	put := func(v uint64, k int) {
		acc |= v << n
		for n += k; n >= 8; n -= 8 {
			b, acc = append(b, byte(acc)), acc>>8
		}
	}
	for range 8 {
		put(0, 1)  // not the last
		put(2, 2)  // with codes of its own
		put(0, 10) // 257 lengths, and 1
		put(14, 4) // 18 lengths of lengths: of 18 and 1
		put(1<<6|1<<51, 54)
		put(1|127<<1, 8) // 138 zeros
		put(1|107<<1, 8) // 118 zeros
		put(0, 3)        // a code for the end, a code for distances, the end
	}
	return b
}

// pngOf is a black picture with chunks before its data.
func pngOf(w, h uint32, chunks []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(make([]byte, (3*w+1)*h))
	z.Close()
	return bytes.Join([][]byte{pngHeader(w, h), chunks, chunkPNG(nil, "IDAT", b.Bytes()), chunkPNG(nil, "IEND", nil)}, nil)
}

// jpegOf is a black picture of three components in a number of scans, of which the first
// makes all pixels, each other walks those of one component and has none of its data.
func jpegOf(frame byte, w, h, sampling, scans int) []byte {
	segment := func(marker byte, body []byte) []byte {
		b := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2))
		return append(b, body...)
	}
	code := func(class, symbol byte) []byte { // one code, 0
		return segment(0xc4, append(append([]byte{class << 4, 1}, make([]byte, 15)...), symbol))
	}
	b := append([]byte{0xff, 0xd8}, segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...))...)
	header := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 3}
	for i := range 3 {
		header = append(header, byte(i+1), byte(sampling), 0)
	}
	b = append(append(append(b, segment(frame, header)...), code(0, 0)...), code(1, 0xe0)...)
	last := byte(0)
	if frame != 0xc2 {
		last = 63
	}
	b = append(b, segment(0xda, []byte{3, 1, 0, 2, 0, 3, 0, 0, last, 0})...)
	b = append(b, make([]byte, min((w+7)/8*((h+7)/8)*3/8+1, 1<<20))...)
	for i := range scans - 1 {
		scan := []byte{1, byte(i%3 + 1), 0, 1, 63, 0}
		if frame != 0xc2 {
			scan = []byte{1, byte(i%3 + 1), 0, 0, 63, 0}
		}
		b = append(append(b, segment(0xda, scan)...), make([]byte, 100)...)
	}
	return append(b, 0xff, 0xd9)
}

// noisePNG is a picture whose pixels do not pack.
func noisePNG(w, h uint32) []byte {
	var b bytes.Buffer
	z, _ := zlib.NewWriterLevel(&b, zlib.NoCompression)
	r := rand.NewChaCha8([32]byte{})
	row := make([]byte, 1+3*w)
	for range h {
		r.Read(row[1:])
		z.Write(row)
	}
	z.Close()
	return append(append(pngHeader(w, h), chunkPNG(nil, "IDAT", b.Bytes())...), chunkPNG(nil, "IEND", nil)...)
}

// gifOf is a picture with that packed data.
func gifOf(w, h uint16, packed []byte) []byte {
	b := binary.LittleEndian.AppendUint16([]byte("GIF89a"), w)
	b = binary.LittleEndian.AppendUint16(b, h)
	b = append(b, 0x80, 0, 0, 0, 0, 0, 255, 255, 255) // two colours
	b = append(b, 0x2c, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, w)
	b = binary.LittleEndian.AppendUint16(b, h)
	b = append(b, 0, 2)
	for part := range slices.Chunk(packed, 255) {
		b = append(append(b, byte(len(part))), part...)
	}
	return append(b, 0, ';')
}

// tiffOf is the directory of a picture of 8-bit grey whose strips or tiles have those
// numbers of bytes.
func tiffOf(w, h uint32, tag uint16, counts []uint32) []byte {
	type entry struct {
		tag, kind    uint16
		count, value uint32
	}
	entries := []entry{{tagWidth, 4, 1, w}, {tagHeight, 4, 1, h}, {258, 3, 1, 8}, {tagCompression, 3, 1, 8}, {tagPhotometric, 3, 1, 1}}
	at := uint32(8 + 2 + 12*9 + 4)
	switch n := uint32(len(counts)); tag {
	case tagStripBytes:
		entries = append(entries, entry{273, 4, n, at}, entry{277, 3, 1, 1}, entry{278, 4, 1, h / n}, entry{tag, 4, n, at})
	case tagTileBytes:
		entries = append(entries, entry{322, 4, 1, 8}, entry{323, 4, 1, 8}, entry{324, 4, n, at}, entry{tag, 4, n, at})
	}
	b := binary.LittleEndian.AppendUint16([]byte("II*\x00\x08\x00\x00\x00"), uint16(len(entries)))
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.kind)
		b = binary.LittleEndian.AppendUint32(b, e.count)
		b = binary.LittleEndian.AppendUint32(b, e.value)
	}
	b = append(b, 0, 0, 0, 0)
	for _, n := range counts {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func webpOf(chunks []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(chunks)))
	return append(append(b, "WEBP"...), chunks...)
}

// TestEmptyBlocks checks that emptyBlocks returns 90 bytes of valid deflate data that decompress to nothing.
func TestEmptyBlocks(t *testing.T) {
	if n := len(emptyBlocks()); n != 90 {
		t.Fatal(fmt.Sprint(n, " bytes, want 90"))
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(make([]byte, 200))
	z.Close()
	packed := bytes.Join([][]byte{b.Bytes()[:2], emptyBlocks(), b.Bytes()[2:]}, nil)
	img, _, err := Bytes(bytes.Join([][]byte{pngHeader(8, 8), chunkPNG(nil, "IDAT", packed), chunkPNG(nil, "IEND", nil)}, nil), Options{})
	if err != nil || img.Bounds().Dx() != 8 {
		t.Error(err)
	}
	// Of a picture that is large enough to have that much packed data they are told as they are met.
	packed = slices.Concat([]byte{0x78, 0x9c}, bytes.Repeat(emptyBlocks(), 2<<20/len(emptyBlocks())))
	_, _, err = Bytes(append(pngHeader(8192, 8192), chunkPNG(nil, "IDAT", packed)...), Options{})
	if want := "bytes of compressed data for 65535 bytes of pixels, want at most 1130494"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
