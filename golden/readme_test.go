package golden_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme builds the program that the README shows and parses its description.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```go\npackage main\n")
	program, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("README.md shows no program")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	// The file stands in the module by an overlay, so that it builds as in a module that requires it.
	dir := t.TempDir()
	source, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	at := filepath.Join(root, "cmd", "readme", "main.go")
	for name, text := range map[string]string{
		source:  "package main\n" + program,
		overlay: `{"Replace": {"` + filepath.ToSlash(at) + `": "` + filepath.ToSlash(source) + `"}}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "-o", filepath.Join(dir, "readme"), "./cmd/readme")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
