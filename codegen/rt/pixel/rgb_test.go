package pixel

import (
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestComposite(t *testing.T) {
	for c := range 256 {
		for a := range 256 {
			// The exact value is a fraction with the odd denominator 255, so rounding to
			// nearest has no ties.
			for alpha, exact := range map[Alpha]float64{White: float64(c*a+255*(255-a)) / 255, Black: float64(c*a) / 255, Drop: float64(c)} {
				if got := float64(alpha.over(uint8(c), uint8(a))); got < exact-0.5 || got > exact+0.5 {
					t.Fatalf("%v, %d of opacity %d is %v, want %v rounded", alpha, c, a, got, exact)
				}
			}
		}
	}
}

// TestToRGB converts one pixel of each picture type under each Alpha. Types without
// transparency give the same result under all of them.
func TestToRGB(t *testing.T) {
	one := image.Rect(0, 0, 1, 1)
	set := func(m draw.Image, c color.Color) image.Image {
		m.Set(m.Bounds().Min.X, m.Bounds().Min.Y, c)
		return m
	}
	indexed := func(i uint8, p ...color.Color) image.Image {
		m := image.NewPaletted(one, p)
		m.Pix[0] = i
		return m
	}
	ycc := func(y, cb, cr uint8) image.YCbCr {
		return image.YCbCr{Y: []uint8{y}, Cb: []uint8{cb}, Cr: []uint8{cr}, YStride: 1, CStride: 1, SubsampleRatio: image.YCbCrSubsampleRatio444, Rect: one}
	}
	red := ycc(76, 85, 255)
	for _, test := range []struct {
		name string
		img  image.Image
		want [3]uint8   // over white
		more [][3]uint8 // over black, dropped; none: the same
	}{
		{"RGB", &RGB{Pix: []uint8{1, 2, 3}, W: 1, H: 1}, [3]uint8{1, 2, 3}, nil},
		{"NRGBA opaque", set(image.NewNRGBA(one), color.NRGBA{1, 2, 3, 255}), [3]uint8{1, 2, 3}, nil},
		{"NRGBA", set(image.NewNRGBA(one), color.NRGBA{0, 100, 255, 100}), [3]uint8{155, 194, 255}, [][3]uint8{{0, 39, 100}, {0, 100, 255}}},
		{"NRGBA clear", set(image.NewNRGBA(one), color.NRGBA{1, 2, 3, 0}), [3]uint8{255, 255, 255}, [][3]uint8{{0, 0, 0}, {1, 2, 3}}},
		{"RGBA opaque", set(image.NewRGBA(one), color.RGBA{1, 2, 3, 255}), [3]uint8{1, 2, 3}, nil},
		{"RGBA", set(image.NewRGBA(one), color.RGBA{0, 39, 100, 100}), [3]uint8{155, 194, 255}, [][3]uint8{{0, 39, 100}, {0, 99, 255}}},
		{"RGBA clear", image.NewRGBA(one), [3]uint8{255, 255, 255}, [][3]uint8{{0, 0, 0}, {0, 0, 0}}},
		{"RGBA brighter than its alpha", set(image.NewRGBA(one), color.RGBA{200, 99, 0, 100}), [3]uint8{255, 254, 155}, [][3]uint8{{200, 99, 0}, {255, 252, 0}}},
		{"NRGBA64", set(image.NewNRGBA64(one), color.NRGBA64{0x00ff, 0x64ff, 0xffff, 0x64ff}), [3]uint8{155, 194, 255}, [][3]uint8{{0, 39, 100}, {0, 100, 255}}},
		{"RGBA64", set(image.NewRGBA64(one), color.RGBA64{0x00ff, 0x64ff, 0xfeff, 0xffff}), [3]uint8{0, 100, 254}, nil},
		{"RGBA64 clear", image.NewRGBA64(one), [3]uint8{255, 255, 255}, [][3]uint8{{0, 0, 0}, {0, 0, 0}}},
		{"Gray", set(image.NewGray(one), color.Gray{7}), [3]uint8{7, 7, 7}, nil},
		{"Gray16", set(image.NewGray16(one), color.Gray16{0x07ff}), [3]uint8{7, 7, 7}, nil},
		{"CMYK", set(image.NewCMYK(one), color.CMYK{0, 100, 255, 55}), [3]uint8{200, 122, 0}, nil},
		{"Paletted NRGBA", indexed(1, color.Black, color.NRGBA{0, 100, 255, 100}), [3]uint8{155, 194, 255}, [][3]uint8{{0, 39, 100}, {0, 100, 255}}},
		{"Paletted RGBA", indexed(0, color.RGBA{0, 39, 100, 100}), [3]uint8{155, 194, 255}, [][3]uint8{{0, 39, 100}, {0, 99, 255}}},
		{"Paletted nil", indexed(0, nil), [3]uint8{0, 0, 0}, nil},
		{"Paletted past the end", indexed(9, color.White), [3]uint8{0, 0, 0}, nil},
		{"Alpha", set(image.NewAlpha(one), color.Alpha{9}), [3]uint8{255, 255, 255}, [][3]uint8{{9, 9, 9}, {255, 255, 255}}},
		{"Uniform", cut{image.NewUniform(color.NRGBA{0, 100, 255, 100}), image.Rect(5, 6, 6, 7)}, [3]uint8{155, 194, 255}, [][3]uint8{{0, 39, 100}, {0, 100, 255}}},
		{"YCbCr", &red, [3]uint8{254, 0, 0}, nil},
		{"NYCbCrA", &image.NYCbCrA{YCbCr: red, A: []uint8{100}, AStride: 1}, [3]uint8{255, 155, 155}, [][3]uint8{{100, 0, 0}, {254, 0, 0}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := append([][3]uint8{test.want}, test.more...)
			for _, alpha := range []Alpha{White, Black, Drop} {
				var got RGB
				if err := ToRGB(&got, test.img, alpha, nil); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(RGB{Pix: want[min(int(alpha), len(want)-1)][:], W: 1, H: 1}, got); diff != "" {
					t.Errorf("%v: picture (-want +got):\n%s", alpha, diff)
				}
			}
		})
	}
}

// cut shows a rectangle of a picture through At only.
type cut struct {
	image.Image
	rect image.Rectangle
}

func (c cut) Bounds() image.Rectangle { return c.rect }

// A part of a picture of each kind is that part of the converted whole, and reading
// pixel by pixel gives the same.
func TestSubImage(t *testing.T) {
	whole := image.Rect(-3, 2, 20, 17)
	part := image.Rect(0, 5, 11, 16)
	for _, m := range []draw.Image{
		image.NewNRGBA(whole), image.NewRGBA(whole), image.NewNRGBA64(whole), image.NewRGBA64(whole), image.NewGray(whole),
		image.NewGray16(whole), image.NewCMYK(whole), image.NewPaletted(whole, palette.WebSafe),
	} {
		r := rand.New(rand.NewPCG(1, 2))
		for y := whole.Min.Y; y < whole.Max.Y; y++ {
			for x := whole.Min.X; x < whole.Max.X; x++ {
				m.Set(x, y, color.NRGBA{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32())})
			}
		}
		var all, got, slow, want RGB
		if err := ToRGB(&all, m, White, nil); err != nil {
			t.Fatal(err)
		}
		want.reset(part.Dx(), part.Dy())
		for y := range want.H {
			from := part.Min.Sub(whole.Min).Add(image.Pt(0, y))
			copy(want.Pix[3*y*want.W:][:3*want.W], all.Pix[3*(from.Y*all.W+from.X):])
		}
		if err := ToRGB(&got, m.(interface {
			SubImage(image.Rectangle) image.Image
		}).SubImage(part), White, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T: part (-want +got):\n%s", m, diff)
		}
		if err := ToRGB(&slow, cut{m, part}, White, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, slow); diff != "" {
			t.Errorf("%T: pixel by pixel (-want +got):\n%s", m, diff)
		}
	}
}

func TestBrokenImages(t *testing.T) {
	r := image.Rect(0, 0, 4, 3)
	big := image.Rect(0, 0, 1<<20, 1)
	ycc := func(edit func(*image.YCbCr)) *image.YCbCr {
		m := image.NewYCbCr(r, image.YCbCrSubsampleRatio420)
		edit(m)
		return m
	}
	for _, test := range []struct {
		name string
		img  image.Image
		want string
	}{
		{"nil", nil, "no picture was given"},
		{"empty", image.NewNRGBA(image.Rectangle{}), "the picture is 0 x 0 pixels, want at least 1 x 1"},
		{"endless", image.NewUniform(color.White), "pixels, want at most 32768 on a side: scale it down first"},
		{"too wide", image.NewGray(big), "the picture is 1048576 x 1 pixels, want at most 32768 on a side"},
		{"short", &image.NRGBA{Pix: make([]uint8, 47), Stride: 16, Rect: r}, "broken *image.NRGBA: Pix holds 47 bytes with stride 16, want 3 rows of 16 bytes"},
		{"narrow stride", &image.Gray{Pix: make([]uint8, 100), Stride: 3, Rect: r}, "broken *image.Gray"},
		{"negative stride", &image.RGBA{Pix: make([]uint8, 100), Stride: -16, Rect: r}, "broken *image.RGBA"},
		{"huge stride", &image.RGBA64{Pix: make([]uint8, 100), Stride: math.MaxInt, Rect: r}, "broken *image.RGBA64"},
		{"short RGB", &RGB{Pix: make([]uint8, 35), W: 4, H: 3}, "broken *pixel.RGB"},
		{"short Y", ycc(func(m *image.YCbCr) { m.Y = m.Y[:11] }), "broken *image.YCbCr: Y holds 11 bytes"},
		{"short Cb", ycc(func(m *image.YCbCr) { m.Cb = m.Cb[:3] }), "broken *image.YCbCr: Cb holds 3 bytes"},
		{"short Cr", ycc(func(m *image.YCbCr) { m.Cr = nil }), "broken *image.YCbCr: Cr holds 0 bytes"},
		{"ratio", ycc(func(m *image.YCbCr) { m.SubsampleRatio = 77 }), "unknown chroma subsampling 77"},
		{"negative origin", ycc(func(m *image.YCbCr) { m.Rect = m.Rect.Sub(image.Pt(1, 0)) }), "want no negative coordinate"},
		{"short A", &image.NYCbCrA{YCbCr: *image.NewYCbCr(r, image.YCbCrSubsampleRatio444), A: make([]uint8, 11), AStride: 4}, "broken *image.NYCbCrA: A holds 11 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var dst RGB
			if err := ToRGB(&dst, test.img, White, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}

// The memory of the last picture is used again, and the picture itself may be given.
func TestToRGBReuse(t *testing.T) {
	var dst RGB
	if err := ToRGB(&dst, image.NewNRGBA(image.Rect(0, 0, 9, 9)), White, nil); err != nil {
		t.Fatal(err)
	}
	first := &dst.Pix[0]
	if err := ToRGB(&dst, image.NewGray(image.Rect(0, 0, 2, 3)), White, nil); err != nil {
		t.Fatal(err)
	}
	if &dst.Pix[0] != first || len(dst.Pix) != 18 {
		t.Errorf("memory was not used again: %d bytes", len(dst.Pix))
	}
	dst.Pix[4] = 77
	if err := ToRGB(&dst, &dst, White, nil); err != nil || dst.Pix[4] != 77 {
		t.Errorf("a picture converted to itself changed (error %v)", err)
	}
}

func TestRGBIsAnImage(t *testing.T) {
	m := &RGB{Pix: []uint8{1, 2, 3, 4, 5, 6}, W: 2, H: 1}
	if got, want := m.At(1, 0), (color.RGBA{4, 5, 6, 255}); got != want {
		t.Errorf("At(1, 0) = %v, want %v", got, want)
	}
	if got, want := m.At(0, 1), (color.RGBA{}); got != want {
		t.Errorf("At(0, 1) = %v, want %v outside the picture", got, want)
	}
	if got, want := m.Bounds(), image.Rect(0, 0, 2, 1); got != want {
		t.Errorf("Bounds() = %v, want %v", got, want)
	}
}

// Chroma of one row, worked out by hand with libjpeg's formulas. Luma is constant, so
// that red shows Cr: 128 + 1.402 * (Cr - 128), rounded.
func TestChroma(t *testing.T) {
	plane := func(rows ...string) []uint8 {
		var b []uint8
		for _, r := range rows {
			for _, c := range []byte(r) {
				b = append(b, 128+(c-'0')*16)
			}
		}
		return b
	}
	red := func(cr ...int) []uint8 {
		var b []uint8
		for _, v := range cr {
			b = append(b, uint8(128+(91881*(v-128)+1<<15)>>16))
		}
		return b
	}
	for _, test := range []struct {
		name   string
		ratio  image.YCbCrSubsampleRatio
		w, h   int
		cr     []uint8 // rows of the chroma plane: digit d is 128 + 16 d
		stride int
		row    int
		want   []uint8
	}{
		{"4:4:4", image.YCbCrSubsampleRatio444, 3, 1, plane("041"), 3, 0, red(128, 192, 144)},
		{"4:2:2", image.YCbCrSubsampleRatio422, 6, 1, plane("041"), 3, 0, red(128, 128+16, 128+48, 128+(3*64+16+2)>>2, 128+(3*16+64+1)>>2, 144)},
		{"4:2:2 odd", image.YCbCrSubsampleRatio422, 5, 1, plane("041"), 3, 0, red(128, 128+16, 128+48, 128+(3*64+16+2)>>2, 128+(3*16+64+1)>>2)},
		{"4:2:2 narrow", image.YCbCrSubsampleRatio422, 4, 1, plane("04"), 2, 0, red(128, 128, 192, 192)},
		{"4:4:0 first row", image.YCbCrSubsampleRatio440, 1, 4, plane("0", "4"), 1, 0, red(128)},
		{"4:4:0 second row", image.YCbCrSubsampleRatio440, 1, 4, plane("0", "4"), 1, 1, red(128 + 16)},
		{"4:4:0 third row", image.YCbCrSubsampleRatio440, 1, 4, plane("0", "4"), 1, 2, red(128 + 48)},
		{"4:4:0 last row", image.YCbCrSubsampleRatio440, 1, 4, plane("0", "4"), 1, 3, red(192)},
		{"4:2:0 first row", image.YCbCrSubsampleRatio420, 6, 4, plane("040", "400"), 3, 0, red(128, 128+16, 128+48, 128+48, 128+16, 128)},
		{"4:2:0 second row", image.YCbCrSubsampleRatio420, 6, 4, plane("040", "400"), 3, 1,
			red(128+(4*64+8)>>4, 128+(3*64+192+7)>>4, 128+(3*192+64+8)>>4, 128+(3*192+7)>>4, 128+(192+8)>>4, 128)},
		{"4:1:1", image.YCbCrSubsampleRatio411, 5, 1, plane("04"), 2, 0, red(128, 128, 128, 128, 192)},
		{"4:1:0", image.YCbCrSubsampleRatio410, 5, 2, plane("04"), 2, 1, red(128, 128, 128, 128, 192)},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := image.NewYCbCr(image.Rect(0, 0, test.w, test.h), test.ratio)
			for i := range m.Y {
				m.Y[i] = 128
			}
			for i := range m.Cb {
				m.Cb[i] = 128
			}
			m.Cr, m.CStride = test.cr, test.stride
			var rgb RGB
			if err := ToRGB(&rgb, m, White, nil); err != nil {
				t.Fatal(err)
			}
			var got []uint8
			for x := range test.w {
				p := rgb.Pix[3*(test.row*test.w+x):][:3]
				got = append(got, p[0])
				if p[2] != 128 {
					t.Errorf("blue is %d at %d, want 128", p[2], x)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("red (-want +got):\n%s", diff)
			}
		})
	}
}

// A part of a JPEG that starts within a chroma sample keeps its chroma in place: away from
// the part's edges, where neighbours differ, it equals that part of the whole.
func TestChromaSubImage(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		m := image.NewYCbCr(image.Rect(0, 0, 37, 23), ratio)
		for _, p := range [][]uint8{m.Y, m.Cb, m.Cr} {
			for i := range p {
				p[i] = uint8(r.Uint32())
			}
		}
		var all RGB
		if err := ToRGB(&all, m, White, nil); err != nil {
			t.Fatal(err)
		}
		for _, at := range []image.Point{{4, 2}, {5, 2}, {6, 3}, {7, 3}} {
			part := image.Rectangle{at, image.Pt(33, 20)}
			var got RGB
			if err := ToRGB(&got, m.SubImage(part), White, nil); err != nil {
				t.Fatal(err)
			}
			for y := 2; y < got.H-2; y++ {
				for x := 2; x < got.W-2; x++ {
					if got, want := got.RGBAAt(x, y), all.RGBAAt(at.X+x, at.Y+y); got != want {
						t.Fatalf("%v from %v: pixel (%d, %d) is %v, want %v", ratio, at, x, y, got, want)
					}
				}
			}
		}
	}
}
