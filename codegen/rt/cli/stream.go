package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/flow"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/task"
	"github.com/multiway-go/multiway/ir/file"
)

// A batch of a stream has as many items as take batchRows rows, and at most batchItems: products of more rows are hardly
// faster a row.
const (
	batchRows  = 256
	batchItems = 64
)

// stream runs functions of a model over items: images on pictures, texts on texts. Reading, decoding and computing
// overlap, each item on one core as long as there are as many items as cores; see package flow.
type stream struct {
	*App
	m             *task.Model
	images, texts *exec.Func
	what          string       // verb of the progress line
	total         int          // items, -1 if unknown
	strict        bool         // a text that is too long fails instead of being truncated
	done          func() error // called after each batch; may be nil
	size          int          // items of a batch; 0: as many as batchRows and batchItems say

	// pictures computes the outputs of pictures, also for several batches at the same time; nil: output 0 of images.
	pictures func(ctx context.Context, c *task.Session, items []*work, pics []rt.Seq) error

	sessions chan *task.Session
	tensors  sync.Pool
	times    flow.Times // of run
}

// errPassed is what load of an item returns if the item needs no result, which is then neither counted nor reported.
var errPassed = errors.New("no result is needed")

// work is an item on its way.
type work struct {
	item
	data   []byte     // of the file
	cut    bool       // the text is longer than the model takes
	pixels *[]float32 // of the picture
	out    []float32

	lost  error // the model gave no result for the item
	fatal error // nothing more can be computed
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
// failed, but if the first items all have none, run returns the error, since the model is then at
// fault.
func (s *stream) run(ctx context.Context, items iter.Seq[item], do func(it *item, out []float32) error) (tally, error) {
	if s.images == nil && s.texts == nil {
		return tally{}, errors.New("this model has no function for that")
	}
	if s.pictures == nil {
		s.pictures = s.outputs
	}
	f := s.flow(ctx)
	for range cap(s.sessions) {
		defer func() { (<-s.sessions).Close() }()
	}
	bar := s.Progress(s.what, s.units(), s.total)
	defer bar.Done()
	var t tally
	var lost []*work // while there is no result yet
	cut := 0
	loses := func(w *work) {
		t.failed++
		t.lost = true
		s.leaves(bar, w.name, w.lost)
	}
	works := func(yield func(work) bool) {
		for it := range items {
			if !yield(work{item: it}) {
				return
			}
		}
	}
	for batch := range f.Run(ctx, works) {
		for _, w := range batch {
			bar.Add(1)
			if w.cut {
				cut++
			}
			switch {
			case w.fatal != nil:
				return t, w.fatal
			case errors.Is(w.err, errPassed):
				continue
			case w.err != nil:
				t.fail(&w.item)
				s.leaves(bar, w.name, w.err)
				continue
			case w.lost != nil && t.done == 0:
				if lost = append(lost, w); len(lost) == batchItems {
					return t, lost[0].lost
				}
				continue
			case w.lost != nil:
				loses(w)
				continue
			}
			t.done++
			for _, w := range lost {
				loses(w)
			}
			lost = nil
			if err := do(&w.item, w.out); err != nil {
				return t, err
			}
		}
		if s.done != nil {
			if err := s.done(); err != nil {
				return t, err
			}
		}
	}
	s.times = f.Times()
	if err := ctx.Err(); err != nil {
		return t, err
	}
	if lost != nil {
		return t, lost[0].lost
	}
	bar.Done()
	s.warnCut(s.m, cut, t.done+t.failed)
	return t, nil
}

// flow returns the stages of the stream, and makes its sessions.
func (s *stream) flow(ctx context.Context) *flow.Flow[work, *pixel.Scratch] {
	threads := s.m.Info().Threads
	f := &flow.Flow[work, *pixel.Scratch]{
		Batch:   s.batch(),
		Memory:  s.decodeMemory,
		Takes:   (*work).takes,
		Read:    (*work).load,
		Prepare: s.prepare,
		Compute: func(_ *pixel.Scratch, batch []*work) { s.compute(ctx, batch) },
	}
	for range threads {
		f.Workers = append(f.Workers, new(pixel.Scratch))
	}
	n := threads
	if s.total >= 0 {
		n = min(n, max(1, (s.total+f.Batch-1)/f.Batch))
	}
	s.sessions = make(chan *task.Session, n)
	for _, c := range s.m.NewSessions(n) {
		s.sessions <- c
	}
	return f
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

// batch returns how many items are computed together.
func (s *stream) batch() int {
	switch {
	case s.size > 0:
		return s.size
	case s.images != nil:
		return min(batchItems, max(1, batchRows/max(1, s.images.Fixed)))
	}
	return batchItems
}

func (w *work) takes() int64 {
	if w.item.takes == nil || w.err != nil {
		return 0
	}
	return w.item.takes()
}

// load reads the item's file.
func (w *work) load() {
	if w.item.load != nil && w.err == nil {
		w.data, w.err = w.item.load()
	}
}

// prepare decodes a picture and computes its input tensor, or checks a text.
func (s *stream) prepare(scratch *pixel.Scratch, w *work) {
	switch {
	case w.err != nil:
	case w.text:
		w.err = s.checkText(w)
	case s.images == nil:
		w.err = errors.New("this is a picture, and the model takes no pictures")
	default:
		w.err = s.checkPicture(scratch, w)
	}
}

func (s *stream) checkText(w *work) error {
	if err := s.checkIDs(w.name); err != nil {
		return err
	}
	if s.texts == nil {
		return errors.New("this is a text, and the model takes no texts")
	}
	if w.cut = tooLong(s.m, w.name); w.cut && s.strict {
		return fmt.Errorf("longer than the %d tokens that this model takes of a text; shorten it, or omit --strict to truncate it", s.m.Input().MaxText)
	}
	return nil
}

func (s *stream) checkPicture(scratch *pixel.Scratch, w *work) error {
	img, err := w.decode(w.data)
	w.data = nil
	if err != nil {
		return err
	}
	p := s.m.Input().Pixels
	if w.pixels, _ = s.tensors.Get().(*[]float32); w.pixels == nil {
		x := make([]float32, p.Len())
		w.pixels = &x
	}
	return p.Into(*w.pixels, img, scratch)
}

// compute computes the outputs of a batch.
func (s *stream) compute(ctx context.Context, batch []*work) {
	var pictures, texts []*work
	var seqs []rt.Seq
	var words []string
	for _, w := range batch {
		switch {
		case w.err != nil:
		case w.text:
			texts, words = append(texts, w), append(words, w.name)
		default:
			pictures, seqs = append(pictures, w), append(seqs, rt.Seq{Image: *w.pixels})
		}
	}
	c := <-s.sessions
	defer func() { s.sessions <- c }()
	if pictures != nil {
		tell(pictures, s.pictures(ctx, c, pictures, seqs))
		for _, w := range pictures {
			s.tensors.Put(w.pixels)
			w.pixels = nil
		}
	}
	if texts != nil {
		rows, err := c.Texts(ctx, s.texts, words)
		for i, row := range rows {
			texts[i].out = slices.Clone(row)
		}
		tell(texts, err)
	}
}

// outputs computes output 0 of images.
func (s *stream) outputs(_ context.Context, c *task.Session, items []*work, pics []rt.Seq) error {
	r, err := c.Run(s.images, pics)
	if r != nil {
		for i, w := range items {
			w.out = slices.Clone(r.Out(0, i))
		}
	}
	return err
}

// tell tells the items of a call its error: that of each if only some failed.
func tell(items []*work, err error) {
	errs, err := lost(err)
	for i, w := range items {
		w.lost, w.fatal = at(errs, i), err
	}
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
