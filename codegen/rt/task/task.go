package task

import (
	"cmp"
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

// Images runs a function of pictures on a batch of them. The result is valid until
// the session's next call.
func (s *Session) Images(f *exec.Func, imgs ...image.Image) (*rt.Result, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	return s.run(f, imgs, nil)
}

// ImageRows is Images, and returns output out of each picture, nil for those that have no
// result (see rt.BatchError). The list and what it holds are valid until the session's next
// call.
func (s *Session) ImageRows(f *exec.Func, out int, imgs ...image.Image) ([][]float32, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	r, err := s.run(f, imgs, nil)
	return s.list(r, out), err
}

// Texts runs a function of texts on a batch of them. A text longer than MaxText ids
// is cut, an empty one is its start and end ids. The result is valid until the
// session's next call.
func (s *Session) Texts(f *exec.Func, texts ...string) (*rt.Result, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	return s.run(f, nil, texts)
}

// TextRows is Texts, and returns output out of each text, as ImageRows does.
func (s *Session) TextRows(f *exec.Func, out int, texts ...string) ([][]float32, error) {
	if err := s.enter(f); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	r, err := s.run(f, nil, texts)
	return s.list(r, out), err
}

// enter takes the buffers for a call.
func (s *Session) enter(f *exec.Func) error {
	if !s.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("%s: %w", f.Name, rt.ErrBusy)
	}
	return nil
}

// list lists output out of each sequence of a result.
func (s *Session) list(r *rt.Result, out int) [][]float32 {
	if r == nil {
		return nil
	}
	s.rows = s.rows[:0]
	for i := range r.Len() {
		s.rows = append(s.rows, r.Out(out, i))
	}
	return s.rows
}

func (s *Session) run(f *exec.Func, imgs []image.Image, texts []string) (*rt.Result, error) {
	if err := s.prepare(f, imgs, texts); err != nil {
		return nil, err
	}
	return s.Run(f, s.seqs)
}

// prepare turns pictures and texts into the session's sequences.
func (s *Session) prepare(f *exec.Func, imgs []image.Image, texts []string) error {
	s.pixels, s.ids, s.seqs = s.pixels[:0], s.ids[:0], s.seqs[:0]
	for range max(len(imgs), len(texts)) {
		s.seqs = append(s.seqs, rt.Seq{})
	}
	if len(imgs) > 0 {
		if s.m.in.Pixels == nil {
			return fmt.Errorf("%s: this package takes no pictures", f.Name)
		}
		n := s.m.in.Pixels.Len()
		s.pixels = slices.Grow(s.pixels, n*len(imgs))[:n*len(imgs)]
		for i, img := range imgs {
			if img == nil {
				return fmt.Errorf("%s: picture %d is nil", f.Name, i)
			}
			dst := s.pixels[i*n:][:n]
			if err := s.m.in.Pixels.Into(dst, img, &s.scratch); err != nil {
				return fmt.Errorf("%s: picture %d: %w", f.Name, i, err)
			}
			s.seqs[i].Image = dst
		}
	}
	if len(texts) > 0 {
		if s.m.tokens == nil {
			return fmt.Errorf("%s: this package was built without a tokenizer: add `tokenizer:` to the description, or give ids (in a binary: --ids 0,17,2)", f.Name)
		}
		for i, t := range texts {
			from := len(s.ids)
			s.ids = s.m.tokens.AppendEncode(s.ids, t, s.m.in.MaxText)
			s.seqs[i].IDs = s.ids[from:]
		}
		// Appending may have moved the earlier ids: point at where they are now.
		for i, from := 0, 0; i < len(texts); i++ {
			n := len(s.seqs[i].IDs)
			s.seqs[i].IDs = s.ids[from:][:n]
			from += n
		}
	}
	return nil
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
	return m.Model.Do(func(s *rt.Session) error {
		b := m.buffers.Get().(*buffers)
		defer m.buffers.Put(b)
		return f(&Session{Session: s, m: m, buffers: b})
	})
}

// chunk bounds the pictures or texts whose tensors a shared session holds at once.
const chunk = 64

// Images returns output out of function f for each picture, in memory the caller owns.
// Where only some pictures have no result, as when their outputs are not finite, the rows
// of the others come with a *rt.BatchError, and nil for those.
func (m *Model) Images(f *exec.Func, out int, imgs []image.Image) ([][]float32, error) {
	return collect(m, imgs, out, func(s *Session, part []image.Image) (*rt.Result, error) { return s.Images(f, part...) })
}

// Texts is Images for texts.
func (m *Model) Texts(f *exec.Func, out int, texts []string) ([][]float32, error) {
	return collect(m, texts, out, func(s *Session, part []string) (*rt.Result, error) { return s.Texts(f, part...) })
}

func collect[T any](m *Model, items []T, out int, run func(*Session, []T) (*rt.Result, error)) ([][]float32, error) {
	all := make([][]float32, 0, len(items))
	failed := rt.BatchError{Errs: make([]error, len(items))}
	err := m.Do(func(s *Session) error {
		for part := range slices.Chunk(items, chunk) {
			r, err := run(s, part)
			var some *rt.BatchError
			switch {
			case errors.As(err, &some):
				copy(failed.Errs[len(all):], some.Errs)
			case err != nil && len(items) > chunk:
				return fmt.Errorf("in the batch from item %d on: %w", len(all), err)
			case err != nil:
				return err
			}
			for i := range part {
				all = append(all, slices.Clone(r.Out(out, i)))
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

// One returns the only row of a call on one input.
func One(rows [][]float32, err error) ([]float32, error) {
	if err != nil {
		return nil, err
	}
	return rows[0], nil
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
