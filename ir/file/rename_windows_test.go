package file

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// A mapped file and a running program are replaced; the next Create removes the old files once they are not in use.
func TestReplaceInUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weights.bin")
	asmtest.Write(t, path, "old")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	at, err := windows.MapViewOfFile(m, windows.FILE_MAP_READ, 0, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	windows.CloseHandle(m)
	f.Close()
	if err := Write(path, 0o666, text("new")); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); string(got) != "new" {
		t.Errorf("after Write the file holds %q, %v", got, err)
	}
	if got := string(unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), 3)); got != "old" {
		t.Errorf("what was mapped is %q now", got)
	}
	windows.UnmapViewOfFile(at)

	program := filepath.Join(dir, "program.exe")
	code := asmtest.Read(t, os.Args[0])
	asmtest.Write(t, program, string(code))
	cmd := exec.Command(program, "-test.run=^TestWaits$")
	cmd.Env = append(os.Environ(), "FILE_TEST_WAITS=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Errorf("the program says %q, %v", line, err)
	}
	if err := Write(program, 0o777, text("new")); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(program); string(got) != "new" {
		t.Errorf("after Write the program holds %d bytes, %v", len(got), err)
	}
	in.Close()
	cmd.Wait()

	for _, p := range []string{path, program} {
		if err := Write(p, 0o666, text("newer")); err != nil {
			t.Error(err)
		}
	}
	want(t, dir, map[string]string{"weights.bin": "newer", "program.exe": "newer"})
}

// TestWaits is the program that runs.
func TestWaits(t *testing.T) {
	if os.Getenv("FILE_TEST_WAITS") == "" {
		t.Skip("part of TestReplaceInUse")
	}
	fmt.Println("waits")
	io.Copy(io.Discard, os.Stdin)
}
