package golden_test

import (
	"slices"
	"testing"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/ir/model"
)

// Every task with typed methods or commands can be in a description.
func TestEveryTaskCanBeDescribed(t *testing.T) {
	for _, table := range []struct {
		where string
		names []string
	}{{"codegen/task.go", codegen.TaskNames()}, {"codegen/rt/cli/tasks.go", cli.TaskNames()}} {
		for _, name := range table.names {
			if !slices.Contains(model.TaskNames(), name) {
				t.Errorf("%s has a row of task %q; ir/model has %q", table.where, name, model.TaskNames())
			}
		}
		if len(table.names) < 5 {
			t.Errorf("%s has rows of %q alone", table.where, table.names)
		}
	}
}
