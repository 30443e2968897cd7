// Command suite runs `go test` with the given arguments. It prints the running tests, a line for each package that ends, the
// output of failed tests, and, at the end, every test that did not run and what it needs.
//
//	go run ./golden/suite -timeout 30m ./...
//
// A test that cannot run calls asmtest.Missing or asmtest.Asked, or skips itself, in which case the reason is printed. A
// skipped test counts as run if another test ran it, as the tests of golden/emulated do: its name follows `--- PASS: ` in the
// other test's output.
//
// The last line counts tests without subtests. The exit status is the one of go test.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/multiway-go/multiway/asm/asmtest"
)

func main() {
	if _, err := asmtest.MustRun(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	s := newSuite(os.Stdout)
	follow(s, pipe)
	err = cmd.Wait()
	p := cmd.ProcessState
	fmt.Printf("%.0f CPU seconds\n", (p.UserTime() + p.SystemTime()).Seconds())
	s.end()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "go test:", err)
		os.Exit(1)
	}
	if s.failed > 0 {
		os.Exit(1)
	}
}

// follow passes the output of go test to the suite, and prints the running tests every 20 seconds.
func follow(s *suite, r io.Reader) {
	events := make(chan event)
	go func() {
		defer close(events)
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadBytes('\n')
			if len(line) > 0 {
				var e event
				if json.Unmarshal(line, &e) != nil {
					e = event{Action: "output", Output: string(line)} // output of the go command itself
				}
				events <- e
			}
			if err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(20 * time.Second)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			s.take(e)
		case <-tick.C:
			s.progress()
		}
	}
}
