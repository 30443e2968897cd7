//go:build unix

package file

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// A temporary file that cannot be locked, here because no more files can be opened, is removed.
func TestCreateLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
	few := before
	few.Cur = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var open []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		defer f.Close()
		open = append(open, f)
	}
	open[0].Close()
	if _, err := Create(filepath.Join(dir, "a"), 0o666); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Create: %v, want %v", err, syscall.EMFILE)
	}
	for _, f := range open {
		f.Close()
	}
	want(t, dir, map[string]string{})
}

// A pipe in place of a folder is refused at once.
func TestPipeInPlaceOfFolder(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	for what, use := range map[string]func(s *Set) error{
		"MkdirAll": func(s *Set) error { return s.MkdirAll(pipe) },
		"Lock":     func(s *Set) error { return s.Lock(pipe) },
		"Create": func(s *Set) error {
			_, err := s.Create(filepath.Join(pipe, "file"), 0o666)
			return err
		},
	} {
		var s Set
		if err := use(&s); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("%s: %v, want %v", what, err, syscall.ENOTDIR)
		}
		s.Abandon()
	}
}

// TestFolderTakesFiles checks folders in which files can and cannot be created.
func TestFolderTakesFiles(t *testing.T) {
	dir := t.TempDir()
	for _, at := range []string{dir, filepath.Join(dir, "new"), filepath.Join(dir, "new", "and", "newer")} {
		if err := Takes(at); err != nil {
			t.Error(err)
		}
	}
	asmtest.Write(t, filepath.Join(dir, "file"), "")
	for _, at := range []string{"/proc/self", "/proc/self/new/folder", filepath.Join(dir, "file"), filepath.Join(dir, "file", "new")} {
		if _, err := os.Stat("/proc/self"); err != nil && at[0:2] == "/p" {
			continue
		}
		if err := Takes(at); err == nil {
			t.Errorf("%s takes files", at)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
