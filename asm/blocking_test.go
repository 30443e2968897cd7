package asm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBlockingOf(t *testing.T) {
	want := map[int]Blocking{
		768:  {2, []RowClass{{Rows: 11, Ahead: 24}, {Rows: 400}, {Block: 210}}},
		3072: {8, []RowClass{{Rows: 11, Ahead: 24}, {Rows: 400}, {Block: 210}}},
		1024: {3, []RowClass{{Rows: 11, Ahead: 24}, {Rows: 449}, {Block: 235}}},
	}
	for k, w := range want {
		if diff := cmp.Diff(w, BlockingOf(k)); diff != "" {
			t.Errorf("k = %d (-want +got):\n%s", k, diff)
		}
	}
	for _, k := range []int{0, 1, 2, 47, 383, 384, 1152, 1153, 1 << 20, 1 << 30} {
		b := BlockingOf(k)
		if b.Passes < 1 || k > 1 && b.Passes > k || k > 2*passSteps && (k/b.Passes < passSteps/2 || k/b.Passes > 2*passSteps) {
			t.Errorf("k = %d: %d passes", k, b.Passes)
		}
		for i, r := range b.Rows {
			if i > 0 && r.Rows != 0 && r.Rows <= b.Rows[i-1].Rows || (r.Rows == 0) != (i == len(b.Rows)-1) || r.Block < 0 || r.Ahead < 0 {
				t.Errorf("k = %d: class %d of %+v", k, i, b.Rows)
			}
		}
	}
}
