//go:build unix

package interrupt_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multiway-go/multiway/codegen/rt/interrupt"
	"github.com/multiway-go/multiway/ir/file"
)

// The test program runs itself with the name of one of these in the environment.
const env = "INTERRUPT_TEST_MAIN"

var mains = map[string]func() int{
	// busy creates one of each kind of temporary, starts a process that starts another, and
	// waits for input that never comes.
	"busy": func() int {
		var set file.Set
		set.MkdirAll("new/deep")
		f, err := set.Create("new/deep/a", 0o666)
		if err != nil {
			fmt.Println(err)
		}
		f.WriteString("half")
		d, err := file.TempDir()
		if err != nil {
			fmt.Println(err)
		}
		cmd := exec.Command("sh", "-c", "trap '' INT; echo begun >begun; sh -c 'sleep 1000' & wait; sleep 1000")
		cmd.Dir = d.Path
		go func() { fmt.Println("ended:", interrupt.Run(cmd)) }()
		go func() { // goes on making files
			for i := 0; ; i++ {
				os.WriteFile(filepath.Join(d.Path, fmt.Sprint(i)), nil, 0o666)
				if f, err := file.Create("more", 0o666); err == nil {
					f.Abandon()
				}
			}
		}()
		for {
			if _, err := os.Stat(filepath.Join(d.Path, "begun")); err == nil {
				break
			}
		}
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		return 0
	},
	// patient ends by itself some time after its input ends.
	"patient": func() int {
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
		time.Sleep(100 * time.Millisecond)
		return 7
	},
	"short": func() int {
		interrupt.Run(exec.Command("true"))
		fmt.Println("ready")
		return 7
	},
}

func TestMain(m *testing.M) {
	if run := mains[os.Getenv(env)]; run != nil {
		interrupt.Main("busybody", run)
	}
	os.Exit(m.Run())
}

// ready starts a command that is one of mains, in its folder, and returns its standard input, and its output behind the line
// ready.
func ready(t *testing.T, cmd *exec.Cmd, name string) (io.Closer, io.Reader) {
	t.Helper()
	cmd.Env = append(os.Environ(), env+"="+name, "TMPDIR="+cmd.Dir)
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
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("it says %q, %v", line, err)
	}
	return in, r
}

func TestSignals(t *testing.T) {
	// A child inherits the signals that this process ignores, as under nohup, but not the ones
	// it catches.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0])
			cmd.Dir = dir
			var errs strings.Builder
			cmd.Stderr = &errs
			in, r := ready(t, cmd, "busy")
			defer in.Close()
			cmd.Process.Signal(s)
			begun := time.Now()
			rest, _ := io.ReadAll(r) // ends when no process has the pipe
			err := cmd.Wait()
			if took := time.Since(begun); took > 30*time.Second { // well under a second, unless other processes take the CPU
				t.Errorf("took %v", took)
			}
			if code := cmd.ProcessState.ExitCode(); code != 128+int(s) || len(rest) > 0 || errs.String() != "busybody: interrupted\n" {
				t.Errorf("status %d (%v), output %q, errors %q", code, err, rest, errs.String())
			}
			entries, err := os.ReadDir(dir)
			for _, e := range entries {
				t.Errorf("%s is left", e.Name())
			}
			if err != nil {
				t.Error(err)
			}
			if err := syscall.Kill(-cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) && err == nil {
				t.Errorf("processes are left: %v", err)
			}
		})
	}
}

// A program that nohup runs outlives its terminal.
func TestIgnoredHangup(t *testing.T) {
	cmd := exec.Command("sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0])
	cmd.Dir = t.TempDir()
	in, _ := ready(t, cmd, "patient")
	cmd.Process.Signal(syscall.SIGHUP)
	in.Close()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("it ends with %v, want status 7", err)
	}
}

func TestStatus(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env+"=short")
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 7 || string(out) != "ready\n" {
		t.Errorf("status %d (%v), output %q", code, err, out)
	}
}
