// Package interrupt ends a program on a signal: at once, whatever its goroutines wait for, and
// without leaving unfinished files or processes behind.
//
// A main function is a call of [Main]. On SIGINT (Ctrl-C), SIGTERM and on Unix SIGHUP (unless
// nohup ignores it), Main ends the child processes that [Start] began and their descendants,
// has [file.AbandonAll] remove the temporary files, temporary folders and new folders of
// package file, and prints "NAME: interrupted" to standard error. If a partial output
// ([file.Part]) is kept, the message names it and the flag --resume that continues it; every
// command that writes such an output has the flag. The exit status is 128 plus the number of
// the signal: 130 for SIGINT, 143 for SIGTERM. All this takes well under a second. A second
// signal ends the process without any cleanup.
//
// Only main functions deal with signals, and no context has to be passed on: interrupted work
// does not continue. The exception is a Commit that has begun to rename files, which runs to
// its end. Libraries start processes with Start and create files with package file, from any
// goroutine, and install no signal handler: in a program with another main function, signals do
// what that program decides.
package interrupt

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/multiway-go/multiway/ir/file"
)

// children are the processes that Start began and Wait has not yet returned for. An interrupt
// takes the lock and never releases it: from then on Start and Wait block, so that no goroutine
// reports an error of a process that the interrupt ended.
var children struct {
	sync.Mutex
	running map[*exec.Cmd]bool
	handled bool // whether Main was called
}

// grace is the time that child processes get to exit after SIGINT before they are killed; the
// go command uses it to remove its temporary files.
const grace = 300 * time.Millisecond

// Main calls run and ends the process with the status that run returns, or, if a signal comes
// first, as the package comment describes. name is the command's name in the message. Call it
// once, from a main function.
func Main(name string, run func() int) {
	children.Lock()
	children.handled = true
	children.Unlock()
	c := make(chan os.Signal, 1)
	list := signals()
	signal.Notify(c, list...)
	go func() {
		s := (<-c).(syscall.Signal)
		signal.Reset(list...) // a second signal gets the default action: it ends the process
		children.Lock()
		end()
		kept := file.AbandonAll()
		if st, err := os.Stderr.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(os.Stderr) // a new line, after ^C or a progress line
		}
		what := ""
		if len(kept) > 0 {
			what = "; " + file.Quote(kept[0]) + " holds the finished part, --resume continues it"
		}
		fmt.Fprintf(os.Stderr, "%s: interrupted%s\n", name, what)
		os.Exit(128 + int(s))
	}()
	status := run()
	children.Lock() // if run returns during an interrupt, the interrupt's exit status counts
	os.Exit(status)
}

// Start calls cmd.Start and registers the process, so that an interrupt ends it. Wait must
// follow. In a program with Main the process gets a process group of its own, so the terminal's
// signals do not reach it directly.
func Start(cmd *exec.Cmd) error {
	children.Lock()
	defer children.Unlock()
	if children.handled {
		group(cmd)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if children.running == nil {
		children.running = map[*exec.Cmd]bool{}
	}
	children.running[cmd] = true
	return nil
}

// Wait calls cmd.Wait for a process that Start began, and unregisters it.
func Wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	children.Lock()
	defer children.Unlock()
	delete(children.running, cmd)
	return err
}

// Run calls Start, then Wait.
func Run(cmd *exec.Cmd) error {
	if err := Start(cmd); err != nil {
		return err
	}
	return Wait(cmd)
}
