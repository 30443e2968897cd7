package asm

import (
	"fmt"
	"strconv"
	"strings"
)

// PanelLayout names the layout of a weight that is stored in panels.
const PanelLayout = "panel16"

// HeadsLayout names the layout of a weight of heads*d rows in which each head is padded to whole panels.
func HeadsLayout(heads, d int) string { return fmt.Sprintf("%s-heads%dx%d", PanelLayout, heads, d) }

// maxHeads bounds what WeightLayout allocates for a layout name of unknown origin.
const maxHeads = 1 << 12

// WeightLayout returns the layout of a name: PanelLayout or a HeadsLayout. The weight has the shape [N,K], or [N] if it is
// a bias, which is packed as a matrix of K = 1; size is the bytes of an element.
func WeightLayout(name string, size int, shape ...int) (Layout, error) {
	k, heads, width, err := headsOf(name, shape)
	if err != nil {
		return Layout{}, err
	}
	l := Heads(k, 1, heads, width)
	l.PaddedK = PadK(k, size)
	return l, nil
}

// headsOf reads the name of a layout of WeightLayout: the weight has heads*width rows, one head in PanelLayout, and k columns.
func headsOf(name string, shape []int) (k, heads, width int, err error) {
	if len(shape) < 1 || len(shape) > 2 {
		return 0, 0, 0, fmt.Errorf("layout %s: weight of %d dimensions, want [N,K] or [N]", name, len(shape))
	}
	k = 1
	if len(shape) == 2 {
		k = shape[1]
	}
	rest, ok := strings.CutPrefix(name, PanelLayout)
	if ok && rest == "" {
		return k, 1, shape[0], nil
	}
	rest, ok = strings.CutPrefix(rest, "-heads")
	h, d, found := strings.Cut(rest, "x")
	heads, err1 := strconv.Atoi(h)
	width, err2 := strconv.Atoi(d)
	if !ok || !found || err1 != nil || err2 != nil || heads < 1 || width < 1 || name != HeadsLayout(heads, width) {
		return 0, 0, 0, fmt.Errorf("unknown layout %q; want %s or, for example, %s", name, PanelLayout, HeadsLayout(12, 64))
	}
	if heads > maxHeads {
		return 0, 0, 0, fmt.Errorf("layout %s: %d heads, want %d at most", name, heads, maxHeads)
	}
	if heads > shape[0] || width > shape[0] || heads*width != shape[0] {
		return 0, 0, 0, fmt.Errorf("layout %s: %d heads of %d rows, but the weight has %d rows", name, heads, width, shape[0])
	}
	return k, heads, width, nil
}

// RowsLayout names the layout of an int8 table [N,K] that is read row by row: its numbers in row-major order, zeros up to
// a multiple of four bytes, then N scales as float32.
const RowsLayout = "rows-scaled"

// StoredBytes returns the bytes that a weight of a shape takes in the layout called name, "" for row-major, with elements
// of size bytes. scaled says that the weight is int8; its scales are counted too.
func StoredBytes(name string, size int, scaled bool, shape ...int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		n *= int64(d)
	}
	switch {
	case name == "" || Columns(name):
		return n * int64(size), nil
	case name == RowsLayout:
		if !scaled || len(shape) != 2 {
			return 0, fmt.Errorf("layout %s: a weight without scales or of %d dimensions; want an int8 table", name, len(shape))
		}
		return (n+3)/4*4 + 4*int64(shape[0]), nil
	}
	k, heads, width, err := headsOf(name, shape)
	l := Layout{PaddedK: PadK(k, size), Cols: heads * Ceil(width)} // without its runs, of which there may be many
	switch {
	case err != nil:
		return 0, err
	case scaled:
		return int64(l.Int8Size()), nil
	}
	return int64(l.Cols) * int64(l.PaddedK) * int64(size), nil
}

// Stride returns the leading dimension, in floats, of an activation matrix with cols columns: a multiple of a panel's 16
// columns, but not of 256 floats, at which all rows would map to the same cache sets.
func Stride(cols int) int {
	ld := Ceil(cols)
	if ld%256 == 0 {
		ld += Panel
	}
	return ld
}

// The layouts of a matrix [N,K] in column-major order: the N values of each column from the first row to the last or, in
// ReversedLayout, from the last to the first.
const (
	ColumnsLayout  = "columns"
	ReversedLayout = "columns-reversed"
)

// Columns reports whether name is ColumnsLayout or ReversedLayout.
func Columns(name string) bool { return name == ColumnsLayout || name == ReversedLayout }

// PackColumns returns a matrix of k columns, row-major in src, in the layout called name.
func PackColumns(name string, src []float32, k int) []float32 {
	n := len(src) / k
	dst := make([]float32, n*k)
	for r := range n {
		to := r
		if name == ReversedLayout {
			to = n - 1 - r
		}
		for c, v := range src[r*k:][:k] {
			dst[c*n+to] = v
		}
	}
	return dst
}
