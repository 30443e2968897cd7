package golden_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/ir/model"
)

// The tables of tasks agree: what a description may ask for has a row for the typed API and one for the commands of binaries, and
// those have no others.
func TestTasks(t *testing.T) {
	sorted := func(names []string) []string { return slices.Sorted(slices.Values(names)) }
	want := sorted(model.TaskNames())
	for _, table := range []struct {
		where string
		names []string
	}{{"codegen/task.go", codegen.TaskNames()}, {"codegen/rt/cli/tasks.go", cli.TaskNames()}} {
		if d := cmp.Diff(want, sorted(table.names)); d != "" {
			t.Errorf("tasks of ir/model and of %s (-want +got):\n%s", table.where, d)
		}
	}
}
