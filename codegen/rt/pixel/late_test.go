package pixel

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// naiveLate is Square of ConvertLast and Stretch for a picture with transparency: colours times opacity, and opacity, each
// resized, then divided.
func naiveLate(m *image.NRGBA, size int) *RGB {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	colour, opacity := &RGB{Pix: make([]uint8, 3*w*h), W: w, H: h}, &RGB{Pix: make([]uint8, 3*w*h), W: w, H: h}
	for i := range w * h {
		p := m.Pix[4*i:][:4]
		for c := range 3 {
			colour.Pix[3*i+c] = uint8((int(p[c])*int(p[3]) + 127) / 255)
			opacity.Pix[3*i+c] = p[3]
		}
	}
	colour, opacity = naiveResize(colour, size, size, Bicubic), naiveResize(opacity, size, size, Bicubic)
	for i, o := range opacity.Pix {
		if o != 0 && o != 255 {
			colour.Pix[i] = uint8(min(255*int(colour.Pix[i])/int(o), 255))
		}
	}
	return colour
}

// transparent is a picture with pixels that are clear, opaque and between.
func transparent(r *rand.Rand, w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(min(max(int(r.Uint32()%1024)-384, 0), 255))
	}
	return m
}

func late(t *testing.T, img image.Image, size int) RGB {
	t.Helper()
	p := Preprocess{Size: size, Order: ConvertLast, Alpha: Drop, Std: [3]float32{1, 1, 1}}
	var got RGB
	if err := p.Square(&got, img, nil); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestConvertLastTransparent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 7, 16, 40} {
		m := transparent(r, 16, 11)
		want := naiveLate(m, size)
		wide := image.NewNRGBA64(m.Rect)
		for y := range 11 {
			for x := range 16 {
				c := m.NRGBAAt(x, y)
				wide.SetNRGBA64(x, y, color.NRGBA64{uint16(c.R) * 257, uint16(c.G) * 257, uint16(c.B) * 257, uint16(c.A) * 257})
			}
		}
		for _, img := range []image.Image{m, wide} {
			if diff := cmp.Diff(*want, late(t, img, size)); diff != "" {
				t.Errorf("%T to %d (-want +got):\n%s", img, size, diff)
			}
		}
	}
}

// The colours of a picture count as they are stored if it keeps its size, or if one of them stands for transparency.
func TestConvertLastStored(t *testing.T) {
	m := transparent(rand.New(rand.NewPCG(7, 8)), 11, 11)
	stored := &RGB{Pix: make([]uint8, 3*11*11), W: 11, H: 11}
	for i := range 11 * 11 {
		copy(stored.Pix[3*i:], m.Pix[4*i:][:3])
	}
	if diff := cmp.Diff(*stored, late(t, m, 11)); diff != "" {
		t.Errorf("at its size (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(*naiveResize(stored, 5, 5, Bicubic), late(t, Keyed{m}, 5)); diff != "" {
		t.Errorf("keyed (-want +got):\n%s", diff)
	}
}

// An opaque picture is the same whenever it is converted, whatever its type.
func TestConvertLastOpaque(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	rect := image.Rect(2, 1, 25, 20)
	pictures := []interface {
		image.Image
		Set(x, y int, c color.Color)
	}{image.NewNRGBA(rect), image.NewRGBA(rect), image.NewNRGBA64(rect), image.NewRGBA64(rect), image.NewGray(rect), image.NewGray16(rect)}
	for _, m := range pictures {
		for y := rect.Min.Y; y < rect.Max.Y; y++ {
			for x := rect.Min.X; x < rect.Max.X; x++ {
				v := r.Uint32()
				m.Set(x, y, color.NRGBA{uint8(v), uint8(v >> 8), uint8(v >> 16), 255})
			}
		}
		first := Preprocess{Size: 9, Resize: Crop, Alpha: Drop, Std: [3]float32{1, 1, 1}}
		last := first
		last.Order = ConvertLast
		var want, got RGB
		if err := first.Square(&want, m, nil); err != nil {
			t.Fatal(err)
		}
		if err := last.Square(&got, m, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", m, diff)
		}
	}
}

// The inks of CMYK are resized, then converted.
func TestConvertLastCMYK(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	m := image.NewCMYK(image.Rect(0, 0, 9, 13))
	inks, black := &RGB{Pix: make([]uint8, 3*9*13), W: 9, H: 13}, &RGB{Pix: make([]uint8, 3*9*13), W: 9, H: 13}
	for i := range 9 * 13 {
		for c := range 4 {
			m.Pix[4*i+c] = uint8(r.Uint32())
		}
		copy(inks.Pix[3*i:], m.Pix[4*i:][:3])
		black.Pix[3*i] = m.Pix[4*i+3]
	}
	inks, black = naiveResize(inks, 5, 5, Bicubic), naiveResize(black, 5, 5, Bicubic)
	want := RGB{Pix: make([]uint8, 75), W: 5, H: 5}
	for i := range 25 {
		p := inks.Pix[3*i:][:3]
		c := cmyk(p[0], p[1], p[2], black.Pix[3*i])
		copy(want.Pix[3*i:], c[:])
	}
	if diff := cmp.Diff(want, late(t, m, 5)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A palette's pixels are picked, never mixed, and one of a single pixel does for any size.
func TestConvertLastPalette(t *testing.T) {
	red, blue := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 0, 255, 128}
	m := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{red, blue})
	m.Pix[1] = 1
	want := RGB{Pix: []uint8{255, 0, 0, 255, 0, 0, 0, 0, 255, 255, 0, 0, 255, 0, 0, 0, 0, 255, 255, 0, 0, 255, 0, 0, 0, 0, 255}, W: 3, H: 3}
	got := late(t, m, 3)
	// The middle column is at 1.0 of 0 to 2: the second pixel.
	want.Pix[3], want.Pix[5], want.Pix[12], want.Pix[14], want.Pix[21], want.Pix[23] = 0, 255, 0, 255, 0, 255
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The longer side of a thin picture is never held.
func TestConvertLastThin(t *testing.T) {
	m := image.NewPaletted(image.Rect(0, 0, 1, MaxSide), color.Palette{color.White, color.Black})
	for y := range m.Pix {
		m.Pix[y] = uint8(y / (MaxSide / 2))
	}
	p := Preprocess{Size: 256, Resize: Crop, Order: ConvertLast, Alpha: Drop, Std: [3]float32{1, 1, 1}}
	var got RGB
	if n := testing.AllocsPerRun(1, func() {
		if err := p.Square(&got, m, nil); err != nil {
			t.Fatal(err)
		}
	}); n > 20 {
		t.Errorf("%v allocations", n)
	}
	if top, bottom := got.Pix[0], got.Pix[len(got.Pix)-1]; top != 255 || bottom != 0 {
		t.Errorf("the middle is %d above and %d below, want 255 and 0", top, bottom)
	}
}
