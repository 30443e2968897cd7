package app

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/file"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
)

// item is one input of a command: a picture to read, or a text.
type item struct {
	name  string // the text, or what the picture is called
	text  bool
	named bool // it stood on the command line: failing to read it fails the command
	read  func() (image.Image, error)
	takes func() int64 // bytes that read takes at most; nil: few
	err   error        // why it cannot be read, known beforehand
}

func (it *item) kind() string {
	if it.text {
		return "text"
	}
	return "image"
}

func textItem(s string) item { return item{name: s, text: true, named: true} }

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
		items[i] = item{name: p.Name, read: p.Read}
	}
	return items
}

func fileItem(path string, named bool, o imagefile.Options) item {
	return item{name: path, named: named,
		read: func() (image.Image, error) {
			img, _, err := imagefile.File(path, o)
			return img, err
		},
		takes: func() int64 { return imagefile.Memory(path, o) },
	}
}

// pictures lists a picture file, or the pictures of a folder and the folders in it.
func pictures(path string, o imagefile.Options) []item {
	st, err := os.Stat(path)
	if err != nil || !st.IsDir() {
		return []item{fileItem(path, true, o)}
	}
	return folder(path, o)
}

// folder lists the files of a folder that are called like pictures, in the order of
// their names. Folders whose names begin with a dot are passed over.
func folder(root string, o imagefile.Options) []item {
	var items []item
	dir := os.DirFS(root)
	fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		path := filepath.Join(root, filepath.FromSlash(p))
		switch {
		case err != nil:
			items = append(items, item{name: path, err: err})
		case d.IsDir():
			if p != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
		case imagefile.HasExtension(p):
			items = append(items, fileItem(path, false, o))
		}
		return nil
	})
	if len(items) == 0 {
		return []item{{name: root, named: true, err: fmt.Errorf("no pictures in this folder: no file ends in .png, .jpg, .webp, .gif, .bmp or .tiff")}}
	}
	return items
}

// sniff says whether an input is a picture: it is if it names a file (or, where that
// has a meaning, a folder), or ends like a picture's name. Anything else is a text.
func sniff(s string, folders bool) bool {
	if imagefile.HasExtension(s) && !strings.ContainsAny(s, " \t") {
		return true
	}
	st, err := os.Stat(s)
	return err == nil && (st.Mode().IsRegular() || folders && st.IsDir())
}

// maxLine is the longest line of a list, in bytes.
const maxLine = 1 << 20

// lines yields the lines of a list (see file.Text). The second value is an error in reading it, the
// last thing that is yielded.
func lines(r io.Reader, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		text := &watched{Reader: file.Text(r)}
		s := bufio.NewScanner(text)
		s.Buffer(make([]byte, 0, 1<<16), maxLine)
		// A line that an error cuts off is none.
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
			yield("", fmt.Errorf("%s: line %d is longer than %d bytes; want one text or path a line", name, n+1, maxLine))
		case err != nil:
			yield("", fmt.Errorf("%s: line %d: %w", name, n+1, err))
		}
	}
}

// watched is a reader that knows whether it failed.
type watched struct {
	io.Reader
	failed bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.failed = w.failed || err != nil && err != io.EOF
	return n, err
}

// listedItems yields the items of a list of lines.
func listedItems(r io.Reader, name string, make func(line string) item) iter.Seq[item] {
	return func(yield func(item) bool) {
		for line, err := range lines(r, name) {
			it := item{name: name, named: true, err: err}
			if err == nil {
				it = make(line)
			}
			if !yield(it) {
				return
			}
		}
	}
}
