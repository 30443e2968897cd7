//go:build !unix

package interrupt

import (
	"os"
	"os/exec"
	"syscall"
)

func signals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// group does nothing: a console sends its signals to every process attached to it.
func group(*exec.Cmd) {}

// end kills the running children.
func end() {
	for cmd := range children.running {
		cmd.Process.Kill()
	}
}
