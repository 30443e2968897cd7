package pixel

import (
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// naive is Pillow's resize of one channel row by row of pixels, written as its
// definition reads: one sum a byte, no streaming.
func naive(in []int, out int, f Filter) []int {
	n := len(in)
	kernel, reach := f.kernel()
	scale := float64(n) / float64(out)
	filterScale := math.Max(scale, 1)
	result := make([]int, out)
	for i := range result {
		center := (float64(i) + 0.5) * scale
		lo := max(int(center-reach*filterScale+0.5), 0)
		hi := min(int(center+reach*filterScale+0.5), n)
		var weights []float64
		total := 0.0
		for j := lo; j < hi; j++ {
			w := kernel((float64(j) - center + 0.5) * (1 / filterScale))
			weights = append(weights, w)
			total += w
		}
		sum := int64(1 << 21)
		for j, w := range weights {
			sum += int64(math.Round(w/total*(1<<22))) * int64(in[lo+j])
		}
		result[i] = int(min(max(sum>>22, 0), 255))
	}
	return result
}

func naiveResize(m *RGB, w, h int, f Filter) *RGB {
	line := func(m *RGB, from, step, n int) []int {
		var b []int
		for i := range n {
			b = append(b, int(m.Pix[from+i*step]))
		}
		return b
	}
	wide := &RGB{Pix: make([]uint8, 3*w*m.H), W: w, H: m.H}
	for y := range m.H {
		for c := range 3 {
			in := line(m, 3*y*m.W+c, 3, m.W)
			if w != m.W {
				in = naive(in, w, f)
			}
			for x, v := range in {
				wide.Pix[3*(y*w+x)+c] = uint8(v)
			}
		}
	}
	if h == m.H {
		return wide
	}
	tall := &RGB{Pix: make([]uint8, 3*w*h), W: w, H: h}
	for x := range 3 * w {
		for y, v := range naive(line(wide, x, 3*w, m.H), h, f) {
			tall.Pix[3*y*w+x] = uint8(v)
		}
	}
	return tall
}

// noise makes a picture of bytes that are often 0 or 255, where sums are largest.
func noise(r *rand.Rand, w, h int) *RGB {
	m := &RGB{Pix: make([]uint8, 3*w*h), W: w, H: h}
	for i := range m.Pix {
		m.Pix[i] = uint8(min(max(int(r.Uint32()%1024)-384, 0), 255))
	}
	return m
}

func TestResize(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	sizes := [][4]int{
		{1, 1, 1, 1}, {1, 1, 7, 5}, {7, 5, 1, 1}, {2, 3, 3, 2}, {17, 11, 17, 11}, {17, 11, 17, 5}, {17, 11, 5, 11},
		{300, 1, 7, 9}, {1, 300, 9, 7}, {64, 64, 63, 65}, {5, 4, 90, 81}, {200, 150, 16, 16},
	}
	for range 20 {
		sizes = append(sizes, [4]int{1 + r.IntN(80), 1 + r.IntN(80), 1 + r.IntN(80), 1 + r.IntN(80)})
	}
	var dst RGB
	var scratch Scratch
	for _, s := range sizes {
		m := noise(r, s[0], s[1])
		if err := Resize(&dst, m, s[2], s[3], White, &scratch); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(*naiveResize(m, s[2], s[3], Bicubic), dst); diff != "" {
			t.Errorf("%d x %d to %d x %d (-want +got):\n%s", s[0], s[1], s[2], s[3], diff)
		}
	}
}

// The worst picture for the sums: 255 exactly where weights have one sign.
func TestResizeExtremes(t *testing.T) {
	for _, n := range []int{2, 3, 5, 31, 1000, 4097} {
		for _, out := range []int{1, 2, 3, 7, 64} {
			var a axis
			a.set(n, out, 0, out, Bicubic)
			if a.same {
				continue
			}
			for i, start := range a.starts {
				for _, positive := range []bool{true, false} {
					m := &RGB{Pix: make([]uint8, 3*n), W: n, H: 1}
					for j, w := range a.of(i) {
						if w > 0 == positive && int(start)+j < n {
							copy(m.Pix[3*(int(start)+j):], []uint8{255, 255, 255})
						}
					}
					var dst RGB
					if err := Resize(&dst, m, out, 1, White, nil); err != nil {
						t.Fatal(err)
					}
					want := [3]uint8{}
					if positive {
						want = [3]uint8{255, 255, 255}
					}
					if got := [3]uint8(dst.Pix[3*i:]); got != want {
						t.Errorf("%d to %d: output %d is %v, want %v", n, out, i, got, want)
					}
				}
			}
		}
	}
}

func TestCrop(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var dst RGB
	var scratch Scratch
	for _, test := range []struct {
		w, h, size   int
		fullW, fullH int
		left, top    int
	}{
		{97, 64, 32, 48, 32, 8, 0},
		{51, 120, 40, 40, 94, 0, 27},
		{32, 32, 32, 32, 32, 0, 0},
		{37, 32, 32, 37, 32, 2, 0}, // 2.5 rounds to 2; no resize at all
		{39, 32, 32, 39, 32, 4, 0}, // 3.5 rounds to 4
		{32, 35, 32, 32, 35, 0, 2}, // 1.5 rounds to 2
		{3, 200, 8, 8, 533, 0, 262},
		{200, 3, 8, 533, 8, 262, 0},
		{10, 11, 1, 1, 1, 0, 0},
	} {
		t.Run(fmt.Sprintf("%dx%d to %d", test.w, test.h, test.size), func(t *testing.T) {
			m := noise(r, test.w, test.h)
			full := naiveResize(m, test.fullW, test.fullH, Bicubic)
			want := RGB{W: test.size, H: test.size}
			for y := range test.size {
				want.Pix = append(want.Pix, full.Pix[3*((test.top+y)*full.W+test.left):][:3*test.size]...)
			}
			p := &Preprocess{Size: test.size, Resize: Crop, Std: [3]float32{1, 1, 1}}
			if err := p.Square(&dst, m, &scratch); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, dst); diff != "" {
				t.Errorf("square (-want +got):\n%s", diff)
			}
		})
	}
}

// The most extreme pictures are done at once and in little memory.
func TestCropExtremes(t *testing.T) {
	for _, size := range [][2]int{{MaxSide, 1}, {1, MaxSide}} {
		m := &RGB{Pix: make([]uint8, 3*MaxSide), W: size[0], H: size[1]}
		for i := range m.Pix {
			m.Pix[i] = uint8(i % 3 * 100)
		}
		for _, mode := range []Mode{Stretch, Crop} {
			p := &Preprocess{Size: 224, Resize: mode, Std: [3]float32{1, 1, 1}}
			var dst RGB
			if err := p.Square(&dst, m, nil); err != nil {
				t.Fatal(err)
			}
			for i, v := range dst.Pix {
				if v != uint8(i%3*100) {
					t.Fatalf("%v, %v: byte %d is %d, want %d", size, mode, i, v, i%3*100)
				}
			}
		}
	}
}

func TestInto(t *testing.T) {
	m := &RGB{Pix: []uint8{0, 1, 2, 100, 101, 102, 253, 254, 255, 128, 127, 126}, W: 2, H: 2}
	p := &Preprocess{Size: 2, Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}}
	var want []float32
	for c := range 3 {
		for i := range 4 {
			v := float32(m.Pix[3*i+c]) / 255
			v -= p.Mean[c]
			want = append(want, v/p.Std[c])
		}
	}
	got := make([]float32, 12)
	var scratch Scratch
	if err := p.Into(got, m, &scratch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tensor (-want +got):\n%s", diff)
	}

	// Another normalisation through the same Scratch.
	half := &Preprocess{Size: 2, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}}
	all, err := half.Append([]float32{7}, m, &scratch)
	if err != nil {
		t.Fatal(err)
	}
	if all[0] != 7 || len(all) != 13 || all[1] != -1 || all[12] != (float32(126)/255-0.5)/0.5 {
		t.Errorf("appended tensor is %v", all)
	}
	kept, err := half.Append(all[:5], nil, &scratch)
	if err == nil || len(kept) != 5 {
		t.Errorf("appending no picture gave %d floats and error %v, want 5 and an error", len(kept), err)
	}
}

func TestPreprocessErrors(t *testing.T) {
	good := Preprocess{Size: 2, Std: [3]float32{1, 1, 1}}
	edit := func(f func(*Preprocess)) Preprocess {
		p := good
		f(&p)
		return p
	}
	nan := float32(math.NaN())
	m := noise(rand.New(rand.NewPCG(1, 1)), 2, 2)
	for _, test := range []struct {
		name string
		p    Preprocess
		n    int
		want string
	}{
		{"no size", edit(func(p *Preprocess) { p.Size = 0 }), 0, "size is 0, want 1 to 16384"},
		{"huge size", edit(func(p *Preprocess) { p.Size = 1 << 20 }), 0, "size is 1048576, want 1 to 16384"},
		{"mode", edit(func(p *Preprocess) { p.Resize = 9 }), 12, "unknown resize Mode(9), want stretch or crop"},
		{"alpha", edit(func(p *Preprocess) { p.Alpha = 3 }), 12, "preprocessing: unknown alpha Alpha(3), want white, black or drop"},
		{"std", edit(func(p *Preprocess) { p.Std[1] = 0 }), 12, "channel 1 has mean 0 and std 0"},
		{"mean", edit(func(p *Preprocess) { p.Mean[2] = nan }), 12, "channel 2 has mean NaN"},
		{"length", good, 11, "the tensor holds 11 floats, want 12 (3 x 2 x 2)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.p.Into(make([]float32, test.n), m, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
	p := edit(func(p *Preprocess) { p.Resize = Crop })
	if err := p.Square(m, m, nil); err == nil {
		t.Error("cropping a picture into itself succeeded")
	}
	if err := good.Square(m, m, nil); err == nil {
		t.Error("resizing a picture into itself succeeded")
	}
	if err := Resize(new(RGB), m, 0, 5, White, nil); err == nil {
		t.Error("resizing to 0 x 5 succeeded")
	}
}

func pictures(w, h int) map[string]image.Image {
	r := image.Rect(0, 0, w, h)
	ycc := image.NewYCbCr(r, image.YCbCrSubsampleRatio420)
	rgb := noise(rand.New(rand.NewPCG(9, 10)), w, h)
	nrgba := image.NewNRGBA(r)
	paletted := image.NewPaletted(r, palette.Plan9)
	for i := range w * h {
		p := rgb.Pix[3*i:][:3]
		y, cb, cr := color.RGBToYCbCr(p[0], p[1], p[2])
		ycc.Y[i] = y
		ycc.Cb[i/4], ycc.Cr[i/4] = cb, cr
		copy(nrgba.Pix[4*i:], []uint8{p[0], p[1], p[2], 255})
		paletted.Pix[i] = p[0]
	}
	return map[string]image.Image{"YCbCr": ycc, "RGB": rgb, "NRGBA": nrgba, "Paletted": paletted}
}

func TestNoAllocation(t *testing.T) {
	for name, m := range pictures(100, 80) {
		for _, mode := range []Mode{Stretch, Crop} {
			p := &Preprocess{Size: 32, Resize: mode, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}}
			dst := make([]float32, p.Len())
			var scratch Scratch
			if n := testing.AllocsPerRun(5, func() {
				if err := p.Into(dst, m, &scratch); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, %v: %v allocations a picture, want 0", name, mode, n)
			}
		}
	}
}

// A Scratch must not keep a caller's picture alive.
func TestScratchKeepsNoPicture(t *testing.T) {
	var s Scratch
	p := &Preprocess{Size: 2, Std: [3]float32{1, 1, 1}}
	for _, mode := range []Mode{Stretch, Crop} {
		p.Resize = mode
		if _, err := p.Append(nil, image.NewGray(image.Rect(0, 0, 3, 3)), &s); err != nil {
			t.Fatal(err)
		}
		if s.src.img != nil {
			t.Errorf("%v: the Scratch still holds the picture", mode)
		}
	}
}

// FuzzInto gives pictures of any size, kind and content.
func FuzzInto(f *testing.F) {
	f.Add(uint8(0), uint8(0), uint16(3), uint16(4), 5, []byte{1, 2, 3})
	f.Add(uint8(1), uint8(2), uint16(60), uint16(1), 7, []byte{255, 0, 9, 8, 7, 6})
	f.Add(uint8(2), uint8(1), uint16(1), uint16(90), 1, []byte{})
	f.Add(uint8(64), uint8(2), uint16(2), uint16(1), 7, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(uint8(67), uint8(1), uint16(2), uint16(1), 7, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(uint8(63), uint8(4), uint16(2), uint16(1), 7, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, mode, kind uint8, w, h uint16, size int, pix []byte) {
		r := image.Rect(0, 0, int(w%200), int(h%200))
		var m image.Image
		switch kind % 6 {
		case 0:
			m = &RGB{Pix: pix, W: r.Dx(), H: r.Dy()}
		case 1:
			m = &image.NRGBA{Pix: pix, Stride: 4 * r.Dx(), Rect: r}
		case 2:
			m = &image.Paletted{Pix: pix, Stride: r.Dx(), Rect: r, Palette: palette.Plan9[:100]}
		case 3:
			m = &image.YCbCr{Y: pix, Cb: pix, Cr: pix, YStride: r.Dx(), CStride: (r.Dx() + 1) / 2, SubsampleRatio: image.YCbCrSubsampleRatio(h >> 8), Rect: r}
		case 4:
			m = &image.CMYK{Pix: pix, Stride: 4 * r.Dx(), Rect: r.Add(image.Pt(-7, 9))}
		case 5:
			m = &image.RGBA64{Pix: pix, Stride: int(h), Rect: r}
		}
		p := &Preprocess{Size: size % 100, Resize: Mode(mode % 3), Filter: Filter(mode / 3 % 3), Order: Order(mode / 9 % 3), Alpha: Alpha(mode / 27 % 4), Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.25, 0.25, 0.25}}
		x, err := p.Append(nil, m, nil)
		if err != nil {
			return
		}
		if len(x) != p.Len() {
			t.Fatalf("%d floats, want %d", len(x), p.Len())
		}
		for i, v := range x {
			if !(v >= -2 && v <= 2) {
				t.Fatalf("float %d is %v, want -2 to 2", i, v)
			}
		}
	})
}

// BenchmarkInto prepares a 12-megapixel photograph.
func BenchmarkInto(b *testing.B) {
	for name, m := range pictures(4000, 3000) {
		for _, mode := range []Mode{Stretch, Crop} {
			b.Run(fmt.Sprintf("%s/%v", name, mode), func(b *testing.B) {
				p := &Preprocess{Size: 224, Resize: mode, Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5}}
				dst := make([]float32, p.Len())
				var scratch Scratch
				b.ReportAllocs()
				for b.Loop() {
					if err := p.Into(dst, m, &scratch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
