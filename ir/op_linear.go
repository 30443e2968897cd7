package ir

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

var OpLinear = newOp()

func init() {
	*OpLinear = Op{
		Name: "linear", Hint: "h", Args: 1,
		Doc:     "x [R,K], w [N,K], b? [N] -> [R,N]: x*w^T + b; where w is i8, each row of x is rounded to 255 steps from its least to its largest value; where it is i8x2, what that takes away is rounded to 255 steps of its own; where it is bf16dot, x is rounded to bf16",
		Fields:  []Field{{"w", false}, {"b", true}},
		Infer:   inferLinear,
		Eval:    evalLinear,
		Cost:    costLinear,
		Kernels: []string{"gemm"},
		Step:    Step{Method: "Linear", Parts: []Part{{Kind: PartLinear}}},
	}
}

// Linear returns x*w^T + b, f32[R,N], for x f32[R,K] and the bundle's weights w [N,K] and b [N], which is optional.
func (b *Builder) Linear(x *Value, bundle string) *Value {
	return b.Op(OpLinear, "", bundle, nil, x)
}

func inferLinear(c *Infer) (Type, error) {
	rows, _, w, err := c.rowsOf()
	if err != nil {
		return Type{}, err
	}
	n := w.Type.Shape[0].C
	return Mat(rows, n), c.vector("b", n)
}

func evalLinear(c *Eval) (*Tensor, error) {
	w, err := c.Weight("w")
	if err != nil {
		return nil, err
	}
	b, err := c.Weight("b")
	if err != nil {
		return nil, err
	}
	x := c.Args[0]
	if rows := dtypes[c.P.Field(c.V.Bundle, "w").Type.DType].rows; rows != nil {
		x = rows(x)
	}
	y := newTensor(x.rows(), len(w)/x.cols())
	matmul(y, x, w, b)
	return y, nil
}

// Products with matrices of I8, I8X2, I7 and BF16Dot first round the rows that they multiply.

func roundOnce(x *Tensor) *Tensor  { return roundRows(x, false) }
func roundTwice(x *Tensor) *Tensor { return roundRows(x, true) }

func roundBF16(x *Tensor) *Tensor {
	return x.apply(func(v float64) float64 { return float64(FromBF16(ToBF16(float32(v)))) })
}

// roundRows returns x with each row quantised to int8: to 255 equally spaced values, from
// the least number of the row to its largest. If twice is set, the remaining error, at most
// half a step, is quantised too, to 1/254 of a step, and added.
func roundRows(x *Tensor, twice bool) *Tensor {
	y := newTensor(x.rows(), x.cols())
	Parallel(x.rows(), func(r int) {
		row := x.row(r)
		middle, reach := (slices.Max(row)+slices.Min(row))/2, (slices.Max(row)-slices.Min(row))/2
		for i, v := range row {
			y.row(r)[i] = middle
			if reach > 0 {
				steps := (v - middle) / reach * 127
				whole := math.RoundToEven(steps)
				if twice {
					whole += math.RoundToEven((steps-whole)*254) / 254
				}
				y.row(r)[i] += whole * reach / 127
			}
		}
	})
	return y
}

// matmul computes y = x*w^T + b in float64. All CPUs share the columns of y in strips
// whose weights stay in cache; the result does not depend on their number.
func matmul(y, x *Tensor, w, b []float32) {
	rows, n, k := x.rows(), y.cols(), x.cols()
	const strip = 32
	Parallel((n+strip-1)/strip, func(s int) {
		from, to := s*strip, min(n, (s+1)*strip)
		buf := strips.Get().(*[]float64)
		defer strips.Put(buf)
		*buf = slices.Grow((*buf)[:0], (to-from)*k)
		ws := (*buf)[:(to-from)*k]
		for i, x := range w[from*k : to*k] {
			ws[i] = float64(x)
		}
		for r := 0; r < rows; r += 3 {
			// Rows past the end repeat the last row: it is computed again and
			// overwritten by the same numbers.
			var a, out [3][]float64
			for i := range a {
				q := min(r+i, rows-1)
				a[i], out[i] = x.row(q), y.row(q)
			}
			for j := from; j < to; j += 2 {
				j1 := min(j+1, to-1)
				c := dot3x2(a[0], a[1], a[2], ws[(j-from)*k:][:k], ws[(j1-from)*k:][:k])
				for i := range out {
					out[i][j], out[i][j1] = c[i][0], c[i][1]
				}
			}
		}
		for j := from; b != nil && j < to; j++ {
			for r := range rows {
				y.F[r*n+j] += float64(b[j])
			}
		}
	})
}

// strips keeps the buffers of matmul, which converts every matrix of a run.
var strips = sync.Pool{New: func() any { return new([]float64) }}

// dot3x2 returns the dot products of three rows with two rows: few enough for all sums and
// factors to stay in registers. The result is the same on every CPU.
func dot3x2(a0, a1, a2, b0, b1 []float64) (c [3][2]float64) {
	var s00, s01, s10, s11, s20, s21 float64
	n := len(a0)
	a1, a2, b0, b1 = a1[:n], a2[:n], b0[:n], b1[:n]
	for k, x := range a0 {
		p, q := b0[k], b1[k]
		s00 += float64(x * p)
		s01 += float64(x * q)
		x = a1[k]
		s10 += float64(x * p)
		s11 += float64(x * q)
		x = a2[k]
		s20 += float64(x * p)
		s21 += float64(x * q)
	}
	return [3][2]float64{{s00, s01}, {s10, s11}, {s20, s21}}
}

// Parallel calls f(0) ... f(n-1) on all CPUs and waits.
func Parallel(n int, f func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
