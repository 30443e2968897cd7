package rt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
)

// Model is a package with its weights open and its kernels chosen. It is immutable
// and safe to share.
type Model struct {
	pkg     *Package
	kern    *kernel.Table
	names   []kernel.Info
	blob    *blob.Blob
	base    *float32
	threads int
	huge    bool
	arena   int // bytes of a session

	// open is held for reading by every call, for writing by Close.
	open   sync.RWMutex
	closed bool

	sessions chan *Session         // free sessions of Do and Run; nil entries are not built yet
	queues   map[*exec.Func]*queue // of functions whose calls are packed together; see WithBatching
}

// Close waits for running calls and gives the weights' memory back. Calls after it
// get ErrClosed.
func (m *Model) Close() error {
	m.open.Lock()
	defer m.open.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	for range cap(m.sessions) {
		select {
		case s := <-m.sessions:
			if s != nil {
				s.Close()
			}
			m.sessions <- nil
		default:
		}
	}
	return m.blob.Close()
}

// Package returns what the model was opened from.
func (m *Model) Package() *Package { return m.pkg }

// Blob returns the model's weights, which stay the model's and are closed with it.
func (m *Model) Blob() *blob.Blob { return m.blob }

// meaning is raised when rt, or what stands on it, makes other numbers of a package than
// before.
const meaning = 1

// Fingerprint names what the model computes, in 32 hexadecimal digits: as long as it is the
// same, embeddings made before can be compared with new ones. It is the start of a SHA-256
// of the weights as their file's header has them, the program, the preparation of pictures,
// the tokenizer and the limits that change results. It is the same on every system and
// CPU; names of files, labels, kernels and versions that compute the same leave it as it is.
func (m *Model) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "multiway %d\n", meaning)
	for _, part := range [][32]byte{m.pkg.Computes, m.blob.Layout, m.blob.Hash} {
		h.Write(part[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Func returns the function called name, nil if there is none.
func (m *Model) Func(name string) *exec.Func {
	for _, f := range m.pkg.Funcs {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// NewState returns an empty key/value cache for one caption of at most beams beams, 1 to 1024. step is the function of the model's
// package that reads the cache, one with States. All sessions of the model can use the state, one call at a time.
func (m *Model) NewState(step *exec.Func, beams int) (*exec.State, error) {
	p := m.pkg
	if !slices.Contains(p.Funcs, step) || step.States == nil {
		return nil, fmt.Errorf("%s: the function is none of this package's that has a state", p.Name)
	}
	st, err := exec.NewState(step, beams, p.Text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return st, nil
}

// Verify reads all weights and compares them with the hash in their file.
func (m *Model) Verify() error {
	if err := m.blob.Verify(); err != nil {
		return fmt.Errorf("%s: %w", m.pkg.Name, err)
	}
	return nil
}

// check reports a closed model.
func (m *Model) check() error {
	m.open.RLock()
	defer m.open.RUnlock()
	if m.closed {
		return ErrClosed
	}
	return nil
}

// Do calls f with a session of the model's own and is safe for concurrent use: at
// most as many calls run at a time as keep the cores busy, others wait, until ctx is
// done. f must not keep the session or results that live in it.
func (m *Model) Do(ctx context.Context, f func(*Session) error) error {
	var s *Session
	select {
	case s = <-m.sessions:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", m.pkg.Name, ctx.Err())
	}
	if err := m.check(); err != nil {
		m.sessions <- s
		return fmt.Errorf("%s: %w", m.pkg.Name, err)
	}
	if s == nil {
		s = m.NewSession()
	}
	defer func() { m.sessions <- s }()
	return f(s)
}
