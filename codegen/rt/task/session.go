package task

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/token"
)

// Session runs functions on pictures and texts. It serves one goroutine at a time, a
// second one gets rt.ErrBusy; once its buffers have grown to the largest call, a call
// allocates nothing but what decoding pictures takes. What its methods return is valid until the session's next call.
type Session struct {
	*rt.Session // nil: each pass of a call takes one of the model's own
	m           *Model
	*buffers
}

// buffers are what a call works in.
type buffers struct {
	busy    atomic.Bool // a call is filling or reading them
	pairs   []Pair      // the inputs of the call
	failed  []error     // of each input, nil: none failed
	scratch pixel.Scratch
	pixels  []float32
	ids     []int32
	seqs    []rt.Seq
	which   []int // the input of each sequence

	values []float32 // rows of output 0
	spans  []span    // of each input in values
	rows   [][]float32

	features []float32 // of several passes
	scores   []float32
	runner   *caption.Runner
}

// span is a range of values.
type span struct{ from, to int }

// batch is how many inputs are prepared and computed at a time, which bounds the memory of their tensors.
const batch = 64

// Pair is a picture and a text about it, such as a question or a caption.
type Pair struct {
	Picture Picture
	Text    string
}

// takes says what a function takes of a pair, by what errors call it; "": nothing.
type takes struct{ picture, text string }

var (
	takesPicture = takes{picture: "picture"}
	takesText    = takes{text: "text"}
	takesBoth    = takes{"picture", "text"}
)

// Images is Model.Images in this session.
func (s *Session) Images(ctx context.Context, f *exec.Func, pics []Picture) ([][]float32, error) {
	if err := s.enter(f.Name, len(pics)); err != nil {
		return nil, err
	}
	defer s.leave()
	s.pictures(pics)
	return s.results(s.run(ctx, f, takesPicture))
}

// Texts is Model.Texts in this session.
func (s *Session) Texts(ctx context.Context, f *exec.Func, texts []string) ([][]float32, error) {
	if err := s.enter(f.Name, len(texts)); err != nil {
		return nil, err
	}
	defer s.leave()
	for _, t := range texts {
		s.pairs = append(s.pairs, Pair{Text: t})
	}
	return s.results(s.run(ctx, f, takesText))
}

// Pairs is Model.Pairs in this session.
func (s *Session) Pairs(ctx context.Context, f *exec.Func, pairs []Pair) ([][]float32, error) {
	if err := s.enter(f.Name, len(pairs)); err != nil {
		return nil, err
	}
	defer s.leave()
	s.pairs = append(s.pairs, pairs...)
	return s.results(s.run(ctx, f, takesBoth))
}

// Tensors runs f on a batch of image tensors and token ids; see [rt.Session.Run]. If ctx is done
// beforehand it returns ctx's error.
func (s *Session) Tensors(ctx context.Context, f *exec.Func, batch []rt.Seq) (*rt.Result, error) {
	if err := ended(ctx, f); err != nil {
		return nil, err
	}
	return s.Run(f, batch)
}

// enter takes the buffers for a call of n inputs.
func (s *Session) enter(name string, n int) error {
	if !s.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("%s: %w", name, rt.ErrBusy)
	}
	s.pairs, s.failed = slices.Grow(s.pairs[:0], n), nil
	return nil
}

// leave ends the call, and forgets its inputs.
func (s *Session) leave() {
	clear(s.pairs)
	s.busy.Store(false)
}

// pictures makes pictures the inputs of the call.
func (s *Session) pictures(pics []Picture) {
	for _, p := range pics {
		s.pairs = append(s.pairs, Pair{Picture: p})
	}
}

// fail records why input i of the call has no result.
func (s *Session) fail(i int, err error) {
	if s.failed == nil {
		s.failed = make([]error, len(s.pairs))
	}
	s.failed[i] = err
}

// lost reports whether an input has failed.
func (s *Session) lost(i int) bool { return s.failed != nil && s.failed[i] != nil }

// outcome returns a *rt.BatchError if inputs of the call have failed, otherwise nil.
func (s *Session) outcome() error {
	if s.failed == nil {
		return nil
	}
	return &rt.BatchError{Errs: s.failed}
}

// results returns the row of output 0 of each input, nil for an input that failed. err is the error of
// run: after one there are no rows.
func (s *Session) results(err error) ([][]float32, error) {
	if err != nil {
		return nil, err
	}
	s.rows = s.rows[:0]
	for i := range s.pairs {
		s.rows = append(s.rows, s.row(i))
	}
	return s.rows, s.outcome()
}

// row returns output 0 of the last pass for an input, nil if it has failed.
func (s *Session) row(i int) []float32 {
	if s.lost(i) {
		return nil
	}
	at := s.spans[i]
	return s.values[at.from:at.to:at.to]
}

// run computes output 0 of f for the inputs that have not failed, a batch at a time.
func (s *Session) run(ctx context.Context, f *exec.Func, what takes) error {
	s.values, s.spans = s.values[:0], slices.Grow(s.spans[:0], len(s.pairs))[:len(s.pairs)]
	for from := 0; from < len(s.pairs); from += batch {
		if err := s.prepare(ctx, f, what, from, min(from+batch, len(s.pairs))); err != nil {
			return err
		}
		if err := s.compute(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// ended is the error of a call of f whose context is done.
func ended(ctx context.Context, f *exec.Func) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

// prepare makes s.seqs, the sequences for f, of the inputs from <= i < to that have not failed: a
// picture becomes a tensor, a text token ids.
func (s *Session) prepare(ctx context.Context, f *exec.Func, what takes, from, to int) error {
	s.ids, s.seqs, s.which = s.ids[:0], s.seqs[:0], s.which[:0]
	size := 0
	switch {
	case what.picture != "" && s.m.in.Pixels == nil:
		return fmt.Errorf("%s: this package takes no pictures", f.Name)
	case what.text != "" && s.m.tokens == nil:
		return fmt.Errorf("%s: this package was built without a tokenizer: add `tokenizer:` to the description, or give ids (in a binary: --ids 0,17,2)", f.Name)
	case what.picture != "":
		size = s.m.in.Pixels.Len()
	}
	if err := s.decode(ctx, f, what, from, to, size); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		if s.lost(i) {
			continue
		}
		var q rt.Seq
		if what.picture != "" {
			q.Image = s.pixels[(i-from)*size:][:size]
		}
		if what.text != "" {
			n := len(s.ids)
			s.ids = s.m.tokens.AppendEncode(s.ids, s.pairs[i].Text, s.m.in.MaxText)
			ids, err := token.Fit(s.m.tokens, s.ids[n:], f.IDs)
			if err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			s.ids = append(s.ids[:n], ids...)
			q.IDs = s.ids[n:]
		}
		s.seqs, s.which = append(s.seqs, q), append(s.which, i)
	}
	// Appending may have moved the earlier ids: point at where they are now.
	at := 0
	for i := range s.seqs {
		if n := len(s.seqs[i].IDs); n > 0 {
			s.seqs[i].IDs = s.ids[at:][:n]
			at += n
		}
	}
	return nil
}

// decode writes the tensors of the pictures of the inputs from <= i < to to s.pixels, size floats
// each. It decodes one picture after the other if s has an rt.Session, otherwise several at a time. A
// picture that cannot be decoded fails its own input only.
func (s *Session) decode(ctx context.Context, f *exec.Func, what takes, from, to, size int) error {
	if err := ended(ctx, f); err != nil || what.picture == "" {
		return err
	}
	n := to - from
	s.pixels = slices.Grow(s.pixels[:0], size*n)[:size*n]
	if s.Session != nil {
		for i := from; i < to; i++ {
			if s.lost(i) {
				continue
			}
			if err := s.m.tensor(s.pixels[(i-from)*size:][:size], s.pairs[i].Picture, &s.scratch); err != nil {
				s.refuse(f, i, what.picture, err)
			}
		}
		return nil
	}
	errs := make([]error, n)
	var all sync.WaitGroup
	defer all.Wait()
	for i := range n {
		if s.lost(from + i) {
			continue
		}
		select {
		case s.m.decoding <- struct{}{}:
		case <-ctx.Done():
			return ended(ctx, f)
		}
		one := func() {
			defer func() { <-s.m.decoding }()
			scratch := s.m.scratch.Get().(*pixel.Scratch)
			defer s.m.scratch.Put(scratch)
			errs[i] = s.m.tensor(s.pixels[i*size:][:size], s.pairs[from+i].Picture, scratch)
		}
		if n == 1 {
			one()
		} else {
			all.Go(one)
		}
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			s.refuse(f, from+i, what.picture, err)
		}
	}
	return nil
}

// refuse records err as the reason why f cannot take a field of input i, such as its picture.
func (s *Session) refuse(f *exec.Func, i int, field string, err error) {
	s.fail(i, &funcError{f.Name, &rt.InputError{Index: i, Field: field, Err: err}})
}

// funcError is an error of a call of a function. Its text follows err's, whose index Each changes.
type funcError struct {
	name string
	err  error
}

func (e *funcError) Error() string { return e.name + ": " + e.err.Error() }
func (e *funcError) Unwrap() error { return e.err }

// tensor writes the values of a picture.
func (m *Model) tensor(dst []float32, p Picture, scratch *pixel.Scratch) error {
	img, err := p.decode(m.in.MaxPixels)
	if err != nil {
		return err
	}
	return m.in.Pixels.Into(dst, img, scratch)
}

// compute runs f on the sequences and takes their rows. A sequence that f cannot take fails alone.
func (s *Session) compute(ctx context.Context, f *exec.Func) error {
	for len(s.seqs) > 0 {
		var err error
		if s.Session != nil {
			err = s.take(s.Run(f, s.seqs))
		} else {
			err = s.m.Run(ctx, f, s.seqs, s.take)
		}
		if err == nil {
			return nil
		}
		in := (*rt.InputError)(nil)
		if !errors.As(err, &in) {
			return err
		}
		i := in.Index // among the sequences
		s.refuse(f, s.which[i], in.Field, in.Err)
		s.seqs, s.which = slices.Delete(s.seqs, i, i+1), slices.Delete(s.which, i, i+1)
	}
	return nil
}

// take takes output 0 of the sequences, and why those that have none failed.
func (s *Session) take(r *rt.Result, err error) error {
	var some *rt.BatchError
	if err != nil {
		if some = partial(err); some == nil {
			return err
		}
	}
	for i, at := range s.which {
		if some != nil && some.Errs[i] != nil {
			s.fail(at, some.Errs[i])
			continue
		}
		from := len(s.values)
		s.values = append(s.values, r.Out(0, i)...)
		s.spans[at] = span{from, len(s.values)}
	}
	return nil
}

// partial returns the error of a call of which only some inputs may have failed, nil if err is another one.
func partial(err error) *rt.BatchError {
	var some *rt.BatchError
	errors.As(err, &some)
	return some
}
