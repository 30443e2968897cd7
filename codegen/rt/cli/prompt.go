package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

// maxTemplates bounds the bytes of a file of templates.
const maxTemplates = 1 << 20

// promptCommand is the classify command of a model without a classification head: it compares pictures with texts about
// classes that the user names.
func (a *App) promptCommand() *cobra.Command {
	if a.function(classification, "image") != nil || a.function(retrieval, "image") == nil || a.function(retrieval, "text") == nil {
		return nil
	}
	var o promptOptions
	c := &cobra.Command{
		Use:   "classify [flags] --labels FILE PICTURE...",
		Short: "Say which of your classes a picture is of",
		Long: `classify prints the most probable classes of each picture, best first, of those that the
file of --labels names: one per line, or a JSON list. No training is needed: a class is the
embedding of a prompt, "` + task.Template + `" with its name in place of each {}.

--template gives another prompt, or a file with one per line. With several, a class is the
mean of their embeddings, which is often more accurate. Prompts are embedded once, before
the first picture.

Probabilities are of each class among all lines of the file (softmax), or, for models trained
with a sigmoid loss such as SigLIP, of each class on its own: these do not sum to 100 %.
"-" reads a list of pictures and folders from standard input, one per line.`,
		Example: strings.ReplaceAll(`  NAME classify --labels animals.txt cat.png
  NAME classify --labels animals.txt --template "a drawing of a {}" --template "a {}" pictures/
  NAME classify --labels animals.txt --template templates.txt --top 1 --json pictures/`, "NAME", a.Name),
		Args: minimum(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case o.top < 0:
				return Usagef("--top is %d, want a number of classes, 0 for all", o.top)
			case o.labels == "":
				return Usagef("--labels is missing, want a file with the names of the classes")
			}
			return a.classifyAs(c.Context(), args, &o)
		},
	}
	f := c.Flags()
	f.IntVarP(&o.top, "top", "k", 5, "classes per picture, 0 for all")
	f.StringVar(&o.labels, "labels", "", "file with the names of the classes, lines or JSON")
	f.StringArrayVar(&o.templates, "template", nil, "`prompt` with {} for a name, or file of prompts (default \""+task.Template+"\")")
	f.BoolVar(&o.strict, "strict", false, strictBoth)
	return c
}

type promptOptions struct {
	labels    string
	templates []string
	top       int
	strict    bool
}

func (a *App) classifyAs(ctx context.Context, args []string, o *promptOptions) error {
	names, err := readLabels(o.labels)
	if err != nil {
		return err
	}
	templates, err := readTemplates(o.templates)
	if err != nil {
		return err
	}
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	if m.Tokens() == nil {
		return fmt.Errorf("%s was built without a tokenizer, and prompts are texts: want `tokenizer:` in its description", m.Package().Name)
	}
	classes, err := m.ClassesBy(names, templates, func(prompts iter.Seq[string], row func([]float32) error) error {
		s := &stream{App: a, m: m, strict: o.strict, texts: m.Package().Find(retrieval, "text"), what: "embedding classes", total: len(names) * max(1, len(templates))}
		t, err := s.run(ctx, func(yield func(item) bool) {
			for text := range prompts {
				if !yield(textItem(text)) {
					return
				}
			}
		}, func(_ *item, vector []float32) error { return row(vector) })
		if err == nil && t.failed > 0 {
			err = fmt.Errorf("%d of %d prompts have no embedding, and every class needs its own", t.failed, t.done+t.failed)
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.classes(ctx, m, retrieval, args, o.strict, func(vector []float32) []task.Label { return classes.Top(vector, o.top) })
}

// readTemplates reads templates: a text with {}, or a file of such lines.
func readTemplates(list []string) ([]string, error) {
	var all []string
	for _, t := range list {
		if strings.Contains(t, task.Blank) {
			all = append(all, t)
			continue
		}
		text, err := file.ReadText(t, maxTemplates)
		switch {
		case t == "", errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("template %q is no file and has no {}; want a text with {} in place of the name, or a file of such lines", file.Brief(t))
		case err != nil:
			return nil, fmt.Errorf("template %w", err)
		}
		some, n := false, 0
		for line := range strings.Lines(string(text)) {
			n++
			switch line = strings.TrimSpace(line); {
			case line == "":
				continue
			case !strings.Contains(line, task.Blank):
				return nil, fmt.Errorf("%s: line %d is %s, want a text with {} in place of the name", file.Quote(t), n, file.Brief(file.Quote(line)))
			}
			all, some = append(all, line), true
		}
		if !some {
			return nil, fmt.Errorf("%s: no templates; want lines with {} in place of the name", file.Quote(t))
		}
	}
	return all, nil
}
