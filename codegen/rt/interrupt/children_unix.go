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

// signals lists the signals that end the program. SIGHUP is left out while it is ignored, as
// under nohup. SIGINT is always included: a shell ignores it for its background jobs, but kill
// -INT must end those too.
func signals() []os.Signal {
	list := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

// group starts cmd in a process group of its own, which its children share, and on systems that
// support it ties its lifetime to this process.
func group(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	orphan(cmd.SysProcAttr)
}

// end sends SIGINT to the process groups of the running children, and SIGKILL to the groups
// that still exist after grace.
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
