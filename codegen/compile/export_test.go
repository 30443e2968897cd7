package compile

import (
	"path/filepath"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// OpenText opens the model of a description.
func OpenText(t testing.TB, description string) *Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.yaml")
	asmtest.Write(t, path, description)
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}
