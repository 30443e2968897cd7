package jpeg

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// Each file of testdata/pillow is what Pillow makes of it, byte for byte, or refused as Pillow refuses it. Where
// jpegn reads it, it is within 3 levels and 0.05 in the mean.
func TestPillow(t *testing.T) {
	list, err := os.ReadFile("testdata/pillow.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, quick := 0, 0
	for scanner := bufio.NewScanner(bytes.NewReader(list)); scanner.Scan(); {
		line := strings.Fields(scanner.Text())
		if len(line) == 0 || line[0] == "#" {
			continue
		}
		name, want := line[0], line[1]
		files++
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata/pillow", name))
			if err != nil {
				t.Fatal(err)
			}
			img, err := decode(data)
			if err != nil {
				if want != "refused" {
					t.Error(err)
				}
				if _, err := Decode(data); err == nil {
					t.Error("Decode reads what decode refuses")
				}
				return
			}
			m := rgb(t, img)
			if got := fmt.Sprintf("%dx%d:%x", m.W, m.H, sha256.Sum256(m.Pix)); got != want {
				t.Errorf("decoded %s, want %s", got, want)
			}
			img, err = Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			near(t, rgb(t, img), m)
			if fast(data, false) != nil {
				quick++
			}
		})
	}
	if files < 100 || quick < 6 {
		t.Errorf("%d files, %d of them by jpegn, want more", files, quick)
	}
}

// What jpegn does on damage does not show: beside what it is off by anyway there is at most a last unit of an
// interval.
func TestDamage(t *testing.T) {
	for _, name := range []string{"large-gray.jpg", "large-420.jpg", "large-restart.jpg"} {
		data, err := os.ReadFile(filepath.Join("testdata/pillow", name))
		if err != nil {
			t.Fatal(err)
		}
		if fast(data, false) == nil {
			t.Fatalf("%s: not decoded by jpegn", name)
		}
		scan := bytes.Index(data, []byte{0xff, SOS}) + 14
		r := rand.New(rand.NewPCG(1, 2))
		same := 0
		for range 30 {
			damaged := bytes.Clone(data)
			for range 1 + r.IntN(2) {
				damaged[scan+r.IntN(len(data)-scan-2)] ^= 1 << r.IntN(8)
			}
			want, err := decode(damaged)
			got, err2 := Decode(damaged)
			if (err == nil) != (err2 == nil) {
				t.Fatalf("%s: errors are %v and %v", name, err, err2)
			}
			if err != nil {
				continue
			}
			if near(t, rgb(t, got), rgb(t, want)) {
				same++
			}
		}
		if same < 15 {
			t.Errorf("%s: only %d of 30 damaged files are read", name, same)
		}
	}
}

// A file says nothing that Decode or what is asked before it fails at.
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

// Where jpegn would make a picture of nothing, or read one otherwise, the other decoder is asked.
func TestNotFast(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata/pillow", name))
		if err != nil {
			t.Fatal(err)
		}
		if fast(data, true) == nil {
			t.Fatalf("%s: not decoded by jpegn", name)
		}
		return data
	}
	large := read("large-420.jpg")
	first := bytes.Index(large, []byte{0xff, dqt})
	frame := bytes.Index(large, []byte{0xff, sof0})
	scan := bytes.Index(large, []byte{0xff, SOS})
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	edit := func(at int, v byte) []byte {
		data := bytes.Clone(large)
		data[at] = v
		return data
	}
	for name, data := range map[string][]byte{
		"no quantisers":       join(large[:first], large[frame:]),
		"other quantisers":    edit(frame+12, 3),
		"other codes":         edit(scan+6, 0x33),
		"arithmetic":          edit(frame+1, sof9),
		"progressive":         edit(frame+1, sof2),
		"letters":             edit(frame+10, 'R'),
		"Adobe":               join(large[:2], []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"), large[2:]),
		"a scan more":         join(large[:len(large)-2], large[scan:]),
		"a restart marker":    join(large[:len(large)-2], []byte{0xff, rst0, 0xff, EOI}),
		"no marker":           join(large[:len(large)-2], []byte{0xff, 2, 0xff, EOI}),
		"half of the data":    join(large[:len(large)/2], []byte{0xff, EOI}),
		"no end":              large[:len(large)-2],
		"another restart due": join(large[:2], []byte{0xff, dri, 0, 4, 0, 5}, large[2:]),
	} {
		if fast(data, true) != nil {
			t.Errorf("%s: decoded by jpegn", name)
		}
	}
	if small := read("q1.jpg"); fast(small, false) != nil {
		t.Error("a small picture is decoded by jpegn")
	}
}

// Enlarging planes as libjpeg does is what package pixel does with the samplings that it knows.
func TestEnlarge(t *testing.T) {
	for _, name := range []string{"large-422.jpg", "large-420.jpg", "large-440.jpg", "large-411.jpg", "large-410.jpg"} {
		data, err := os.ReadFile(filepath.Join("testdata/pillow", name))
		if err != nil {
			t.Fatal(err)
		}
		img, err := decode(data)
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
			p.enlarge(f.Size, m.YStride, across/p.H, down/p.V)
		}
		if got := rgb(t, d.yCbCr(image.YCbCrSubsampleRatio444)); !bytes.Equal(got.Pix, want.Pix) {
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

// near says whether pictures are within the bound.
func near(t *testing.T, got, want *pixel.RGB) bool {
	t.Helper()
	if got.W != want.W || got.H != want.H {
		t.Errorf("the picture is %d x %d pixels, want %d x %d", got.W, got.H, want.W, want.H)
		return false
	}
	worst, sum := 0, 0
	for i, v := range want.Pix {
		d := int(got.Pix[i]) - int(v)
		worst, sum = max(worst, d, -d), sum+max(d, -d)
	}
	if mean := float64(sum) / float64(len(want.Pix)); worst > 3 || mean > 0.05 {
		t.Errorf("differs by at most %d, %.4f in the mean; want 3, 0.05", worst, mean)
		return false
	}
	return true
}
