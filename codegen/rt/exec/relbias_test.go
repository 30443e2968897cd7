package exec

import (
	"math"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// TestRelBias compares attention that has a bias with a reference that looks up every pair of
// rows: with texts of several lengths before images, either alone, and a single query.
func TestRelBias(t *testing.T) {
	const grid, reach = 3, 28
	const edge = 2*grid - 1
	const size = edge*edge + 3
	image := Section{C: grid*grid + 1}
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		for _, secs := range [][]Section{{{T: true}, image}, {{T: true}}, {image}} {
			for _, a := range []Attention{
				{Heads: 2, D: 16, DP: 16, Scale: 1, Base2: true},
				{Heads: 3, D: 10, DP: 16, Scale: 0.3},
				{Heads: 2, D: 34, DP: 48, Scale: 0.5, Base2: true},
			} {
				w := newWorld(t, k, threads, 1, 26, 9)
				text, image, cross := w.vals(2*reach*a.Heads), w.vals(size*a.Heads), w.vals(2*a.Heads)
				a.Bias = &RelBias{Text: w.put(text), Image: w.put(image), Cross: w.put(cross), Reach: reach, Grid: grid}
				scale, unit := float64(a.Scale), 1.0
				if a.Base2 {
					scale, unit = scale*math.Ln2, math.Ln2
				}
				lookup := func(first int) func(seq, i, j, h int) float64 {
					return func(seq, i, j, h int) float64 {
						i += first
						tokens := 0
						if secs[0].T {
							tokens = w.Len[seq]
						}
						// pick returns the index in a table of patches or tokens; its last three values are for query 0, key 0 and both.
						pick := func(table []float32, n, i, j, inner int) float64 {
							switch {
							case i == 0 && j == 0:
								inner = n - 1
							case j == 0:
								inner = n - 2
							case i == 0:
								inner = n - 3
							}
							return unit * float64(table[inner])
						}
						switch {
						case i < tokens && j < tokens:
							return pick(text[h*2*reach:], 2*reach, i, j, j-i+reach-2)
						case i < tokens:
							return unit * float64(cross[2*h])
						case j < tokens:
							return unit * float64(cross[2*h+1])
						}
						i, j = i-tokens, j-tokens
						// The image's table is stored in reverse.
						forward := make([]float32, size)
						for n := range forward {
							forward[n] = image[h*size+size-1-n]
						}
						y, x := (i-1)/grid-(j-1)/grid, (i-1)%grid-(j-1)%grid
						return pick(forward, size, i, j, (y+grid-1)*edge+x+grid-1)
					}
				}
				part := a.Heads * a.DP
				rows := w.packed(secs)
				qkv := w.mat(rows, 3*part, true)
				for r := range rows {
					for i, row := 0, qkv.row(r); i < len(row); i++ {
						row[i] *= 0.7
						if i%a.DP >= a.D {
							row[i] = 0
						}
					}
				}
				all, seqs := f64(qkv), w.seqRows(secs)
				q, kk, v := columns(all, 0, part), columns(all, part, part), columns(all, 2*part, part)
				dst := w.mat(rows, a.Heads*a.D, false)
				w.SelfAttention(dst, qkv, &a, secs)
				near(t, "self", dst, attend64(q, kk, v, seqs, seqs, a.Heads, a.D, a.DP, scale, lookup(0)))

				q1, kv := w.mat(w.B, part, true), w.mat(rows, 2*part, false)
				one := make([][]int, w.B)
				for r := range rows {
					copy(kv.row(r), qkv.row(r)[part:])
				}
				for i := range one {
					one[i] = []int{i}
				}
				for _, first := range []int{0, 4} {
					if first > 0 && len(secs) == 1 && secs[0].T {
						continue // the shortest text has no such row
					}
					a.At = first
					dst := w.mat(w.B, a.Heads*a.D, false)
					w.CrossAttention(dst, q1, kv, &a, secs)
					near(t, "cross", dst, attend64(f64(q1), kk, v, one, seqs, a.Heads, a.D, a.DP, scale, lookup(first)))
				}
			}
		}
	})
}

func TestAddRowAndScale(t *testing.T) {
	everywhere(t, func(t *testing.T, k *kernel.Table, threads int) {
		w := newWorld(t, k, threads)
		const rows, cols = 200, 70
		src, dst := w.mat(rows, cols, true), w.mat(rows, cols, false)
		x, v := f64(src), w.vals(cols)
		off := w.put(v)
		sum, product := mat64(rows, cols), mat64(rows, cols)
		for r := range x {
			for i, y := range x[r] {
				sum[r][i], product[r][i] = y+float64(v[i]), y*float64(v[i])
			}
		}
		w.AddRow(dst, src, off)
		near(t, "addrow", dst, sum)
		w.Scale(dst, src, off)
		near(t, "scale", dst, product)
		w.AddRow(src, src, off)
		near(t, "addrow in place", src, sum)
	})
}
