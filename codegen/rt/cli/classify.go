package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

const classification = "classification"

func (a *App) classifyCommand() *cobra.Command {
	if a.function(classification, "image") == nil {
		return nil
	}
	var top int
	var labels string
	var strict bool
	c := &cobra.Command{
		Use:   "classify [flags] PICTURE...",
		Short: "Say what is in a picture",
		Long: `classify prints the most probable classes of each picture, best first.

A folder stands for the pictures in it and its subfolders; "-" reads a list of pictures and
folders from standard input, one per line.`,
		Example: strings.ReplaceAll(`  NAME classify cat.png
  NAME classify --top 1 --json pictures/`, "NAME", a.Name),
		Args: minimum(1),
		RunE: func(c *cobra.Command, args []string) error {
			if top < 0 {
				return Usagef("--top is %d, want a number of classes, 0 for all", top)
			}
			return a.classify(c.Context(), args, top, labels, strict)
		},
	}
	f := c.Flags()
	f.IntVarP(&top, "top", "k", 5, "classes per picture, 0 for all")
	f.StringVar(&labels, "labels", "", "file with the names of the classes, lines or JSON (default: the build's)")
	f.BoolVar(&strict, "strict", false, strictPictures)
	return c
}

func (a *App) classify(ctx context.Context, args []string, top int, labels string, strict bool) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	names, err := labelsOf(labels, m.Input().Labels, m.Package().Find(classification, "image"))
	if err != nil {
		return err
	}
	return a.classes(ctx, m, classification, args, strict, func(logits []float32) []task.Label { return task.Top(logits, names, top) })
}

// classes prints the classes of pictures that of returns for the output of a task's function.
func (a *App) classes(ctx context.Context, m *task.Model, name string, args []string, strict bool, of func(output []float32) []task.Label) error {
	o := a.decodeOptions(m)
	items, total := a.inputs(args, func(arg string, _ bool) []item { return a.pictures(arg, o) })
	s := &stream{App: a, m: m, strict: strict, images: m.Package().Find(name, "image"), what: "classifying", total: total}
	t, err := s.run(ctx, items, func(it *item, output []float32) error {
		labels := of(output)
		if a.json {
			return a.Print(struct {
				Image   string       `json:"image"`
				Classes []task.Label `json:"classes"`
			}{it.name, labels})
		}
		_, err := fmt.Fprintf(a.Out, "%s\n%s", file.Quote(it.name), classTable(labels))
		return err
	})
	if err != nil {
		return err
	}
	return a.tallied(t, strict)
}

func classTable(labels []task.Label) string {
	var b strings.Builder
	for _, l := range labels {
		name := file.Quote(l.Name)
		if name == "" {
			name = fmt.Sprintf("class %d", l.Index)
		}
		fmt.Fprintf(&b, "  %5.1f %%  %s\n", 100*l.Prob, name)
	}
	return b.String()
}

// labelsOf returns the names of f's classes: from the file at path, or those of the build if
// path is "".
func labelsOf(path string, built []string, f *exec.Func) ([]string, error) {
	if path == "" {
		return built, nil
	}
	names, err := readLabels(path)
	if err != nil {
		return nil, err
	}
	if n := f.Outputs[0].Cols; len(names) != n {
		return nil, fmt.Errorf("%s: %d labels, but %s has %d classes; want the file that belongs to this model", file.Quote(path), len(names), f.Name, n)
	}
	return names, nil
}

// readLabels reads a file of names of classes.
func readLabels(path string) ([]string, error) {
	list, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	names, err := task.ReadLabels(file.Text(list))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	return names, nil
}
