package imagefile

import (
	"bytes"
	"encoding/binary"
	"image"
	"os"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// FuzzBytes decodes anything: the answer is a picture within the limits, which pixel
// can convert, or an error. Searching the EXIF block is not guarded by recover.
func FuzzBytes(f *testing.F) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if HasExtension(file.Name()) {
			f.Add(read(f, file.Name()))
		}
	}
	for _, p := range madePictures(f) {
		f.Add(p.data)
	}
	f.Add([]byte("GIF89a\x02\x00\x02\x00\x00\x00\x00;"))
	f.Add(pngHeader(70, 70))
	for _, h := range hostile() {
		if len(h.data) < 1<<16 {
			f.Add(h.data)
		}
	}
	const limit = 1 << 12
	f.Fuzz(func(t *testing.T, data []byte) {
		img, format, err := Bytes(data, Options{MaxPixels: limit, MaxBytes: 1 << 20})
		var streamed pixel.RGB
		stream, _, failed := Bytes(data, Options{MaxPixels: limit, MaxBytes: 1 << 20, Stream: true})
		if failed == nil {
			failed = pixel.ToRGB(&streamed, stream, pixel.White, nil)
		}
		if (err == nil) != (failed == nil) {
			t.Errorf("error %v, and of a stream %v", err, failed)
		}
		if err != nil {
			if img != nil || format != "" {
				t.Errorf("got %v and %q beside the error %v", img, format, err)
			}
			return
		}
		if n := img.Bounds().Dx() * img.Bounds().Dy(); n < 1 || n > limit {
			t.Errorf("%s: picture covers %v, the limit is %d pixels", format, img.Bounds(), limit)
		}
		var m pixel.RGB
		if err := pixel.ToRGB(&m, img, pixel.White, nil); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if !bytes.Equal(streamed.Pix, m.Pix) {
			t.Errorf("%s: the stream is another picture", format)
		}
	})
}

// FuzzTIFF runs our own reader of TIFF, which fails where Bytes has a panic be an error.
func FuzzTIFF(f *testing.F) { fuzzOwn(f, "tiff") }

// FuzzOwn does so with the other formats whose readers are, in part, ours.
func FuzzOwn(f *testing.F) { fuzzOwn(f, "bmp", "gif", "png", "webp") }

func fuzzOwn(f *testing.F, names ...string) {
	for _, p := range madePictures(f) {
		if kind, err := sniff(p.data); err == nil && slices.Contains(names, kind.name) {
			f.Add(p.data)
		}
	}
	o := Options{MaxPixels: 1 << 12}
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, err := sniff(data)
		if err != nil || !slices.Contains(names, kind.name) || kind.check != nil && kind.check(data, o) != nil {
			return
		}
		c, err := kind.config(bytes.NewReader(data))
		size := image.Pt(c.Width, c.Height)
		if err != nil || checkSize(size, o) != nil {
			return
		}
		img, err := kind.decode(data)
		if err != nil {
			return
		}
		var m pixel.RGB
		if err := pixel.ToRGB(&m, img, pixel.White, nil); err != nil {
			t.Errorf("%s: %v", kind.name, err)
		}
	})
}

// FuzzHeaders runs our own readers of headers, which nothing guards, on all formats.
func FuzzHeaders(f *testing.F) {
	f.Add(withEXIF(pngHeader(3, 2), exifBlock(binary.BigEndian, 3)))
	f.Add(read(f, "alpha.webp"))
	f.Add(read(f, "420.jpg"))
	f.Add(read(f, "fax.tif"))
	f.Fuzz(func(t *testing.T, data []byte) {
		format, err := sniff(data)
		if err != nil {
			return
		}
		if format.check != nil && format.check(data, Options{}) != nil {
			return
		}
		if format.about != nil {
			if o := format.about(data).orientation(); o < 1 || o > 8 {
				t.Errorf("orientation is %d, want 1 to 8", o)
			}
		}
	})
}

// FuzzOrientation reads EXIF blocks and XMP.
func FuzzOrientation(f *testing.F) {
	f.Add(exifBlock(binary.LittleEndian, 6))
	f.Add(exifBlock(binary.BigEndian, 8))
	f.Add([]byte("II*\x00\xff\xff\xff\xff\x01\x00"))
	f.Add([]byte(`<x:xmpmeta tiff:Orientation="6">`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if o := (about{exif: data, xmp: data}).orientation(); o < 1 || o > 8 {
			t.Errorf("orientation is %d, want 1 to 8", o)
		}
	})
}
