package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/generated/emoji"
)

// captioning rates the captions of drawings: the share of captions that equal the drawing's name,
// and the mean F1 score of the words in caption and name; both from 0 to 1.
type captioning struct {
	Exact  float64 `json:"exact"`
	WordF1 float64 `json:"word_f1"`
}

// answering is the share of right answers, from 0 to 1, to two questions: which group a drawing is
// in, and whether it has a given name. For a random half of the drawings the name is another
// drawing's. Both halves and names differ from those of the training run, so the shares may differ
// by chance.
type answering struct {
	Group float64 `json:"what group is this in?"`
	Name  float64 `json:"is this <name>? (half no)"`
}

const groupQuestion = "what group is this in?"

// told says how right the model was about one drawing: whether the caption equals the name, the F1
// score of the caption's words, and whether each of two answers is right.
type told struct {
	exact       bool
	f1          float64
	group, name bool
}

// tell asks the model two questions about every drawing and, if captions, has it write a caption.
// The results have the order of h.Items.
func tell(ctx context.Context, a *cli.App, m *task.Model, h *heldOut, captions bool) ([]told, error) {
	words, ok := m.Tokens().(interface{ Decode(ids []int32) string })
	if !ok {
		return nil, fmt.Errorf("the tokenizer does not spell")
	}
	draw := rand.New(rand.NewPCG(5, 5))
	all := make([]told, 0, len(h.Items))
	const batch = 32
	answers := emoji.Answers()
	bar := a.Progress("asking about pictures", "pictures", len(h.Items))
	defer bar.Done()
	for from := 0; from < len(h.Items); from += batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := h.Items[from:min(from+batch, len(h.Items))]
		var pictures []task.Picture
		for i := range part {
			img, err := h.cut(from + i)
			if err != nil {
				return nil, err
			}
			pictures = append(pictures, task.Image(img))
		}
		written := make([]task.Caption, len(part))
		if captions {
			var err error
			if written, err = m.Captions(ctx, m.Input().Captions, pictures, task.CaptionOptions{}); err != nil {
				return nil, err
			}
		}
		var kinds, names []task.Pair
		var wantKind, wantName []string
		for i, c := range written {
			var said told
			if captions {
				own := words.Decode(m.Tokens().Encode(part[i].Name, 0))
				said = told{exact: c.Text == own, f1: wordF1(c.Text, own)}
			}
			all = append(all, said)
			bar.Add(1)

			name, yes := part[i].Name, "yes"
			if draw.IntN(2) == 0 {
				for yes = "no"; name == part[i].Name; {
					name = h.Items[draw.IntN(len(h.Items))].Name
				}
			}
			kinds, wantKind = append(kinds, task.Pair{Picture: pictures[i], Text: groupQuestion}), append(wantKind, strings.ReplaceAll(part[i].Group, "-", " "))
			names, wantName = append(names, task.Pair{Picture: pictures[i], Text: "is this " + name + "?"}), append(wantName, yes)
		}
		for _, ask := range []struct {
			questions []task.Pair
			want      []string
			set       func(t *told, right bool)
		}{
			{kinds, wantKind, func(t *told, right bool) { t.group = right }},
			{names, wantName, func(t *told, right bool) { t.name = right }},
		} {
			logits, err := m.Pairs(ctx, m.Package().Find("vqa", "pair"), ask.questions)
			if err != nil {
				return nil, err
			}
			for i, l := range logits {
				ask.set(&all[from+i], task.Top(l, answers, 1)[0].Name == ask.want[i])
			}
		}
	}
	return all, nil
}

// wordF1 returns the F1 score of the words of a against those of b, from 0 to 1: twice the number
// of common words over the number of words in both.
func wordF1(a, b string) float64 {
	x, y := strings.Fields(a), strings.Fields(b)
	if len(x) == 0 || len(y) == 0 {
		return 0
	}
	common, left := 0, slices.Clone(y)
	for _, w := range x {
		if i := slices.Index(left, w); i >= 0 {
			common++
			left = slices.Delete(left, i, i+1)
		}
	}
	return 2 * float64(common) / float64(len(x)+len(y))
}

func captioningOf(all []told, subset []int) *captioning {
	sum := 0.0
	for _, i := range subset {
		sum += all[i].f1
	}
	return &captioning{
		Exact:  share(subset, func(i int) bool { return all[i].exact }),
		WordF1: round4(sum / float64(max(1, len(subset)))),
	}
}

func answeringOf(all []told, subset []int) answering {
	return answering{
		Group: share(subset, func(i int) bool { return all[i].group }),
		Name:  share(subset, func(i int) bool { return all[i].name }),
	}
}
