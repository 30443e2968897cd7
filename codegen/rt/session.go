package rt

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/multiway-go/multiway/codegen/rt/exec"
)

// ErrBusy says that a session is used by two goroutines at once.
var ErrBusy = errors.New("the session is running another call; give each goroutine a session of its own, or use Model.Do")

// Session is one arena and one set of threads. One call runs at a time; a second
// one beside it gets ErrBusy. Its threads stop with Close, or when the session is
// garbage.
type Session struct {
	model  *Model
	exec   *exec.Exec
	busy   atomic.Bool
	closed bool
	result Result
}

// Seq is one sequence of a batch: what the function takes, the rest nil. Image is
// the normalised picture, channel by channel. Of a function with several inputs that
// are not text, such as a picture and a spectrogram, it is one after the other.
type Seq struct {
	Image []float32
	IDs   []int32

	// For functions that keep something between calls: the state, see Model.NewState, and which of
	// its beams the text goes on.
	State *exec.State
	Beam  int
}

// NewSession makes a session. Memory is taken as calls touch it.
func (m *Model) NewSession() *Session { return m.NewSessions(1)[0] }

// NewSessions makes n sessions for as many goroutines that compute at the same time: they share out the threads of a
// session of NewSession, and have at least one each.
func (m *Model) NewSessions(n int) []*Session {
	all := make([]*Session, n)
	for i := range all {
		all[i] = &Session{model: m, exec: exec.New(m.kern, m.base, m.arena, max(1, (m.threads+i)/n))}
	}
	return all
}

// Close stops the session's threads; calls after it get ErrClosed.
func (s *Session) Close() error {
	if !s.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("%s: close: %w", s.model.pkg.Name, ErrBusy)
	}
	defer s.busy.Store(false)
	if !s.closed {
		s.closed = true
		s.exec.Close()
	}
	return nil
}

// Trace makes the session call f after each piece of work of its calls; a nil f stops that. Trace must
// not be called during a call. The Work is valid until f returns.
func (s *Session) Trace(f func(*exec.Work)) { s.exec.Trace(f) }

// TraceShares is Trace with a session that computes the shares of all of its threads one after the other, and
// times them; see [exec.Exec.TraceShares].
func (s *Session) TraceShares(f func(*exec.Work)) { s.exec.TraceShares(f) }

// Model returns the model the session belongs to.
func (s *Session) Model() *Model { return s.model }

// Result holds the outputs of a call. It belongs to the session and is valid until
// the session's next Run.
type Result struct {
	f    *exec.Func
	n    int // sequences
	data []float32
	off  []int // start of [output][sequence], and the end

	finite bool    // all outputs are
	failed []error // of each sequence; nil: none
}

// Len returns the number of sequences.
func (r *Result) Len() int { return r.n }

// Out returns the rows of one sequence of output i: its sections in order, Cols
// floats a row, nothing between. It is valid until the session's next Run, and nil if
// the sequence failed.
func (r *Result) Out(i, seq int) []float32 {
	if i < 0 || i >= len(r.f.Outputs) || seq < 0 || seq >= r.n {
		panic(fmt.Sprintf("rt: output %d of sequence %d; %s has %d outputs, the batch %d sequences", i, seq, r.f.Name, len(r.f.Outputs), r.n))
	}
	if r.failed != nil && r.failed[seq] != nil {
		return nil
	}
	k := i*r.n + seq
	return r.data[r.off[k]:r.off[k+1]:r.off[k+1]]
}

// All returns output i of all sequences, one after the other, as it was computed, also
// of those that failed.
func (r *Result) All(i int) []float32 {
	if i < 0 || i >= len(r.f.Outputs) {
		panic(fmt.Sprintf("rt: output %d; %s has %d outputs", i, r.f.Name, len(r.f.Outputs)))
	}
	lo, hi := r.off[i*r.n], r.off[(i+1)*r.n]
	return r.data[lo:hi:hi]
}

// Run runs f on a batch. Sequences are packed into passes of at most the package's
// limit of rows; how they are packed does not change their results. Batches of any
// length are allowed, also of none. An error leaves the session usable.
//
// Outputs are finite numbers. Sequences that have others fail: the error is a
// [*BatchError] of [ErrNotFinite], and the result holds what the others have. After any
// other error there is no result: of a sequence that f cannot take it is an [*InputError], else [ErrClosed], [ErrBusy] or
// [ErrFault].
func (s *Session) Run(f *exec.Func, batch []Seq) (*Result, error) {
	if !s.busy.CompareAndSwap(false, true) {
		return nil, fmt.Errorf("%s: %s: %w", s.model.pkg.Name, f.Name, ErrBusy)
	}
	defer s.busy.Store(false)
	if err := s.compute(f, batch); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", s.model.pkg.Name, f.Name, err)
	}
	return &s.result, s.result.judge(s.model.pkg)
}

// compute validates a batch and runs f on it. The outputs are then in s.result, finite or not.
func (s *Session) compute(f *exec.Func, batch []Seq) error {
	s.model.open.RLock()
	defer s.model.open.RUnlock()
	if err := s.check(f, batch); err != nil {
		return err
	}
	s.result.layout(f, batch)
	return s.model.blob.Read(func() { s.passes(f, batch) })
}

// passes runs f on a valid batch, in as few passes as the package's limit of rows allows, of equally many sequences each if
// that takes no more passes, and collects the outputs in s.result.
func (s *Session) passes(f *exec.Func, batch []Seq) {
	most := len(batch)
	if n := s.count(f, batch, most); n > 1 {
		if even := (most + n - 1) / n; s.count(f, batch, even) == n {
			most = even
		}
	}
	s.exec.Begin(f, s.model.pkg.Text)
	defer s.exec.End()
	for at := 0; at < len(batch); {
		n := s.fit(f, batch[at:], most)
		s.exec.Clear()
		for _, q := range batch[at : at+n] {
			s.exec.Append(q.Image, q.IDs, q.State, q.Beam)
		}
		s.exec.Run()
		s.result.collect(s.exec, at)
		at += n
	}
}

// check validates a call.
func (s *Session) check(f *exec.Func, batch []Seq) error {
	p := s.model.pkg
	if s.closed {
		return sessionClosed{}
	}
	if s.model.closed {
		return ErrClosed
	}
	known := false
	for _, g := range p.Funcs {
		known = known || f == g
	}
	if !known {
		return errors.New("the function belongs to another package; use a function of the session's model")
	}
	return p.takes(f, batch)
}

// takes reports the first sequence of a batch that f cannot take.
func (p *Package) takes(f *exec.Func, batch []Seq) error {
	for i := range batch {
		if field, err := p.take(f, &batch[i]); err != nil {
			return &InputError{i, field, err}
		}
	}
	return nil
}

// take reports what is wrong with a sequence for f, and in which of its fields.
func (p *Package) take(f *exec.Func, q *Seq) (field string, err error) {
	switch {
	case len(q.Image) != f.Image && f.Image == 0:
		return "image", errors.New("it is there, this function takes none; leave Image nil")
	case len(q.Image) != f.Image:
		return "image", fmt.Errorf("%d values, want %d; resize and normalise it as the model's preprocessing does", len(q.Image), f.Image)
	case !f.Text && len(q.IDs) != 0:
		return "ids", errors.New("they are there, this function takes no text; leave IDs nil")
	case f.Text && len(q.IDs) == 0:
		return "ids", errors.New("the text is empty; give at least one id (the tokenizer always gives begin and end)")
	case f.Text && len(q.IDs) > p.Text:
		return "ids", limitError(fmt.Sprintf("the text has %d ids, the limit is %d; cut it, or raise limits.text in the description and build again", len(q.IDs), p.Text))
	case f.IDs > 0 && len(q.IDs) != f.IDs:
		return "ids", fmt.Errorf("%d of them, this function takes %d", len(q.IDs), f.IDs)
	}
	if err := f.CheckState(q.State, q.Beam); err != nil {
		return "state", err
	}
	for j, id := range q.IDs {
		if id < 0 || int(id) >= p.Vocab {
			return "ids", fmt.Errorf("id %d at %d is outside the vocabulary of %d; use the model's own tokenizer", id, j, p.Vocab)
		}
	}
	return "", nil
}

// fit returns how many sequences of a batch fit into one pass, at least one and at most most.
func (s *Session) fit(f *exec.Func, batch []Seq, most int) int {
	limit, tokens := s.model.pkg.Rows, 0
	for i := range batch {
		tokens += len(batch[i].IDs)
		if i == most || i > 0 && ((i+1)*max(1, f.Fixed) > limit || tokens > limit) {
			return i
		}
	}
	return len(batch)
}

// count returns the number of passes that a batch takes, of at most most sequences each.
func (s *Session) count(f *exec.Func, batch []Seq, most int) int {
	n := 0
	for ; len(batch) > 0; n++ {
		batch = batch[s.fit(f, batch, most):]
	}
	return n
}

// layout makes room for the outputs of a batch.
func (r *Result) layout(f *exec.Func, batch []Seq) {
	r.f, r.n, r.finite, r.failed = f, len(batch), true, nil
	r.off = append(r.off[:0], 0)
	end := 0
	for i := range f.Outputs {
		o := &f.Outputs[i]
		for j := range batch {
			end += o.RowsOf(len(batch[j].IDs)) * o.Cols
			r.off = append(r.off, end)
		}
	}
	if cap(r.data) < end {
		r.data = make([]float32, end)
	}
	r.data = r.data[:end]
}

// collect copies the outputs of e's last pass, whose first sequence is number first of the batch.
func (r *Result) collect(e *exec.Exec, first int) {
	for i := range r.f.Outputs {
		at := i*r.n + first
		if !e.Out(&r.f.Outputs[i], r.data[r.off[at]:r.off[at+e.B]]) {
			r.finite = false
		}
	}
}

// copy fills r with its part of the outputs of a larger batch, all: r's first sequence is number first
// of that batch.
func (r *Result) copy(all *Result, first int) {
	r.finite = all.finite
	for i := range r.f.Outputs {
		copy(r.All(i), all.data[all.off[i*all.n+first]:])
	}
}
