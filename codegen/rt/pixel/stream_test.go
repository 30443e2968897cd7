package pixel

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"strings"
	"testing"
)

// stored returns a picture with chroma halved in both directions, and a stream of strips of it.
func stored(rng *rand.Rand, w, h, high int, t Turn) (*image.YCbCr, *Stream) {
	m := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for _, plane := range [][]uint8{m.Y, m.Cb, m.Cr} {
		for i := range plane {
			plane[i] = uint8(rng.Uint32())
		}
	}
	return m, &Stream{Size: image.Pt(w, h), Turn: t, Strips: func(yield func(Strip, error) bool) {
		for from := 0; from < h; from += high {
			to := min(from+high, h)
			part := m.SubImage(image.Rect(0, max(from-2, 0)&^1, w, min(to+2, h)))
			if !yield(Strip{part, from, to}, nil) {
				return
			}
		}
	}}
}

// upright turns a picture pixel by pixel, as EXIF defines the orientations.
func upright(m *RGB, t Turn) *RGB {
	out := &RGB{make([]uint8, len(m.Pix)), m.W, m.H}
	if t >= 5 {
		out.W, out.H = m.H, m.W
	}
	for y := range out.H {
		for x := range out.W {
			from := [...]image.Point{
				{x, y}, {x, y}, {m.W - 1 - x, y}, {m.W - 1 - x, m.H - 1 - y}, {x, m.H - 1 - y},
				{y, x}, {y, m.H - 1 - x}, {m.W - 1 - y, m.H - 1 - x}, {m.W - 1 - y, x},
			}[t]
			copy(out.Pix[3*(y*out.W+x):][:3], m.Pix[3*(from.Y*m.W+from.X):])
		}
	}
	return out
}

// A stream gives the bytes of the turned picture, whatever the turn and the heights of strips.
func TestStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, size := range []image.Point{{1, 1}, {3, 2}, {40, 17}, {17, 40}, {16, 16}, {5, 90}, {200, 31}} {
		for turn := range Turn(9) {
			t.Run(fmt.Sprint(size, turn), func(t *testing.T) {
				m, stream := stored(rng, size.X, size.Y, 1+rng.IntN(9), turn)
				var plain, got RGB
				var s Scratch
				if err := errors.Join(ToRGB(&plain, m, Drop, &s), ToRGB(&got, stream, Drop, &s)); err != nil {
					t.Fatal(err)
				}
				want := upright(&plain, turn)
				if want.Bounds() != stream.Bounds() || !bytes.Equal(got.Pix, want.Pix) {
					t.Error("it is another picture")
				}
				if x, y := want.W-1, want.H/2; stream.At(x, y) != want.At(x, y) || stream.At(-1, 0) != want.At(-1, 0) {
					t.Errorf("pixel %d, %d is %v, want %v", x, y, stream.At(x, y), want.At(x, y))
				}
				for _, p := range []Preprocess{
					{Size: 16, Alpha: Drop}, {Size: 7, Resize: Crop, Alpha: Drop}, {Size: 33, Resize: Crop, Filter: Bilinear, Alpha: Drop, Order: ConvertLast},
				} {
					p.Std = [3]float32{1, 1, 1}
					var square, expected RGB
					if err := errors.Join(p.Square(&square, stream, &s), p.Square(&expected, want, &s)); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(square.Pix, expected.Pix) {
						t.Errorf("%+v: resized to another picture", p)
					}
				}
			})
		}
	}
}

// A stream that ends early, skips rows, or holds other rows than it says is an error.
func TestBrokenStream(t *testing.T) {
	wide := image.NewGray(image.Rect(0, 0, 4, 8))
	for _, test := range []struct {
		name   string
		strips []Strip
		err    error
		want   string
	}{
		{"none", nil, nil, "it ends after 0 of 8 rows"},
		{"short", []Strip{{wide, 0, 7}}, nil, "it ends after 7 of 8 rows"},
		{"gap", []Strip{{wide, 0, 3}, {wide, 4, 8}}, nil, "rows 4 to 8"},
		{"beyond", []Strip{{wide, 0, 9}}, nil, "rows 0 to 9"},
		{"narrow", []Strip{{image.NewGray(image.Rect(0, 0, 3, 8)), 0, 8}}, nil, "want 4 columns"},
		{"damaged", []Strip{{wide, 0, 4}}, errors.New("the data is damaged"), "the data is damaged"},
		{"damaged at the end", []Strip{{wide, 0, 8}}, errors.New("the data is damaged"), "the data is damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &Stream{Size: image.Pt(4, 8), Strips: func(yield func(Strip, error) bool) {
				for _, s := range test.strips {
					if !yield(s, nil) {
						return
					}
				}
				if test.err != nil {
					yield(Strip{}, test.err)
				}
			}}
			var dst RGB
			for _, err := range []error{ToRGB(&dst, m, Drop, nil), Resize(&dst, m, 2, 2, Drop, nil)} {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error is %v, want %q", err, test.want)
				}
			}
		})
	}
}

// A draft is the smallest picture whose sides are at least the square's.
func TestDraft(t *testing.T) {
	for _, test := range []struct{ w, h, size, by int }{
		{4000, 3000, 224, 8}, {1792, 1792, 224, 8}, {1792, 1791, 224, 4}, {900, 5000, 224, 4}, {895, 900, 224, 2},
		{448, 448, 224, 2}, {448, 447, 224, 1}, {100, 100, 224, 1},
	} {
		m := image.NewGray(image.Rect(0, 0, test.w, test.h))
		by := 0
		stream := func(n int) *Stream {
			by = n
			return &Stream{Size: m.Rect.Max, Strips: func(yield func(Strip, error) bool) { yield(Strip{m, 0, test.h}, nil) }}
		}
		s := stream(1)
		s.Reduced = stream
		p := Preprocess{Size: test.size, Alpha: Drop, Std: [3]float32{1, 1, 1}}
		var dst RGB
		for _, p.Draft = range []bool{false, true} {
			by = 1
			if err := p.Square(&dst, s, nil); err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{false: 1, true: test.by}[p.Draft]; by != want {
				t.Errorf("%+v, draft %v: reduced by %d", test, p.Draft, by)
			}
		}
		if s.Reduced = nil; p.Square(&dst, s, nil) != nil {
			t.Errorf("%+v: a stream that cannot be reduced is refused", test)
		}
	}
}
