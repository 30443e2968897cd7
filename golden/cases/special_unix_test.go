//go:build unix

package cases

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/multiway-go/multiway/ir/file"
)

// A pipe, a device or a folder in place of a file of a case is refused at once.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o666) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o777) },
	} {
		dir := t.TempDir()
		if err := make(filepath.Join(dir, "case.json")); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); !errors.Is(err, file.ErrNotRegular) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
