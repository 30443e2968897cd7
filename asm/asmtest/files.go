package asmtest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Write writes a file, and makes its folder if needed. Like all functions of this file, it ends the test on an error.
func Write[T string | []byte](t testing.TB, path string, data T) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Read returns the contents of a file and ends the test on an error.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Tree returns the contents of the files below a folder, by their slash-separated paths in it.
func Tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Buffer is an [io.WriteSeeker] in memory.
type Buffer struct {
	Data []byte
	at   int
}

// Write writes at the offset that Seek set, or after the last Write.
func (b *Buffer) Write(p []byte) (int, error) {
	if n := b.at + len(p) - len(b.Data); n > 0 {
		b.Data = append(b.Data, make([]byte, n)...)
	}
	b.at += copy(b.Data[b.at:], p)
	return len(p), nil
}

// Seek sets the offset of the next Write, from the start or from the current offset.
func (b *Buffer) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		b.at = int(offset)
	case io.SeekCurrent:
		b.at += int(offset)
	default:
		return 0, errors.ErrUnsupported
	}
	return int64(b.at), nil
}

// Run runs a command and returns all of its output. The command must exit with status 0.
func Run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// ErrorSays checks that err is not nil and that its text contains each of parts.
func ErrorSays(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error is\n\t%v\nwant it to say %q", err, p)
		}
	}
}
