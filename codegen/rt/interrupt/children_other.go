//go:build !unix

package interrupt

import (
	"os"
	"os/exec"
	"syscall"
)

func signals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// group does nothing: a console's signals reach all processes in it.
func group(*exec.Cmd) {}

// end ends the processes that run.
func end() {
	for cmd := range children.running {
		cmd.Process.Kill()
	}
}
