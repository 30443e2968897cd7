package rt

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir/file"
)

// Contract2 is named by every generated package written for this contract between
// generated code and rt. rt keeps it for as long as it honours the contract; a
// package for another contract does not compile.
const Contract2 = 2

// Packages written for the contract before name these: the compiler's first errors then
// say what to do.
const (
	Contract1 = older
	Exec      = older
	Kernels   = older

	older = "a package of an older multiway: run multiway build, or go generate" // the compiler shows 70 bytes
)

// Package is what the compiler emitted. It is immutable.
type Package struct {
	Name     string
	Contract int      // Contract2
	Layout   [32]byte // LayoutHash of the weight file it was generated with
	Hash     [32]byte // Blob.Hash of the only weight file it takes; zero: any of its layout
	Computes [32]byte // hash of what it computes, the weights' values left out; see Model.Fingerprint
	Funcs    []*exec.Func
	Kernels  []*kernel.Table // see kernel.Choose
	Rows     int             // limit: packed rows of a segment in one pass
	Text     int             // limit: rows of one text
	Vocab    int             // ids are below this

	// Precision says how the matrices and tables are stored, in the words of a model
	// description; "" is f32.
	Precision string

	Blob string // the embedded weight file; "" when it is elsewhere
}

// Find returns the package's function of a task that is of a kind, nil if there is none; see Func.
func (p *Package) Find(task, kind string) *exec.Func {
	for _, f := range p.Funcs {
		if f.Task == task && f.Kind == kind {
			return f
		}
	}
	return nil
}

// Levels returns the levels of this CPU that the package has kernels for, lowest
// first.
func (p *Package) Levels() []string {
	return slices.DeleteFunc(kernel.Levels(), func(l string) bool {
		return !slices.ContainsFunc(p.Kernels, func(k *kernel.Table) bool { return k.Level == l })
	})
}

// Option changes how a model is opened.
type Option func(*config) error

type config struct {
	level   string
	threads int
	huge    bool
	verify  bool
}

// WithLevel asks for a CPU level (see Levels) instead of the best one. A level
// that this CPU does not have is an error.
func WithLevel(name string) Option {
	return func(c *config) error {
		if name == "" {
			return fmt.Errorf("WithLevel: empty level; leave the option out for the best level, this CPU has %s", strings.Join(kernel.Levels(), ", "))
		}
		c.level = name
		return nil
	}
}

// maxThreads bounds WithThreads.
const maxThreads = 1024

// WithThreads sets the number of threads of a session that is not told otherwise (see
// OnThreads); the default is GOMAXPROCS.
func WithThreads(n int) Option {
	return func(c *config) error {
		if n < 1 || n > maxThreads {
			return fmt.Errorf("WithThreads(%d): want 1 to %d", n, maxThreads)
		}
		c.threads = n
		return nil
	}
}

// WithHugePages copies the weights into huge pages, which costs start-up time and
// memory and makes small batches faster. Info says whether the system gave them.
func WithHugePages() Option {
	return func(c *config) error { c.huge = true; return nil }
}

// WithVerify has all weights read and compared with the hash in their file when the model
// is opened, as Model.Verify does. It takes about as long as reading the file once.
func WithVerify() Option {
	return func(c *config) error { c.verify = true; return nil }
}

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
	arena   int // floats of a session

	// open is held for reading by every call, for writing by Close.
	open   sync.RWMutex
	closed bool

	sessions chan *Session // free sessions of Do; nil entries are not built yet
}

// New opens the package with its embedded weights, or else with those appended to
// the running executable.
func (p *Package) New(opts ...Option) (*Model, error) {
	if p.Blob != "" {
		b, err := blob.Read(unsafe.Slice(unsafe.StringData(p.Blob), len(p.Blob)))
		if err != nil {
			return nil, fmt.Errorf("%s: embedded weights: %w", p.Name, err)
		}
		b.Source = "embedded"
		return p.model(b, opts)
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("%s: the weights are not embedded and the executable is unknown (%w); use Open with the path of the weight file", p.Name, err)
	}
	b, err := blob.OpenAppended(exe)
	if errors.Is(err, blob.ErrNoWeights) {
		return nil, fmt.Errorf("%s: %w to %s or embedded in the package; use Open with the path of the weight file", p.Name, blob.ErrNoWeights, exe)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return p.model(b, opts)
}

// Open opens the package with the weight file at path, which is mapped where the system
// can: see [Blob] for how to replace it.
func (p *Package) Open(path string, opts ...Option) (*Model, error) {
	b, err := blob.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return p.model(b, opts)
}

// OpenWith opens the package with weights that are open already, which the model
// then owns.
func (p *Package) OpenWith(b *blob.Blob, opts ...Option) (*Model, error) { return p.model(b, opts) }

// model builds the model; it owns b, also when it fails.
func (p *Package) model(b *blob.Blob, opts []Option) (m *Model, err error) {
	defer func() {
		if err != nil {
			b.Close()
			err = fmt.Errorf("%s: %w", p.Name, err)
		}
	}()
	var c config
	for _, o := range opts {
		if err := o(&c); err != nil {
			return nil, err
		}
	}
	if p.Contract != Contract2 {
		return nil, fmt.Errorf("generated for contract %d, this runtime has %d; generate the package again", p.Contract, Contract2)
	}
	if bigEndian {
		return nil, fmt.Errorf("%s is big-endian, and weights are used as they lie in their little-endian file; run the model on a little-endian system", runtime.GOARCH)
	}
	if b.Packing != blob.PackingPanels16 {
		return nil, fmt.Errorf("%s: weights of packing %d, this program reads packing %d; build the model again", file.Quote(b.Source), b.Packing, blob.PackingPanels16)
	}
	if b.Layout != p.Layout {
		return nil, fmt.Errorf("%s: the weights belong to another model or build (layout %x, want %x); use the weight file written with this package", file.Quote(b.Source), b.Layout[:4], p.Layout[:4])
	}
	if p.Hash != [32]byte{} && b.Hash != p.Hash {
		return nil, fmt.Errorf("%s: the weights are of another build of this model (hash %x, want %x); use the weight file written with this package, or run `multiway build` again", file.Quote(b.Source), b.Hash[:4], p.Hash[:4])
	}
	for _, f := range p.Funcs {
		if p.Rows < f.Fixed || f.Text && p.Rows < p.Text || p.Rows < 1 {
			return nil, fmt.Errorf("%s needs %d fixed and %d text rows a sequence, limits.rows is %d; raise it in the description and build again", f.Name, f.Fixed, p.Text, p.Rows)
		}
	}
	m = &Model{pkg: p, blob: b, threads: c.threads}
	if m.kern, m.names, err = kernel.Choose(p.Kernels, c.level); err != nil {
		return nil, err
	}
	procs := runtime.GOMAXPROCS(0)
	if m.threads == 0 {
		m.threads = procs
	}
	for _, f := range p.Funcs {
		m.arena = max(m.arena, f.Arena)
	}
	if c.verify {
		if err := b.Verify(); err != nil {
			return nil, err
		}
	}
	if c.huge {
		if m.huge, err = b.MoveHuge(); err != nil {
			return nil, err
		}
	}
	m.base = b.Floats()
	// As many sessions as keep every core busy.
	n := max(1, (procs+m.threads-1)/m.threads)
	m.sessions = make(chan *Session, n)
	for range n {
		m.sessions <- nil
	}
	return m, nil
}

// bigEndian says that this system stores numbers the other way round than weight files.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// Close waits for running calls and gives the weights' memory back. Calls after it
// are errors.
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
		return fmt.Errorf("%s: %w", m.pkg.Name, blob.ErrClosed)
	}
	return nil
}

// Do calls f with a session of the model's own and is safe for concurrent use: at
// most as many calls run at a time as keep the cores busy, others wait. f must not
// keep the session or results that live in it.
func (m *Model) Do(f func(*Session) error) error {
	s := <-m.sessions
	if err := m.check(); err != nil {
		m.sessions <- s
		return err
	}
	if s == nil {
		s = m.NewSession()
	}
	defer func() { m.sessions <- s }()
	return f(s)
}

// Info describes an open model, for people and machines.
type Info struct {
	Package     string        `json:"package"`
	Fingerprint string        `json:"fingerprint"` // see Model.Fingerprint
	Level       string        `json:"level"`       // kernels chosen
	CPULevels   []string      `json:"cpu_levels"`  // this CPU has
	Threads     int           `json:"threads"`     // of a session
	Rows        int           `json:"limit_rows"`
	Text        int           `json:"limit_text"`
	Vocab       int           `json:"vocab"`
	Entries     []exec.Info   `json:"entries"`
	Precision   string        `json:"precision"` // how the weights are stored
	Weights     int64         `json:"weights_bytes"`
	Source      string        `json:"weights_source"` // "embedded" or a path
	HugePages   bool          `json:"huge_pages"`
	ArenaBytes  int64         `json:"arena_bytes"` // of a session; pages never used cost nothing
	Kernels     []kernel.Info `json:"kernels"`
}

// Info describes the model.
func (m *Model) Info() Info {
	p := m.pkg
	i := Info{
		Package: p.Name, Fingerprint: m.Fingerprint(), Level: m.kern.Level, CPULevels: kernel.Levels(), Threads: m.threads,
		Rows: p.Rows, Text: p.Text, Vocab: p.Vocab,
		Precision: cmp.Or(p.Precision, "f32"), Weights: m.blob.Size(), Source: m.blob.Source, HugePages: m.huge,
		ArenaBytes: int64(m.arena) * 4, Kernels: append([]kernel.Info(nil), m.names...),
	}
	for _, f := range p.Funcs {
		i.Entries = append(i.Entries, f.Info())
	}
	return i
}
