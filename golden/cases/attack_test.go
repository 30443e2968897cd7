package cases

import (
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// The memory for a case is proportional to its text, and errors are short whatever its content.
func TestHostileCases(t *testing.T) {
	const head = `{"format": 1, "name": "x", "family": "beit3", "task": "encode", `
	long := strings.Repeat("x", 500_000)
	bad := `\u001b]0;x\u202e`
	run := func(fields string) string { return head + `"runs": [{` + fields + `}]}` }
	good := `"outputs": {"y": {"tensor": "y", "shape": [1], "exact": true}}, "kind": "k", `
	for _, c := range []struct{ name, text, what string }{
		{"number", head + `"runs": [], "format": ` + strings.Repeat("9", 500_000) + `}`, "cannot unmarshal number"},
		{"number of a run", run(good + `"name": "r", "size": ` + strings.Repeat("9", 500_000)), "cannot unmarshal number"},
		{"config", head + `"runs": [{}], "config": {"dim": ` + strings.Repeat("9", 500_000) + `}}`, "config: "},
		{"name", `{"format": 1, "name": "` + long + `"}`, "want the name of a file in this folder"},
		{"family", `{"format": 1, "name": "x", "family": "` + bad + `", "task": "t"}`, "family or task"},
		{"run", run(good + `"name": "` + bad + `"`), "name, kind or function"},
		{"long run", run(good + `"name": "` + long + `"`), "name, kind or function"},
		{"output", run(`"name": "r", "kind": "k", "outputs": {"` + bad + `": {"tensor": "y", "shape": [1], "exact": true}}`), "output"},
		{"input", run(good + `"name": "r", "inputs": {"` + bad + `": "y"}`), "input"},
		{"file", head + `"runs": [{}], "weights": {"files": {"` + bad + `": {"dtype": "f32"}}}}`, "want the name of a file in this folder"},
		{"dtype of a file", head + `"runs": [{}], "expected_files": {"` + bad + `": "x"}}`, "expected_files"},
		{"tensor", head + `"runs": [{}], "weights": {"tensors": [{"name": "` + bad + `", "dtype": "` + long + `"}]}}`, "want I64 or none"},
		{"runs", head + `"runs": [` + strings.Repeat("{},", 300_000) + `{}]}`, "300001 runs"},
		{"tensors", head + `"runs": [{}], "weights": {"tensors": [` + strings.Repeat("{},", 300_000) + `{}]}}`, "weights"},
		{"weights of a seed", head + `"runs": [{}], "weights": {"generator": "splitmix64-v1", "tensors": [{"name": "a", "shape": [16384, 8192]}, {"name": "b", "shape": [16384, 8193]}]}}`, "elements in all"},
		{"brackets", head + `"runs": ` + strings.Repeat("[", 900_000), "exceeded max depth"},
		{"large", strings.Repeat(" ", maxJSON+1), "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if got := asmtest.Allocated(func() { _, err = Parse([]byte(c.text)) }); got > 256<<20 {
				t.Errorf("%d bytes take %d MB in all", len(c.text), got>>20)
			}
			asmtest.Harmless(t, err, c.what)
		})
	}
}
