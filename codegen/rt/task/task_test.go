package task

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTop(t *testing.T) {
	got := Top([]float32{0, 2, 1, 2}, []string{"a", "b", "c"}, 3)
	want := []Label{{Index: 1, Name: "b", Prob: 0.3995}, {Index: 3, Prob: 0.3995}, {Index: 2, Name: "c", Prob: 0.1470}}
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-4)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if n := len(Top([]float32{1, 2}, nil, 0)); n != 2 {
		t.Errorf("k = 0 gave %d classes, want all 2", n)
	}
}
