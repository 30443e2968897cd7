package asm_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
)

// weight returns a weight [n,k] whose value at row i, column j is 1 + 1000*tag + 100*i + j.
func weight(tag, n, k int) []float32 {
	w := make([]float32, n*k)
	for i := range w {
		w[i] = float32(1 + 1000*tag + 100*(i/k) + i%k)
	}
	return w
}

func TestPack(t *testing.T) {
	for _, c := range []struct {
		name   string
		layout asm.Layout
		rows   []int
		cols   map[int][2]int // packed column -> weight, row; every other column is zero
		width  int
	}{
		{"one, whole panels", asm.Stack(5, 32), []int{32}, columns(0, 0, 0, 32), 32},
		{"one, cut panel", asm.Stack(3, 17), []int{17}, columns(0, 0, 0, 17), 32},
		{"one row", asm.Stack(1, 1), []int{1}, columns(0, 0, 0, 1), 16},
		{"two that share a panel", asm.Stack(3, 10, 12), []int{10, 12}, join(columns(0, 0, 0, 10), columns(10, 1, 0, 12)), 32},
		{"heads of 8", asm.Heads(4, 2, 2, 8), []int{16, 16}, join(columns(0, 0, 0, 8), columns(16, 0, 8, 8), columns(32, 1, 0, 8), columns(48, 1, 8, 8)), 64},
		{"heads of 20", asm.Heads(2, 1, 2, 20), []int{40}, join(columns(0, 0, 0, 20), columns(32, 0, 20, 20)), 64},
		{"heads of 16 need no padding", asm.Heads(2, 1, 2, 16), []int{32}, columns(0, 0, 0, 32), 32},
		{"part of a weight", asm.Layout{K: 2, PaddedK: 2, Cols: 16, Runs: []asm.Run{{Row: 7, Col: 3, Len: 2}}}, []int{9}, columns(3, 0, 7, 2), 16},
		{"a step of zeros", asm.Layout{K: 3, PaddedK: 4, Cols: 32, Runs: []asm.Run{{Len: 17}}}, []int{17}, columns(0, 0, 0, 17), 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := c.layout
			if err := l.Check(c.rows...); err != nil {
				t.Fatal(err)
			}
			if l.Cols != c.width || l.Floats() != c.width*l.PaddedK || l.Panels() != c.width/asm.Panel {
				t.Fatalf("%d columns, %d panels, %d floats; want %d columns", l.Cols, l.Panels(), l.Floats(), c.width)
			}
			var src, bias, back [][]float32
			for i, n := range c.rows {
				src = append(src, weight(i, n, l.K))
				bias = append(bias, weight(i, n, 1))
				back = append(back, make([]float32, n*l.K))
			}
			want, wantBias := make([]float32, l.Floats()), make([]float32, l.Cols)
			for col, from := range c.cols {
				for k := range l.K {
					want[col/16*l.PaddedK*16+k*16+col%16] = src[from[0]][from[1]*l.K+k]
				}
				wantBias[col] = bias[from[0]][from[1]]
			}

			got := weight(9, l.Floats(), 1) // must be overwritten, padding too
			l.Pack(got, src...)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("packed (-want +got):\n%s", d)
			}
			one := weight(9, l.PaddedK*asm.Panel, 1)
			for p := range l.Panels() {
				l.PackPanel(one, p, src...)
				if d := cmp.Diff(want[l.Offset(p, 0):][:len(one)], one); d != "" {
					t.Errorf("panel %d (-want +got):\n%s", p, d)
				}
			}
			gotBias := weight(9, l.Cols, 1)
			l.PackBias(gotBias, bias...)
			if d := cmp.Diff(wantBias, gotBias); d != "" {
				t.Errorf("bias (-want +got):\n%s", d)
			}

			l.Unpack(got, back...)
			again := make([]float32, l.Floats())
			l.Pack(again, back...)
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("packed, unpacked, packed (-want +got):\n%s", d)
			}
		})
	}
}

func TestPackBiasAbsent(t *testing.T) {
	l := asm.Heads(4, 3, 1, 2)
	got := weight(9, l.Cols, 1)
	l.PackBias(got, []float32{1, 2}, nil, []float32{3, 4})
	want := make([]float32, l.Cols)
	want[0], want[1], want[32], want[33] = 1, 2, 3, 4
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// columns returns a map of n packed columns from col on to a weight's rows from row on.
func columns(col, src, row, n int) map[int][2]int {
	m := map[int][2]int{}
	for i := range n {
		m[col+i] = [2]int{src, row + i}
	}
	return m
}

func join(ms ...map[int][2]int) map[int][2]int {
	all := map[int][2]int{}
	for _, m := range ms {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func TestLayoutCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		layout asm.Layout
		rows   []int
		want   string
	}{
		{"no columns", asm.Stack(3), nil, "want K >= 1"},
		{"no depth", asm.Stack(0, 16), []int{16}, "want K >= 1"},
		{"fewer steps than K", asm.Layout{K: 2, PaddedK: 1, Cols: 16}, nil, "K = 2 and PaddedK = 1"},
		{"half a panel", asm.Layout{K: 1, PaddedK: 1, Cols: 24}, nil, "positive multiple of 16"},
		{"weight not given", asm.Stack(3, 16, 16), []int{16}, "run 1: weight 1 of 1"},
		{"weight too small", asm.Stack(3, 16), []int{15}, "16 rows from row 0 of weight 0, which has 15 rows"},
		{"empty run", asm.Layout{K: 1, PaddedK: 1, Cols: 16, Runs: []asm.Run{{}}}, []int{1}, "0 rows from row 0"},
		{"overlap", asm.Layout{K: 1, PaddedK: 1, Cols: 16, Runs: []asm.Run{{Len: 4}, {Col: 3, Len: 4}}}, []int{4}, "4 columns from column 3, want them between 4 and 16"},
		{"past the end", asm.Layout{K: 1, PaddedK: 1, Cols: 16, Runs: []asm.Run{{Col: 13, Len: 4}}}, []int{4}, "4 columns from column 13, want them between 0 and 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.layout.Check(c.rows...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestPackPairs(t *testing.T) {
	const n, k, deep = 20, 5, 6
	l, err := asm.WeightLayout(asm.PanelLayout, 2, n, k)
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]float32, l.Floats()), make([]float32, l.Floats())
	l.Pack(got, weight(0, n, k))
	l.Pair(got)
	for i, v := range weight(0, n, k) {
		column, step := i/k, i%k
		want[column/16*16*deep+step/2*32+column%16*2+step%2] = v
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
