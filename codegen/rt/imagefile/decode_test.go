package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// The pictures that Pillow decoded.
func TestPillow(t *testing.T) {
	for _, test := range []struct {
		file, format string
	}{
		{"444.jpg", "jpeg"},
		{"422.jpg", "jpeg"},
		{"420.jpg", "jpeg"},
		{"440.jpg", "jpeg"},
		{"411.jpg", "jpeg"},
		{"cmyk.jpg", "jpeg"},
		{"lossy.webp", "webp"},
		{"alpha.webp", "webp"},
		{"fax.tif", "tiff"},
	} {
		t.Run(test.file, func(t *testing.T) {
			path := filepath.Join("testdata", test.file)
			img, format, err := File(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if format != test.format {
				t.Errorf("format is %s, want %s", format, test.format)
			}
			got := rgb(t, img)
			if img, _, err = File(path+".png", Options{}); err != nil {
				t.Fatal(err)
			}
			compare(t, got, rgb(t, img), 0, 0)
		})
	}
}

// Every format that loses nothing gives back the picture that was written.
func TestLossless(t *testing.T) {
	opaque := colors(13, 7, func(i int) color.Color {
		return color.NRGBA{uint8(20 * i), uint8(255 - 2*i), uint8(7 * i), 255}
	})
	clear := colors(13, 7, func(i int) color.Color {
		return color.NRGBA{uint8(20 * i), uint8(255 - 2*i), uint8(7 * i), uint8(3 * i)}
	})
	few := image.NewPaletted(image.Rect(0, 0, 13, 7), palette.WebSafe)
	for i := range few.Pix {
		few.Pix[i] = uint8(2 * i)
	}
	for _, test := range []struct {
		name, format string
		img          image.Image
		encode       func(*bytes.Buffer, image.Image) error
	}{
		{"png", "png", opaque, func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) }},
		{"transparent png", "png", clear, func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) }},
		{"paletted png", "png", few, func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) }},
		{"gif", "gif", few, func(b *bytes.Buffer, m image.Image) error { return gif.Encode(b, m, nil) }},
		{"bmp", "bmp", opaque, func(b *bytes.Buffer, m image.Image) error { return bmp.Encode(b, m) }},
		{"paletted bmp", "bmp", few, func(b *bytes.Buffer, m image.Image) error { return bmp.Encode(b, m) }},
		{"tiff", "tiff", opaque, func(b *bytes.Buffer, m image.Image) error { return tiff.Encode(b, m, nil) }},
		{"transparent tiff", "tiff", clear, func(b *bytes.Buffer, m image.Image) error { return tiff.Encode(b, m, nil) }},
		{"deflated tiff", "tiff", opaque, func(b *bytes.Buffer, m image.Image) error {
			return tiff.Encode(b, m, &tiff.Options{Compression: tiff.Deflate, Predictor: true})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := test.encode(&b, test.img); err != nil {
				t.Fatal(err)
			}
			img, format, err := Decode(&b, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if format != test.format {
				t.Errorf("format is %s, want %s", format, test.format)
			}
			if diff := cmp.Diff(rgb(t, test.img), rgb(t, img)); diff != "" {
				t.Errorf("pixels differ (-want +got):\n%s", diff)
			}
		})
	}
}

// A GIF's first frame may be smaller than its canvas, which is clear around it where the
// frame has a transparent colour.
func TestGIFCanvas(t *testing.T) {
	frame := func(r image.Rectangle, c uint8) *image.Paletted {
		m := image.NewPaletted(r, color.Palette{color.Black, color.White, color.RGBA{255, 0, 0, 255}, color.RGBA{}})
		for i := range m.Pix {
			m.Pix[i] = c
		}
		return m
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &gif.GIF{
		Image:  []*image.Paletted{frame(image.Rect(1, 1, 2, 3), 2), frame(image.Rect(0, 0, 3, 3), 0)},
		Delay:  []int{1, 1},
		Config: image.Config{Width: 3, Height: 3},
	}); err != nil {
		t.Fatal(err)
	}
	img, _, err := Bytes(b.Bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(`
ffffff ffffff ffffff
ffffff ff0000 ffffff
ffffff ff0000 ffffff`)
	var seen pixel.RGB
	if err := pixel.ToRGB(&seen, img, pixel.White, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, text(&seen)); diff != "" {
		t.Errorf("canvas (-want +got):\n%s", diff)
	}
}

// Pictures have the types that package pixel resizes as Pillow resizes their files.
func TestModes(t *testing.T) {
	grey := func(depth byte, clear, exif []byte, rows ...byte) []byte {
		b := chunkPNG([]byte(pngSignature), "IHDR", []byte{0, 0, 0, 2, 0, 0, 0, byte(len(rows) / 2), depth, pngGray, 0, 0, 0})
		if clear != nil {
			b = chunkPNG(b, "tRNS", clear)
		}
		if exif != nil {
			b = chunkPNG(b, "eXIf", exif)
		}
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(rows)
		w.Close()
		return chunkPNG(chunkPNG(b, "IDAT", z.Bytes()), "IEND", nil)
	}
	ramp := make(color.Palette, 256)
	for i := range ramp {
		ramp[i] = color.Gray{uint8(i)}
	}
	m := image.NewPaletted(image.Rect(0, 0, 2, 1), ramp)
	m.Pix[1] = 7
	var asGIF, asBMP bytes.Buffer
	if err := errors.Join(gif.Encode(&asGIF, m, &gif.Options{NumColors: 256}), bmp.Encode(&asBMP, m)); err != nil {
		t.Fatal(err)
	}
	mirrored := exifBlock(binary.LittleEndian, 2)
	for _, test := range []struct {
		name string
		data []byte
		want string // type, and the colours of pixels (0,0) and the last one
	}{
		{"grey png", grey(2, nil, nil, 0, 0x40), "*image.Gray {85} {0}"},
		{"grey png with a clear colour", grey(2, []byte{0, 1}, nil, 0, 0x40), "pixel.Keyed {85 85 85 0} {0 0 0 255}"},
		{"the same, mirrored", grey(2, []byte{0, 1}, mirrored, 0, 0x40), "pixel.Keyed {0 0 0 255} {85 85 85 0}"},
		{"bilevel png", grey(1, nil, nil, 0, 0x80), "*image.Paletted {255 255 255 255} {0 0 0 255}"},
		{"bilevel png with a clear colour", grey(1, []byte{0, 0}, nil, 0, 0x80), "*image.Paletted {255 255 255 255} {0 0 0 0}"},
		{"grey gif", asGIF.Bytes(), "*image.Gray {0} {7}"},
		{"grey bmp", asBMP.Bytes(), "*image.Gray {0} {7}"},
		{"bilevel tiff", read(t, "fax.tif"), "*image.Paletted {255 255 255 255} {255 255 255 255}"},
	} {
		img, _, err := Bytes(test.data, Options{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		last := img.Bounds().Max.Sub(image.Pt(1, 1))
		if got := fmt.Sprintf("%T %v %v", img, img.At(0, 0), img.At(last.X, last.Y)); got != test.want {
			t.Errorf("%s is %s, want %s", test.name, got, test.want)
		}
	}
}

func TestOrientation(t *testing.T) {
	// The picture that should be seen is abc/def; each stored form is what a camera held
	// that way would write.
	const want = "aaaaaa bbbbbb cccccc\ndddddd eeeeee ffffff"
	for o, stored := range map[int][]string{
		1: {"abc", "def"},
		2: {"cba", "fed"},
		3: {"fed", "cba"},
		4: {"def", "abc"},
		5: {"ad", "be", "cf"},
		6: {"cf", "be", "ad"},
		7: {"fc", "eb", "da"},
		8: {"da", "eb", "fc"},
	} {
		t.Run(fmt.Sprint(o), func(t *testing.T) {
			m := colors(len(stored[0]), len(stored), func(i int) color.Color {
				var v uint8
				fmt.Sscanf(strings.Repeat(string(strings.Join(stored, "")[i]), 2), "%x", &v)
				return color.NRGBA{v, v, v, 255}
			})
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
				data := withEXIF(b.Bytes(), exifBlock(order, o))
				img, _, err := Bytes(data, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, text(rgb(t, img))); diff != "" {
					t.Errorf("%v: upright picture (-want +got):\n%s", order, diff)
				}
				img, _, err = Bytes(data, Options{IgnoreOrientation: true})
				if err != nil {
					t.Fatal(err)
				}
				if got := img.Bounds().Size(); got != m.Bounds().Size() {
					t.Errorf("%v: not asked to turn, but size is %v, want %v", order, got, m.Bounds().Size())
				}
			}
		})
	}
}

// A JPEG's EXIF, which may be in several segments, goes before its XMP. Nothing after the
// first scan counts. Other formats are among the pictures that were made.
func TestJPEGMetadata(t *testing.T) {
	six, long := exifBlock(binary.BigEndian, 6), exifBlock(binary.LittleEndian, 8)
	long[12], long[14] = 4, 1 // a number of 32 bits
	var b bytes.Buffer
	if err := jpeg.Encode(&b, colors(4, 2, func(int) color.Color { return color.White }), nil); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	segment := func(parts ...string) string {
		body := strings.Join(parts, "")
		return "\xff\xe1\x00" + string(rune(len(body)+2)) + body
	}
	const xap = "http://ns.adobe.com/xap/1.0/\x00"
	exif := segment(exifPrefix, string(six))
	attribute := segment(xap, `<x:xmpmeta><rdf tiff:Orientation="8"/>`)
	upright := segment(exifPrefix, string(exifBlock(binary.BigEndian, 1)))
	for _, test := range []struct {
		name     string
		segments string
		want     int
	}{
		{"none", "", 1},
		{"exif", exif, 6},
		{"after another segment", "\xff\xe0\x00\x04\x01\x02\xff" + exif, 6},
		{"a number of 32 bits", segment(exifPrefix, string(long)), 8},
		{"twice the prefix", segment(exifPrefix, exifPrefix, string(six)), 6},
		{"in two segments", segment(exifPrefix, string(six[:15])) + segment(exifPrefix, string(six[15:])), 6},
		{"xmp", attribute, 8},
		{"an element of xmp", segment(xap, "tiff:Orientation tiff:Orientation='3' <tiff:Orientation>5</tiff:Orientation>"), 5},
		{"xmp of no orientation", segment(xap, `tiff:Orientation="9"`), 1},
		{"exif before xmp", attribute + exif, 6},
		{"exif that is upright before xmp", attribute + upright, 1},
		{"broken exif before xmp", attribute + segment(exifPrefix, "II"), 8},
	} {
		data := whole[:2:2]
		data = append(append(data, test.segments...), whole[2:]...)
		if got := aboutJPEG(data).orientation(); got != test.want {
			t.Errorf("%s: orientation is %d, want %d", test.name, got, test.want)
		}
		img, _, err := Bytes(data, Options{})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if turned := img.Bounds().Dx() == 2; turned != (test.want >= 5) {
			t.Errorf("%s: the picture is %v", test.name, img.Bounds().Size())
		}
	}
	late := append(bytes.Clone(whole[:len(whole)-2]), exif+"\xff\xd9"...)
	if got := aboutJPEG(late).orientation(); got != 1 {
		t.Errorf("after the scan: orientation is %d, want 1", got)
	}
}

func TestBrokenEXIF(t *testing.T) {
	good := exifBlock(binary.LittleEndian, 6)
	edit := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	for name, block := range map[string][]byte{
		"empty":             nil,
		"cut off":           good[:9],
		"entry cut off":     good[:20],
		"no TIFF":           edit(0, 'X'),
		"offset outside":    edit(4, 0xff, 0xff, 0xff, 0xff),
		"offset at the end": edit(4, byte(len(good)-1)),
		"a text":            edit(12, 2),
		"a byte":            edit(12, 1),
		"no value":          edit(14, 0),
		"value 0":           edit(18, 0),
		"value 9":           edit(18, 9),
		"other tag":         edit(10, 0x13),
	} {
		if got := (about{exif: block}).orientation(); got != 1 {
			t.Errorf("%s: orientation is %d, want 1", name, got)
		}
	}
	if got := (about{exif: edit(8, 0xff, 0xff)}).orientation(); got != 6 {
		t.Errorf("too many entries promised: orientation is %d, want 6", got)
	}
}

func TestRefused(t *testing.T) {
	var small bytes.Buffer
	if err := png.Encode(&small, colors(5, 4, func(int) color.Color { return color.Black })); err != nil {
		t.Fatal(err)
	}
	jpg := read(t, "420.jpg")
	scan := bytes.Index(jpg, []byte{0xff, 0xda})
	webp := read(t, "lossy.webp")
	for _, test := range []struct {
		name    string
		data    []byte
		options Options
		want    string
	}{
		{"empty", nil, Options{}, "the file is empty"},
		{"html", []byte("\n <!DOCTYPE html><html>"), Options{}, "this is an HTML page"},
		{"svg", []byte("<?xml version='1.0'?>\n<!-- x --><svg xmlns=''>"), Options{}, "this is an SVG drawing, which is not supported: convert it to PNG or JPEG"},
		{"heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), Options{}, `this picture is HEIC, for which this program was built without a decoder: build with --decoders heic, or import _ "github.com/multiway-go/multiway/codegen/rt/imagefile/heic" with -tags nodynamic; or convert it to PNG or JPEG`},
		{"avif", []byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00"), Options{}, "this picture is AVIF, for which this program was built without a decoder: build with --decoders avif, "},
		{"mp4", []byte("\x00\x00\x00\x1cftypisom\x00\x00\x00\x00"), Options{}, "this is a video"},
		{"pdf", []byte("%PDF-1.7"), Options{}, "this is a PDF document"},
		{"text", []byte("hello, world"), Options{}, `unknown format (starts with "hello, world"), want PNG, JPEG`},
		{"two bytes", []byte("\x89P"), Options{}, "may be a PNG that was cut off"},
		{"png cut off", small.Bytes()[:45], Options{}, "cannot decode this PNG: unexpected EOF (the file is cut off, damaged"},
		{"png header only", small.Bytes()[:33], Options{}, "cannot decode this PNG: unexpected EOF (the file is cut off"},
		{"jpeg cut off", jpg[:len(jpg)/2], Options{}, "cannot decode this JPEG: the file ends without an end marker: it was cut off"},
		{"jpeg of many scans", append(bytes.Clone(jpg[:scan]), bytes.Repeat(jpg[scan:scan+14], 200)...), Options{MaxPixels: 1 << 12}, "JPEG: the file holds 200 scans, which is 300 passes of"},
		{"webp cut off", webp[:len(webp)-9], Options{}, "WebP: the file is cut off or damaged"},
		{"webp without picture", []byte("RIFF\x04\x00\x00\x00WEBP"), Options{}, "WebP: there is no picture in the file"},
		{"webp with a long chunk", []byte("RIFF\x0c\x00\x00\x00WEBPVP8 \xff\xff\xff\x7f"), Options{}, "WebP: the file is cut off or damaged"},
		{"gif without frame", []byte("GIF89a\x02\x00\x02\x00\x00\x00\x00;"), Options{}, "cannot decode this GIF: there is no picture in the file"},
		{"tiff without directory", []byte("II*\x00\x08\x00\x00\x00"), Options{}, "cannot decode this TIFF: "},
		{"too wide", pngHeader(40000, 100), Options{}, "PNG: the picture is 40000 x 100 pixels, want at most 32768 on a side"},
		{"too many pixels", pngHeader(20000, 10000), Options{}, "PNG: the picture is 20000 x 10000 pixels, the limit is 67108864 pixels: scale it down or raise the limit"},
		{"own limit", small.Bytes(), Options{MaxPixels: 19}, "PNG: the picture is 5 x 4 pixels, the limit is 19 pixels"},
		{"too many bytes", small.Bytes(), Options{MaxBytes: 20}, "the file is larger than 20 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			img, _, err := Decode(bytes.NewReader(test.data), test.options)
			if err == nil {
				t.Fatalf("decoded %v, want error %q", img.Bounds(), test.want)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is\n%s\nwant\n%s", err, test.want)
			}
			if strings.Count(err.Error(), "cut off") > 1 {
				t.Errorf("error says twice that the file is cut off: %s", err)
			}
		})
	}
}

// At the limits a picture passes.
func TestLimits(t *testing.T) {
	var small bytes.Buffer
	if err := png.Encode(&small, colors(5, 4, func(int) color.Color { return color.Black })); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Decode(bytes.NewReader(small.Bytes()), Options{MaxPixels: 20, MaxBytes: int64(small.Len())}); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		data []byte
		o    Options
	}{
		"side":   {pngHeader(40000, 100), Options{}},
		"pixels": {small.Bytes(), Options{MaxPixels: 19}},
		"bytes":  {small.Bytes(), Options{MaxBytes: 20}},
		"memory": {small.Bytes(), Options{MaxMemory: 1}},
		"none":   {pngHeader(0, 0), Options{}},
	} {
		if _, _, err := Bytes(test.data, test.o); errors.Is(err, ErrLimit) != (name != "none") || errors.Is(err, ErrMaxPixels) != (name == "pixels") {
			t.Errorf("%s: errors.Is finds the wrong one in %v", name, err)
		}
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.png")
	asmtest.Write(t, big, make([]byte, 100))
	for _, test := range []struct{ name, path, want string }{
		{"folder", dir, dir + ": it is a folder, want a regular file"},
		{"missing", filepath.Join(dir, "none.png"), "none.png"},
		{"too large", big, big + ": the file is larger than 99 bytes"},
	} {
		if _, _, err := File(test.path, Options{MaxBytes: 99}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want %q", test.name, err, test.want)
		}
	}
	if _, _, err := File(big, Options{}); err == nil || !strings.HasPrefix(err.Error(), big+": ") {
		t.Errorf("error is %v, want it to begin with the file's name", err)
	}
}

// The error of a damaged stream names the file, as that of a picture does.
func TestDamagedStream(t *testing.T) {
	data := read(t, "420.jpg")
	path := filepath.Join(t.TempDir(), "cut.jpg")
	asmtest.Write(t, path, data[:len(data)/2])
	_, _, want := File(path, Options{})
	img, _, err := File(path, Options{Stream: true})
	if err == nil {
		err = pixel.ToRGB(new(pixel.RGB), img, pixel.Drop, nil)
	}
	if want == nil || err == nil || err.Error() != want.Error() {
		t.Errorf("error is %v, want %v", err, want)
	}
}

// A decoder that panics is an error.
func TestPanicOfDecoder(t *testing.T) {
	f := &format{title: "XYZ", decode: func(data []byte) (image.Image, error) { return nil, fmt.Errorf("%c", data[7]) }}
	_, err := f.picture([]byte{1})
	if err == nil || !strings.Contains(err.Error(), "cannot decode this XYZ: the decoder failed: runtime error: index out of range") {
		t.Errorf("error is %v", err)
	}
}

func TestHasExtension(t *testing.T) {
	for name, want := range map[string]bool{
		"a.png": true, "b/c.JPG": true, "x.jpeg": true, "x.webp": true, "x.tif": true,
		"x": false, "png": false, "x.svg": false, "x.png.txt": false, "": false,
	} {
		if got := HasExtension(name); got != want {
			t.Errorf("HasExtension(%q) = %v, want %v", name, got, want)
		}
	}
}

// The table of formats is complete.
func TestTableOfFormats(t *testing.T) {
	for _, f := range formats {
		if f.name == "" || f.title == "" || len(f.magic) == 0 || len(f.extensions) == 0 || f.config == nil || f.decode == nil {
			t.Errorf("format %q has an empty field", f.name)
		}
	}
}

func rgb(t *testing.T, img image.Image) *pixel.RGB {
	t.Helper()
	var m pixel.RGB
	if err := pixel.ToRGB(&m, img, pixel.Drop, nil); err != nil {
		t.Fatal(err)
	}
	return &m
}

// text writes a picture as hexadecimal colours, a line a row.
func text(m *pixel.RGB) string {
	var rows []string
	for y := range m.H {
		var row []string
		for x := range m.W {
			row = append(row, fmt.Sprintf("%x", m.Pix[3*(y*m.W+x):][:3]))
		}
		rows = append(rows, strings.Join(row, " "))
	}
	return strings.Join(rows, "\n")
}

func colors(w, h int, color func(i int) color.Color) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		m.Set(i%w, i/w, color(i))
	}
	return m
}

func read(t testing.TB, name string) []byte {
	return asmtest.Read(t, filepath.Join("testdata", name))
}

// exifBlock makes an EXIF block with an orientation only.
func exifBlock(order binary.AppendByteOrder, orientation int) []byte {
	b := []byte("II*\x00")
	if order.String() == binary.BigEndian.String() {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 1)
	b = order.AppendUint16(b, tagOrientation)
	b = order.AppendUint16(b, 3)
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, uint16(orientation))
	return append(b, 0, 0, 0, 0, 0, 0)
}

const pngStart = 8 + 25 // signature and header chunk

// withEXIF puts an EXIF chunk into a PNG.
func withEXIF(data, exif []byte) []byte {
	chunk := append([]byte("eXIf"), exif...)
	b := bytes.Clone(data[:pngStart])
	b = binary.BigEndian.AppendUint32(b, uint32(len(exif)))
	b = append(b, chunk...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
	return append(b, data[pngStart:]...)
}

// pngHeader makes a PNG of which only the header exists.
func pngHeader(w, h uint32) []byte {
	chunk := []byte("IHDR")
	chunk = binary.BigEndian.AppendUint32(chunk, w)
	chunk = binary.BigEndian.AppendUint32(chunk, h)
	chunk = append(chunk, 8, 2, 0, 0, 0)
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	b = append(b, chunk...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
}

// The stream of a JPEG is reduced, upright, and to whole pixels.
func TestReduced(t *testing.T) {
	data := read(t, "420.jpg")
	whole, _, err := Bytes(data, Options{Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	size := whole.Bounds().Size()
	exif := exifPrefix + string(exifBlock(binary.BigEndian, 6))
	data = slices.Insert(data, 2, []byte("\xff\xe1\x00"+string(rune(len(exif)+2))+exif)...)
	for _, by := range []int{2, 4, 8} {
		m, _, err := Bytes(data, Options{Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		turned := rgb(t, m.(*pixel.Stream).Reduced(by))
		upright := rgb(t, whole.(*pixel.Stream).Reduced(by))
		if want := image.Pt((size.Y+by-1)/by, (size.X+by-1)/by); turned.Bounds().Max != want {
			t.Fatalf("1/%d of %v, turned, is %v, want %v", by, size, turned.Bounds().Max, want)
		}
		for y := range upright.H {
			for x := range upright.W {
				if got, want := turned.At(upright.H-1-y, x), upright.At(x, y); got != want {
					t.Fatalf("1/%d: pixel %d, %d is %v, want %v", by, x, y, got, want)
				}
			}
		}
	}
}
