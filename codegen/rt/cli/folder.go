package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
)

// pictures returns the items of a picture file, or of the pictures in a folder and its
// subfolders.
func (a *App) pictures(path string, o imagefile.Options) []item {
	st, err := os.Stat(path)
	if err != nil || !st.IsDir() {
		return []item{fileItem(path, true, o)}
	}
	return a.folder(path, o)
}

// folder returns items for the files below root that have a picture's extension, in lexical
// order. It skips files and folders whose names begin with a dot, and counts videos and
// pictures of unsupported formats.
func (a *App) folder(root string, o imagefile.Options) []item {
	var items []item
	var others []string
	dir := os.DirFS(root)
	readable := map[string]string{} // extension by path without extension, of the pictures that are read
	fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		path := filepath.Join(root, filepath.FromSlash(p))
		switch {
		case err != nil:
			items = append(items, item{name: path, err: err})
		case p != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
		case imagefile.HasExtension(p):
			items = append(items, fileItem(path, false, o))
			if e := filepath.Ext(path); !imagefile.IsHEIC(path) {
				readable[strings.TrimSuffix(path, e)] = e
			}
		case imagefile.NotRead(p) != imagefile.NoPicture:
			others = append(others, path)
		}
		return nil
	})
	left := len(others)
	// Phones may store a picture both as HEIC and as JPEG.
	items = slices.DeleteFunc(items, func(it item) bool {
		return it.err == nil && imagefile.IsHEIC(it.name) && a.left.twin(it.name, readable)
	})
	for _, path := range others {
		a.left.unread(path, imagefile.NotRead(path) == imagefile.OtherPicture && a.left.twin(path, readable))
	}
	switch {
	case len(items) > 0:
	case left > 0:
		return []item{{name: root, err: errors.New("no pictures of supported formats in this folder")}}
	default:
		return []item{{name: root, named: true, err: fmt.Errorf("no pictures in this folder: no file ends in %s", imagefile.Extensions())}}
	}
	return items
}

// leftOut counts the files that folder leaves out because of their extension.
type leftOut struct {
	kinds map[string]int    // by extension
	twins map[[2]string]int // by the extensions of the file that is left out and of the file that is read instead
	lost  int               // files of which no twin was read
}

// unread counts a file of an unsupported kind; twin tells whether another file with the same
// name was read.
func (l *leftOut) unread(path string, twin bool) {
	if l.kinds == nil {
		l.kinds = map[string]int{}
	}
	l.kinds[strings.ToLower(filepath.Ext(path))]++
	if !twin {
		l.lost++
	}
}

// twin counts a file if one with the same name and another extension is read, and reports
// whether it is.
func (l *leftOut) twin(path string, readable map[string]string) bool {
	e := filepath.Ext(path)
	other, ok := readable[strings.TrimSuffix(path, e)]
	if ok {
		if l.twins == nil {
			l.twins = map[[2]string]int{}
		}
		l.twins[[2]string{strings.ToLower(e), strings.ToLower(other)}]++
	}
	return ok
}

// lines returns the messages about the files that were left out.
func (l *leftOut) lines() (lines []string) {
	if len(l.kinds) > 0 {
		n := 0
		var decoders []string
		for kind, count := range l.kinds {
			n += count
			if d := imagefile.WantedDecoder(kind); d != "" && !slices.Contains(decoders, d) {
				decoders = append(decoders, d)
			}
		}
		files := "files of kinds that are not read were"
		if n == 1 {
			files = "file of a kind that is not read was"
		}
		line := fmt.Sprintf("%d %s left out: %s", n, files, counted(l.kinds))
		if slices.Sort(decoders); decoders != nil {
			line += fmt.Sprintf("; a program that is built with `decoders: [%s]` reads %s", strings.Join(decoders, ", "), strings.ToUpper(strings.Join(decoders, " and ")))
		}
		lines = append(lines, line)
	}
	for _, k := range slices.SortedFunc(maps.Keys(l.twins), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		pictures := "pictures that are"
		if l.twins[k] == 1 {
			pictures = "picture that is"
		}
		lines = append(lines, fmt.Sprintf("of %d %s there as %s and as %s, the %s was read", l.twins[k], pictures, k[0], k[1], k[1]))
	}
	return lines
}

// counted lists kinds of files, the most frequent first, with their counts if there is more
// than one kind.
func counted(kinds map[string]int) string {
	names := slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(kinds[b], kinds[a]), cmp.Compare(a, b))
	})
	if len(names) == 1 {
		return names[0]
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", kinds[name], name)
	}
	return strings.Join(names, ", ")
}
