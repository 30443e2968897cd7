package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
)

// A program's text is read from a regular file of a bounded size.
func TestDumpReadsRegularFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder.ir"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := program("", nil, []string{filepath.Join(dir, "folder.ir")}); !errors.Is(err, file.ErrNotRegular) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		if err := os.Symlink("/dev/zero", filepath.Join(dir, "zero.ir")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := program("", nil, []string{filepath.Join(dir, "zero.ir")}); !errors.Is(err, file.ErrNotRegular) {
			t.Errorf("a device: %v", err)
		}
	}
	big, err := os.Create(filepath.Join(dir, "big.ir"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(big.Truncate(ir.MaxProgram+1), big.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := program("", nil, []string{big.Name()}); err == nil || !strings.Contains(err.Error(), "want at most 16777216") {
		t.Errorf("a large file: %v", err)
	}
}
