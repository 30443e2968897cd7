package jpeg

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// TestPillow decodes the files of testdata/pillow to the bytes that Pillow gives, and refuses
// those that Pillow refuses.
func TestPillow(t *testing.T) {
	list := asmtest.Read(t, "testdata/pillow.txt")
	files := 0
	for scanner := bufio.NewScanner(bytes.NewReader(list)); scanner.Scan(); {
		line := strings.Fields(scanner.Text())
		if len(line) == 0 || line[0] == "#" {
			continue
		}
		name, want := line[0], line[1]
		files++
		t.Run(name, func(t *testing.T) {
			data := asmtest.Read(t, filepath.Join("testdata/pillow", name))
			img, err := Decode(data)
			if err != nil {
				if want != "refused" {
					t.Error(err)
				}
				return
			}
			m := rgb(t, img)
			if got := fmt.Sprintf("%dx%d:%x", m.W, m.H, sha256.Sum256(m.Pix)); got != want {
				t.Errorf("decoded %s, want %s", got, want)
			}
		})
	}
	if files < 100 {
		t.Errorf("%d files, want more", files)
	}
}

// Decode and the functions called before it return errors and do not panic, whatever the file
// holds.
func TestRefused(t *testing.T) {
	file := func(segments ...string) []byte { return []byte("\xff\xd8" + strings.Join(segments, "")) }
	const (
		frame = "\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00"
		scan  = "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
		end   = "\xff\xd9"
	)
	quant := "\xff\xdb\x00\x43\x00" + strings.Repeat("\x01", 64)
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "cut off"},
		{"no frame", file(end), "there is no scan"},
		{"no scan", file(quant, frame, end), "there is no scan"},
		{"no end", file(quant, frame, scan, "\x00"), "cut off"},
		{"scan before frame", file(quant, scan, end), "a scan before the frame"},
		{"two frames", file(quant, frame, frame, scan, end), "two frames"},
		{"no quantisers", file(frame, scan, "\x00", end), "no quantisation table 0"},
		{"12 bits", file("\xff\xc1\x00\x0b\x0c\x00\x08\x00\x08\x01\x01\x11\x00", end), "12 bits a sample"},
		{"lossless", file("\xff\xc3\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00", end), "lossless"},
		{"hierarchical", file("\xff\xc5\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00", end), "hierarchical"},
		{"two components", file("\xff\xc0\x00\x0e\x08\x00\x08\x00\x08\x02\x01\x11\x00\x02\x11\x00", end), "2 components"},
		{"no size", file("\xff\xc0\x00\x0b\x08\x00\x00\x00\x08\x01\x01\x11\x00", end), "8 x 0 pixels"},
		{"sampling 0", file("\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x01\x00", end), "sampled 0 x 1"},
		{"parts of samples", file("\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x03\x01\x31\x00\x02\x21\x00\x03\x11\x00", end), "sampled 2 x 1 of 3 x 1"},
		{"short frame", file("\xff\xc0\x00\x0a\x08\x00\x08\x00\x08\x01\x01\x11", end), "header has 8 bytes"},
		{"unknown marker", file("\xff\xf0\x00\x02", end), "unknown marker 0xf0"},
		{"bad code", file("\xff\xc4\x00\x15\x00\x02"+strings.Repeat("\x00", 15)+"\x01\x02", end), "more codes of up to 1 bits"},
		{"cut table", file("\xff\xdb\x00\x05\x00\x01\x02", end), "a table is cut off"},
	} {
		t.Run(test.name, func(t *testing.T) {
			img, err := Decode(test.data)
			if img != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("decoded %v, error %v, want %q", img, err, test.want)
			}
		})
	}
}

// enlarged gives the same samples as package pixel for the subsamplings that pixel supports.
func TestEnlarge(t *testing.T) {
	for _, name := range []string{"large-422.jpg", "large-420.jpg", "large-440.jpg", "large-411.jpg", "large-410.jpg"} {
		data := asmtest.Read(t, filepath.Join("testdata/pillow", name))
		img, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		want := rgb(t, img)
		m := img.(*image.YCbCr)
		f, err := FindFrame(data)
		if err != nil {
			t.Fatal(err)
		}
		d := decoder{frame: f}
		d.makePlanes()
		across, down := f.sampling()
		for i, p := range d.planes {
			p.samples = [][]byte{m.Y, m.Cb, m.Cr}[i]
			d.planes[i] = p.enlarged(f.Size, m.YStride, across/p.H, down/p.V, true)
		}
		if got := rgb(t, yCbCr(d.planes, image.YCbCrSubsampleRatio444, image.Rectangle{Max: f.Size})); !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("%s: enlarged planes are another picture", name)
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

// Reduced pictures are Pillow's.
func TestReduced(t *testing.T) {
	compared := 0
	for scanner := bufio.NewScanner(bytes.NewReader(asmtest.Read(t, "testdata/draft.txt"))); scanner.Scan(); {
		line := strings.Fields(scanner.Text())
		if line[0] == "#" {
			continue
		}
		name, by, want := line[0], int(line[1][0]-'0'), line[2]
		data := asmtest.Read(t, filepath.Join("testdata/pillow", name))
		if StripMemory(data) == 0 {
			continue
		}
		f, err := FindFrame(data)
		if err != nil {
			t.Fatal(err)
		}
		var m pixel.RGB
		err = pixel.ToRGB(&m, &pixel.Stream{Size: image.Pt(parts(f.Size.X, by), parts(f.Size.Y, by)), Strips: Strips(data, by)}, pixel.Drop, nil)
		if err != nil {
			if want != "refused" {
				t.Errorf("%s, 1/%d: %v", name, by, err)
			}
			continue
		}
		compared++
		if got := fmt.Sprintf("%dx%d:%x", m.W, m.H, sha256.Sum256(m.Pix)); got != want {
			t.Errorf("%s, 1/%d: decoded %s, want %s", name, by, got, want)
		}
	}
	if compared < 250 {
		t.Errorf("%d pictures, want more", compared)
	}
}

// Strips hold the picture that Decode returns, or its error comes last.
func TestStrips(t *testing.T) {
	files, err := filepath.Glob("testdata/pillow/*.jpg")
	if err != nil {
		t.Fatal(err)
	}
	several := 0
	for _, file := range files {
		data := asmtest.Read(t, file)
		var size image.Point
		if f, err := FindFrame(data); err == nil {
			size = f.Size
		}
		strips := 0
		stream := &pixel.Stream{Size: size, Strips: func(yield func(pixel.Strip, error) bool) {
			for s, err := range Strips(data, 1) {
				if strips++; !yield(s, err) {
					return
				}
			}
		}}
		img, refused := Decode(data)
		var got pixel.RGB
		if err := pixel.ToRGB(&got, stream, pixel.Drop, nil); refused != nil {
			if size != (image.Point{}) && (err == nil || err.Error() != refused.Error()) {
				t.Errorf("%s: error %v, want %v", file, err, refused)
			}
			continue
		} else if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if want := rgb(t, img); !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("%s: the strips hold another picture", file)
		}
		if strips > 1 {
			several++
		}
		if n := StripMemory(data); strips > 1 != (n > 0 && size.Y > 16) && size.Y > 32 {
			t.Errorf("%s: %d strips of %v take %d bytes", file, strips, size, n)
		}
		for range Strips(data, 1) {
			break
		}
	}
	if several < 20 {
		t.Errorf("%d pictures have several strips, want more", several)
	}
}
