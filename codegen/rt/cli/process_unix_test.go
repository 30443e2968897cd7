//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multiway-go/multiway/asm/asmtest"
	rtexec "github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/ir/file"
)

// The test program is the binary of the colours if the environment says so: hangs is where
// it waits for ever.
const (
	asBinary = "APP_TEST_BINARY"
	hangs    = "APP_TEST_HANGS"
)

func TestMain(m *testing.M) {
	if os.Getenv(asBinary) == "" {
		os.Exit(m.Run())
	}
	funcs := colourFuncs
	if os.Getenv(hangs) == "compute" {
		slow := *funcs[0]
		slow.Run = func(*rtexec.Exec) { fmt.Fprintln(os.Stderr, "hangs"); select {} }
		funcs = append([]*rtexec.Func{&slow}, funcs[1:]...)
	}
	p, err := newColours(funcs)
	if err != nil {
		panic(err)
	}
	asmtest.LimitFiles()
	b := binaryOf(p)
	if os.Getenv(hangs) == "read" {
		b.Bundled = func() ([]Picture, error) {
			return []Picture{{Name: "slow", Read: func() (image.Image, error) { fmt.Fprintln(os.Stderr, "hangs"); select {} }}}, nil
		}
	}
	Main(b)
}

// process is the binary with arguments, in a folder.
func process(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asBinary+"=1")
	cmd.Dir = dir
	return cmd
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// A signal ends a command whatever it waits for, and nothing unfinished stays.
func TestSignals(t *testing.T) {
	picture := filepath.Join(folderOf(t), "apple.png")
	for _, test := range []struct {
		name, hangs string
		args        []string
	}{
		{"standard input", "", []string{"embed", "--text", "-o", "x.npy"}},
		{"a query", "", []string{"search", "-", "--folder", filepath.Dir(picture)}},
		{"reading a picture", "read", []string{"search", "red", "--html", "x.html"}},
		{"computing a batch", "compute", []string{"embed", "-o", "x.npy", picture}},
		{"computing one", "compute", []string{"match", picture, "red"}},
	} {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(test.name+" "+s.String(), func(t *testing.T) {
				dir := t.TempDir()
				cmd := process(dir, test.args...)
				cmd.Env = append(cmd.Env, hangs+"="+test.hangs)
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer in.Close()
				errs, err := cmd.StderrPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				r := bufio.NewReader(errs)
				if test.hangs != "" {
					if line, err := r.ReadString('\n'); line != "hangs\n" {
						t.Errorf("it says %q, %v", line, err)
					}
				} else {
					// More than a pipe holds: when it is written the process has begun to read.
					io.WriteString(in, "red\n"+strings.Repeat("green ", 1<<15))
				}
				begun := time.Now()
				cmd.Process.Signal(s)
				text, _ := io.ReadAll(r)
				err = cmd.Wait()
				if took := time.Since(begun); took > 30*time.Second { // well under a second, unless other processes take the CPU
					t.Errorf("it took %v to end", took)
				}
				if code := cmd.ProcessState.ExitCode(); code != 128+int(s) || string(text) != "colours: interrupted\n" {
					t.Errorf("status %d (%v), it says %q", code, err, text)
				}
				if left := names(t, dir); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// An interrupt keeps the batches that are done, and says where. Until then no other process writes to them.
func TestInterruptKeepsBatches(t *testing.T) {
	dir := t.TempDir()
	cmd := process(dir, "embed", "--text", "-o", "x.npy")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, strings.Repeat("green\n", 3*batchItems))
	lines := filepath.Join(dir, "x.inputs.jsonl"+file.PartSuffix) // written after the batch's rows
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if st, err := os.Stat(lines); err == nil && st.Size() > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no batch is written")
		}
	}
	for _, args := range [][]string{{"-o", "x.npy"}, {"-o", "x.npy", "--resume"}, {"-o", "x.jsonl"}} {
		other := process(dir, append([]string{"embed", "--text", "red"}, args...)...)
		if out, err := other.CombinedOutput(); err == nil || !strings.Contains(string(out), ".part: another process is writing it; wait for it to end") {
			t.Errorf("beside it %v: %v: %s", args, err, out)
		}
	}
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || errs.String() != "colours: interrupted; x.npy.part holds the finished part, --resume continues it\n" {
		t.Errorf("status %d, it says %q", code, errs.String())
	}
	cmd = process(dir, "embed", "--text", "-o", "x.npy", "--resume")
	cmd.Stdin = strings.NewReader(strings.Repeat("green\n", 3*batchItems))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "vectors, going on behind them") {
		t.Errorf("%v: %s", err, out)
	}
	checkArray(t, dir, 3*batchItems, false)
}

// A process that is killed leaves the output absent or whole, and the next run goes on with
// what it left, or removes it.
func TestKill(t *testing.T) { kills(t, 8) }

func TestSoakKill(t *testing.T) {
	asmtest.Soak(t)
	kills(t, 400)
}

func kills(t *testing.T, rounds int) {
	dir := t.TempDir()
	const seed = 14
	random := rand.New(rand.NewPCG(seed, 0))
	var text strings.Builder
	const lines = 20000
	for i := range lines {
		fmt.Fprintf(&text, "%s number %d\n", colours[i%3], i)
	}
	embed := func() *exec.Cmd {
		cmd := process(dir, "embed", "--text", "-o", "x.npy")
		if _, err := os.Stat(filepath.Join(dir, "x.npy.part")); err == nil {
			cmd.Args = append(cmd.Args, "--resume")
		}
		cmd.Stdin = strings.NewReader(text.String())
		return cmd
	}
	begun := time.Now()
	asmtest.Run(t, embed())
	whole := time.Since(begun)
	want := []string{"x.inputs.jsonl", "x.model.json", "x.npy"}
	for i := range rounds {
		cmd := embed()
		if i%2 == 0 { // within the list, which does not end
			cmd.Stdin = nil
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			io.WriteString(in, text.String()[:random.IntN(text.Len())])
		} else { // at any time
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(random.Int64N(int64(whole) * 5 / 4)))
		}
		cmd.Process.Kill()
		if err := cmd.Wait(); err == nil && i%2 == 0 {
			t.Errorf("seed %d: run %d ended before it was killed", seed, i)
		}
		if i%4 > 0 {
			checkArray(t, dir, lines, i%3 > 0)
		}
	}
	// While temporaries are there that nobody holds, the next run is right and removes them.
	asmtest.Run(t, embed())
	checkArray(t, dir, lines, false)
	if left := names(t, dir); !slices.Equal(left, want) {
		t.Errorf("files %v, want %v", left, want)
	}
}

// checkArray looks at an array and its list, if they are there, and removes them.
func checkArray(t *testing.T, dir string, rows int, remove bool) {
	t.Helper()
	list := filepath.Join(dir, "x.inputs.jsonl")
	array := filepath.Join(dir, "x.npy")
	data, err := os.ReadFile(array)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if head := fmt.Sprintf("'shape': (%d, 3)", rows); !bytes.Contains(data[:min(128, len(data))], []byte(head)) || len(data) != 128+12*rows {
		t.Errorf("an array of %d bytes, %q", len(data), data[:min(128, len(data))])
	} else if v := binary.LittleEndian.Uint32(data[len(data)-8:]); v == 0 {
		t.Error("the last row is empty")
	}
	lines, err := os.ReadFile(list)
	if err != nil || bytes.Count(lines, []byte("\n")) != rows {
		t.Errorf("%d lines beside an array of %d: %v", bytes.Count(lines, []byte("\n")), rows, err)
	}
	model := filepath.Join(dir, "x.model.json")
	if text, err := os.ReadFile(model); err != nil || !bytes.Contains(text, []byte(`"fingerprint":"`)) {
		t.Errorf("beside an array %s: %v", text, err)
	}
	if remove {
		os.Remove(array)
		os.Remove(list)
		os.Remove(model)
	}
}

// Where there is no room for the output the command says so, what was there stays, and
// nothing else does but what a later run goes on with.
func TestFullDisk(t *testing.T) {
	folder := folderOf(t)
	for _, args := range [][]string{
		{"embed", "--text", "-o", "x.npy", "-"},
		{"embed", "--text", "-o", "x.jsonl", "-"},
		{"search", "green", "--folder", folder, "--html", "x.html"},
	} {
		dir := t.TempDir()
		for _, name := range []string{"x.npy", "x.inputs.jsonl", "x.model.json", "x.jsonl", "x.html"} {
			asmtest.Write(t, filepath.Join(dir, name), "precious")
		}
		cmd := process(dir, args...)
		cmd.Env = append(cmd.Env, asmtest.EnvMaxFile+"=700")
		cmd.Stdin = strings.NewReader(strings.Repeat("a red one\n", 200))
		var errs bytes.Buffer
		cmd.Stderr = &errs
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(errs.String(), "file too large") {
			t.Errorf("%v: %v: %s", args, err, errs.String())
		}
		whole := slices.DeleteFunc(names(t, dir), func(n string) bool { return args[0] == "embed" && strings.HasSuffix(n, file.PartSuffix) })
		if !slices.Equal(whole, []string{"x.html", "x.inputs.jsonl", "x.jsonl", "x.model.json", "x.npy"}) {
			t.Errorf("%v: files %v", args, whole)
		}
		for _, name := range whole {
			if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != "precious" {
				t.Errorf("%v: %s holds %d bytes: %v", args, name, len(data), err)
			}
		}
		if args[0] != "embed" {
			continue
		}
		cmd = process(dir, append(args, "--resume")...)
		cmd.Stdin = strings.NewReader(strings.Repeat("a red one\n", 200))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v, with room: %v: %s", args, err, out)
		}
	}
}
