package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/ir/file"
)

const retrieval = "retrieval"

func (a *App) embedCommand() *cobra.Command {
	if a.function(retrieval, "image") == nil && a.function(retrieval, "text") == nil {
		return nil
	}
	var asImage, asText, strict, resume bool
	var out string
	c := &cobra.Command{
		Use:   "embed [flags] [INPUT...]",
		Short: "Turn pictures and texts into embeddings",
		Long: `embed writes the embedding of each input, a vector of length 1. The larger the cosine of two
of them, the better a picture and a text fit.

An input is a picture file, a folder of pictures, or a text; "-", or no input at all,
reads a list from standard input, one per line. The name of an existing file or folder, or
with the extension of a picture, is a picture, anything else a text, unless --image or --text
is given. In a folder, names that begin with a dot are skipped, and files that are not
pictures of a supported format; pictures and films of other formats are counted at the end.

The output is JSON lines {"input", "kind", "embedding"}, or with -o NAME.npy an array
[inputs, values] of float32 for NumPy; the inputs of its rows are then listed in
NAME.inputs.jsonl. NAME.model.json, beside either, has the model's fingerprint: compare
vectors only if their fingerprints are equal. Memory does not grow with the number of inputs.
Progress is shown on standard error: on a terminal continuously, in a log every half minute.

The file gets its name when it is complete. Until then finished batches are in NAME.npy.part,
which stays if the run is interrupted: the same command with --resume continues it. Inputs
that have a vector there are skipped, which takes about 50 bytes of memory each; inputs that
could not be read are tried again.`,
		Example: strings.ReplaceAll(`  NAME embed "red apple" apple.png
  NAME embed --image pictures/ -o pictures.npy
  NAME embed --image pictures/ -o pictures.npy --resume
  find . -name '*.jpg' | NAME embed --image > embeddings.jsonl`, "NAME", a.Name),
		RunE: func(c *cobra.Command, args []string) error {
			if asImage && asText {
				return Usagef("--image and --text exclude each other; without either, each input is looked at")
			}
			if out != "" && !isEmbeddings(out) {
				return Usagef("-o %s: want a name that ends in .npy or .jsonl", file.Quote(out))
			}
			if resume && out == "" {
				return Usagef("--resume goes with -o FILE: standard output keeps nothing")
			}
			return a.embed(c.Context(), args, asImage, asText, strict, resume, out)
		},
	}
	f := c.Flags()
	f.BoolVar(&asImage, "image", false, "every input is a picture")
	f.BoolVar(&asText, "text", false, "every input is a text")
	f.StringVarP(&out, "out", "o", "", "file to write, .npy or .jsonl (default: JSON lines to standard output)")
	f.BoolVar(&strict, "strict", false, strictBoth)
	f.BoolVar(&resume, "resume", false, "continue the file of an interrupted run")
	a.idsFlag(c)
	return c
}

func (a *App) embed(ctx context.Context, args []string, asImage, asText, strict, resume bool, out string) error {
	if args = slices.Concat(args, a.ids); len(args) == 0 {
		args = []string{"-"}
	}
	listed := slices.Contains(args, "-")
	for _, path := range outputs(out) {
		if err := a.keeps(path, listed, args...); err != nil {
			return err
		}
	}
	m, err := a.Open()
	if err != nil {
		return err
	}
	defer m.Close()
	o := a.decodeOptions(m)
	items, total := a.inputs(args, func(arg string, line bool) []item {
		switch {
		case asText || slices.Contains(a.ids, arg):
			return oneText(arg, line)
		case asImage:
			return a.pictures(arg, o)
		}
		return a.sniffed(arg, line, o)
	})
	w, err := a.embeddings(m, out, resume)
	if err != nil {
		return err
	}
	defer w.abandon()
	if n := w.rows; n > 0 {
		a.warn("%s has %d vectors, going on behind them", file.Quote(out+file.PartSuffix), n)
		items = w.rest(items)
		if total >= 0 {
			total = max(0, total-n)
		}
	}
	s := &stream{App: a, m: m, strict: strict, images: m.Package().Find(retrieval, "image"), texts: m.Package().Find(retrieval, "text"), what: "embedding", total: total}
	s.done = w.flush
	t, err := s.run(ctx, items, w.write)
	if err != nil {
		return w.kept(err)
	}
	if w.rows == 0 && t.failed > 0 {
		return a.tallied(t, strict)
	}
	if n := w.unasked(); n > 0 {
		said := fmt.Sprintf("%d vectors in %s are of inputs that were not given this time", n, file.Quote(out+file.PartSuffix))
		if strict {
			return w.kept(fmt.Errorf("%s, which --strict refuses", said))
		}
		a.warn("%s, and stay", said)
	}
	if err := w.close(); err != nil {
		return w.kept(err)
	}
	if a.json && out != "" {
		if err := a.Print(map[string]any{"file": out, "embeddings": w.rows, "failed": t.failed}); err != nil {
			return err
		}
	}
	return a.tallied(t, strict)
}
