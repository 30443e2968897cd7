package compile_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/compile"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/blob"
)

// middling has 45 MB of weights, 21 MB of them of the vision expert.
const middling = `model: 1
name: middling
family: beit3
sizes: {dim: 256, heads: 4, ffn: 1024, layers: 6, image: 224, patch: 16, vocab: 5000, positions: 67}
seed: 7
tasks: [encode]
`

// window is the largest number of bytes that the system maps at once around a page that is read.
const window = 2 << 20

// weightPages returns the bytes in the payload of a process's mapped weight file that are in its
// memory.
func weightPages(t *testing.T, pid int, path string, start int64) (present func(at, n int64) int64) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		lacks(t, err.Error())
	}
	base, found := uint64(0), false
	for line := range strings.Lines(string(maps)) {
		// from-to rwxp offset device inode path
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != path {
			continue
		}
		from, _, _ := strings.Cut(f[0], "-")
		if base, err = strconv.ParseUint(from, 16, 64); err != nil || f[2] != "00000000" || !strings.HasPrefix(f[1], "r--") || found {
			t.Fatalf("the weights are mapped in a way that this test does not expect: %s", line)
		}
		found = true
	}
	if !found {
		t.Fatalf("process %d has no map of %s:\n%s", pid, path, maps)
	}
	table, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		lacks(t, err.Error())
	}
	t.Cleanup(func() { table.Close() })
	page := int64(os.Getpagesize())
	return func(at, n int64) (bytes int64) {
		first, last := (start+at)/page, (start+at+n-1)/page
		entries := make([]byte, 8*(last-first+1))
		if _, err := table.ReadAt(entries, 8*(int64(base)/page+first)); err != nil {
			t.Fatal(err)
		}
		for ; len(entries) > 0; entries = entries[8:] {
			bytes += int64(binary.LittleEndian.Uint64(entries)>>63) * page
		}
		return bytes
	}
}

// status reads a number of bytes from a process's status in /proc.
func status(t *testing.T, pid int, name string) int64 {
	t.Helper()
	text := asmtest.Read(t, fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	lacks(t, fmt.Sprintf("/proc/%d/status does not say %s", pid, name))
	return 0
}

// lacks ends a test on a system that does not tell what the test reads.
func lacks(t *testing.T, why string) {
	t.Helper()
	asmtest.Missing(t, "pagemap", "how much memory a process uses cannot be read: "+why)
}

// A process uses mapped weights in place and has only the experts that it calls in memory: a
// process that only encodes texts has no page of the vision expert, and little memory besides the
// weights for texts.
func TestProcessMapsOnlyItsExperts(t *testing.T) {
	asmtest.Slow(t)
	const besides = 16 << 20 // the program itself, its arena
	m := compile.OpenText(t, middling)
	described, _, err := m.Lower(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir()) // as the system names it
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "weights.bin")
	e := engineOf(t, m, described, path)
	blob, err := blob.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	proc, err := e.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()

	// sum adds up a size of the tensors of either expert.
	sum := func(size func(at, n int64) int64) (vision, language int64) {
		for _, x := range blob.Tensors {
			if strings.Contains(x.Name, "vision") {
				vision += size(x.Offset, x.Bytes)
			} else {
				language += size(x.Offset, x.Bytes)
			}
		}
		return vision, language
	}
	allVision, allLanguage := sum(func(_, n int64) int64 { return n })
	present := weightPages(t, proc.PID(), path, st.Size()-blob.Size())
	run := func(fn string) {
		if _, err := proc.Run(fn, []rt.Seq{inputs.Seeded(described.Func(fn), "", 16, 50)}); err != nil {
			t.Fatal(err)
		}
	}

	// The header is in the first window, whose rest is of the expert that comes first;
	// another window may reach from one expert into the other.
	if v, l := sum(present); v+l > window {
		t.Errorf("the model is open and no one has called: %d bytes of its weights are in memory", v+l)
	}
	run("language")
	v, l := sum(present)
	if v > 2*window {
		t.Errorf("a process that reads texts has %d bytes of the vision expert in memory, of %d", v, allVision)
	}
	if l < allLanguage/2 || l > allLanguage+2*window {
		t.Errorf("a process that reads texts has %d bytes of its expert in memory, of %d", l, allLanguage)
	}
	if peak := status(t, proc.PID(), "VmHWM"); peak > l+besides {
		t.Errorf("a process that reads texts took %d bytes of memory for %d of weights, want at most %d more", peak, l, besides)
	}
	run("vision")
	if v, _ := sum(present); v < allVision*9/10 {
		t.Errorf("%d bytes of the vision expert are in memory after a call, of %d: the counts above prove nothing", v, allVision)
	}
	if private := status(t, proc.PID(), "RssAnon"); private > besides {
		t.Errorf("%d bytes of memory are the process's own, want at most %d: weights are copied", private, besides)
	}
}
