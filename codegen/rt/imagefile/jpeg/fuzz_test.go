package jpeg

import (
	"image"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// FuzzDecode holds the decoder to pictures of the size that the file says, whatever it is.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/pillow/*.jpg")
	if err != nil || len(files) == 0 {
		f.Fatal("no files to begin with")
	}
	for _, file := range files {
		data := asmtest.Read(f, file)
		if len(data) < 4096 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := FindFrame(data)
		if err != nil || frame.Padded() > 1<<13 {
			return
		}
		passes := 0.0
		for s := range Segments(data) {
			if s.Marker == SOS {
				passes += frame.Passes(s)
			}
		}
		if passes > 100 {
			return
		}
		for _, by := range []int{1, 2, 4, 8} {
			size := image.Pt(parts(frame.Size.X, by), parts(frame.Size.Y, by))
			var m pixel.RGB
			if err := pixel.ToRGB(&m, &pixel.Stream{Size: size, Strips: Strips(data, by)}, pixel.Drop, nil); err != nil && strings.Contains(err.Error(), "broken") {
				t.Error(err)
			}
		}
		img, err := Decode(data)
		if (img == nil) == (err == nil) {
			t.Fatalf("decoded %v, error %v", img != nil, err)
		}
		if img == nil {
			return
		}
		var m pixel.RGB
		if err := pixel.ToRGB(&m, img, pixel.Drop, nil); err != nil {
			t.Fatal(err)
		}
		if size := image.Pt(m.W, m.H); size != frame.Size {
			t.Errorf("the picture is %v, want %v", size, frame.Size)
		}
	})
}

// FuzzTransform compares idct with the transform of the standard in floating point. The tolerance is half a level plus the
// intermediate rounding of libjpeg.
func FuzzTransform(f *testing.F) {
	f.Add([]byte{200}, uint8(1))
	f.Add([]byte{10, 250, 0, 3, 7, 255, 130, 128, 1, 2, 3, 4, 5, 6, 7, 8, 9}, uint8(3))
	f.Fuzz(func(t *testing.T, coefficients []byte, q uint8) {
		var block [64]int16
		var quant [64]uint16
		sum := 0
		for i := range quant {
			quant[i] = uint16(q%16) + 1
		}
		for i, c := range coefficients[:min(64, len(coefficients))] {
			block[i] = int16(int8(c))
			sum += max(int(int8(c)), -int(int8(c))) * int(quant[i])
		}
		if sum > 5000 {
			return // intermediate values could overflow 16 bits
		}
		var got [64]byte
		idct(got[:], 8, &block, &quant)
		var plain [64]byte
		plainIDCT(plain[:], 8, &block, &quant)
		if got != plain {
			t.Fatalf("by vectors %v, without %v", got, plain)
		}
		for y := range 8 {
			for x := range 8 {
				want := 128.0
				for v := range 8 {
					for u := range 8 {
						c := float64(block[8*v+u]) * float64(quant[0]) / 4
						if u == 0 {
							c *= math.Sqrt2 / 2
						}
						if v == 0 {
							c *= math.Sqrt2 / 2
						}
						want += c * math.Cos(float64((2*x+1)*u)*math.Pi/16) * math.Cos(float64((2*y+1)*v)*math.Pi/16)
					}
				}
				if d := float64(got[8*y+x]) - min(max(want, 0), 255); math.Abs(d) > 1 {
					t.Fatalf("sample %d, %d is %d, want %.2f", x, y, got[8*y+x], want)
				}
			}
		}
	})
}
