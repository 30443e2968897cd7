//go:build unix

package codegen_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/ir/file"
)

// A pipe in place of a file of the package is refused at once.
func TestPlaceOverPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "model.go"), 0o666); err != nil {
		t.Fatal(err)
	}
	var set file.Set
	defer set.Abandon()
	if err := codegen.Place(&set, dir, map[string][]byte{"model.go": []byte("package p\n")}, false); !errors.Is(err, file.ErrNotRegular) {
		t.Errorf("Place: %v, want %v", err, file.ErrNotRegular)
	}
}
