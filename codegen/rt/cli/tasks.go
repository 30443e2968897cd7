package cli

import (
	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// tasks is the table of tasks and their commands. A task without a row has no commands. A
// function returns nil if the package lacks what its command needs.
var tasks = []struct {
	name     string
	commands []func(*App) *cobra.Command
}{
	{retrieval, []func(*App) *cobra.Command{(*App).embedCommand, (*App).searchCommand, (*App).indexCommand, (*App).cosineCommand, (*App).promptCommand}},
	{classification, []func(*App) *cobra.Command{(*App).classifyCommand}},
	{answering, []func(*App) *cobra.Command{(*App).answerCommand}},
	{matching, []func(*App) *cobra.Command{(*App).matchCommand}},
	{reasoning, []func(*App) *cobra.Command{(*App).reasonCommand}},
	{captioning, []func(*App) *cobra.Command{(*App).captionCommand}},
}

// TaskNames returns the names of the tasks that have commands.
func TaskNames() []string {
	var names []string
	for _, t := range tasks {
		names = append(names, t.name)
	}
	return names
}

// function returns the package's function of the given task and kind, nil if there is none; see
// exec.Func.
func (a *App) function(task, kind string) *exec.Func {
	if a.Package == nil {
		return nil
	}
	return a.Package.Find(task, kind)
}
