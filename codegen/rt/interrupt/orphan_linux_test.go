package interrupt_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt/interrupt"
)

func init() {
	mains["parent"] = func() int {
		cmd := exec.Command("sh", "-c", "echo ready; exec sleep 1000")
		cmd.Stdout = os.Stdout
		fmt.Println("ended:", interrupt.Run(cmd))
		return 0
	}
}

// A process ends with the one that began it, also if that is killed.
func TestProcessEndsWithItsParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Dir = t.TempDir()
	_, out := ready(t, cmd, "parent")
	cmd.Process.Kill()
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 { // ends when no process has the pipe
		t.Errorf("it says %q, %v", rest, err)
	}
	cmd.Wait()
}
