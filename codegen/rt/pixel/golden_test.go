package pixel_test

import (
	"encoding/json"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/ir/checkpoint"
)

// The golden case was made with Pillow and torchvision's arithmetic. See golden.
func TestGolden(t *testing.T) {
	const dir = "../../../golden/testdata/preprocess"
	data := asmtest.Read(t, filepath.Join(dir, "case.json"))
	type output struct {
		Tensor string
		Atol   float64
	}
	var c struct {
		Runs []struct {
			Name, Kind string
			Size       int
			Mean, Std  [3]float32
			Inputs     struct{ RGB, File string }
			Outputs    struct{ Resized, Pixels output }
		}
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	expected := open(t, filepath.Join(dir, "expected.safetensors"))
	inputs := open(t, filepath.Join(dir, "inputs.safetensors"))

	var scratch pixel.Scratch // shared, so that no run sees what another left
	modes := map[string]pixel.Mode{"preprocess_square": pixel.Stretch, "preprocess_crop": pixel.Crop}
	if len(c.Runs) != 6 {
		t.Fatalf("the case has %d runs, want 6", len(c.Runs))
	}
	for _, r := range c.Runs {
		t.Run(r.Name, func(t *testing.T) {
			mode, ok := modes[r.Kind]
			if !ok {
				t.Fatalf("unknown kind %q", r.Kind)
			}
			f, err := os.Open(filepath.Join(dir, r.Inputs.File))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			img, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}

			var rgb, square pixel.RGB
			if err := pixel.ToRGB(&rgb, img, pixel.White, &scratch); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(load(t, inputs, r.Inputs.RGB), rgb.Pix); diff != "" {
				t.Errorf("RGB (-want +got):\n%s", diff)
			}

			p := pixel.Preprocess{Size: r.Size, Resize: mode, Mean: r.Mean, Std: r.Std}
			if err := p.Square(&square, img, &scratch); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(load(t, expected, r.Outputs.Resized.Tensor), square.Pix); diff != "" {
				t.Errorf("resized (-want +got):\n%s", diff)
			}

			want, err := checkpoint.Load(expected, r.Outputs.Pixels.Tensor)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Append(nil, img, &scratch)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("pixels: %d floats, want %d", len(got), len(want))
			}
			worst, at := 0.0, 0
			for i, w := range want {
				if d := math.Abs(float64(got[i]) - float64(w)); !(d <= worst) {
					worst, at = d, i
				}
			}
			if !(worst <= r.Outputs.Pixels.Atol) {
				t.Errorf("pixels differ by %g at %d (got %v, want %v), bound %g", worst, at, got[at], want[at], r.Outputs.Pixels.Atol)
			}
		})
	}
}

func open(t *testing.T, path string) checkpoint.Source {
	t.Helper()
	src, err := checkpoint.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// load reads a tensor of bytes.
func load(t *testing.T, src checkpoint.Source, name string) []uint8 {
	t.Helper()
	info, ok := checkpoint.Find(src, name)
	if !ok || info.DType != checkpoint.U8 {
		t.Fatalf("%s: no tensor %q of bytes", src, name)
	}
	b := make([]uint8, info.Len())
	if err := src.Read(name, 0, b); err != nil {
		t.Fatal(err)
	}
	return b
}
