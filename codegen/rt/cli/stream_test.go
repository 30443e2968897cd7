package cli

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// An item of a batch gets all rows of its output: two of a picture here, one for each token of a text.
func TestOutputsOfSeveralRows(t *testing.T) {
	b := colourBinary(t,
		&exec.Func{Name: "vision_rows", Image: 3 * side * side, Fixed: 2, Arena: 4 * 16 * 64,
			Outputs: []exec.Output{{LD: 16, Cols: 3, Sections: []exec.Section{{C: 2}}}},
			Run: func(e *exec.Exec) {
				m := e.Mat(0, 16, 2*e.B, 3)
				for i, img := range e.Images {
					for k := range 2 {
						copy(row(m, 2*i+k), []float32{float32(k), img[0], img[side*side]})
					}
				}
			}},
		&exec.Func{Name: "language_rows", Text: true, Arena: 4 * 16 * 64,
			Outputs: []exec.Output{{LD: 16, Cols: 1, Sections: []exec.Section{{T: true}}}},
			Run: func(e *exec.Exec) {
				m := e.Mat(0, 16, e.T, 1)
				for i, id := range e.IDs {
					row(m, i)[0] = float32(id)
					if id == 3 {
						row(m, i)[0] = float32(math.NaN())
					}
				}
			}})
	var app *App
	b.Extra = func(a *App) []*cobra.Command { app = a; return nil }
	run(b, "", "info")
	m, err := app.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var items []item
	for i, text := range []string{"", "red green blue", "long", "red"} {
		decode := func([]byte) (image.Image, error) {
			return plain([]color.NRGBA{{255, 0, 0, 255}, {0, 255, 0, 255}}[i%2], 4, 4), nil
		}
		items = append(items, item{name: fmt.Sprint("picture ", i), decode: decode}, textItem(text))
	}
	got := map[string][]float32{}
	s := &stream{App: app, m: m, images: m.Func("vision_rows"), texts: m.Func("language_rows"), total: len(items)}
	tally, err := s.run(t.Context(), slices.Values(items), func(it *item, out []float32) error {
		got[it.name] = slices.Clone(out)
		return nil
	})
	if err != nil || tally.done != 7 || tally.failed != 1 {
		t.Errorf("%+v, %v, want 7 done and the text without a result", tally, err)
	}
	red, green := []float32{0, 1, -1, 1, 1, -1}, []float32{0, -1, 1, 1, -1, 1}
	want := map[string][]float32{"picture 0": red, "picture 1": green, "picture 2": red, "picture 3": green,
		"": {0, 2}, "red green blue": {0, 4, 5, 6, 2}, "red": {0, 4, 2}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
