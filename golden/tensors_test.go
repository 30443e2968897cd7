package golden_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/golden"
	"github.com/multiway-go/multiway/ir/model"
)

// Tensors lists the tensors of golden cases in their order, and a golden case's program, with taps,
// declares the weights of its checkpoint.
func TestTensorsOfCases(t *testing.T) {
	for _, name := range []string{"encode_t1", "encode_d128", "retrieval", "classification", "vqa", "nlvr2", "mwt_paper", "vlmo_rel", "vlmo_plus", "base"} {
		t.Run(name, func(t *testing.T) {
			src := asmtest.Read(t, filepath.Join("testdata", name, "case.json"))
			var c struct {
				Config  json.RawMessage
				Weights struct {
					Tensors []model.Tensor
				}
			}
			if err := json.Unmarshal(src, &c); err != nil {
				t.Fatal(err)
			}
			d, err := golden.Describe(c.Config)
			if err != nil {
				t.Fatal(err)
			}
			want, got := c.Weights.Tensors, model.Tensors(d)
			if d.Family == "vlmo" { // its heads stand among the others
				byName := func(a, b model.Tensor) int { return strings.Compare(a.Name, b.Name) }
				slices.SortFunc(want, byName)
				slices.SortFunc(got, byName)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("tensors (-want +got):\n%s", diff)
			}
			if _, err := model.Lower(d, model.Options{Taps: true}); err != nil {
				t.Error(err)
			}
		})
	}
}
