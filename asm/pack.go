package asm

import "fmt"

// Panel is the number of columns of a packed panel, the same on every CPU.
const Panel = 16

// Ceil rounds a number of columns up to whole panels.
func Ceil(n int) int { return (n + Panel - 1) / Panel * Panel }

// Run is a run of rows of a weight [N,K] that become columns of a packed matrix.
type Run struct {
	Src int // which of the stacked weights
	Row int // first row in that weight
	Col int // first column in the packed matrix
	Len int // how many
}

// Layout says how one or more weights [N,K], row-major float32, become the right-hand side of one matrix product:
// panels of 16 columns, [panel p][k 0..PaddedK-1][16], column n at panel n/16, lane n%16. Columns that no run names are zero.
// It is plain data, so that a pass can choose it and codegen can stream weights through it, a panel at a time.
type Layout struct {
	K       int   // length of a row of each weight
	PaddedK int   // k of a panel: K rounded up with zeros, see PadK
	Cols    int   // columns of the packed matrix, whole panels
	Runs    []Run // in order of Col, disjoint
}

// Stack lays weights of rows[i] rows side by side, in order, without gaps. Stack(k, n) is a single weight.
func Stack(k int, rows ...int) Layout {
	l := Layout{K: k, PaddedK: k}
	for i, n := range rows {
		l.Runs = append(l.Runs, Run{Src: i, Col: l.Cols, Len: n})
		l.Cols += n
	}
	l.Cols = Ceil(l.Cols)
	return l
}

// Heads lays out parts weights of heads*d rows each (q, k and v, say) as [part][head][dp] columns, where dp is d rounded
// up to whole panels: no panel belongs to two heads, and the columns that pad a head are zero.
func Heads(k, parts, heads, d int) Layout {
	dp := Ceil(d)
	l := Layout{K: k, PaddedK: k, Cols: parts * heads * dp, Runs: make([]Run, 0, parts*heads)}
	for p := range parts {
		for h := range heads {
			l.Runs = append(l.Runs, Run{Src: p, Row: h * d, Col: (p*heads + h) * dp, Len: d})
		}
	}
	return l
}

// PadK rounds k up so that a column of elements of size bytes takes a multiple of four bytes, and a panel a multiple of 64.
func PadK(k, size int) int { return (k*size + 3) / 4 * 4 / size }

// Panels returns the number of panels of the packed matrix.
func (l Layout) Panels() int { return l.Cols / Panel }

// Floats returns the size of the packed matrix, in float32 values.
func (l Layout) Floats() int { return l.Cols * l.PaddedK }

// Offset returns where step k of panel p starts, in floats.
func (l Layout) Offset(p, k int) int { return (p*l.PaddedK + k) * Panel }

// Check returns an error if the layout contradicts itself or does not fit weights with the given numbers of rows.
func (l Layout) Check(rows ...int) error {
	if l.K < 1 || l.PaddedK < l.K || l.Cols < Panel || l.Cols%Panel != 0 {
		return fmt.Errorf("layout of %d columns with K = %d and PaddedK = %d: want K >= 1, PaddedK >= K and a positive multiple of %d columns", l.Cols, l.K, l.PaddedK, Panel)
	}
	end := 0
	for i, r := range l.Runs {
		switch {
		case r.Src < 0 || r.Src >= len(rows):
			return fmt.Errorf("layout run %d: weight %d of %d", i, r.Src, len(rows))
		case r.Len < 1 || r.Row < 0 || r.Row > rows[r.Src]-r.Len:
			return fmt.Errorf("layout run %d: %d rows from row %d of weight %d, which has %d rows", i, r.Len, r.Row, r.Src, rows[r.Src])
		case r.Col < end || r.Col > l.Cols-r.Len:
			return fmt.Errorf("layout run %d: %d columns from column %d, want them between %d and %d", i, r.Len, r.Col, end, l.Cols)
		}
		end = r.Col + r.Len
	}
	return nil
}

// within calls f for the part of each run that lies in the packed columns [lo, hi).
func (l Layout) within(lo, hi int, f func(Run)) {
	for _, r := range l.Runs {
		from, to := max(lo, r.Col), min(hi, r.Col+r.Len)
		if from < to {
			f(Run{Src: r.Src, Row: r.Row + from - r.Col, Col: from, Len: to - from})
		}
	}
}

// PackPanel writes panel p, PaddedK*16 floats, into dst. src[i] is the whole weight i.
func (l Layout) PackPanel(dst []float32, p int, src ...[]float32) {
	dst = dst[:l.PaddedK*Panel]
	clear(dst)
	l.within(p*Panel, (p+1)*Panel, func(r Run) {
		for i := range r.Len {
			row := src[r.Src][(r.Row+i)*l.K:][:l.K]
			lane := r.Col + i - p*Panel
			for k, v := range row {
				dst[k*Panel+lane] = v
			}
		}
	})
}

// Pack writes the whole matrix, Floats() floats, into dst.
func (l Layout) Pack(dst []float32, src ...[]float32) {
	for p := range l.Panels() {
		l.PackPanel(dst[l.Offset(p, 0):], p, src...)
	}
}

// Pair reorders packed panels to [k/2][16][2], for bf16 products, which take two steps of k at a time. PaddedK is even.
func (l Layout) Pair(packed []float32) {
	var pair [2 * Panel]float32
	for i := 0; i+2*Panel <= len(packed); i += 2 * Panel {
		rows := packed[i:][:2*Panel]
		for j := range Panel {
			pair[2*j], pair[2*j+1] = rows[j], rows[Panel+j]
		}
		copy(rows, pair[:])
	}
}

// Unpack is the inverse of Pack: it writes the packed columns back as rows of the weights.
func (l Layout) Unpack(packed []float32, dst ...[]float32) {
	for _, r := range l.Runs {
		for i := range r.Len {
			row := dst[r.Src][(r.Row+i)*l.K:][:l.K]
			at := packed[l.Offset((r.Col+i)/Panel, 0)+(r.Col+i)%Panel:]
			for k := range row {
				row[k] = at[k*Panel]
			}
		}
	}
}

// PackBias writes the biases of the weights, Cols floats, into dst, in the order of the packed columns. A nil bias counts as
// zeros.
func (l Layout) PackBias(dst []float32, bias ...[]float32) {
	dst = dst[:l.Cols]
	clear(dst)
	for _, r := range l.Runs {
		if b := bias[r.Src]; b != nil {
			copy(dst[r.Col:r.Col+r.Len], b[r.Row:])
		}
	}
}
