package task

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
)

// turned is the beginning of a JPEG file whose EXIF has the orientation 6: a quarter turn.
const turned = "\xff\xd8\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"

// photo is a JPEG file, 4 pixels wide and 2 high as it is stored, which is black on its left and is shown by a quarter turn.
func photo(t *testing.T) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 4, 2))
	for i := range img.Pix {
		img.Pix[i] = uint8(i % 4 / 2 * 255)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return append([]byte(turned), b.Bytes()[2:]...)
}

// However a picture is given, its tensor is what package imagefile and the model's preprocessing make of it.
func TestPicture(t *testing.T) {
	m := open(t, nil)
	data := photo(t)
	path := filepath.Join(t.TempDir(), "photo.jpg")
	asmtest.Write(t, path, data)
	tensor := func(p Picture) []float32 {
		t.Helper()
		x := make([]float32, m.in.Pixels.Len())
		if err := m.tensor(x, p, nil); err != nil {
			t.Fatal(err)
		}
		return x
	}
	stored := imagefile.Options{IgnoreOrientation: true}
	for _, o := range []imagefile.Options{{}, stored} {
		img, _, err := imagefile.File(path, o)
		if err != nil {
			t.Fatal(err)
		}
		want := tensor(Image(img))
		for name, p := range map[string]Picture{"File": File(path), "Bytes": Bytes(data), "Reader": Reader(bytes.NewReader(data))} {
			if got := tensor(p.With(o)); !slices.Equal(got, want) {
				t.Errorf("%s with %+v: %v, want %v", name, o, got, want)
			}
		}
	}
	if slices.Equal(tensor(File(path)), tensor(File(path).With(stored))) {
		t.Error("a picture is the same upright and as it is stored")
	}
}

// Errors say which input it is, name its file once, and tell what is too large.
func TestPictureErrors(t *testing.T) {
	dir := t.TempDir()
	path, bad := filepath.Join(dir, "photo.jpg"), filepath.Join(dir, "text.png")
	data := photo(t)
	for name, text := range map[string][]byte{path: data, bad: []byte("no picture")} {
		asmtest.Write(t, name, text)
	}
	m := open(t, nil)
	small := open(t, func(in *Input) { in.MaxPixels = 7 })
	broken := errors.New("broken")
	used := Reader(bytes.NewReader(data))
	if _, err := One(m.Images(t.Context(), m.Func("image"), []Picture{used})); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		m     *Model
		p     Picture
		is    error
		wants string
	}{
		{"more pixels than the caller allows", m, File(path).With(imagefile.Options{MaxPixels: 7}), rt.ErrLimit, "the picture is 4 x 2 pixels, the limit is 7"},
		{"more pixels than the model allows", small, Bytes(data), rt.ErrLimit, "the limit is 7"},
		{"more bytes", m, File(path).With(imagefile.Options{MaxBytes: 9}), rt.ErrLimit, "larger than 9 bytes"},
		{"more bytes of a reader", m, Reader(bytes.NewReader(data)).With(imagefile.Options{MaxBytes: 9}), rt.ErrLimit, "larger than 9 bytes"},
		{"more memory", m, Bytes(data).With(imagefile.Options{MaxMemory: 1}), rt.ErrLimit, "decoding may take"},
		{"no such file", m, File(filepath.Join(dir, "none.png")), os.ErrNotExist, "none.png: "},
		{"another file", m, File(bad), nil, "text.png: unknown format"},
		{"a reader that fails", m, Reader(iotest.ErrReader(broken)), broken, "broken"},
		{"a reader that was read", m, used, nil, "the file is empty"},
		{"nil", m, Image(nil), nil, "it is nil"},
		{"the zero value", m, Picture{}, nil, "it is nil"},
	} {
		_, err := row.m.Images(t.Context(), row.m.Func("image"), []Picture{grey(1), row.p})
		var in *rt.InputError
		if !errors.As(err, &in) || in.Index != 1 || in.Field != "picture" || !strings.Contains(err.Error(), row.wants) {
			t.Errorf("%s: got error %v, want one with %q", row.name, err, row.wants)
			continue
		}
		if row.is != nil && !errors.Is(err, row.is) || errors.Is(err, rt.ErrLimit) != (row.is == rt.ErrLimit) {
			t.Errorf("%s: errors.Is does not find %v in %v, or ErrLimit", row.name, row.is, err)
		}
		if n := strings.Count(err.Error(), dir); n > 1 {
			t.Errorf("%s: the file is named %d times: %v", row.name, n, err)
		}
	}
	// The caller's limits are in the place of the model's.
	if _, err := small.Images(t.Context(), small.Func("image"), []Picture{File(path).With(imagefile.Options{MaxPixels: 64})}); err != nil {
		t.Error(err)
	}
}

// crowd is a picture that counts how many of its kind are read at once.
type crowd struct {
	image.Image
	now, most *atomic.Int64
}

func (c crowd) At(x, y int) color.Color {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for m := c.most.Load(); n > m && !c.most.CompareAndSwap(m, n); m = c.most.Load() {
	}
	return c.Image.At(x, y)
}

// A model decodes few pictures at a time, whatever the number of callers, and gives up where a context is done.
func TestDecodesFew(t *testing.T) {
	m := open(t, nil)
	var now, most atomic.Int64
	var pics []Picture
	for range 3 * batch {
		pics = append(pics, Image(crowd{image.NewGray(image.Rect(0, 0, 2, 2)), &now, &most}))
	}
	done := make(chan error)
	const callers = 4
	for range callers {
		go func() {
			_, err := m.Images(t.Context(), m.Func("image"), pics)
			done <- err
		}()
	}
	for range callers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := most.Load(); n < 1 || n > int64(cap(m.decoding)) {
		t.Errorf("%d pictures were decoded at once, want %d at most", n, cap(m.decoding))
	}
	for range cap(m.decoding) {
		m.decoding <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := m.Images(ctx, m.Func("image"), pics); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v while others decode, want the context's", err)
	}
}

// A program that decodes no files is linked without the decoders.
func TestLinksNoDecoders(t *testing.T) {
	asmtest.Slow(t)
	dir := t.TempDir()
	for source, links := range map[string]bool{"task.Image(nil)": false, `task.File("x")`: true} {
		file, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
		asmtest.Write(t, file, `package main

import (
	"context"

	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/beit3tiny"
)

func main() {
	m, err := beit3tiny.New()
	if err == nil {
		_, err = m.EmbedImage(context.Background(), `+source+`)
	}
	println(err)
}
`)
		if out, err := exec.Command("go", "build", "-o", program, file).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		symbols, err := exec.Command("go", "tool", "nm", program).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, symbols)
		}
		if got := bytes.Contains(symbols, []byte("imagefile.decodeTIFF")); got != links {
			t.Errorf("%s links decoders: %t, want %t", source, got, links)
		}
	}
}
