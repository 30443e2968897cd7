package cli

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

const matching = "itm"

func (a *App) matchCommand() *cobra.Command {
	if a.function(matching, "pair") == nil {
		return nil
	}
	return a.fitCommand("how probable the model holds it that\nthe text describes the picture, from 0 to 1")
}

// cosineCommand is the match command of a model without an itm head: it compares embeddings.
func (a *App) cosineCommand() *cobra.Command {
	if a.function(matching, "pair") != nil || a.function(retrieval, "image") == nil || a.function(retrieval, "text") == nil {
		return nil
	}
	return a.fitCommand(`the cosine of the picture's embedding and
the text's, from -1 to 1, and the probability that the text describes the picture: among the
given texts if there are several (softmax), or, for models trained with a sigmoid loss such as
SigLIP, of each text on its own`)
}

func (a *App) fitCommand(what string) *cobra.Command {
	strict := false
	c := &cobra.Command{
		Use:   "match [flags] PICTURE TEXT...",
		Short: "Say how well texts fit a picture",
		Long:  "match prints for each text, best first, " + what + ".\nThe text \"-\" reads a list of texts from standard input, one per line.",
		Example: strings.ReplaceAll(`  NAME match dog.jpg "two dogs in the snow"
  NAME match --json dog.jpg "a dog" "a cat"`, "NAME", a.Name),
		Args: a.needs(2),
		RunE: func(c *cobra.Command, args []string) error {
			texts, err := a.given(slices.Concat(args[1:], a.ids))
			if err != nil {
				return err
			}
			return a.match(c.Context(), args[0], texts, strict)
		},
	}
	a.idsFlag(c)
	c.Flags().BoolVar(&strict, "strict", false, strictTexts)
	return c
}

func (a *App) match(ctx context.Context, picture string, texts []string, strict bool) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	imgs, err := a.readPictures(m, picture)
	if err != nil {
		return err
	}
	cut, err := tooLongOf(m, texts, strict)
	if err != nil {
		return err
	}
	defer a.warnCut(m, cut, len(texts))
	scores, kind, failed := a.scores(ctx, m, imgs[0], texts)
	if scores == nil {
		return failed
	}
	var probs []float32
	if l, ok := m.Logits(); ok && kind == "cosine" && (l.Each || len(texts) > 1) {
		probs = l.Probs(scores)
	}
	var order []int
	for i, s := range scores {
		if s == s { // not NaN
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case scores[i] > scores[j]:
			return -1
		case scores[i] < scores[j]:
			return 1
		}
		return 0
	})
	for _, i := range order {
		var prob *float32
		if probs != nil {
			prob = &probs[i]
		}
		if a.json {
			err = a.Print(struct {
				Image string   `json:"image"`
				Text  string   `json:"text"`
				Score float32  `json:"score"`
				Kind  string   `json:"kind"`           // of the score: prob or cosine
				Prob  *float32 `json:"prob,omitempty"` // of a cosine
			}{picture, texts[i], scores[i], kind, prob})
		} else {
			_, err = fmt.Fprintf(a.Out, "%7.4f  %s%s\n", scores[i], percent(prob), file.Quote(texts[i]))
		}
		if err != nil {
			return err
		}
	}
	return failed
}

// scores returns the score of each text for the picture, and the kind of the scores: prob or
// cosine. A text without a result (see rt.BatchError) has the score NaN.
func (a *App) scores(ctx context.Context, m *task.Model, img image.Image, texts []string) (scores []float32, kind string, err error) {
	if f := m.Package().Find(matching, "pair"); f != nil {
		scores, err := m.Probabilities(ctx, f, pairs(img, texts))
		return scores, "prob", err
	}
	v, err := task.One(m.Images(ctx, m.Package().Find(retrieval, "image"), []task.Picture{task.Image(img)}))
	if err != nil {
		return nil, "", err
	}
	rows, failed := m.Texts(ctx, m.Package().Find(retrieval, "text"), texts)
	if _, err := lost(failed); err != nil {
		return nil, "", err
	}
	for _, t := range rows {
		if t == nil {
			scores = append(scores, float32(math.NaN()))
			continue
		}
		scores = append(scores, task.Dot(t, v))
	}
	return scores, "cosine", failed
}

// percent is the column of a probability in tables, nothing without one.
func percent(prob *float32) string {
	if prob == nil {
		return ""
	}
	return fmt.Sprintf("%5.1f %%  ", 100**prob)
}
