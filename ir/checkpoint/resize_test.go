package checkpoint

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir"
)

// A plane stays nearly a plane (a = -0.75 does not keep it exactly) away from the
// border, where taps are clamped; extra rows stay as they are, and so does a constant
// table. The golden cases hold PyTorch's own numbers.
func TestResizePositions(t *testing.T) {
	const extra, from, to, dim = 2, 8, 12, 3
	table := []float32{9, 8, 7, 6, 5, 4}
	for y := range from {
		for x := range from {
			table = append(table, float32(y), float32(x), 1)
		}
	}
	got := ResizePositions(table, extra, from, to, dim, false)
	if len(got) != (extra+to*to)*dim {
		t.Fatalf("%d numbers, want %d", len(got), (extra+to*to)*dim)
	}
	if diff := cmp.Diff(table[:extra*dim], got[:extra*dim]); diff != "" {
		t.Errorf("extra rows (-want +got):\n%s", diff)
	}
	for y := range to {
		for x := range to {
			row := got[(extra+y*to+x)*dim:][:dim]
			if row[2] != 1 {
				t.Fatalf("the constant became %v at %d,%d", row[2], y, x)
			}
			wy, wx := (float64(y)+0.5)*from/to-0.5, (float64(x)+0.5)*from/to-0.5
			if y < 2 || x < 2 || y > to-3 || x > to-3 {
				continue
			}
			if math.Abs(float64(row[0])-wy) > 0.05 || math.Abs(float64(row[1])-wx) > 0.05 {
				t.Errorf("%d,%d: got %v, want [%v %v 1]", y, x, row, wy, wx)
			}
		}
	}
	if same := ResizePositions(table, extra, from, from, dim, false); &same[0] != &table[0] {
		t.Error("a table of the wanted size was copied")
	}
}

// With antialias a constant table stays one, and a plane nearly a plane away from the border, larger or smaller.
func TestResizePositionsAntialias(t *testing.T) {
	const from = 12
	var table []float32
	for y := range from {
		for x := range from {
			table = append(table, float32(y), float32(x), 1)
		}
	}
	for _, to := range []int{1, 5, 8, 30} {
		got := ResizePositions(table, 0, from, to, 3, true)
		for y := range to {
			for x := range to {
				row := got[(y*to+x)*3:][:3]
				if math.Abs(float64(row[2])-1) > 1e-6 {
					t.Fatalf("the constant became %v at %d,%d", row[2], y, x)
				}
				wy, wx := (float64(y)+0.5)*from/float64(to)-0.5, (float64(x)+0.5)*from/float64(to)-0.5
				if edge := 1 + (2*max(from, to)+from-1)/from; y < edge || x < edge || y >= to-edge || x >= to-edge {
					continue
				}
				if math.Abs(float64(row[0])-wy) > 0.05 || math.Abs(float64(row[1])-wx) > 0.05 {
					t.Errorf("%d: %d,%d: got %v, want [%v %v 1]", to, y, x, row, wy, wx)
				}
			}
		}
	}
}

func TestBindGrid(t *testing.T) {
	program := func(resize bool, rank3 bool) *ir.Program {
		w := weight("pos", "pos", []int{2 + 16, 3}, 17, 3)
		w.Origin.Row, w.Origin.Rows = 1, 17
		w.Origin.Grid = &ir.Grid{Extra: 2, Side: 4, Resize: resize}
		if rank3 {
			w = weight("pos", "pos", []int{1, 2 + 16, 3}, 18, 3)
			w.Origin.Grid = &ir.Grid{Extra: 2, Side: 4, Resize: resize}
		}
		return &ir.Program{Weights: []*ir.Weight{w}}
	}
	source := func(shape ...int) Source {
		src, err := Memory("m.pth", []Tensor{floats("pos", shape...)})
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	p := program(true, false)
	r, err := Bind(p, source(2+4, 3))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pos: 2x2 to 4x4 patches"}, r.Resized); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	got, err := p.Weight("pos").Load()
	if err != nil {
		t.Fatal(err)
	}
	whole := ResizePositions(floats("", 6, 3).Floats, 2, 2, 4, 3, false)
	if diff := cmp.Diff(whole[3:], got); diff != "" {
		t.Errorf("rows from 1 (-want +got):\n%s", diff)
	}
	p = program(true, true)
	if _, err = Bind(p, source(1, 2+4, 3)); err != nil {
		t.Fatal(err)
	}
	if got, err = p.Weight("pos").Load(); err != nil || !cmp.Equal(whole, got) {
		t.Errorf("table of three axes: %v %v", got, err)
	}
	if r, err = Bind(program(true, false), source(18, 3)); err != nil || r.Resized != nil {
		t.Errorf("a table that fits: %v, %v", r, err)
	}
	_, err = Bind(program(false, false), source(2+4, 3))
	asmtest.ErrorSays(t, err, `"pos" is f32[6,3], want shape [18,3] for @pos; it is for 2x2 patches, the model has 4x4: add `+"`interpolate: true`")
	for _, shape := range [][]int{{2 + 5, 3}, {2, 3}, {2 + 4, 4}, {1, 2 + 4, 3}} {
		_, err = Bind(program(true, false), source(shape...))
		asmtest.ErrorSays(t, err, "want shape [18,3] for @pos")
	}
}
