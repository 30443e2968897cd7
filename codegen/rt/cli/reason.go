package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

const reasoning = "nlvr2"

func (a *App) reasonCommand() *cobra.Command {
	if a.function(reasoning, "pair") == nil || a.function(reasoning, "head") == nil {
		return nil
	}
	var strict bool
	c := &cobra.Command{
		Use:   "reason [flags] PICTURE_A PICTURE_B STATEMENT...",
		Short: "Say whether a statement is true of two pictures",
		Long: `reason prints for each statement whether it is true of the two pictures together, and its
probability. The statement "-" reads a list of statements from standard input, one per line.`,
		Example: strings.ReplaceAll(`  NAME reason left.jpg right.jpg "Both pictures show a dog."
  NAME reason --json left.jpg right.jpg "There are three cups in all."`, "NAME", a.Name),
		Args: a.needs(3),
		RunE: func(c *cobra.Command, args []string) error {
			statements, err := a.given(slices.Concat(args[2:], a.ids))
			if err != nil {
				return err
			}
			return a.reason(c.Context(), args[0], args[1], statements, strict)
		},
	}
	a.idsFlag(c)
	c.Flags().BoolVar(&strict, "strict", false, strictTexts)
	return c
}

func (a *App) reason(ctx context.Context, first, other string, statements []string, strict bool) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	r := &task.Reasoning{First: m.Package().Find(reasoning, "pair"), Head: m.Package().Find(reasoning, "head")}
	r.Second = cmp.Or(m.Package().Find(reasoning, "second"), r.First)
	imgs, err := a.readPictures(m, first, other)
	if err != nil {
		return err
	}
	cut, err := tooLongOf(m, statements, strict)
	if err != nil {
		return err
	}
	defer a.warnCut(m, cut, len(statements))
	var about []task.Statement
	for _, s := range statements {
		about = append(about, task.Statement{A: task.Image(imgs[0]), B: task.Image(imgs[1]), Text: s})
	}
	truths, err := m.Truths(ctx, r, about)
	errs, err := lost(err)
	if err != nil {
		return err
	}
	var failed error
	for i, s := range statements {
		if err := at(errs, i); err != nil {
			failed = errors.Join(failed, errors.New(place(s, err)))
			continue
		}
		p := truths[i]
		if a.json {
			err = a.Print(struct {
				Images    [2]string `json:"images"`
				Statement string    `json:"statement"`
				True      bool      `json:"true"`
				Prob      float32   `json:"prob"` // of being true
			}{[2]string{first, other}, s, p > 0.5, p})
		} else {
			_, err = fmt.Fprintf(a.Out, "%s\n  %t, %.1f %% probable to be true\n", file.Quote(s), p > 0.5, 100*p)
		}
		if err != nil {
			return err
		}
	}
	return failed
}
