package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

const captioning = "captioning"

// captionBatch is the number of pictures that are captioned, and their captions printed, at a time.
const captionBatch = 16

func (a *App) captionCommand() *cobra.Command {
	if a.function(captioning, "step") == nil {
		return nil
	}
	var o task.CaptionOptions
	strict := false
	c := &cobra.Command{
		Use:   "caption [flags] PICTURE...",
		Short: "Say in words what is in a picture",
		Long: `caption writes a caption for each picture, token by token: the most probable token each
time or, with --beams, the best caption of the reference implementation's beam search.

A folder stands for the pictures in it and its subfolders; "-" reads a list of pictures and
folders from standard input, one per line.`,
		Example: strings.ReplaceAll(`  NAME caption cat.png
  NAME caption --beams 3 --json pictures/`, "NAME", a.Name),
		Args: minimum(1),
		RunE: func(c *cobra.Command, args []string) error {
			f := c.Flags()
			if f.Changed("beams") && (o.Beams < 1 || o.Beams > caption.MaxBeams) {
				return Usagef("--beams is %d, want 1 to %d", o.Beams, caption.MaxBeams)
			}
			if f.Changed("max-new") && o.MaxNew < 1 {
				return Usagef("--max-new is %d, want 1 at least", o.MaxNew)
			}
			return a.caption(c.Context(), args, o, strict)
		},
	}
	f := c.Flags()
	f.IntVar(&o.Beams, "beams", 0, "beams of the beam search (default: greedy)")
	f.IntVar(&o.MaxNew, "max-new", 0, "most tokens of a caption (default: the model's limit)")
	f.Float64Var(&o.Penalty, "length-penalty", 0, "exponent of the length that scores are divided by (default: 0.6)")
	f.BoolVar(&strict, "strict", false, strictPictures)
	return c
}

func (a *App) caption(ctx context.Context, args []string, o task.CaptionOptions, strict bool) error {
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	rules := m.Input().Captions
	if rules == nil {
		return fmt.Errorf("the model writes no captions")
	}
	if o.MaxNew > rules.MaxNew {
		return Usagef("--max-new is %d, want at most %d, the limit of the build", o.MaxNew, rules.MaxNew)
	}
	dec := a.decodeOptions(m)
	items, total := a.inputs(args, func(arg string, _ bool) []item { return a.pictures(arg, dec) })
	var mu sync.Mutex
	captions := map[*item]task.Caption{} // that are not printed yet
	s := &stream{App: a, m: m, images: rules.Image, what: "captioning", total: total, size: captionBatch}
	s.pictures = func(ctx context.Context, c *task.Session, items []*work, pics []rt.Seq) error {
		var tensors [][]float32
		for i := range pics {
			tensors = append(tensors, pics[i].Image)
		}
		all, err := c.CaptionTensors(ctx, rules, tensors, o)
		mu.Lock()
		defer mu.Unlock()
		for i, c := range all {
			captions[&items[i].item] = c
		}
		return err
	}
	t, err := s.run(ctx, items, func(it *item, _ []float32) error {
		mu.Lock()
		c := captions[it]
		delete(captions, it)
		mu.Unlock()
		return a.printCaption(it.name, total != 1, c)
	})
	if err != nil {
		return err
	}
	return a.tallied(t, strict)
}

func (a *App) printCaption(name string, several bool, c task.Caption) error {
	var err error
	switch {
	case a.json:
		err = a.Print(struct {
			Image string `json:"image"`
			task.Caption
		}{name, c})
	case several:
		_, err = fmt.Fprintf(a.Out, "%s\t%s\n", file.Quote(name), file.Quote(c.Text))
	default:
		_, err = fmt.Fprintln(a.Out, file.Quote(c.Text))
	}
	return err
}
