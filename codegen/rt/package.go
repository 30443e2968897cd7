package rt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"github.com/multiway-go/multiway/codegen/rt/blob"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir/file"
)

// Contract5 is the number of the current contract between generated code and rt. Every package that is
// generated for this contract names the constant, and rt declares it for as long as it honours the
// contract: a package for a contract that rt has dropped does not compile.
const Contract5 = 5

// Packages that were generated for earlier contracts name these constants. They are strings, which fit
// nowhere in such a package: the compiler's first errors show the text, which says what to do.
const (
	Contract1 = older
	Contract2 = older
	Contract3 = older
	Contract4 = older
	Exec      = older
	Kernels   = older

	older = "a package of an older multiway: run multiway build, or go generate" // the compiler shows 70 bytes
)

// Package is what the compiler emits for a model: its functions, kernel tables and limits, and
// optionally its weight file. It is immutable.
type Package struct {
	Name     string
	Contract int      // Contract5
	Layout   [32]byte // blob.LayoutHash of the weight file it was generated with
	Hash     [32]byte // blob.Blob.Hash of the only weight file it takes; zero: any of its layout
	Computes [32]byte // hash of what it computes, the weights' values left out; see Model.Fingerprint
	Funcs    []*exec.Func
	Kernels  []*kernel.Table // see kernel.Choose
	Rows     int             // limit: packed rows of a segment in one pass
	Text     int             // limit: rows of one text
	Vocab    int             // ids are below this

	// Precision is the type in which matrices and embedding tables are stored, or a type for each
	// class of them, as written under `precision` in a model description; "" is f32.
	Precision string

	Blob string // the embedded weight file; "" when it is elsewhere
}

// Find returns the package's function of a task that is of a kind, nil if there is none; see [exec.Func].
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
// can: see [blob.Blob] for how to replace it.
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
	if p.Contract != Contract5 {
		return nil, fmt.Errorf("generated for contract %d, this runtime has %d; generate the package again", p.Contract, Contract5)
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
	cores := kernel.Cores()
	if m.threads == 0 {
		m.threads = cores
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
	// There are enough sessions to keep every core busy. nil stands for one that is made when it is
	// first needed.
	n := max(1, (cores+m.threads-1)/m.threads)
	m.sessions = make(chan *Session, n)
	for range n {
		m.sessions <- nil
	}
	if c.batching {
		m.queues = p.newQueues()
	}
	return m, nil
}

// bigEndian says that this system stores numbers the other way round than weight files.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1
