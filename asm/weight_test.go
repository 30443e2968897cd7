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
		name    string
		size    int
		shape   []int
		want    Layout
		paddedK int
	}{
		{"panel16", 4, []int{20, 8}, Stack(8, 20), 8},
		{"panel16", 4, []int{20, 7}, Stack(7, 20), 7},
		{"panel16", 4, []int{20}, Stack(1, 20), 1},
		{"panel16-heads2x10", 4, []int{20, 8}, Heads(8, 1, 2, 10), 8},
		{"panel16-heads2x10", 4, []int{20}, Heads(1, 1, 2, 10), 1},
		{"panel16", 2, []int{20, 8}, Stack(8, 20), 8},
		{"panel16", 2, []int{20, 7}, Stack(7, 20), 8},
		{"panel16-heads2x10", 2, []int{20, 1}, Heads(1, 1, 2, 10), 2},
		{"panel16", 1, []int{20, 8}, Stack(8, 20), 8},
		{"panel16", 1, []int{20, 5}, Stack(5, 20), 8},
	} {
		c.want.PaddedK = c.paddedK
		got, err := WeightLayout(c.name, c.size, c.shape...)
		if err != nil {
			t.Errorf("%s %v of %d bytes: %v", c.name, c.shape, c.size, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %v of %d bytes (-want +got):\n%s", c.name, c.shape, c.size, diff)
		}
		n, err := StoredBytes(c.name, c.size, false, c.shape...)
		if want := int64(c.size * got.Floats()); err != nil || n != want {
			t.Errorf("%s %v of %d bytes takes %d (%v), want %d", c.name, c.shape, c.size, n, err, want)
		}
	}
	for _, c := range []struct {
		name  string
		shape []int
		want  string
	}{
		{"panel8", []int{16, 16}, "unknown layout"},
		{"panel16-heads2", []int{16, 16}, "unknown layout"},
		{"panel16-heads02x8", []int{16, 16}, "unknown layout"},
		{"panel16-heads-2x-8", []int{16, 16}, "unknown layout"},
		{"panel16-heads3x8", []int{16, 16}, "but the weight has 16 rows"},
		{fmt.Sprintf("panel16-heads1x%d", math.MaxInt/2+1), []int{16}, "but the weight has 16 rows"},
		{"panel16-heads100000000x1", []int{100000000}, "want 4096 at most"},
		{"panel16", nil, "0 dimensions"},
		{"panel16", []int{1, 2, 3}, "3 dimensions"},
	} {
		if _, err := WeightLayout(c.name, 4, c.shape...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: error %v, want %q in it", c.name, c.shape, err, c.want)
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
