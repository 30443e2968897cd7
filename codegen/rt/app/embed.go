package app

import (
	"bufio"
	"context"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/file"
	"github.com/multiway-go/multiway/codegen/rt/task"
)

func (a *App) embedCommand() *cobra.Command {
	var asImage, asText, strict bool
	var out string
	c := &cobra.Command{
		Use:   "embed [flags] [INPUT...]",
		Short: "Turn pictures and texts into embeddings",
		Long: `embed writes the embedding of each input, a vector of length 1: the closer two of
them point, the closer a picture and a text are.

An input is a picture file, a folder of pictures, or a text; "-", or no input at all,
reads a list from standard input, one a line. What names a file, or ends like a
picture's name, is a picture, anything else a text: --image and --text say so instead.

The output is JSON lines {"input", "kind", "embedding"}, or with -o FILE.npy an array
[inputs, values] of float32 for NumPy; the inputs of its rows are then listed in
FILE.inputs.jsonl. FILE.model.json, beside either, has the model's fingerprint: compare
vectors with those of the same fingerprint only. Memory does not grow with the number of
inputs. How far it is shows on standard error: on a terminal all the time, in a log every
half minute.`,
		Example: strings.ReplaceAll(`  NAME embed "red apple" apple.png
  NAME embed --image pictures/ -o pictures.npy
  find . -name '*.jpg' | NAME embed --image > embeddings.jsonl`, "NAME", a.Name),
		RunE: func(c *cobra.Command, args []string) error {
			if asImage && asText {
				return Usagef("--image and --text exclude each other; without either, each input is looked at")
			}
			if out != "" && !strings.HasSuffix(out, ".npy") && !strings.HasSuffix(out, ".jsonl") {
				return Usagef("-o %s: want a name that ends in .npy or .jsonl", file.Quote(out))
			}
			return a.embed(c.Context(), args, asImage, asText, strict, out)
		},
	}
	f := c.Flags()
	f.BoolVar(&asImage, "image", false, "every input is a picture")
	f.BoolVar(&asText, "text", false, "every input is a text")
	f.StringVarP(&out, "out", "o", "", "file to write, .npy or .jsonl (default: JSON lines to standard output)")
	f.BoolVar(&strict, "strict", false, "fail if any picture cannot be read")
	return c
}

func (a *App) embed(ctx context.Context, args []string, asImage, asText, strict bool, out string) error {
	listed := len(args) == 0 || len(args) == 1 && args[0] == "-"
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
	picture := func(s string, folders bool) bool { return asImage || !asText && sniff(s, folders) }
	total := -1
	var items iter.Seq[item]
	if listed {
		if isTerminal(a.In) {
			a.warn("reading pictures and texts from the terminal, one a line")
		}
		items = listedItems(a.In, "standard input", func(line string) item {
			if picture(line, false) {
				return fileItem(line, false, o)
			}
			return textItem(line)
		})
	} else {
		var list []item
		for _, arg := range args {
			if picture(arg, true) {
				list = append(list, pictures(arg, o)...)
			} else {
				list = append(list, textItem(arg))
			}
		}
		total = len(list)
		items = slices.Values(list)
	}
	w, err := a.embeddings(m, out)
	if err != nil {
		return err
	}
	defer w.abandon()
	s := &stream{App: a, m: m, images: m.Func(visionRetrieval), texts: m.Func(languageRetrieval), what: "embedding", total: total}
	t, err := s.run(ctx, items, w.write)
	if err != nil {
		return err
	}
	if t.done == 0 && t.failed > 0 {
		return a.tallied(t, strict)
	}
	if err := w.close(); err != nil {
		return err
	}
	if a.json && out != "" {
		if err := a.Print(map[string]any{"file": out, "embeddings": t.done, "failed": t.failed}); err != nil {
			return err
		}
	}
	return a.tallied(t, strict)
}

// embeddings is what embed writes: JSON lines, or an array and its inputs as JSON lines.
type embeddings struct {
	lines *bufio.Writer
	array *npyWriter // nil: the values are in the lines
	files file.Set   // what is written to; none: standard output
}

// embedding is one line.
type embedding struct {
	Input     string    `json:"input"`
	Kind      string    `json:"kind"` // image or text
	Embedding []float32 `json:"embedding,omitempty"`
}

// maker is what FILE.model.json says.
type maker struct {
	Model       string `json:"model"`
	Fingerprint string `json:"fingerprint"` // see rt.Model.Fingerprint
	Multiway    string `json:"multiway"`    // version
}

// outputs are the files of an output of that name, none for standard output: what model
// made it, the lines, and, if that is what it is, the array.
func outputs(out string) []string {
	if out == "" {
		return nil
	}
	stem := strings.TrimSuffix(out, filepath.Ext(out))
	if strings.HasSuffix(out, ".npy") {
		return []string{stem + ".model.json", stem + ".inputs.jsonl", out}
	}
	return []string{stem + ".model.json", out}
}

// embeddings starts the output of that name, "" for standard output, of a model.
func (a *App) embeddings(m *task.Model, out string) (_ *embeddings, err error) {
	w := &embeddings{}
	if out == "" {
		w.lines = bufio.NewWriter(a.Out)
		return w, nil
	}
	defer func() {
		if err != nil {
			w.abandon()
		}
	}()
	paths := outputs(out)
	w.files.Remove(out) // so that vectors are at no moment beside the list or the model of others
	f, err := w.files.Create(paths[0], 0o666)
	if err != nil {
		return nil, err
	}
	if err := encode(f, maker{m.Package().Name, m.Fingerprint(), builds().Multiway}); err != nil {
		return nil, err
	}
	if f, err = w.files.Create(paths[1], 0o666); err != nil {
		return nil, err
	}
	w.lines = bufio.NewWriter(f)
	if len(paths) > 2 {
		if f, err = w.files.Create(out, 0o666); err != nil {
			return nil, err
		}
		w.array = newNPY(f)
	}
	return w, nil
}

func (w *embeddings) write(it *item, out []float32) error {
	line := embedding{Input: it.name, Kind: it.kind()}
	if w.array == nil {
		line.Embedding = out
	} else if err := w.array.row(out); err != nil {
		return err
	}
	return encode(w.lines, line)
}

// close ends the output and puts its files in their places.
func (w *embeddings) close() error {
	err := w.lines.Flush()
	if err == nil && w.array != nil {
		err = w.array.end()
	}
	if err == nil {
		err = w.files.Commit()
	}
	return err
}

// abandon removes what was not closed.
func (w *embeddings) abandon() { w.files.Abandon() }
