package compile_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/multiway-go/multiway/codegen/compile"
)

// A description becomes a package.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	description := filepath.Join(dir, "model.yaml")
	if err := os.WriteFile(description, []byte(`
model: 1
name: tiny
family: beit3
sizes: {dim: 24, heads: 2, ffn: 40, layers: 2, image: 16, patch: 8, vocab: 50, positions: 12}
seed: 7 # random weights; checkpoint: FILE has real ones
tasks: [retrieval]
`), 0o666); err != nil {
		fmt.Println(err)
		return
	}
	m, err := compile.Open(description)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	report, err := m.Write(compile.Options{
		Dir:   filepath.Join(dir, "tiny"),
		Check: compile.Off, // unless it is off, the package is compiled and compared with the interpreter: report.Results
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Files)
	// Output: [check.json example_multiway_test.go language_retrieval.go model.go vision_retrieval.go weights.go weights.bin]
}
