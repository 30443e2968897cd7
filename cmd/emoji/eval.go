package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/cli"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

func evalCommand(a *cli.App) *cobra.Command {
	captions, every := true, 1
	c := &cobra.Command{
		Use:   "eval",
		Short: "Measure the model on the held-out drawings",
		Long: `eval measures the model on the drawings it carries, by an artist that training never
saw: how often a name finds its drawing among the first 1, 5 and 10 of all, a drawing
its name, how often the class of a drawing is right, its caption its name, and the
answer to a question about it. "Unseen" concepts were left out of training in every
artist's drawing.

The first line says the precision of the model's weights. --json prints the numbers under
the names and in the places that the metrics.json of the training run has them.`,
		Example: "  emoji eval\n  emoji eval --captions=false --every 4 --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if every < 1 {
				return cli.Usagef("--every is %d, want at least 1", every)
			}
			m, err := a.Open()
			if err != nil {
				return err
			}
			defer m.Close()
			e, err := evaluate(c.Context(), a, m, captions, every)
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.Print(map[string]any{"precision": e.precision, "metrics": map[string]any{e.vendor: e.metrics}})
			}
			return e.print(a)
		},
	}
	c.Flags().BoolVar(&captions, "captions", true, "also caption every drawing, which takes longest")
	c.Flags().IntVar(&every, "every", 1, "measure every N-th drawing, among as many, which is faster; 1 = all")
	return c
}

// metrics holds the results of eval for a set of drawings: shares from 0 to 1, rounded to 4 digits.
// A concept is seen if training had a drawing of it, by any artist.
type metrics struct {
	Images               int      `json:"images"`
	Unseen               int      `json:"unseen"`
	All                  recall   `json:"all"`
	SeenAmongAll         recall   `json:"seen_concepts_among_all"`
	UnseenAmongAll       recall   `json:"unseen_concepts_among_all"`
	UnseenAmongThemself  recall   `json:"unseen_concepts_among_themselves"`
	ClassificationAll    accuracy `json:"classification_all"`
	ClassificationSeen   accuracy `json:"classification_seen"`
	ClassificationUnseen accuracy `json:"classification_unseen"`

	CaptioningAll    *captioning `json:"captioning_all,omitempty"` // nil: not asked for
	CaptioningSeen   *captioning `json:"captioning_seen,omitempty"`
	CaptioningUnseen *captioning `json:"captioning_unseen,omitempty"`
	VQAAll           answering   `json:"vqa_all"`
	VQASeen          answering   `json:"vqa_seen"`
	VQAUnseen        answering   `json:"vqa_unseen"`
}

// recall is the share of queries, from 0 to 1, whose own drawing or name is among the first 1, 5
// and 10 results.
type recall struct {
	TextToImage1  float64 `json:"text_to_image_R@1"`
	TextToImage5  float64 `json:"text_to_image_R@5"`
	TextToImage10 float64 `json:"text_to_image_R@10"`
	ImageToText1  float64 `json:"image_to_text_R@1"`
	ImageToText5  float64 `json:"image_to_text_R@5"`
	ImageToText10 float64 `json:"image_to_text_R@10"`
}

// accuracy is the share of drawings, from 0 to 1, whose class is right: the subgroup is the most
// probable one or among the first five, or the group is the most probable. A group has the sum of
// its subgroups' probabilities.
type accuracy struct {
	Subgroup1 float64 `json:"subgroup_top1"`
	Subgroup5 float64 `json:"subgroup_top5"`
	Group1    float64 `json:"group_top1"`
}

type evaluation struct {
	vendor, precision string
	metrics
	images [][]float32 // embeddings of the drawings
}

func evaluate(ctx context.Context, a *cli.App, m *task.Model, captions bool, every int) (*evaluation, error) {
	h, err := loadHeldOut()
	if err != nil {
		return nil, err
	}
	h = h.every(every)
	l, err := loadLabels()
	if err != nil {
		return nil, err
	}
	list := h.pictures()
	var images, texts [][]float32
	keep := func(rows *[][]float32) func(int, []float32) error {
		return func(_ int, out []float32) error { *rows = append(*rows, slices.Clone(out)); return nil }
	}
	if err := a.Images(ctx, m, m.Package().Find("retrieval", "image"), list, keep(&images)); err != nil {
		return nil, err
	}
	if err := a.Texts(ctx, m, m.Package().Find("retrieval", "text"), h.names(), keep(&texts)); err != nil {
		return nil, err
	}
	var hits []hit
	err = a.Images(ctx, m, m.Package().Find("classification", "image"), list, func(i int, logits []float32) error {
		got, err := l.judge(&h.Items[i], logits)
		hits = append(hits, got)
		return err
	})
	if err != nil {
		return nil, err
	}
	said, err := tell(ctx, a, m, h, captions)
	if err != nil {
		return nil, err
	}

	var all, seen, unseen []int
	for i, d := range h.Items {
		all = append(all, i)
		if d.Unseen {
			unseen = append(unseen, i)
		} else {
			seen = append(seen, i)
		}
	}
	t2i, i2t := ranks(texts, images, all), ranks(images, texts, all)
	e := &evaluation{vendor: h.Vendor, precision: m.Info().Precision, images: images}
	e.Images, e.Unseen = len(all), len(unseen)
	e.All = recallOf(t2i, i2t, all)
	e.SeenAmongAll = recallOf(t2i, i2t, seen)
	e.UnseenAmongAll = recallOf(t2i, i2t, unseen)
	e.UnseenAmongThemself = recallOf(ranks(texts, images, unseen), ranks(images, texts, unseen), unseen)
	e.ClassificationAll = accuracyOf(hits, all)
	e.ClassificationSeen = accuracyOf(hits, seen)
	e.ClassificationUnseen = accuracyOf(hits, unseen)
	e.VQAAll, e.VQASeen, e.VQAUnseen = answeringOf(said, all), answeringOf(said, seen), answeringOf(said, unseen)
	if captions {
		e.CaptioningAll, e.CaptioningSeen, e.CaptioningUnseen = captioningOf(said, all), captioningOf(said, seen), captioningOf(said, unseen)
	}
	return e, nil
}

// ranks returns, by index, the rank of candidate i for query i, from 0, for each i in subset; only
// candidates in subset compete. Some drawings are the same to the pixel (flags of territories), so
// candidates can tie: they share the mean of their ranks.
func ranks(queries, candidates [][]float32, subset []int) map[int]float64 {
	rank := make(map[int]float64, len(subset))
	for _, i := range subset {
		own := dot(queries[i], candidates[i])
		better, equal := 0, -1 // the partner itself is no tie
		for _, j := range subset {
			switch s := dot(queries[i], candidates[j]); {
			case s > own:
				better++
			case s == own:
				equal++
			}
		}
		rank[i] = float64(better) + float64(equal)/2
	}
	return rank
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(float64(x) * float64(b[i]))
	}
	return sum
}

// share returns the part of subset for which ok holds, from 0 to 1, rounded to 4 digits; 0 for an
// empty subset.
func share(subset []int, ok func(i int) bool) float64 {
	n := 0
	for _, i := range subset {
		if ok(i) {
			n++
		}
	}
	return round4(float64(n) / float64(max(1, len(subset))))
}

func round4(x float64) float64 { return math.Round(1e4*x) / 1e4 }

func recallOf(t2i, i2t map[int]float64, subset []int) recall {
	at := func(rank map[int]float64, k float64) float64 {
		return share(subset, func(i int) bool { return rank[i] < k })
	}
	return recall{at(t2i, 1), at(t2i, 5), at(t2i, 10), at(i2t, 1), at(i2t, 5), at(i2t, 10)}
}

// hit says which predictions for a drawing were right: the most probable subgroup, one of the five
// most probable, and the most probable group.
type hit struct{ subgroup1, subgroup5, group1 bool }

func (l *labels) judge(d *drawing, logits []float32) (hit, error) {
	if len(logits) != len(l.Subgroups) {
		return hit{}, fmt.Errorf("%d logits, labels.json has %d subgroups", len(logits), len(l.Subgroups))
	}
	top := task.Top(logits, l.Subgroups, 0)
	groups := map[string]float64{}
	for _, t := range top {
		groups[l.GroupOf[t.Name]] += float64(t.Prob)
	}
	best := l.Groups[0]
	for _, g := range l.Groups {
		if groups[g] > groups[best] {
			best = g
		}
	}
	return hit{
		subgroup1: top[0].Name == d.Subgroup,
		subgroup5: slices.ContainsFunc(top[:min(5, len(top))], func(t task.Label) bool { return t.Name == d.Subgroup }),
		group1:    best == l.GroupOf[d.Subgroup],
	}, nil
}

func accuracyOf(hits []hit, subset []int) accuracy {
	return accuracy{
		share(subset, func(i int) bool { return hits[i].subgroup1 }),
		share(subset, func(i int) bool { return hits[i].subgroup5 }),
		share(subset, func(i int) bool { return hits[i].group1 }),
	}
}

func (e *evaluation) print(a *cli.App) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(a.Out, "%d drawings of %s, %d of them of concepts that training never saw; precision %s\n\n", e.Images, e.vendor, e.Unseen, e.precision)
	fmt.Fprintln(w, "retrieval\ttext->image R@1\tR@5\tR@10\timage->text R@1\tR@5\tR@10")
	for _, r := range []struct {
		name string
		recall
	}{
		{"all", e.All}, {"seen among all", e.SeenAmongAll}, {"unseen among all", e.UnseenAmongAll}, {"unseen among themselves", e.UnseenAmongThemself},
	} {
		fmt.Fprintf(w, "%s\t", r.name)
		for _, x := range []float64{r.TextToImage1, r.TextToImage5, r.TextToImage10, r.ImageToText1, r.ImageToText5, r.ImageToText10} {
			fmt.Fprintf(w, "%5.2f %%\t", 100*x)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "\nclassification\tsubgroup top-1\ttop-5\tgroup top-1")
	for _, r := range []struct {
		name string
		accuracy
	}{{"all", e.ClassificationAll}, {"seen", e.ClassificationSeen}, {"unseen", e.ClassificationUnseen}} {
		fmt.Fprintf(w, "%s\t%5.2f %%\t%5.2f %%\t%5.2f %%\n", r.name, 100*r.Subgroup1, 100*r.Subgroup5, 100*r.Group1)
	}
	fmt.Fprintln(w, "\ncaptions and answers\tcaption is the name\twords, F1\twhat group is this in?\tis this NAME? (half no)")
	for _, r := range []struct {
		name string
		*captioning
		answering
	}{
		{"all", e.CaptioningAll, e.VQAAll}, {"seen", e.CaptioningSeen, e.VQASeen}, {"unseen", e.CaptioningUnseen, e.VQAUnseen},
	} {
		exact, f1 := "-", "-"
		if r.captioning != nil {
			exact, f1 = fmt.Sprintf("%5.2f %%", 100*r.Exact), fmt.Sprintf("%.4f", r.WordF1)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%5.2f %%\t%5.2f %%\n", r.name, exact, f1, 100*r.Group, 100*r.Name)
	}
	return w.Flush()
}
