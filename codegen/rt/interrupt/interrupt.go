// Package interrupt ends a program that a signal asks to end: at once, whatever its goroutines wait for, and with nothing
// unfinished left behind.
//
// A main function is a call of [Main]. On SIGINT (Ctrl-C) and SIGTERM, on Unix also SIGHUP (but under nohup), it ends the processes that were
// begun with [Start] and the processes of these, has [file.AbandonAll] remove the temporaries, temporary folders and new
// folders of package file, prints the line "NAME: interrupted" to standard error, and of a [file.Part] that stays its name
// and that the flag --resume goes on with it, which a command that makes one has. It ends the process with status 128 and
// the number of the signal: 130, 143. That takes well under a second. A second signal ends the process without all that.
//
// No code besides main functions needs to know of signals, and no context has to be passed on: what an interrupt finds
// under way does not go on. A Commit that has begun to give files their names is waited for. Libraries begin processes with
// Start, from any goroutine, and files with package file, and install no handler: in a program whose main is somebody else's,
// signals do what that program says.
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

// children are the processes that this one began and has not waited for. An interrupt takes the lock for ever: from then on
// Start does not return, nor does Wait, so that nobody reports a process that the interrupt ended.
var children struct {
	sync.Mutex
	running map[*exec.Cmd]bool
	handled bool // Main was called
}

// grace is how long processes have to end by themselves before they are killed: the go command removes its own temporary
// files then.
const grace = 300 * time.Millisecond

// Main ends the process with the status that run returns, or as the package says when a signal comes first. name is the
// command's, for the message. Call it once, from a main function.
func Main(name string, run func() int) {
	children.Lock()
	children.handled = true
	children.Unlock()
	c := make(chan os.Signal, 1)
	list := signals()
	signal.Notify(c, list...)
	go func() {
		s := (<-c).(syscall.Signal)
		signal.Reset(list...) // the next one ends the process
		children.Lock()
		end()
		kept := file.AbandonAll()
		if st, err := os.Stderr.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(os.Stderr) // behind ^C, or what shows how far a job is
		}
		what := ""
		if len(kept) > 0 {
			what = "; " + file.Quote(kept[0]) + " keeps what was done, --resume goes on with it"
		}
		fmt.Fprintf(os.Stderr, "%s: interrupted%s\n", name, what)
		os.Exit(128 + int(s))
	}()
	status := run()
	children.Lock() // of two ends the first counts
	os.Exit(status)
}

// Start is cmd.Start for a process that does not outlive an interrupt. Wait must follow. In a program with Main the process
// is in a group of its own and does not get the signals of the terminal by itself.
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

// Wait is cmd.Wait of a process that Start began.
func Wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	children.Lock()
	defer children.Unlock()
	delete(children.running, cmd)
	return err
}

// Run is cmd.Run by way of Start and Wait.
func Run(cmd *exec.Cmd) error {
	if err := Start(cmd); err != nil {
		return err
	}
	return Wait(cmd)
}
