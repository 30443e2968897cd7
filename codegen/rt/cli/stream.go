package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

// Bounds of a batch: number of items, and bytes of input tensors.
const (
	batchItems = 64
	batchBytes = 64 << 20
)

// stream runs functions of a model over items: images on pictures, texts on texts. Pictures are
// read ahead of the computation, in order, by one goroutine per core, as far as memory allows.
type stream struct {
	*App
	m             *task.Model
	images, texts *exec.Func
	what          string       // verb of the progress line
	total         int          // items, -1 if unknown
	strict        bool         // a text that is too long fails instead of being truncated
	done          func() error // called after each batch; may be nil
	size          int          // most items of a batch; 0: batchItems

	// pictures computes on pictures and calls keep with what do gets of each; nil: output 0 of images.
	pictures func(ctx context.Context, c *task.Session, pics []rt.Seq, keep func(out []float32)) error

	decoding         *room // bytes
	scratch, tensors sync.Pool

	batch []ready
	seqs  []rt.Seq
	words []string
	rows  []float32 // outputs of the batch, pictures first
	ends  []int     // of each item's output in rows

	lostPictures, lostWords []error // errors by item of the batch, see lost
}

// ready is an item that is prepared for a batch.
type ready struct {
	item
	pixels *[]float32
	cut    bool // the text is longer than the model takes
}

// tally counts the results of the items.
type tally struct {
	done, failed int
	named        bool // an item that failed was named on the command line
	lost         bool // the model gave no result for an item that was read

	kinds map[string]int // failed inputs, by extension
}

// Help texts of the flag --strict, by the kind of inputs.
const (
	strictPictures = "fail if a picture cannot be read"
	strictTexts    = "fail if a text is too long"
	strictBoth     = strictPictures + " or a text is too long"
)

// fail counts an item that cannot be read.
func (t *tally) fail(it *item) {
	t.failed++
	t.named = t.named || it.named
	if e := strings.ToLower(filepath.Ext(it.file)); e != "" && len(e) <= maxExtension {
		t.count(e, 1)
	}
}

func (t *tally) count(kind string, n int) {
	if t.kinds == nil {
		t.kinds = map[string]int{}
	}
	t.kinds[kind] += n
}

const maxExtension = 8 // longest extension, in bytes, that is counted by kind

// tallied reports what was left out, and returns an error if the command failed.
func (a *App) tallied(t tally, strict bool) error {
	err := a.failed(t, strict)
	if lost := a.reportLeft(); err == nil && strict && lost > 0 {
		return fmt.Errorf("files were left out, which --strict refuses: %d", lost)
	}
	return err
}

// reportLeft reports the files of folders that were left out by their names. It returns the
// number of files of which no twin was read.
func (a *App) reportLeft() (lost int) {
	left := a.left
	a.left = leftOut{}
	for _, line := range left.lines() {
		a.warn("%s", line)
	}
	return left.lost
}

// failed is the part of tallied for items that could not be read.
func (a *App) failed(t tally, strict bool) error {
	switch n := t.done + t.failed; {
	case t.failed == 0:
		return nil
	case t.lost:
		return fmt.Errorf("%d of %d have no result", t.failed, n)
	case t.done == 0 && n == 1:
		return errors.New("it could not be read, so there is no result")
	case t.done == 0:
		return fmt.Errorf("none of %d could be read", n)
	case strict:
		return fmt.Errorf("%d of %d could not be read, which --strict does not allow", t.failed, n)
	case t.named:
		return fmt.Errorf("%d of %d could not be read", t.failed, n)
	default:
		kinds := ""
		if len(t.kinds) > 0 && len(t.kinds) <= 8 {
			kinds = ": " + counted(t.kinds)
		}
		a.warn("%d of %d could not be read, left out%s", t.failed, n, kinds)
		return nil
	}
}

// run computes output 0 of the function, all its rows, for every item that can be read and calls
// do, in order; the values are valid during the call. An item with a result that is not finite counts as
// failed, but if no item has a result yet, run returns the error, since the model is then at
// fault.
func (s *stream) run(ctx context.Context, items iter.Seq[item], do func(it *item, out []float32) error) (tally, error) {
	if s.images == nil && s.texts == nil {
		return tally{}, errors.New("this model has no function for that")
	}
	size := cmp.Or(s.size, batchItems)
	if s.images != nil {
		size = max(1, min(size, batchBytes/(4*s.images.Image)))
	}
	if s.pictures == nil {
		s.pictures = s.outputs
	}
	s.decoding = s.room()
	bar := s.Progress(s.what, s.units(), s.total)
	defer bar.Done()
	var t tally
	cut := 0
	workers := runtime.GOMAXPROCS(0)
	for r := range ahead(items, workers, size+workers, s.prepare) {
		if err := ctx.Err(); err != nil {
			return t, err
		}
		bar.Add(1) // the item is read; the batch is computed later
		if r.err != nil {
			t.fail(&r.item)
			s.leaves(bar, r.name, r.err)
			continue
		}
		if r.cut {
			cut++
		}
		if s.batch = append(s.batch, r); len(s.batch) == size {
			if err := s.flush(ctx, &t, bar, do); err != nil {
				return t, err
			}
		}
	}
	if err := s.flush(ctx, &t, bar, do); err != nil {
		return t, err
	}
	bar.Done()
	s.warnCut(s.m, cut, t.done+t.failed)
	return t, ctx.Err()
}

// tooLong reports whether a text has more ids than the model takes.
func tooLong(m *task.Model, text string) bool {
	most := m.Input().MaxText
	return m.Tokens() != nil && len(m.Tokens().Encode(text, most+1)) > most
}

// tooLongOf returns how many texts have more ids than the model takes. If strict is set, such texts
// are an error.
func tooLongOf(m *task.Model, texts []string, strict bool) (int, error) {
	n := 0
	for _, t := range texts {
		if tooLong(m, t) {
			n++
		}
	}
	if n > 0 && strict {
		return n, fmt.Errorf("%d of %d texts are longer than the %d tokens that this model takes; shorten them, or omit --strict to truncate them", n, len(texts), m.Input().MaxText)
	}
	return n, nil
}

// warnCut reports that cut of so many inputs are texts that were truncated.
func (a *App) warnCut(m *task.Model, cut, of int) {
	if cut > 0 {
		a.warn("%d of %d texts are longer than the %d tokens that this model takes, and were truncated; --strict refuses them", cut, of, m.Input().MaxText)
	}
}

// units returns the noun for the items in the progress line.
func (s *stream) units() string {
	switch {
	case s.texts == nil:
		return "pictures"
	case s.images == nil:
		return "texts"
	}
	return "inputs"
}

// place prefixes an error with the name of the input, unless it begins with it already.
func place(name string, err error) string {
	text := err.Error()
	rest, ok := strings.CutPrefix(text, name)
	if !ok {
		if rest, ok = strings.CutPrefix(text, file.Quote(name)); !ok {
			rest = ": " + text
		}
	}
	return file.Quote(name) + rest
}

// prepare reads a picture and computes its input tensor.
func (s *stream) prepare(it item) ready {
	r := ready{item: it}
	if r.err != nil {
		return r
	}
	if r.text {
		if r.err = s.checkIDs(r.name); r.err != nil {
			return r
		}
		switch r.cut = s.texts != nil && tooLong(s.m, r.name); {
		case s.texts == nil:
			r.err = errors.New("this is a text, and the model takes no texts")
		case r.cut && s.strict:
			r.err = fmt.Errorf("longer than the %d tokens that this model takes of a text; shorten it, or omit --strict to truncate it", s.m.Input().MaxText)
		}
		return r
	}
	if s.images == nil {
		r.err = errors.New("this is a picture, and the model takes no pictures")
		return r
	}
	p := s.m.Input().Pixels
	if it.takes != nil {
		n := it.takes()
		s.decoding.take(n)
		defer s.decoding.give(n)
	}
	img, err := it.read()
	if err != nil {
		r.err = err
		return r
	}
	scratch, _ := s.scratch.Get().(*pixel.Scratch)
	if scratch == nil {
		scratch = new(pixel.Scratch)
	}
	defer s.scratch.Put(scratch)
	x, _ := s.tensors.Get().(*[]float32)
	if x == nil {
		x = new([]float32)
		*x = make([]float32, p.Len())
	}
	r.pixels = x
	r.err = p.Into(*x, img, scratch)
	return r
}

// flush computes the batch, passes its outputs to do, updates the tally and empties the batch.
func (s *stream) flush(ctx context.Context, t *tally, bar *Progress, do func(it *item, out []float32) error) error {
	if len(s.batch) == 0 {
		return nil
	}
	s.seqs, s.words, s.rows, s.ends = s.seqs[:0], s.words[:0], s.rows[:0], s.ends[:0]
	s.lostPictures, s.lostWords = nil, nil
	for i := range s.batch {
		if r := &s.batch[i]; r.text {
			s.words = append(s.words, r.name)
		} else {
			s.seqs = append(s.seqs, rt.Seq{Image: *r.pixels})
		}
	}
	keep := func(out []float32) {
		s.rows = append(s.rows, out...)
		s.ends = append(s.ends, len(s.rows))
	}
	err := s.m.Do(ctx, func(c *task.Session) error {
		if len(s.seqs) > 0 {
			var err error
			if s.lostPictures, err = lost(s.pictures(ctx, c, s.seqs, keep)); err != nil {
				return err
			}
		}
		if len(s.words) > 0 {
			rows, err := c.Texts(ctx, s.texts, s.words)
			if s.lostWords, err = lost(err); err != nil {
				return err
			}
			for _, out := range rows {
				keep(out)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if all := slices.Concat(s.lostPictures, s.lostWords); t.done == 0 && len(all) == len(s.batch) && !slices.Contains(all, nil) {
		return all[0]
	}
	pictures, words := 0, 0
	for i := range s.batch {
		r := &s.batch[i]
		k := pictures // of rows
		if r.text {
			k = len(s.seqs) + words
			err, words = at(s.lostWords, words), words+1
		} else {
			err, pictures = at(s.lostPictures, pictures), pictures+1
			s.tensors.Put(r.pixels)
		}
		if err != nil {
			t.failed++
			t.lost = true
			s.leaves(bar, r.name, err)
			continue
		}
		t.done++
		from := 0
		if k > 0 {
			from = s.ends[k-1]
		}
		if err := do(&r.item, s.rows[from:s.ends[k]]); err != nil {
			return err
		}
	}
	clear(s.batch)
	s.batch = s.batch[:0]
	if s.done != nil {
		return s.done()
	}
	return nil
}

// outputs calls keep with output 0 of images for every picture.
func (s *stream) outputs(_ context.Context, c *task.Session, pics []rt.Seq, keep func(out []float32)) error {
	r, err := c.Run(s.images, pics)
	if r == nil {
		return err
	}
	for i := range pics {
		keep(r.Out(0, i))
	}
	return err
}

// lost returns the errors by item if only some items failed (rt.BatchError), and nil for a nil
// error. It returns any other error as it is.
func lost(err error) ([]error, error) {
	var some *rt.BatchError
	if errors.As(err, &some) {
		return some.Errs, nil
	}
	return nil, err
}

// at returns the error of item i, nil if it has a result.
func at(lost []error, i int) error {
	if lost == nil {
		return nil
	}
	return lost[i]
}

// ahead yields f of each item, in order, while up to workers goroutines compute f for the next
// window items.
func ahead[T, R any](items iter.Seq[T], workers, window int, f func(T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		slots := make(chan chan R, window)
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			defer close(slots)
			free := make(chan struct{}, workers)
			for it := range items {
				c := make(chan R, 1)
				select {
				case slots <- c:
				case <-stop:
					return
				}
				free <- struct{}{}
				go func() {
					c <- f(it)
					<-free
				}()
			}
		}()
		for c := range slots {
			if !yield(<-c) {
				return
			}
		}
	}
}

// Images computes output 0 of a function for every picture and calls do, in order, with the
// picture's index; the values are valid during the call. A picture that cannot be read is an
// error.
func (a *App) Images(ctx context.Context, m *task.Model, f *exec.Func, list []Picture, do func(i int, out []float32) error) error {
	return a.all(ctx, &stream{App: a, m: m, images: f, what: "embedding"}, pictureItems(list), do)
}

// Texts is Images for texts.
func (a *App) Texts(ctx context.Context, m *task.Model, f *exec.Func, list []string, do func(i int, out []float32) error) error {
	return a.all(ctx, &stream{App: a, m: m, texts: f, what: "embedding"}, textItems(list), do)
}

func (a *App) all(ctx context.Context, s *stream, items []item, do func(i int, out []float32) error) error {
	i := 0
	s.total = len(items)
	t, err := s.run(ctx, slices.Values(items), func(_ *item, out []float32) error {
		i++
		return do(i-1, out)
	})
	if err != nil {
		return err
	}
	return a.tallied(t, true)
}
