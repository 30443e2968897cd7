package ir_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/ir"
)

// TestRelBias compares the bias of every pair of rows with the tables of SEMANTICS
// spelled out: one matrix of table rows for texts, one for images, filled in the
// order that the original fills them.
func TestRelBias(t *testing.T) {
	const grid, reach, heads = 2, 5, 2
	const edge = 2*grid - 1
	const nd = edge*edge + 3
	// The whole table, where row r of head h is r + h/2.
	table := func(from, to int) []float32 {
		var x []float32
		for r := from; r < to; r++ {
			for h := range heads {
				x = append(x, float32(r)+0.5*float32(h))
			}
		}
		return x
	}
	weights := map[string][]float32{
		"r.image": table(0, nd), "r.cross": table(nd, nd+2), "r.text": table(nd+2, nd+2+2*reach),
	}
	image := func(i, j int) int {
		row := -1
		if i > 0 && j > 0 {
			a, b := i-1, j-1
			row = (a/grid-b/grid+grid-1)*edge + (a%grid - b%grid + grid - 1)
		}
		if i == 0 {
			row = nd - 3
		}
		if j == 0 {
			row = nd - 2
		}
		if i == 0 && j == 0 {
			row = nd - 1
		}
		return row
	}
	text := func(i, j int) int {
		const q = nd + 2*reach + 2
		row := (j - i) + (reach - 2) + nd + 2
		if i == 0 {
			row = q - 3
		}
		if j == 0 {
			row = q - 2
		}
		if i == 0 && j == 0 {
			row = q - 1
		}
		return row
	}
	tests := []struct {
		keys  string
		words int // text rows
		row   func(i, j int) int
	}{
		{"T", 4, text},
		{"T", 1, text},
		{"5", 0, image},
		{"5+T", 3, func(i, j int) int {
			switch {
			case i < 3 && j < 3:
				return text(i, j)
			case i < 3:
				return nd
			case j < 3:
				return nd + 1
			}
			return image(i-3, j-3)
		}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.keys, tt.words), func(t *testing.T) {
			n := tt.words
			if tt.keys != "T" {
				n += grid*grid + 1
			}
			// Queries and keys are 0 and values the unit vectors of one head, so that the
			// result is the softmax of the bias itself; base 2 of small numbers is exact.
			text := fmt.Sprintf(`program p T<=4
weight @r.image f32[%d,2]
weight @r.cross f32[2,2]
weight @r.text f32[%d,2]
func f(q: f32[%[3]s,2], v: f32[%[3]s,%[4]d]) {
  y = attention q, q, v, @r {heads=2} : f32[%[3]s,%[4]d]
  return y
}
`, nd, 2*reach, tt.keys, 2*n)
			p := program(t, text, weights)
			q := &ir.Tensor{Shape: []int{n, 2}, F: make([]float64, 2*n)}
			v := &ir.Tensor{Shape: []int{n, 2 * n}, F: make([]float64, 2*n*n)}
			for i := range n {
				v.F[i*2*n+i], v.F[i*2*n+n+i] = 1, 1
			}
			out, err := p.Run("f", max(1, tt.words), map[string]*ir.Tensor{"q": q, "v": v})
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float64, 2*n*n)
			for i := range n {
				for h := range heads {
					sum := 0.0
					for j := range n {
						sum += math.Exp(float64(tt.row(i, j)) + 0.5*float64(h))
					}
					for j := range n {
						want[i*2*n+h*n+j] = math.Exp(float64(tt.row(i, j))+0.5*float64(h)) / sum
					}
				}
			}
			if diff := cmp.Diff(want, out["y"].F, close12); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
