package file

import (
	"errors"
	"path/filepath"
	"testing"
)

// A file is locked once at a time.
func TestLockFile(t *testing.T) {
	if !locks {
		t.Skip("this system has no file locks")
	}
	path := filepath.Join(t.TempDir(), "lock")
	for range 2 {
		unlock, err := Lock(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Lock(path); !errors.Is(err, ErrLocked) {
			t.Errorf("locked twice: %v", err)
		}
		unlock()
	}
	if _, err := Lock(filepath.Join(path, "none")); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("no folder: %v", err)
	}
}
