package task

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/multiway-go/multiway/codegen/rt"
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
	Score      *Score                          // how embeddings of retrieval are scored; nil: by their cosine alone
	Captions   *Captions                       // nil: the model writes none
	Vectors    []byte                          // golden vectors as JSON, see Vector
}

// Model serves concurrent callers with the sessions and buffers that it keeps. What its methods return is the caller's.
// It decodes at most as many pictures at a time as Go runs threads, whatever the number of callers.
type Model struct {
	*rt.Model
	in       *Input
	tokens   token.Tokenizer
	buffers  sync.Pool     // of *buffers
	scratch  sync.Pool     // of *pixel.Scratch
	decoding chan struct{} // holds one for each picture that is being decoded
}

// NewModel wraps an open compiled model and loads its tokenizer. It owns m, also
// when it fails.
func (in *Input) NewModel(m *rt.Model) (*Model, error) {
	t := &Model{
		Model: m, in: in,
		buffers:  sync.Pool{New: func() any { return new(buffers) }},
		scratch:  sync.Pool{New: func() any { return new(pixel.Scratch) }},
		decoding: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
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
func (m *Model) NewSession() *Session { return m.NewSessions(1)[0] }

// NewSessions returns n sessions for as many goroutines that compute at the same time; see [rt.Model.NewSessions].
func (m *Model) NewSessions(n int) []*Session {
	all := make([]*Session, n)
	for i, s := range m.Model.NewSessions(n) {
		all[i] = &Session{Session: s, m: m, buffers: new(buffers)}
	}
	return all
}

// Do calls f with one of the model's sessions, waiting for one until ctx is done if all are busy.
// f must not keep the session or a result of it.
func (m *Model) Do(ctx context.Context, f func(*Session) error) error {
	return m.Model.Do(ctx, func(s *rt.Session) error {
		b := m.buffers.Get().(*buffers)
		defer m.buffers.Put(b)
		return f(&Session{Session: s, m: m, buffers: b})
	})
}

// shared calls f with a Session that has buffers but no rt.Session: each pass takes one of the model's
// sessions while it computes, so that other calls compute while this one decodes pictures. f must copy
// what it returns, because the buffers are reused.
func shared[R any](m *Model, f func(*Session) (R, error)) (R, error) {
	b := m.buffers.Get().(*buffers)
	defer m.buffers.Put(b)
	return f(&Session{m: m, buffers: b})
}

// Images returns output 0 of a function of pictures for each of them, computed 64 at a time. The call ends between these with
// ctx's error when ctx is done. Where only some pictures have no result, because they cannot be read or their outputs are not
// finite, the error is a *rt.BatchError, and their rows are nil.
func (m *Model) Images(ctx context.Context, f *exec.Func, pics []Picture) ([][]float32, error) {
	return m.owned(func(s *Session) ([][]float32, error) { return s.Images(ctx, f, pics) })
}

// Texts is Images for a function of texts. A text longer than MaxText ids is cut, an empty one is its start and end ids.
func (m *Model) Texts(ctx context.Context, f *exec.Func, texts []string) ([][]float32, error) {
	return m.owned(func(s *Session) ([][]float32, error) { return s.Texts(ctx, f, texts) })
}

// Pairs is Images for a function of a picture and a text, which is cut like those of Texts.
func (m *Model) Pairs(ctx context.Context, f *exec.Func, pairs []Pair) ([][]float32, error) {
	return m.owned(func(s *Session) ([][]float32, error) { return s.Pairs(ctx, f, pairs) })
}

// owned calls f with one of the model's sessions and returns copies of the rows, which the caller owns.
func (m *Model) owned(f func(*Session) ([][]float32, error)) ([][]float32, error) {
	return shared(m, func(s *Session) ([][]float32, error) {
		rows, err := f(s)
		if rows == nil {
			return nil, err
		}
		all := make([][]float32, len(rows))
		for i, row := range rows {
			all[i] = slices.Clone(row)
		}
		return all, err
	})
}

// One returns the result of a call on one input. Of an *rt.BatchError it returns the error of that
// input.
func One[R any](all []R, err error) (one R, _ error) {
	if err != nil {
		if some := partial(err); some != nil {
			err = some.Errs[0]
		}
		return one, err
	}
	return all[0], nil
}
