//go:build linux && amd64

package bochs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// Output arrives complete and without the trailer, however it is split into writes.
func TestTrailer(t *testing.T) {
	const text = "one\ntwo\x00 exit 3\n\x00exit\n"
	for _, c := range []struct {
		end  string
		code int
		ok   bool
	}{
		{Trailer + "0\n", 0, true},
		{Trailer + "137\n", 137, true},
		{Trailer + "13", 0, false},
		{Trailer + "\n", 0, false},
		{"", 0, false},
	} {
		for size := 1; size < 40; size++ {
			var out bytes.Buffer
			w := &trailer{w: &out}
			for p := []byte(text + c.end); len(p) > 0; {
				n := min(size, len(p))
				w.Write(p[:n])
				p = p[n:]
			}
			code, ok := w.exit()
			want := text
			if !c.ok {
				want += c.end
			}
			if code != c.code || ok != c.ok || out.String() != want {
				t.Errorf("%q in pieces of %d: %d, %v and %q", c.end, size, code, ok, &out)
			}
		}
	}
}

// If tools are missing, the error names them and how to install them. The folder of a killed run is not taken for an emulator.
func TestOpenWithoutTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(EnvCache, t.TempDir())
	dir, err := cache()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir+".part", "work"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), t.TempDir(), t.Output())
	if want := "the emulator needs xorriso, g++, make, tar, xz; as root: apt-get install xorriso g++ make tar xz-utils"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	if left, err := filepath.Glob(dir + "*"); err != nil || len(left) != 1 || left[0] != dir+".lock" {
		t.Errorf("%v are left (%v)", left, err)
	}
}

// A guest that does not boot, or ends before the program, is an error.
func TestGuestFails(t *testing.T) {
	asmtest.Asked(t, "bochs")
	good, err := Open(t.Context(), t.TempDir(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	asmtest.Write(t, text, "no program\n")
	job := Job{CPU: "corei7_skylake_x", Files: map[string]string{"prog": text}, Command: Command{Args: []string{"prog"}}}
	short, lost, absent, foreign := job, job, job, job
	short.Seconds = 1
	lost.CPU = "abacus"
	absent.Args = []string{"other"}
	foreign.Files = map[string]string{"prog": text + ".gone"}
	noInit := *good
	noInit.init = text
	noKernel := *good
	noKernel.dir = t.TempDir()
	if err := os.CopyFS(noKernel.dir, os.DirFS(good.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(noKernel.dir, "vmlinuz"), 100); err != nil {
		t.Fatal(err)
	}
	noKernelJob := job
	noKernelJob.Seconds = 5
	for _, c := range []struct {
		name    string
		machine *Machine
		job     Job
		want    []string
	}{
		{"a guest without end", good, short, []string{"did not end within 1 s of CPU time"}},
		{"a CPU that Bochs does not know", good, lost, []string{"abacus", "did not get to the program's end"}},
		{"a program that is no program", good, job, []string{"did not get to the program's end", "exec format error"}},
		{"a program that is not there", good, absent, []string{"did not get to the program's end", "no such file"}},
		{"a file that is not there", good, foreign, []string{"text.gone"}},
		{"a first process that is no program", &noInit, job, []string{"did not get to the program's end", "Kernel panic"}},
		{"a kernel that is cut off", &noKernel, noKernelJob, []string{"was not done after 5 s"}},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			err := c.machine.Run(t.Context(), c.job, io.Discard)
			for _, part := range c.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got error %v, want one with %q", err, part)
				}
			}
		})
	}
}
