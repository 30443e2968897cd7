package cli

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

const captioning = "captioning"

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
	s := m.NewSession()
	defer s.Close()
	bar := a.Progress("captioning", "pictures", total)
	defer bar.Done()
	var t tally
	for it := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		img, err := image.Image(nil), it.err
		if err == nil {
			img, err = it.read()
		}
		if err != nil {
			a.leaves(bar, it.name, err)
			t.fail(&it)
			bar.Add(1)
			continue
		}
		c, err := task.One(s.Captions(ctx, rules, []task.Picture{task.Image(img)}, o))
		if errors.Is(err, rt.ErrNotFinite) && t.done > 0 {
			a.leaves(bar, it.name, err)
			t.failed++
			t.lost = true
			bar.Add(1)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file.Quote(it.name), err)
		}
		if err := a.printCaption(it.name, total != 1, c); err != nil {
			return err
		}
		t.done++
		bar.Add(1)
	}
	bar.Done()
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
