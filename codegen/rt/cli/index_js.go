package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

// indexCommand returns nil: package index needs files that are locked and mapped.
func (a *App) indexCommand() *cobra.Command { return nil }

func (a *App) findIndexed(context.Context, *task.Model, []item, *searchOptions, imagefile.Options) ([]Result, tally, error) {
	return nil, tally{}, errors.ErrUnsupported
}
