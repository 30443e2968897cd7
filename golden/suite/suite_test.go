package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// files is a module whose tests end in all possible ways.
var files = map[string]string{
	"go.mod": "module example.com/m\n\ngo 1.26\n",
	"good/good_test.go": `package good
import "testing"
func TestGood(t *testing.T) {
	t.Run("one", func(t *testing.T) {})
	t.Run("two", func(t *testing.T) {})
	t.Log("--- PASS: TestKernels/done_elsewhere")
}
`,
	"lame/lame_test.go": `package lame
import "testing"
func TestKernels(t *testing.T) {
	for _, name := range []string{"gemm_avx9", "gelu_avx9", "done_elsewhere"} {
		t.Run(name, func(t *testing.T) { t.Skip("lacks avx512: no zmm; it takes more") })
	}
}
func TestReason(t *testing.T) { t.Log("noise"); t.Skip("the moon is not full") }
func TestScript(t *testing.T) { defer t.Log("WORK=$WORK\n\tA=1"); t.Skip("the moon is not full") }
func TestSame(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Skip("the moon is not full") }) }
`,
	"bad/bad_test.go": `package bad
import ("testing"; "fmt")
func TestBad(t *testing.T) {
	t.Run("sub", func(t *testing.T) { fmt.Println("first line"); t.Error("it is wrong") })
	t.Run("fine", func(t *testing.T) { fmt.Println("not printed") })
}
`,
	"panic/panic_test.go": `package panic
import "testing"
func TestFine(t *testing.T) {}
func TestPanic(t *testing.T) { var m map[string]int; m["x"] = 1 }
`,
	"exit/exit_test.go": `package exit
import ("testing"; "os"; "fmt")
func TestMain(m *testing.M) { m.Run(); fmt.Println("the end is near"); os.Exit(3) }
func TestFine(t *testing.T) {}
`,
	"slow/slow_test.go": `package slow
import ("testing"; "time")
func TestSlow(t *testing.T) { time.Sleep(time.Hour) }
`,
	"broken/broken_test.go": "package broken\nvar x int = \"text\"\n",
	"empty/empty.go":        "package empty\n",
}

func TestSuite(t *testing.T) {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		asmtest.Write(t, path, text)
	}
	cmd := exec.Command("go", "test", "-json", "-vet=off", "-timeout", "3s", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s := newSuite(&out)
	follow(s, pipe)
	if err := cmd.Wait(); err == nil {
		t.Error("go test passed")
	}
	s.end()
	text := regexp.MustCompile(`(?m)^ +\d+s  `).ReplaceAllString(out.String(), "")
	text = strings.ReplaceAll(text, "example.com/m/", "")
	for _, want := range []string{
		"first line\n", "it is wrong\n", // whole, of what fails
		"assignment to entry in nil map", "the end is near\n", "cannot use \"text\"", "panic: test timed out after 3s",
		"RUN inside other tests, 1 kernel:\n      done_elsewhere\n",
		"NOT RUN on this ",
		"  avx512, 2 kernels: " + asmtest.Features["avx512"] + "\n      gelu_avx9, gemm_avx9\n",
		"  3 tests: the moon is not full\n      lame: TestReason, TestSame/sub, TestScript\n",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is there %d times", want, strings.Count(text, want))
		}
	}
	for _, not := range []string{"not printed", "noise", "empty"} {
		if strings.Contains(text, not) {
			t.Errorf("it has %q", not)
		}
	}
	_, failed, _ := strings.Cut(text, "FAILED:\n")
	failed, last, _ := strings.Cut(failed, "\n\n")
	got := map[string]bool{}
	for line := range strings.Lines(failed) {
		got[strings.TrimSpace(line)] = true
	}
	want := map[string]bool{"bad TestBad/sub": true, "panic TestPanic": true, "exit": true, "slow TestSlow": true, "broken [broken.test]": true, "broken": true}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("failed (-want +got)\n%s", d)
	}
	if !strings.HasPrefix(last, "5 passed, 5 failed, 5 not run, ") {
		t.Errorf("the last line is %q", last)
	}
	if t.Failed() {
		t.Log("\n" + text)
	}
}

// Output of go that is not an event becomes an event of its own.
func TestForeignLines(t *testing.T) {
	var out strings.Builder
	s := newSuite(&out)
	line, err := json.Marshal(event{Action: "fail", Package: "p"})
	if err != nil {
		t.Fatal(err)
	}
	follow(s, strings.NewReader("go: odd\n"+string(line)))
	s.end()
	if !strings.Contains(out.String(), "\n0 passed, 1 failed, 0 not run, ") {
		t.Errorf("got %q", &out)
	}
}
