package imagefile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// madePicture is a file, and what Pillow makes of it.
type madePicture struct {
	name   string
	data   []byte
	pixels *pixel.RGB // nil: Pillow refuses it
}

// madePictures reads what golden/reference/make_pictures.py made.
func madePictures(t testing.TB) (list []madePicture) {
	for name, data := range asmtest.Archive(t, "testdata/pictures.tar.gz") {
		if !strings.HasSuffix(name, ".ppm") {
			list = append(list, madePicture{name: name, data: data})
			continue
		}
		m := new(pixel.RGB)
		if _, err := fmt.Sscanf(string(data), "P6 %d %d 255", &m.W, &m.H); err != nil {
			t.Fatal(err)
		}
		m.Pix = data[len(data)-3*m.W*m.H:]
		list[len(list)-1].pixels = m
	}
	return list
}

// Pillow's pixels, of every kind and damage.
func TestPictures(t *testing.T) {
	list := madePictures(t)
	if len(list) < 250 {
		t.Fatalf("%d pictures, want those that were made", len(list))
	}
	for _, p := range list {
		t.Run(p.name, func(t *testing.T) {
			img, format, err := Bytes(p.data, Options{})
			if p.pixels == nil {
				if err == nil {
					t.Fatalf("it is read, of %v, which Pillow refuses", img.Bounds())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if i := strings.LastIndexByte(p.name, '.'); !strings.HasPrefix(format, p.name[i+1:]) {
				t.Errorf("format is %s", format)
			}
			most, mean := 0, 0.0
			if strings.HasPrefix(p.name, "lab-") { // which Pillow has LittleCMS convert
				most, mean = 8, 0.2
			}
			compare(t, rgb(t, img), p.pixels, most, mean)
			stream, _, err := Bytes(p.data, Options{Stream: true})
			if err != nil {
				t.Fatal(err)
			}
			compare(t, rgb(t, stream), rgb(t, img), 0, 0)
		})
	}
}

// compare holds a picture against another, by the largest difference and the mean.
func compare(t *testing.T, got, want *pixel.RGB, most int, mean float64) {
	t.Helper()
	if got.W != want.W || got.H != want.H {
		t.Fatalf("the picture is %d x %d, want %d x %d", got.W, got.H, want.W, want.H)
	}
	worst, sum := 0, 0
	for i, v := range want.Pix {
		d := int(got.Pix[i]) - int(v)
		worst, sum = max(worst, d, -d), sum+max(d, -d)
	}
	if m := float64(sum) / float64(len(want.Pix)); worst > most || m > mean {
		t.Errorf("differs by at most %d, %.4f in the mean; want %d, %.2f", worst, m, most, mean)
	}
}

// Where alpha counts, a file that has none is opaque, whatever its fourth bytes are.
func TestFourthBytesWithoutAlpha(t *testing.T) {
	files := map[string][]byte{}
	for _, p := range madePictures(t) {
		files[p.name] = p.data
	}
	for name, opaque := range map[string]bool{
		"v40-32.bmp": true, "v108-32.bmp": true, "v124-32.bmp": true, "xbgr-124.bmp": true,
		"bgra-124.bmp": false, "rgba-56.bmp": false, "no-masks.bmp": false,
		"rgbx-ii.tif": true, "rgba-ii.tif": false, "four-ii.tif": false, "grey-alpha-mm.tif": false, "palette-alpha-ii.tif": false,
		"rgb-lossless.webp": true, "rgba-lossless.webp": false, "rgba-lossy.webp": false,
		"clear.gif": false, "whole.gif": true, "small-frame-clear.gif": false,
		"png-3-4-0.png": false,
	} {
		data, ok := files[name]
		if !ok {
			t.Fatalf("%s was not made", name)
		}
		img, _, err := Bytes(data, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var dropped, white pixel.RGB
		for m, alpha := range map[*pixel.RGB]pixel.Alpha{&dropped: pixel.Drop, &white: pixel.White} {
			if err := pixel.ToRGB(m, img, alpha, nil); err != nil {
				t.Fatal(err)
			}
		}
		if same := bytes.Equal(dropped.Pix, white.Pix); same != opaque {
			t.Errorf("%s: seen over white it is the same: %v, want %v", name, same, opaque)
		}
	}
	// An alpha that is 0 everywhere is none.
	clear := bytes.Clone(files["bgra-124.bmp"])
	for i := 14 + 124 + 3; i < len(clear); i += 4 {
		clear[i] = 0
	}
	img, _, err := Bytes(clear, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := img.(*pixel.RGB); !ok || bytes.Count(m.Pix, []byte{255}) > len(m.Pix)/4 {
		t.Errorf("a picture that is clear everywhere is a %T, want the colours beneath", img)
	}
}
