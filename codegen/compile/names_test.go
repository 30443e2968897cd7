package compile

import (
	"slices"
	"testing"
)

// Tensors after layers are in the order of the layers.
func TestCompareNames(t *testing.T) {
	want := []string{"a.layers.0", "a.layers.2", "a.layers.2.ffn", "a.layers.10", "b", "layers.9", "layers.x"}
	got := slices.Clone(want)
	slices.Sort(got)
	if slices.SortFunc(got, compareNames); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
