package cli

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir/file"
)

// item is one input of a command: a picture to read, or a text.
type item struct {
	name  string // the text, or the name of the picture
	file  string // path of a picture, "" if it is not in a file
	sign  string // prefix of a picture's name in tables
	text  bool
	named bool  // named on the command line: the command fails if it cannot be read
	err   error // known in advance: why it cannot be read

	load   func() ([]byte, error)            // reads a picture's file; nil: decode needs no bytes
	decode func([]byte) (image.Image, error) // of what load returned
	takes  func() int64                      // upper bound of the bytes that both take; nil: negligible
}

// read loads and decodes a picture.
func (it *item) read() (_ image.Image, err error) {
	var data []byte
	if it.load != nil {
		if data, err = it.load(); err != nil {
			return nil, err
		}
	}
	return it.decode(data)
}

func (it *item) kind() string {
	if it.text {
		return "text"
	}
	return "image"
}

func textItem(s string) item { return item{name: s, text: true, named: true} }

func oneText(s string, _ bool) []item { return []item{textItem(s)} }

func textItems(list []string) []item {
	items := make([]item, len(list))
	for i, s := range list {
		items[i] = textItem(s)
	}
	return items
}

func pictureItems(list []Picture) []item {
	items := make([]item, len(list))
	for i, p := range list {
		items[i] = item{name: p.Name, file: p.File, sign: p.Sign, decode: func([]byte) (image.Image, error) { return p.Read() }}
	}
	return items
}

func fileItem(path string, named bool, o imagefile.Options) item {
	o.Stream = true
	return item{name: path, file: path, named: named,
		load: func() ([]byte, error) { return imagefile.Load(path, o) },
		decode: func(data []byte) (image.Image, error) {
			img, _, err := imagefile.Loaded(path, data, o)
			if errors.Is(err, imagefile.ErrMaxPixels) {
				err = fmt.Errorf("%w (--max-pixels)", err)
			}
			return img, err
		},
		takes: func() int64 { return imagefile.Memory(path, o) },
	}
}

// sniffed returns the items of an input that may be a picture or a text. It is a picture or a
// folder of pictures if it names a file or folder, or has a picture's extension. Anything else
// that looks like a path is an error, because a mistyped path is not a text. A single word in a
// list is a text even if a folder has that name.
func (a *App) sniffed(s string, line bool, o imagefile.Options) []item {
	st, err := os.Stat(s)
	switch {
	case err == nil && line && st.IsDir() && filepath.Base(s) == s:
	case err == nil && (st.Mode().IsRegular() || st.IsDir()), imagefile.HasExtension(s):
		return a.pictures(s, o)
	case err != nil && looksLikePath(s):
		return []item{{name: s, named: true, err: errors.New("no such file or folder; if it is a text, use --text")}}
	}
	return []item{textItem(s)}
}

// looksLikePath reports whether a text is probably a file name: a word with an extension, or
// one that begins with the path of an existing folder.
func looksLikePath(s string) bool {
	if strings.ContainsAny(s, " \t\n") {
		return false
	}
	ext := strings.TrimPrefix(filepath.Ext(s), ".")
	if 2 <= len(ext) && len(ext) <= 5 && len(ext)+1 < len(s) && !strings.ContainsFunc(ext, func(r rune) bool { return !alphanumeric(r) }) &&
		strings.ContainsFunc(ext, func(r rune) bool { return r > '9' }) {
		return true
	}
	dir := filepath.Dir(s)
	if dir == "." && !strings.HasPrefix(s, "."+string(filepath.Separator)) {
		return false
	}
	st, err := os.Stat(dir)
	return err == nil && st.IsDir()
}

func alphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
}

// maxLine is the longest line of a list, in bytes.
const maxLine = 1 << 20

// lines yields the lines of a list (see file.Text). If reading fails, the last pair yielded
// holds the error.
func lines(r io.Reader, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		text := &watched{Reader: file.Text(r)}
		s := bufio.NewScanner(text)
		s.Buffer(make([]byte, 0, 1<<16), maxLine)
		// A line that a read error cuts off is not yielded.
		s.Split(func(data []byte, end bool) (int, []byte, error) { return bufio.ScanLines(data, end && !text.failed) })
		n := 0
		for s.Scan() {
			n++
			if !yield(s.Text(), nil) {
				return
			}
		}
		switch err := s.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield("", fmt.Errorf("%s: line %d is longer than %d bytes; want one text or path per line", name, n+1, maxLine))
		case err != nil:
			yield("", fmt.Errorf("%s: line %d: %w", name, n+1, err))
		}
	}
}

// watched is a reader that remembers whether it failed.
type watched struct {
	io.Reader
	failed bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.failed = w.failed || err != nil && err != io.EOF
	return n, err
}

// stdin is the name of standard input in messages about a list.
const stdin = "standard input"

// inputs returns the items of the arguments, as of returns them for an argument or a line, and
// their number, -1 if unknown. "-" stands for the lines of standard input, which are read while
// earlier items are processed. Items of a list are not named on the command line: those that
// cannot be read are left out.
func (a *App) inputs(args []string, of func(arg string, line bool) []item) (iter.Seq[item], int) {
	if !slices.Contains(args, "-") {
		var list []item
		for _, arg := range args {
			list = append(list, of(arg, false)...)
		}
		return slices.Values(list), len(list)
	}
	if isTerminal(a.In) {
		a.warn("reading from the terminal, one per line")
	}
	return func(yield func(item) bool) {
		for _, arg := range args {
			if arg != "-" {
				for _, it := range of(arg, false) {
					if !yield(it) {
						return
					}
				}
				continue
			}
			for it := range listed(a.In, stdin, of) {
				if !yield(it) {
					return
				}
			}
		}
	}, -1
}

// listed yields the items of the lines of a list; an empty list is an error.
func listed(r io.Reader, name string, of func(arg string, line bool) []item) iter.Seq[item] {
	return func(yield func(item) bool) {
		empty := true
		for line, err := range lines(r, name) {
			empty = false
			if err != nil {
				yield(item{name: name, named: true, err: err})
				return
			}
			for _, it := range of(line, true) {
				it.named = false
				if !yield(it) {
					return
				}
			}
		}
		if empty {
			yield(item{name: name, named: true, err: fmt.Errorf("%s is empty, want a list, one per line", file.Quote(name))})
		}
	}
}

// idsFlag adds the flag --ids to a command that takes texts.
func (a *App) idsFlag(c *cobra.Command) {
	c.Flags().StringArrayVar(&a.ids, "ids", nil, "a text as token ids, such as 0,17,2; may be repeated")
}

// needs checks for at least n arguments, the last of them a text. With --ids one argument fewer
// is needed, since --ids gives a text; all texts are then lists of ids.
func (a *App) needs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(a.ids) > 0 {
			return minimum(n-1)(c, args)
		}
		return minimum(n)(c, args)
	}
}

// minimum checks for at least n arguments.
func minimum(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= n {
			return nil
		}
		_, want, _ := strings.Cut(c.Use, " [flags] ")
		switch len(args) {
		case 0:
			return Usagef("no arguments, want %s", want)
		case 1:
			return Usagef("1 argument, want %s", want)
		}
		return Usagef("%d arguments, want %s", len(args), want)
	}
}

// checkIDs returns an error if --ids is used and text is not a list of ids within the model's
// vocabulary.
func (a *App) checkIDs(text string) error {
	if len(a.ids) == 0 {
		return nil
	}
	ids, err := token.ParseIDs(text)
	if err != nil {
		return fmt.Errorf("%w (with --ids all texts are ids)", err)
	}
	for _, id := range ids {
		if int(id) >= a.Package.Vocab {
			return fmt.Errorf("the id %d is outside the vocabulary of %d; use the model's own tokenizer", id, a.Package.Vocab)
		}
	}
	return nil
}

// Bounds on a list of texts that is held in memory: number of texts and total bytes.
const (
	maxTexts     = 1 << 16
	maxTextBytes = 16 << 20
)

// held collects items in memory, within these bounds.
func held(items iter.Seq[item]) ([]item, error) {
	var list []item
	size := 0
	for it := range items {
		if size += len(it.name); len(list) == maxTexts || size > maxTextBytes {
			return nil, fmt.Errorf("%s: more than %d texts, or %d bytes; give a part of them at a time", stdin, maxTexts, maxTextBytes)
		}
		list = append(list, it)
	}
	return list, nil
}

// noFiles returns an error if an argument that should be a text names a file or folder, or
// looks like a file name: a misplaced or mistyped name is not a text.
func noFiles(args []string) error {
	for _, s := range args {
		st, err := os.Stat(s)
		there := err == nil && (st.Mode().IsRegular() || filepath.Base(s) != s) // a word may be the name of a folder too
		if s != "-" && (there || imagefile.HasExtension(s) || err != nil && looksLikePath(s)) {
			return fmt.Errorf("%s is the name of a file or a folder, or looks like one; want a text, or - for a list on standard input, whose lines are texts whatever they look like", file.Quote(s))
		}
	}
	return nil
}

// given returns the texts of the arguments; "-" stands for the lines of standard input.
func (a *App) given(args []string) ([]string, error) {
	if err := noFiles(args); err != nil {
		return nil, err
	}
	items, _ := a.inputs(args, oneText)
	list, err := held(items)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, it := range list {
		if it.err == nil {
			it.err = a.checkIDs(it.name)
		}
		if it.err != nil {
			return nil, it.err
		}
		texts = append(texts, it.name)
	}
	return texts, nil
}

// pairs are one picture and each of the texts.
func pairs(img image.Image, texts []string) []task.Pair {
	var all []task.Pair
	for _, t := range texts {
		all = append(all, task.Pair{Picture: task.Image(img), Text: t})
	}
	return all
}

// readPictures decodes picture files within the limits of the command line; the error names the file.
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
