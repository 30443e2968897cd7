package precision_test

import (
	"fmt"

	"github.com/multiway-go/multiway/ir/precision"
)

// A map says by a weight's name how it is stored.
func ExampleMap() {
	m := precision.Map{
		Default:   "int8",
		Classes:   map[precision.Class]string{precision.Embedding: "bf16"},
		Overrides: []precision.Override{{Module: "l11.ffn", Format: "f32"}},
	}
	if err := m.Check(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m)
	for _, weight := range []string{"l10.ffn.vision.fc1.w", "l11.ffn.vision.fc1.w", "language.embed.tok.w"} {
		fmt.Println(weight, m.Of(weight).Name)
	}
	m.Default = "int4"
	fmt.Println(m.Check())
	// Output:
	// int8 (embedding bf16, l11.ffn f32)
	// l10.ffn.vision.fc1.w int8
	// l11.ffn.vision.fc1.w f32
	// language.embed.tok.w bf16
	// precision "int4", want f32, bf16, f16, int8, int7, int8x2, bf16dot
}
