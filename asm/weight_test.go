package asm

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWeightLayout(t *testing.T) {
	for _, c := range []struct {
		word  string
		shape []int
		want  Layout
	}{
		{"panel16", []int{20, 8}, Stack(8, 20)},
		{"panel16", []int{20}, Stack(1, 20)},
		{"panel16-heads2x10", []int{20, 8}, Heads(8, 1, 2, 10)},
		{"panel16-heads2x10", []int{20}, Heads(1, 1, 2, 10)},
	} {
		got, err := WeightLayout(c.word, c.shape...)
		if err != nil {
			t.Errorf("%s %v: %v", c.word, c.shape, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", c.word, c.shape, diff)
		}
	}
	for _, c := range []struct {
		word  string
		shape []int
		want  string
	}{
		{"panel8", []int{16, 16}, "unknown layout"},
		{"panel16-heads2", []int{16, 16}, "unknown layout"},
		{"panel16-heads02x8", []int{16, 16}, "unknown layout"},
		{"panel16-heads-2x-8", []int{16, 16}, "unknown layout"},
		{"panel16-heads3x8", []int{16, 16}, "not the 16 rows"},
		{fmt.Sprintf("panel16-heads1x%d", math.MaxInt/2+1), []int{16}, "not the 16 rows"},
		{"panel16-heads100000000x1", []int{100000000}, "want 4096 at most"},
		{"panel16", nil, "0 dimensions"},
		{"panel16", []int{1, 2, 3}, "3 dimensions"},
	} {
		if _, err := WeightLayout(c.word, c.shape...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: error %v, want %q in it", c.word, c.shape, err, c.want)
		}
	}
}

func TestStride(t *testing.T) {
	for cols, want := range map[int]int{1: 16, 16: 16, 17: 32, 240: 240, 250: 272, 256: 272, 768: 784, 2304: 2320, 3072: 3088} {
		if got := Stride(cols); got != want {
			t.Errorf("Stride(%d) = %d, want %d", cols, got, want)
		}
	}
}
