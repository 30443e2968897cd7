// Package heiftest compares the readers of HEIC and AVIF with the pictures that golden/reference/make_heif.py decoded.
package heiftest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/imagefile/heif"
)

// File is a file, and the picture that the reference decoder returns.
type File struct {
	Name string
	Data []byte
	Want image.Image // nil: it is refused
}

// Files reads testdata/pictures.tar.gz.
func Files(t testing.TB) (list []File) {
	for name, data := range asmtest.Archive(t, "testdata/pictures.tar.gz") {
		if !strings.HasSuffix(name, ".png") {
			list = append(list, File{Name: name, Data: data})
			continue
		}
		var err error
		if list[len(list)-1].Want, err = png.Decode(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	if len(list) < 30 {
		t.Fatalf("%d pictures, want all that the reference decoded", len(list))
	}
	return list
}

// Pictures tests that each of [Files] decodes to its reference picture: no channel may differ by more
// than most of 255 levels, and the mean difference of a picture's channels is at most mean. The files
// are decoded at the same time.
func Pictures(t *testing.T, format string, most int, mean float64) {
	for _, f := range Files(t) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			img, name, err := imagefile.Bytes(f.Data, imagefile.Options{})
			if f.Want == nil {
				if err == nil {
					t.Fatalf("it is read, of %v", img.Bounds())
				}
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if name != format {
				t.Errorf("format is %s, want %s", name, format)
			}
			if img.Bounds() != f.Want.Bounds() {
				t.Fatalf("the picture covers %v, want %v", img.Bounds(), f.Want.Bounds())
			}
			_, alpha := img.(*image.NRGBA)
			if _, want := f.Want.(*image.NRGBA); alpha != want {
				t.Errorf("transparency is %v, want %v", alpha, want)
			}
			sum, largest, at := 0, 0, image.Point{}
			b := img.Bounds()
			for y := range b.Dy() {
				for x := range b.Dx() {
					g, w := channels(img.At(x, y)), channels(f.Want.At(x, y))
					for c := range g {
						d := max(int(g[c])-int(w[c]), int(w[c])-int(g[c]))
						if c < 3 && strings.HasPrefix(f.Name, "prem.") { // as it was coded
							d = d * int(w[3]) / 255
						}
						if sum += d; d > largest {
							largest, at = d, image.Pt(x, y)
						}
					}
				}
			}
			got := float64(sum) / float64(4*b.Dx()*b.Dy())
			t.Logf("at most %d off, %.3f in the mean", largest, got)
			if largest > most || got > mean {
				t.Errorf("it is up to %d off, at %v %v, want %v, and %.3f in the mean; want at most %d and %.3f",
					largest, at, img.At(at.X, at.Y), f.Want.At(at.X, at.Y), got, most, mean)
			}
		})
	}
}

func channels(c color.Color) [4]uint8 {
	switch c := c.(type) {
	case color.NRGBA:
		return [4]uint8{c.R, c.G, c.B, c.A}
	case color.RGBA:
		return [4]uint8{c.R, c.G, c.B, c.A}
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return [4]uint8{n.R, n.G, n.B, n.A}
}

// Linked tests that a program can read the format, heic or avif: its file names are known by the given
// extensions, its files by their content, and the limit of memory is obeyed.
func Linked(t *testing.T, format string, extensions ...string) {
	for _, e := range extensions {
		if name := "IMG_1" + strings.ToUpper(e); !imagefile.HasExtension(name) || imagefile.NotRead(name) != imagefile.NoPicture {
			t.Errorf("%s is no name of a picture that is read", name)
		} else if heic := imagefile.IsHEIC(name); heic != (format == "heic") {
			t.Errorf("%s is one of HEIC: %v", name, heic)
		}
	}
	_, _, err := imagefile.Bytes([]byte("hello, world"), imagefile.Options{})
	if err == nil || !strings.Contains(err.Error(), strings.ToUpper(format)) {
		t.Errorf("the error %v does not name %s as read", err, format)
	}
	files := Files(t)
	i := slices.IndexFunc(files, func(f File) bool { return f.Name == "irot1-imirNone."+format })
	path := filepath.Join(t.TempDir(), "picture")
	if err := os.WriteFile(path, files[i].Data, 0o666); err != nil {
		t.Fatal(err)
	}
	// A limit of exactly the estimated memory is enough; with one byte less the picture is refused.
	takes := imagefile.Memory(path, imagefile.Options{})
	if _, _, err := imagefile.File(path, imagefile.Options{MaxMemory: takes}); err != nil {
		t.Error(err)
	}
	if _, _, err := imagefile.File(path, imagefile.Options{MaxMemory: takes - 1}); err == nil || !strings.Contains(err.Error(), "decoding may take") {
		t.Errorf("with a byte less than %d: %v", takes, err)
	}
}

// Damaged tests that files with random changed bytes give a picture or an error, never a panic.
func Damaged(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 15))
	pictures, errors := 0, 0
	for _, f := range Files(t) {
		for range 6 {
			data := bytes.Clone(f.Data)
			for range 1 + random.IntN(4) {
				data[24+random.IntN(len(data)-24)] = byte(random.IntN(256))
			}
			if img, _, err := imagefile.Bytes(data, imagefile.Options{MaxPixels: 1 << 20}); err != nil {
				errors++
			} else if pictures++; img.Bounds().Empty() {
				t.Error("the picture is empty")
			}
		}
	}
	if pictures < 20 || errors < 20 {
		t.Errorf("%d pictures and %d errors, want some of each", pictures, errors)
	}
}

// Memory tests that a decoder, given as a packed program, cannot take more memory than its limit.
func Memory(t *testing.T, program []byte) {
	err := heif.NewSandbox(program).Run(heif.NewMemory(4<<20), func(r heif.Run) error {
		_, _, err := r.Bytes(8 << 20)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "takes more memory") {
		t.Errorf("error is %v, want that it takes more memory", err)
	}
}

// Fuzz decodes anything.
func Fuzz(f *testing.F) {
	for _, file := range Files(f) {
		f.Add(file.Data)
	}
	const limit = 1 << 14
	f.Fuzz(func(t *testing.T, data []byte) {
		img, _, err := imagefile.Bytes(data, imagefile.Options{MaxPixels: limit, MaxBytes: 1 << 20})
		if err != nil {
			return
		}
		if n := img.Bounds().Dx() * img.Bounds().Dy(); n < 1 || n > limit {
			t.Errorf("the picture covers %v, the limit is %d pixels", img.Bounds(), limit)
		}
	})
}
