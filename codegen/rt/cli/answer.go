package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

const answering = "vqa"

func (a *App) answerCommand() *cobra.Command {
	if a.function(answering, "pair") == nil {
		return nil
	}
	var top int
	var labels string
	var strict bool
	c := &cobra.Command{
		Use:   "answer [flags] PICTURE QUESTION...",
		Short: "Answer questions about a picture",
		Long: `answer prints the most probable answers to each question about a picture, best first.
The question "-" reads a list of questions from standard input, one per line.

A model chooses from a fixed list of answers. A binary that was built without this list prints
their numbers, unless --labels names a file with it: one answer per line, a JSON list, or the
answer2label.txt of the reference implementation.`,
		Example: strings.ReplaceAll(`  NAME answer kitchen.jpg "What is on the table?"
  NAME answer --top 1 --json kitchen.jpg "Is it day?" "How many chairs are there?"`, "NAME", a.Name),
		Args: a.needs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if top < 0 {
				return Usagef("--top is %d, want a number of answers, 0 for all", top)
			}
			questions, err := a.given(slices.Concat(args[1:], a.ids))
			if err != nil {
				return err
			}
			return a.answer(c.Context(), args[0], questions, top, labels, strict)
		},
	}
	a.idsFlag(c)
	f := c.Flags()
	f.IntVarP(&top, "top", "k", 5, "answers per question, 0 for all")
	f.StringVar(&labels, "labels", "", "file with the answers in the order of the logits (default: the build's)")
	f.BoolVar(&strict, "strict", false, strictTexts)
	return c
}

func (a *App) answer(ctx context.Context, picture string, questions []string, top int, labels string, strict bool) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	f := m.Package().Find(answering, "pair")
	names, err := labelsOf(labels, m.Input().Answers, f)
	if err != nil {
		return err
	}
	imgs, err := a.readPictures(m, picture)
	if err != nil {
		return err
	}
	cut, err := tooLongOf(m, questions, strict)
	if err != nil {
		return err
	}
	defer a.warnCut(m, cut, len(questions))
	rows, failed := m.Pairs(ctx, f, pairs(imgs[0], questions))
	if _, err := lost(failed); err != nil {
		return err
	}
	for i, q := range questions {
		if rows[i] == nil {
			continue
		}
		answers := task.Top(rows[i], names, top)
		if a.json {
			err = a.Print(struct {
				Image    string       `json:"image"`
				Question string       `json:"question"`
				Answers  []task.Label `json:"answers"`
			}{picture, q, answers})
		} else {
			_, err = fmt.Fprintf(a.Out, "%s\n%s", file.Quote(q), classTable(answers))
		}
		if err != nil {
			return err
		}
	}
	return failed
}
