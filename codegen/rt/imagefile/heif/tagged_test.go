package heif_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm/asmtest"
)

const (
	module  = "github.com/multiway-go/multiway/"
	readers = module + "codegen/rt/imagefile/"
)

func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	return asmtest.Run(t, cmd)
}

// The readers' own tests are only there with the tag that the readers need.
func TestReadersWithTheirTag(t *testing.T) {
	t.Log(goCommand(t, "test", "-tags", "nodynamic", readers+"heic", readers+"avif"))
}

// What is not asked for is not linked: without the import, and without the tag.
func TestNotLinked(t *testing.T) {
	foreign := func(p string) bool {
		return strings.Contains(p, "wazero") || strings.Contains(p, "purego") || strings.HasPrefix(p, "github.com/gen2brain/heic") || strings.HasPrefix(p, "github.com/gen2brain/avif")
	}
	for _, args := range [][]string{
		{module + "cmd/emoji", module + "cmd/multiway", readers + "heic", readers + "avif"},
		{"-tags=nodynamic", module + "cmd/emoji", module + "codegen/rt/cli", module + "generated/emoji"},
	} {
		deps := strings.Fields(goCommand(t, append([]string{"list", "-deps"}, args...)...))
		if i := slices.IndexFunc(deps, foreign); i >= 0 {
			t.Errorf("%v links %s", args, deps[i])
		}
	}
	deps := strings.Fields(goCommand(t, "list", "-deps", "-tags=nodynamic", readers+"heic", readers+"avif"))
	if i := slices.IndexFunc(deps, func(p string) bool { return strings.Contains(p, "purego") }); i >= 0 || !slices.ContainsFunc(deps, foreign) {
		t.Errorf("with the tag the readers link %v, want wazero and their modules, and no purego", slices.DeleteFunc(deps, func(p string) bool { return !foreign(p) }))
	}
}
