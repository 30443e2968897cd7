package task_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/emoji"
)

// opening is a file that is open from its first read to its end. It counts how many are.
type opening struct {
	io.Reader
	now, most *atomic.Int64
	begun     bool
}

func (o *opening) Read(p []byte) (int, error) {
	if !o.begun {
		o.begun = true
		n := o.now.Add(1)
		for m := o.most.Load(); n > m && !o.most.CompareAndSwap(m, n); m = o.most.Load() {
		}
	}
	n, err := o.Reader.Read(p)
	if err != nil {
		o.now.Add(-1)
	}
	return n, err
}

// A sequence of pictures of any length is embedded with few of them open at a time, and a broken one fails alone.
func TestEachOfManyPictures(t *testing.T) {
	m, err := emoji.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var files [][]byte
	var pics []task.Picture
	for i := range 3 {
		img := image.NewGray(image.Rect(0, 0, 9, 9))
		img.Set(i, i, color.White)
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		files, pics = append(files, b.Bytes()), append(pics, task.Image(img))
	}
	want, err := m.EmbedImages(t.Context(), pics)
	if err != nil {
		t.Fatal(err)
	}
	const n, broken = 300, 170
	var now, most, given, taken atomic.Int64
	var sequence iter.Seq[task.Picture] = func(yield func(task.Picture) bool) {
		for i := range n {
			file := files[i%3]
			if i == broken {
				file = file[:20]
			}
			if held := given.Add(1) - taken.Load(); held > 128 {
				t.Errorf("%d pictures are held", held)
			}
			if !yield(task.Reader(&opening{bytes.NewReader(file), &now, &most, false})) {
				return
			}
		}
	}
	for name, many := range map[string]func() iter.Seq2[[]float32, error]{
		"model": func() iter.Seq2[[]float32, error] { return task.Each(t.Context(), sequence, m.EmbedImages) },
		"session": func() iter.Seq2[[]float32, error] {
			return task.Each(t.Context(), sequence, m.NewSession().EmbedImages)
		},
	} {
		i := 0
		given.Store(0)
		taken.Store(0)
		for vector, err := range many() {
			var in *rt.InputError
			switch {
			case i == broken && (!errors.As(err, &in) || in.Index != broken || vector != nil):
				t.Errorf("%s: the broken picture: %v", name, err)
			case i != broken && (err != nil || !slices.Equal(vector, want[i%3])):
				t.Errorf("%s: picture %d is not what it is alone: %v", name, i, err)
			}
			i++
			taken.Add(1)
		}
		if i != n || now.Load() != 0 || most.Load() < 1 || most.Load() > int64(runtime.GOMAXPROCS(0)) {
			t.Errorf("%s: %d of %d pictures, up to %d of them open at once", name, i, n, most.Load())
		}
	}
}
