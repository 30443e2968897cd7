package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/caption"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/codegen/rt/token"
)

// Input says how pictures and texts become what a compiled function takes. It is
// immutable and safe to share.
type Input struct {
	Pixels     *pixel.Preprocess               // nil: the model takes no pictures
	LoadTokens func() (token.Tokenizer, error) // nil: texts have to come as ids
	MaxText    int                             // longest text in ids, start and end included; longer texts are cut
	MaxPixels  int                             // largest picture to decode, in pixels; 0: the decoder's default
	Labels     []string                        // class names of classification in the order of the logits
	Answers    []string                        // answers to questions in the order of the logits
	Captions   *Captions                       // nil: the model writes none
	Vectors    []byte                          // golden vectors as JSON, see Vector
}

// Session runs functions on pictures and texts. It serves one goroutine at a time, a
// second one gets rt.ErrBusy; once its buffers have grown to the largest call, a call
// allocates nothing.
type Session struct {
	*rt.Session
	m *Model
	*buffers
}

type buffers struct {
	busy    atomic.Bool // a call is filling or reading them
	scratch pixel.Scratch
	pixels  []float32
	ids     []int32
	seqs    []rt.Seq
	rows    [][]float32

	features []float32 // of several runs, for a head
	runner   *caption.Runner
}

// Images returns output 0 of a function of pictures for each of them, computed as one batch. Where only some have no result,
// as those that cannot be read or whose outputs are not finite, the error is a *rt.BatchError, and their rows are nil. The
// list and what it holds are valid until the session's next call.
func (s *Session) Images(f *exec.Func, imgs ...image.Image) ([][]float32, error) {
	return s.call(f, imgs, nil)
}

// Texts is Images for a function of texts. A text longer than MaxText ids is cut, an empty one is its start and end ids.
func (s *Session) Texts(f *exec.Func, texts ...string) ([][]float32, error) {
	return s.call(f, nil, texts)
}

// call is run for a call that needs the buffers for itself alone.
func (s *Session) call(f *exec.Func, imgs []image.Image, texts []string) ([][]float32, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	return s.run(f, imgs, texts)
}

// enter takes the buffers for a call.
func (s *Session) enter(f *exec.Func) error {
	if !s.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("%s: %w", f.Name, rt.ErrBusy)
	}
	return nil
}

// run returns output 0 of f for each item of a batch of pictures, of texts, or of both.
func (s *Session) run(f *exec.Func, imgs []image.Image, texts []string) ([][]float32, error) {
	lost, err := s.prepare(f, imgs, texts)
	if err != nil {
		return nil, err
	}
	r, err := s.Run(f, s.seqs)
	some := partial(err)
	if err != nil && some == nil {
		return nil, err
	}
	s.rows = s.rows[:0]
	if lost == nil {
		for i := range r.Len() {
			s.rows = append(s.rows, r.Out(0, i))
		}
		return s.rows, err
	}
	at := 0 // of what ran
	for i := range lost {
		if lost[i] != nil {
			s.rows = append(s.rows, nil)
			continue
		}
		s.rows = append(s.rows, r.Out(0, at))
		if some != nil {
			lost[i] = some.Errs[at]
		}
		at++
	}
	return s.rows, &rt.BatchError{Errs: lost}
}

// prepare turns pictures and texts into the session's sequences, but for those of lost, which are no input. lost is nil if
// there are none.
func (s *Session) prepare(f *exec.Func, imgs []image.Image, texts []string) (lost []error, err error) {
	s.pixels, s.ids, s.seqs = s.pixels[:0], s.ids[:0], s.seqs[:0]
	n := max(len(imgs), len(texts))
	switch {
	case len(imgs) > 0 && s.m.in.Pixels == nil:
		return nil, fmt.Errorf("%s: this package takes no pictures", f.Name)
	case len(texts) > 0 && s.m.tokens == nil:
		return nil, fmt.Errorf("%s: this package was built without a tokenizer: add `tokenizer:` to the description, or give ids (in a binary: --ids 0,17,2)", f.Name)
	}
	size := 0
	if len(imgs) > 0 {
		size = s.m.in.Pixels.Len()
		s.pixels = slices.Grow(s.pixels, size*n)[:size*n]
	}
	for i := range n {
		var q rt.Seq
		if len(imgs) > 0 {
			q.Image = s.pixels[i*size:][:size]
			if err := s.pixelsOf(q.Image, imgs[i]); err != nil {
				if lost == nil {
					lost = make([]error, n)
				}
				lost[i] = fmt.Errorf("%s: %w", f.Name, &rt.InputError{Index: i, Field: "picture", Err: err})
				continue
			}
		}
		if len(texts) > 0 {
			from := len(s.ids)
			s.ids = s.m.tokens.AppendEncode(s.ids, texts[i], s.m.in.MaxText)
			q.IDs = s.ids[from:]
		}
		s.seqs = append(s.seqs, q)
	}
	// Appending may have moved the earlier ids: point at where they are now.
	from := 0
	for i := range s.seqs {
		if n := len(s.seqs[i].IDs); n > 0 {
			s.seqs[i].IDs = s.ids[from:][:n]
			from += n
		}
	}
	return lost, nil
}

// pixelsOf writes the values of a picture.
func (s *Session) pixelsOf(dst []float32, img image.Image) error {
	if img == nil {
		return errors.New("it is nil")
	}
	return s.m.in.Pixels.Into(dst, img, &s.scratch)
}

// Model serves concurrent callers with the sessions and buffers that it keeps.
type Model struct {
	*rt.Model
	in      *Input
	tokens  token.Tokenizer
	buffers sync.Pool // of *buffers
}

// NewModel wraps an open compiled model and loads its tokenizer. It owns m, also
// when it fails.
func (in *Input) NewModel(m *rt.Model) (*Model, error) {
	t := &Model{Model: m, in: in, buffers: sync.Pool{New: func() any { return new(buffers) }}}
	if in.LoadTokens != nil {
		tok, err := in.LoadTokens()
		if err != nil {
			m.Close()
			return nil, fmt.Errorf("%s: tokenizer: %w", m.Package().Name, err)
		}
		t.tokens = tok
	}
	return t, nil
}

// Tokens returns the model's tokenizer, nil if it was built without one.
func (m *Model) Tokens() token.Tokenizer { return m.tokens }

// SetTokens has texts become ids by t from now on. Call it before anything else does.
func (m *Model) SetTokens(t token.Tokenizer) { m.tokens = t }

// Scalar returns the only value of the weight called name, NaN if the package has no
// such weight, or the model is closed.
func (m *Model) Scalar(name string) float32 { return m.Blob().Scalar(name) }

// Input returns how the model takes pictures and texts.
func (m *Model) Input() *Input { return m.in }

// NewSession returns a session of its own for one goroutine.
func (m *Model) NewSession() *Session {
	return &Session{Session: m.Model.NewSession(), m: m, buffers: new(buffers)}
}

// Do calls f with one of the model's sessions, waiting for one if all are busy.
// f must not keep the session or a result of it.
func (m *Model) Do(f func(*Session) error) error {
	return m.Model.Do(m.over(f))
}

// doPacked is Do for a call of n inputs of f, which rt.WithBatching packs together with others.
func (m *Model) doPacked(ctx context.Context, f *exec.Func, n int, do func(*Session) error) error {
	return m.Model.DoPacked(ctx, f, n, m.over(do))
}

// over gives f a session with buffers.
func (m *Model) over(f func(*Session) error) func(*rt.Session) error {
	return func(s *rt.Session) error {
		b := m.buffers.Get().(*buffers)
		defer m.buffers.Put(b)
		return f(&Session{Session: s, m: m, buffers: b})
	}
}

// chunk bounds the pictures or texts whose tensors a shared session holds at once.
const chunk = 64

// Images returns output 0 of function f for each picture, in memory the caller owns.
// Where only some pictures have no result, as those that cannot be read or whose outputs are not finite, the rows
// of the others come with a *rt.BatchError, and nil for those.
func (m *Model) Images(f *exec.Func, imgs []image.Image) ([][]float32, error) {
	return collect(m, f, imgs, func(s *Session, part []image.Image) ([][]float32, error) { return s.Images(f, part...) })
}

// Texts is Images for texts.
func (m *Model) Texts(f *exec.Func, texts []string) ([][]float32, error) {
	return collect(m, f, texts, func(s *Session, part []string) ([][]float32, error) { return s.Texts(f, part...) })
}

func collect[T any](m *Model, f *exec.Func, items []T, run func(*Session, []T) ([][]float32, error)) ([][]float32, error) {
	all := make([][]float32, 0, len(items))
	failed := rt.BatchError{Errs: make([]error, len(items))}
	err := m.doPacked(context.Background(), f, len(items), func(s *Session) error {
		for part := range slices.Chunk(items, chunk) {
			rows, err := run(s, part)
			switch some := partial(err); {
			case some != nil:
				for i, err := range some.Errs {
					failed.Errs[len(all)+i] = moved(err, len(all))
				}
			case err != nil:
				return moved(err, len(all))
			}
			for _, row := range rows {
				all = append(all, slices.Clone(row))
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(failed.Unwrap()) > 0:
		return all, &failed
	}
	return all, nil
}

// moved counts the input that an error is about from the beginning of a batch, of which the call had a part from an item on.
// The error is the call's own.
func moved(err error, from int) error {
	if in := (*rt.InputError)(nil); errors.As(err, &in) {
		in.Index += from
	}
	return err
}

// One returns the only row of a call on one input, and its error.
func One(rows [][]float32, err error) ([]float32, error) {
	if some := partial(err); some != nil {
		return nil, some.Errs[0]
	}
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// partial returns the error of a call of which only some items may have failed, nil if it is another one or none.
func partial(err error) *rt.BatchError {
	if err == nil {
		return nil
	}
	var some *rt.BatchError
	errors.As(err, &some)
	return some
}

// Label is one class of a classification.
type Label struct {
	Index int     `json:"index"` // position in the logits
	Name  string  `json:"label,omitempty"`
	Prob  float32 `json:"prob"` // softmax over all classes
}

// Top returns the k most probable classes, best first, ties by index; k <= 0 or more
// than there are means all. names may be shorter than logits.
func Top(logits []float32, names []string, k int) []Label {
	peak := math.Inf(-1)
	for _, x := range logits {
		peak = max(peak, float64(x))
	}
	sum := 0.0
	all := make([]Label, len(logits))
	for i, x := range logits {
		sum += math.Exp(float64(x) - peak)
		all[i].Index = i
		if i < len(names) {
			all[i].Name = names[i]
		}
	}
	for i, x := range logits {
		all[i].Prob = float32(math.Exp(float64(x)-peak) / sum)
	}
	slices.SortStableFunc(all, func(a, b Label) int { return cmp.Compare(logits[b.Index], logits[a.Index]) })
	if k > 0 && k < len(all) {
		all = all[:k]
	}
	return all
}
