package checkpoint

import (
	"math"

	"github.com/multiway-go/multiway/ir"
)

// ResizePositions resizes a position table to another image size, as reference implementations
// do. The table has extra rows, which stay as they are, and then from*from rows of patches in
// row-major order, which become to*to. A row has dim numbers.
//
// It is PyTorch's bicubic interpolation with align_corners false, in float64 and separable: output i has its centre at
// (i+0.5)*from/to - 0.5. Without antialias, as in BEiT-3's code and Hugging Face's transformers, the cubic's parameter a is
// -0.75 and four taps are clamped to the image. With antialias, as in open_clip and timm, a is -0.5, the kernel is wider if
// the table shrinks, and taps outside of the image are left out. The caller owns the result; a table of the right size is
// returned unchanged.
func ResizePositions(table []float32, extra, from, to, dim int, antialias bool) []float32 {
	if from == to {
		return table
	}
	taps := cubicTaps(from, to)
	if antialias {
		taps = wideTaps(from, to)
	}
	out := make([]float32, (extra+to*to)*dim)
	copy(out, table[:extra*dim])
	grid, dst := table[extra*dim:], out[extra*dim:]
	// Compute one row of the result at a time, first vertically, then horizontally.
	line := make([]float64, from*dim)
	sum := make([]float64, dim)
	for y, ty := range taps {
		clear(line)
		for _, t := range ty {
			for i, v := range grid[t.at*from*dim:][:from*dim] {
				line[i] += float64(t.w * float64(v))
			}
		}
		for x, tx := range taps {
			clear(sum)
			for _, t := range tx {
				for i, v := range line[t.at*dim:][:dim] {
					sum[i] += float64(t.w * v)
				}
			}
			for i, v := range sum {
				dst[(y*to+x)*dim+i] = float32(v)
			}
		}
	}
	return out
}

type cubicTap struct {
	at int
	w  float64
}

// cubicTaps lists the four taps of each output on one axis.
func cubicTaps(from, to int) [][]cubicTap {
	near, far := cubic(-0.75)
	taps := make([][]cubicTap, to)
	for i := range taps {
		src := float64((float64(i)+0.5)*float64(from)/float64(to)) - 0.5
		first := math.Floor(src)
		t := src - first
		for j, w := range [4]float64{far(t + 1), near(t), near(1 - t), far(2 - t)} {
			taps[i] = append(taps[i], cubicTap{min(max(int(first)-1+j, 0), from-1), w})
		}
	}
	return taps
}

// wideTaps lists the taps of each output on one axis with antialiasing. Their weights add up to 1.
func wideTaps(from, to int) [][]cubicTap {
	near, far := cubic(-0.5)
	scale := float64(from) / float64(to)
	wide := max(scale, 1)
	taps := make([][]cubicTap, to)
	for i := range taps {
		center := float64(scale * (float64(i) + 0.5))
		lo, hi := max(int(center-2*wide+0.5), 0), min(int(center+2*wide+0.5), from)
		sum := 0.0
		for j := lo; j < hi; j++ {
			w := 0.0
			switch x := math.Abs((float64(j) - center + 0.5) / wide); {
			case x < 1:
				w = near(x)
			case x < 2:
				w = far(x)
			}
			sum += w
			taps[i] = append(taps[i], cubicTap{j, w})
		}
		for j := range taps[i] {
			taps[i][j].w /= sum
		}
	}
	return taps
}

// cubic returns the cubic convolution kernel for distances below 1, and from 1 to 2.
func cubic(a float64) (near, far func(x float64) float64) {
	a4, a5, a8 := float64(4*a), float64(5*a), float64(8*a)
	near = func(x float64) float64 { return float64(float64(float64((a+2)*x)-(a+3))*float64(x*x)) + 1 }
	far = func(x float64) float64 { return float64((float64(float64(float64(a*x)-a5)*x)+a8)*x) - a4 }
	return near, far
}

// otherSide returns the patches along a side for which a tensor of the given shape is the
// origin's position table; ok is false if it is not such a table of another image size.
func otherSide(o *ir.Origin, shape []int) (side int, ok bool) {
	n := len(shape)
	if o.Grid == nil || n < 2 || n != len(o.Shape) {
		return 0, false
	}
	for i := range shape {
		if i != n-2 && (shape[i] != o.Shape[i] || i < n-2 && shape[i] != 1) {
			return 0, false
		}
	}
	rows := shape[n-2] - o.Grid.Extra
	if rows < 1 || rows > 1<<30 {
		return 0, false
	}
	side = int(math.Sqrt(float64(rows)))
	return side, side*side == rows && side != o.Grid.Side
}

// loadResized reads the rows that origin o has in a position table t, resized to the grid of o.
func loadResized(src Source, t Info, o *ir.Origin) ([]float32, error) {
	side, _ := otherSide(o, t.Shape)
	table, err := Load(src, t.Name)
	if err != nil {
		return nil, err
	}
	dim := t.Shape[len(t.Shape)-1]
	table = ResizePositions(table, o.Grid.Extra, side, o.Grid.Side, dim, o.Grid.Antialias)
	if o.Rows != 0 && len(o.Shape) == 2 {
		table = table[o.Row*dim:][:o.Rows*dim]
	}
	return table, nil
}
