package app

import (
	"errors"
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/file"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

// The tasks of a picture and a text, and the head that nlvr2 has, as the compiler names them.
const (
	answering  = "vqa"
	reasoning  = "nlvr2"
	matching   = "itm"
	second     = "_second"
	reasonHead = "reason_head"
)

// pair returns the task's function of a picture and a text, nil if there is none.
func (a *App) pair(name string) *rt.Func {
	if a.Package == nil {
		return nil
	}
	for _, f := range a.Package.Funcs {
		if strings.HasSuffix(f.Name, "_"+name) && f.Image > 0 && f.Text {
			return f
		}
	}
	return nil
}

func (a *App) answerCommand() *cobra.Command {
	var top int
	var labels string
	var strict bool
	c := &cobra.Command{
		Use:   "answer [flags] PICTURE QUESTION...",
		Short: "Answer questions about a picture",
		Long: `answer prints the most probable answers to each question about a picture, best first.
A question "-" stands for a list on standard input, one a line.

A model chooses from a fixed list of answers. A binary that was built without it prints
their numbers, unless --labels names the file: one answer a line, a JSON list, or the
answer2label.txt of the original code.`,
		Example: strings.ReplaceAll(`  NAME answer kitchen.jpg "What is on the table?"
  NAME answer --top 1 --json kitchen.jpg "Is it day?" "How many chairs are there?"`, "NAME", a.Name),
		Args: a.needs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if top < 0 {
				return Usagef("--top is %d, want a number of answers, 0 for all", top)
			}
			questions, err := a.given(slices.Concat(args[1:], a.ids))
			if err != nil {
				return err
			}
			return a.answer(args[0], questions, top, labels, strict)
		},
	}
	a.idsFlag(c)
	f := c.Flags()
	f.IntVarP(&top, "top", "k", 5, "answers a question, 0 for all")
	f.StringVar(&labels, "labels", "", "file with the answers in the order of the logits (default: the build's)")
	f.BoolVar(&strict, "strict", false, strictTexts)
	return c
}

func (a *App) answer(picture string, questions []string, top int, labels string, strict bool) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	f := m.Func(a.pair(answering).Name)
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
	for len(imgs) < len(questions) {
		imgs = append(imgs, imgs[0])
	}
	rows, failed := m.Pairs(f, 0, imgs, questions)
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

func (a *App) reasonCommand() *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use:   "reason [flags] PICTURE_A PICTURE_B STATEMENT...",
		Short: "Say whether a statement is true of two pictures",
		Long: `reason prints for each statement whether it is true of the two pictures together,
and how probable the model holds it. A statement "-" stands for a list on standard
input, one a line.`,
		Example: strings.ReplaceAll(`  NAME reason left.jpg right.jpg "Both pictures show a dog."
  NAME reason --json left.jpg right.jpg "There are three cups in all."`, "NAME", a.Name),
		Args: a.needs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			statements, err := a.given(slices.Concat(args[2:], a.ids))
			if err != nil {
				return err
			}
			return a.reason(args[0], args[1], statements, strict)
		},
	}
	a.idsFlag(c)
	c.Flags().BoolVar(&strict, "strict", false, strictTexts)
	return c
}

func (a *App) reason(first, other string, statements []string, strict bool) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	name := a.pair(reasoning).Name
	r := &task.Reasoning{First: m.Func(name), Second: m.Func(name), Head: m.Func(reasonHead)}
	if f := m.Func(name + second); f != nil {
		r.Second = f
	}
	imgs, err := a.readPictures(m, first, other)
	if err != nil {
		return err
	}
	cut, err := tooLongOf(m, statements, strict)
	if err != nil {
		return err
	}
	defer a.warnCut(m, cut, len(statements))
	var failed error
	for _, s := range statements {
		logits, err := m.Reason(r, imgs[0], imgs[1], s)
		if errors.Is(err, rt.ErrNotFinite) {
			failed = errors.Join(failed, errors.New(place(s, err)))
			continue
		}
		if err != nil {
			return err
		}
		p := task.Prob(logits, 1)
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

// readPictures reads picture files.
func (a *App) readPictures(m *task.Model, paths ...string) ([]image.Image, error) {
	var imgs []image.Image
	for _, p := range paths {
		if p == "-" {
			return nil, Usagef("- is a list, want one picture: name its file")
		}
		it := fileItem(p, true, a.decodeOptions(m))
		img, err := it.read()
		if err != nil {
			return nil, err
		}
		imgs = append(imgs, img)
	}
	return imgs, nil
}

// labelsOf are the names of what f chooses from: those in the file, if one is named, else
// those of the build.
func labelsOf(path string, built []string, f *rt.Func) ([]string, error) {
	if path == "" {
		return built, nil
	}
	list, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	names, err := task.ReadLabels(file.Text(list))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	if n := f.Outputs[0].Cols; len(names) != n {
		return nil, fmt.Errorf("%s: %d labels, but %s has %d classes; want the file that belongs to this model", file.Quote(path), len(names), f.Name, n)
	}
	return names, nil
}
