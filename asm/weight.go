package asm

import (
	"fmt"
	"strconv"
	"strings"
)

// PanelWord is the layout word of a weight that is stored in panels.
const PanelWord = "panel16"

// HeadsWord is the layout word of a weight of heads*d rows whose heads are padded to whole panels each.
func HeadsWord(heads, d int) string { return fmt.Sprintf("%s-heads%dx%d", PanelWord, heads, d) }

// maxHeads bounds what WeightLayout allocates for a layout word of unknown origin.
const maxHeads = 1 << 12

// WeightLayout is the layout that a weight's layout word stands for: PanelWord or a HeadsWord. The shape is that of the
// weight, [N,K], or [N] for a bias, which is packed as a matrix of K = 1; size is the bytes of an element.
func WeightLayout(word string, size int, shape ...int) (Layout, error) {
	k, heads, width, err := headsOf(word, shape)
	if err != nil {
		return Layout{}, err
	}
	l := Heads(k, 1, heads, width)
	l.Deep = Deep(k, size)
	return l, nil
}

// headsOf reads a layout word of WeightLayout: the weight is of heads*width rows, one head in PanelWord, and k columns.
func headsOf(word string, shape []int) (k, heads, width int, err error) {
	if len(shape) < 1 || len(shape) > 2 {
		return 0, 0, 0, fmt.Errorf("layout %s: weight of %d dimensions, want [N,K] or [N]", word, len(shape))
	}
	k = 1
	if len(shape) == 2 {
		k = shape[1]
	}
	rest, ok := strings.CutPrefix(word, PanelWord)
	if ok && rest == "" {
		return k, 1, shape[0], nil
	}
	rest, ok = strings.CutPrefix(rest, "-heads")
	h, d, found := strings.Cut(rest, "x")
	heads, err1 := strconv.Atoi(h)
	width, err2 := strconv.Atoi(d)
	if !ok || !found || err1 != nil || err2 != nil || heads < 1 || width < 1 || word != HeadsWord(heads, width) {
		return 0, 0, 0, fmt.Errorf("unknown layout %q; want %s or, for example, %s", word, PanelWord, HeadsWord(12, 64))
	}
	if heads > maxHeads {
		return 0, 0, 0, fmt.Errorf("layout %s: %d heads, want %d at most", word, heads, maxHeads)
	}
	if heads > shape[0] || width > shape[0] || heads*width != shape[0] {
		return 0, 0, 0, fmt.Errorf("layout %s: %d heads of %d are not the %d rows of the weight", word, heads, width, shape[0])
	}
	return k, heads, width, nil
}

// RowsWord is the layout word of a table of bytes [N,K] that is read row by row: the bytes in row-major order, zeros up to
// a multiple of four bytes, then N scales as float32.
const RowsWord = "rows-scaled"

// StoredBytes is what a weight of that shape takes in its layout, "" for row-major, with elements of size bytes each. In
// panels or in a table scaled ones, which are bytes, have their scales beside them, which count.
func StoredBytes(word string, size int, scaled bool, shape ...int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		n *= int64(d)
	}
	switch {
	case word == "" || Columns(word):
		return n * int64(size), nil
	case word == RowsWord:
		if !scaled || len(shape) != 2 {
			return 0, fmt.Errorf("layout %s: a weight without scales or of %d dimensions; want a table of bytes", word, len(shape))
		}
		return (n+3)/4*4 + 4*int64(shape[0]), nil
	}
	k, heads, width, err := headsOf(word, shape)
	l := Layout{Deep: Deep(k, size), Cols: heads * Ceil(width)} // without its runs, of which there may be many
	switch {
	case err != nil:
		return 0, err
	case scaled:
		return int64(l.ByteSize()), nil
	}
	return int64(l.Cols) * int64(l.Deep) * int64(size), nil
}

// Stride is the leading dimension, in floats, of an activation matrix of that many columns: whole panels, and off the
// multiples of 256 floats, which would put all rows into the same cache sets.
func Stride(cols int) int {
	ld := Ceil(cols)
	if ld%256 == 0 {
		ld += Panel
	}
	return ld
}

// The layouts of a matrix [N,K] that is stored column by column, each in one run: K runs of N values, in order or, for
// ReversedWord, from the last row to the first.
const (
	ColumnsWord  = "columns"
	ReversedWord = "columns-reversed"
)

// Columns reports whether the layout word is one of those.
func Columns(word string) bool { return word == ColumnsWord || word == ReversedWord }

// PackColumns returns a matrix of k columns, row-major in src, in the layout that the word names.
func PackColumns(word string, src []float32, k int) []float32 {
	n := len(src) / k
	dst := make([]float32, n*k)
	for r := range n {
		to := r
		if word == ReversedWord {
			to = n - 1 - r
		}
		for c, v := range src[r*k:][:k] {
			dst[c*n+to] = v
		}
	}
	return dst
}
