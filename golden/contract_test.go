package golden_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

// TestOlderPackage checks that the first compile errors of a package for an older contract say what to do. They are about an
// argument of a function or a list of kernels.
func TestOlderPackage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "old.go")
	asmtest.Write(t, file, `package old

import "github.com/multiway-go/multiway/codegen/rt"

func runVision(e *rt.Exec) {}

var levels = []*rt.Kernels{}

const _ = rt.Contract1

var Package = rt.Package{Contract: rt.Contract1}

var newer = []rt.Package{{Contract: rt.Contract2}, {Contract: rt.Contract3}, {Contract: rt.Contract4}}
`)
	out, err := exec.Command("go", "build", file).CombinedOutput()
	if n := strings.Count(string(out), "run multiway build, or go generate"); err == nil || n != 6 {
		t.Errorf("%d errors say what to do, want 6: %v\n%s", n, err, out)
	}
}
