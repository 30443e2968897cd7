// Command suite runs `go test` with the arguments that it is given, and says what happens: what runs now, a line for each
// package as it ends, the whole output of what fails, and, at the end, every test that did not run and what it takes.
//
//	go run ./golden/suite -timeout 30m ./...
//
// A test says that it cannot run by asmtest.Missing or asmtest.Asked, or by a skip of its own, whose reason is then printed.
// What one test skipped and another ran in its stead, as those of golden/emulated do, did run: its name stands behind
// `--- PASS: ` in what the other printed.
//
// The last line counts tests that have no subtests. The exit status is that of go test.
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

// follow gives the suite what go test prints, and has it say every 20 seconds what runs.
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
					e = event{Action: "output", Output: string(line)} // of go itself
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
