//go:build unix

package interrupt

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// signals are those that end the program. SIGHUP is none where nohup has it ignored; a shell has SIGINT ignored by what it
// runs in the background, which kill -INT is to end all the same.
func signals() []os.Signal {
	list := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// group has a process begin a group, which those that it begins are in too, and end with this one where the system can.
func group(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	orphan(cmd.SysProcAttr)
}

// end ends the processes that run, and their groups.
func end() {
	all := func(s syscall.Signal) (left bool) {
		for cmd := range children.running {
			left = !errors.Is(syscall.Kill(-cmd.Process.Pid, s), syscall.ESRCH) || left
		}
		return left
	}
	all(syscall.SIGINT)
	for t := time.Now(); all(0) && time.Since(t) < grace; {
		time.Sleep(5 * time.Millisecond)
	}
	all(syscall.SIGKILL)
}
