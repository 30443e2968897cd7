package compile

import (
	"fmt"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/ir/model"
	"github.com/multiway-go/multiway/passes"
)

// The compiler's work is linear in the layers of a model: four times the layers take about four times as many allocated bytes,
// which are counted instead of time.
func TestWorkGrowsWithLayers(t *testing.T) {
	compile := func(layers int) {
		d, err := model.Parse("", fmt.Appendf(nil, `model: 1
name: deep
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: %d, image: 24, patch: 8, vocab: 141, positions: 20}
tasks: [encode, retrieval, {classification: {classes: 3}}]
limits: {text: 12, rows: 48}
`, layers))
		if err != nil {
			t.Fatal(err)
		}
		p, err := model.Lower(d, model.Options{})
		if err == nil {
			_, err = passes.Run(p, passes.Options{Rows: d.Limits.Rows})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	took := func(layers int) int { return asmtest.Allocated(func() { compile(layers) }) }
	took(4)
	few, many := took(16), took(64)
	if many > 5*few {
		t.Errorf("64 layers take %d MB, 16 take %d", many>>20, few>>20)
	}
}
