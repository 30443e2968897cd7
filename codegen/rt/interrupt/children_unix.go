//go:build unix

package interrupt

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

var signals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

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
