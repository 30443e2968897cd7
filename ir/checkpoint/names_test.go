package checkpoint

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every surplus tensor is in exactly one group.
func TestSurplusGroups(t *testing.T) {
	var all []Info
	for _, name := range strings.Fields("layers.0.w layers.0.b layers.1.w layers.1.b layers.2.w layers.2.b optimizer.0 optimizer.1 step") {
		all = append(all, Info{Name: name, DType: F32, Shape: []int{2}})
	}
	for _, row := range []struct {
		name    string
		surplus string // words that a surplus tensor's name contains one of
		want    []Group
	}{
		{"none", "-", nil},
		{"all layers", ".b", []Group{{"layers.*.b", 3, 24}}},
		{"one layer", "layers.2", []Group{{"layers.2", 2, 16}}},
		{"one tensor of one layer", "layers.1.w", []Group{{"layers.1.w", 1, 8}}},
		{"many", "layers.2 .b step optim", []Group{{"layers.*.b", 3, 24}, {"optimizer", 2, 16}, {"layers.2", 1, 8}, {"step", 1, 8}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := groups(all, func(name string) bool {
				for _, part := range strings.Fields(row.surplus) {
					if strings.Contains(name, part) {
						return true
					}
				}
				return false
			})
			if d := cmp.Diff(row.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}
