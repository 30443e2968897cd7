package inputs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/flow"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/codegen/rt/token"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
)

// TextIDs is the number of tokens in the text that functions are checked on.
const TextIDs = 9

const (
	// folderSamples bounds the images, and the texts, that are taken from a folder: the
	// float64 interpreter needs seconds for each.
	folderSamples = 8
	// maxTexts bounds the bytes of the text files of a folder, maxLine the bytes of a text.
	maxTexts, maxLine = 16 << 20, 1 << 20
)

// Samples are a user's own images and texts, preprocessed for a model.
type Samples struct {
	Images []Image
	Texts  []Text
}

// Image is an image after preprocessing: [3, side, side], with the side of the model.
type Image struct {
	Name   string // name of its file
	Pixels []float32
}

// Text is a text as 1 to limits.text token ids.
type Text struct {
	Name string // the text itself, or its token ids
	IDs  []int32
	Cut  bool // whether the text was longer and was cut to the limit
}

// Sample is an input of a function: an image, a text, or both.
type Sample struct {
	Seq         rt.Seq
	Image, Text int // indices in the Samples; -1: none
}

// Reader reads images and texts and preprocesses them for a model.
type Reader struct {
	Pixels    *pixel.Preprocess // nil: the model takes no images
	MaxPixels int               // largest image of a file; 0 = imagefile's default
	Tokenizer []byte            // nil: none
	Form      token.Form        // form of the tokenizer, "" = the usual one of its file
	Limit     int               // most tokens of a text
	IDs       int               // constant length of texts in tokens, padding included; 0: as long as they are
	Vocab     int               // token ids are below it
}

// images reads and preprocesses images, several at a time.
func (r Reader) images(paths []string) (all []Image, err error) {
	type reading struct {
		path string
		data []byte
		x    []float32
		err  error
	}
	o := imagefile.Options{MaxPixels: int64(r.MaxPixels), Stream: true}
	f := flow.Flow[reading, *pixel.Scratch]{
		Batch: 1,
		Takes: func(x *reading) int64 { return imagefile.Memory(x.path, o) },
		Read:  func(x *reading) { x.data, x.err = imagefile.Load(x.path, o) },
		Prepare: func(s *pixel.Scratch, x *reading) {
			if x.err != nil {
				return
			}
			img, _, err := imagefile.Bytes(x.data, o)
			if errors.Is(err, imagefile.ErrMaxPixels) {
				err = fmt.Errorf("%w (limits.pixels in the description)", err)
			}
			if err == nil {
				x.x, err = r.Pixels.Append(nil, img, s)
			}
			if err != nil {
				x.err = fmt.Errorf("%s: %w", file.Quote(x.path), err)
			}
		},
	}
	for range runtime.GOMAXPROCS(0) {
		f.Workers = append(f.Workers, new(pixel.Scratch))
	}
	list := func(yield func(reading) bool) {
		for _, p := range paths {
			if !yield(reading{path: p}) {
				return
			}
		}
	}
	for batch := range f.Run(context.Background(), list) {
		x := batch[0]
		if x.err != nil {
			return nil, x.err
		}
		all = append(all, Image{filepath.Base(x.path), x.x})
	}
	return all, nil
}

// Read reads images from files, texts, and texts given as token ids.
func (r Reader) Read(images, texts []string, ids [][]int32) (*Samples, error) {
	s := &Samples{}
	if len(images) > 0 {
		if r.Pixels == nil {
			return nil, errors.New("the model takes no pictures; leave them out")
		}
		var err error
		if s.Images, err = r.images(images); err != nil {
			return nil, err
		}
	}
	var tok token.Tokenizer = token.IDs{}
	if r.Tokenizer != nil && len(texts)+len(ids) > 0 {
		var err error
		if tok, err = token.Open(r.Tokenizer, r.Form); err != nil {
			return nil, err
		}
	}
	if len(texts) > 0 && r.Tokenizer == nil {
		return nil, errors.New("the description has no tokenizer, so texts cannot be read; add `tokenizer: FILE`, or give token ids")
	}
	for _, text := range texts {
		ids, err := token.Fit(tok, tok.Encode(text, r.Limit), r.IDs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Brief(file.Quote(text)), err)
		}
		s.Texts = append(s.Texts, Text{Name: text, IDs: ids, Cut: len(tok.Encode(text, r.Limit+1)) > r.Limit})
	}
	for _, list := range ids {
		if n := len(list); n < 1 || n > r.Limit {
			return nil, fmt.Errorf("ids %v: got %d token ids, want 1 to %d, limits.text of the description", list, n, r.Limit)
		}
		if n := len(list); r.IDs > 0 && n != r.IDs {
			return nil, fmt.Errorf("ids %v: got %d token ids, want %d: the model takes texts of that length, padding included", list, n, r.IDs)
		}
		for _, id := range list {
			if id < 0 || int(id) >= r.Vocab {
				return nil, fmt.Errorf("ids %v: token id %d, want 0 to %d", list, id, r.Vocab-1)
			}
		}
		if r.IDs == 0 {
			if text, err := token.Fit(tok, list, 0); err == nil && len(text) < len(list) {
				return nil, fmt.Errorf("ids %v: the text ends with %d, the end token; leave out the %d ids after it", list, text[len(text)-1], len(list)-len(text))
			}
		}
		s.Texts = append(s.Texts, Text{Name: fmt.Sprint(list), IDs: list})
	}
	return s, nil
}

// Folder reads images of a folder and its subfolders, and lines of its .txt files: at most
// folderSamples of each, spread evenly over all in the order of their names. Inputs of a kind
// that the model does not take are skipped.
func (r Reader) Folder(dir string) (*Samples, error) {
	var images, texts []string
	left := int64(maxTexts)
	if st, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("samples: %w", file.PathError(dir, err))
	} else if !st.IsDir() {
		return nil, fmt.Errorf("samples: %s is a file, want a folder of pictures and of .txt files", file.Quote(dir))
	}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return file.PathError(filepath.Join(dir, filepath.FromSlash(p)), err)
		case d.IsDir():
			if p != "." && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
		case imagefile.HasExtension(p):
			images = append(images, filepath.Join(dir, filepath.FromSlash(p)))
		case strings.EqualFold(filepath.Ext(p), ".txt") && d.Type().IsRegular():
			data, err := file.ReadText(filepath.Join(dir, filepath.FromSlash(p)), left)
			if err != nil {
				return fmt.Errorf("%w; the text files of the folder may have %d bytes in all, and a few lines are enough", err, maxTexts)
			}
			left -= int64(len(data))
			n := 0
			for line := range strings.Lines(string(data)) {
				n++
				if line = strings.TrimSpace(line); len(line) > maxLine {
					return fmt.Errorf("%s: line %d has %d bytes, want at most %d", file.Quote(p), n, len(line), maxLine)
				} else if line != "" {
					texts = append(texts, line)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("samples: %s: %w", dir, err)
	}
	if r.Pixels == nil {
		images = nil
	}
	if r.Tokenizer == nil {
		texts = nil
	}
	if images == nil && texts == nil {
		return nil, fmt.Errorf("samples: %s has no input for the model; want pictures (%s) if it takes pictures, or .txt files with a text per line if the description has a tokenizer", file.Quote(dir), imagefile.Extensions())
	}
	s, err := r.Read(Spread(images, folderSamples), Spread(texts, folderSamples), nil)
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	return s, nil
}

// Spread returns n elements spread evenly over a list, the first included, or the list itself if it has at most n.
func Spread[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	some := make([]T, n)
	for i := range some {
		some[i] = list[i*len(list)/n]
	}
	return some
}

// Of lists the inputs of a function, or returns the reason why there are none. A pair has image i
// and text i; the shorter list is repeated.
func (s *Samples) Of(f *ir.Func) (list []Sample, why string) {
	if f.Stores() {
		return nil, "it keeps a state between calls"
	}
	image, text := false, false
	for _, p := range f.Params {
		switch {
		case p.Type.DType == ir.I32:
			text = true
		case !image && len(p.Type.Shape) == 3 && len(s.Images) > 0 && p.Type.Elements(0) == int64(len(s.Images[0].Pixels)):
			image = true
		case len(p.Type.Shape) == 3 && len(s.Images) == 0:
			return nil, "no pictures were given"
		default:
			return nil, fmt.Sprintf("its input %s: %v is neither a picture nor a text", p.Name, p.Type)
		}
	}
	if text && len(s.Texts) == 0 {
		return nil, "no texts were given"
	}
	n := 0
	if image {
		n = len(s.Images)
	}
	if text {
		n = max(n, len(s.Texts))
	}
	if n == 0 {
		return nil, "it takes nothing"
	}
	for i := range n {
		x := Sample{Image: -1, Text: -1}
		if image {
			x.Image = i % len(s.Images)
			x.Seq.Image = s.Images[x.Image].Pixels
		}
		if text {
			x.Text = i % len(s.Texts)
			x.Seq.IDs = s.Texts[x.Text].IDs
		}
		list = append(list, x)
	}
	return list, ""
}

// Seeded returns a pseudorandom input of a function, which its name and the salt determine, with a
// text of the given number of token ids below vocab, or of the constant length that the function takes.
func Seeded(f *ir.Func, salt string, text, vocab int) rt.Seq {
	image, ids := 0, 0
	for _, p := range f.Params {
		if p.Type.DType == ir.I32 {
			if ids = text; !p.Type.Rows().T {
				ids = p.Type.Rows().C
			}
		} else {
			image += int(p.Type.Elements(0))
		}
	}
	return task.Sample(salt+f.Name, image, ids, vocab)
}
