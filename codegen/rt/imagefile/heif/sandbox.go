package heif

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Sandbox is a program in WebAssembly. It is compiled when it first runs, and never
// again; it can read and write no file, and what it prints is dropped. It may be used by
// several goroutines at the same time.
type Sandbox struct {
	compile func() (compiled, error)
}

type compiled struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

// NewSandbox returns the sandbox of a program that is packed by gzip.
func NewSandbox(program []byte) *Sandbox {
	return &Sandbox{sync.OnceValues(func() (c compiled, err error) {
		z, err := gzip.NewReader(bytes.NewReader(program))
		if err != nil {
			return c, err
		}
		code, err := io.ReadAll(z)
		if err != nil {
			return c, err
		}
		ctx := context.Background()
		c.runtime = wazero.NewRuntime(ctx)
		if c.module, err = c.runtime.CompileModule(ctx, code); err != nil {
			return c, err
		}
		_, err = wasi_snapshot_preview1.Instantiate(ctx, c.runtime)
		return c, err
	})}
}

// Memory is what programs run in, one after the other.
type Memory struct {
	limit uint64
	b     []byte
	used  int // the largest part of b that is not zero
}

// NewMemory returns memory of at most so many bytes, which are allocated when a program
// first runs in it.
func NewMemory(limit int64) *Memory {
	return &Memory{limit: uint64(min(max(limit, 0), math.MaxInt/2, math.MaxUint32))}
}

// Allocate has it be a program's memory, as wazero wants it.
func (m *Memory) Allocate(_, _ uint64) experimental.LinearMemory {
	if m.b == nil {
		m.b = make([]byte, 0, m.limit)
	}
	clear(m.b[:m.used])
	m.used = 0
	return m
}

// Reallocate grows what the program sees of it.
func (m *Memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	m.used = max(m.used, int(size))
	return m.b[:size]
}

// Free leaves the memory to the next program.
func (m *Memory) Free() {}

// Run is a program that runs.
type Run struct {
	module api.Module
}

// Run starts the program in a memory, which nothing else may use meanwhile, and has f call
// it.
func (s *Sandbox) Run(m *Memory, f func(Run) error) error {
	c, err := s.compile()
	if err != nil {
		return err
	}
	ctx := experimental.WithMemoryAllocator(context.Background(), m)
	module, err := c.runtime.InstantiateModule(ctx, c.module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return err
	}
	defer module.Close(ctx)
	return f(Run{module})
}

// Call calls a function of the program.
func (r Run) Call(name string, args ...uint32) (uint32, error) {
	wide := make([]uint64, len(args))
	for i, a := range args {
		wide[i] = uint64(a)
	}
	f := r.module.ExportedFunction(name)
	if f == nil {
		return 0, fmt.Errorf("the decoder has no function %q", name)
	}
	result, err := f.Call(context.Background(), wide...)
	if err != nil || len(result) == 0 {
		return 0, firstLine(err)
	}
	return uint32(result[0]), nil
}

// firstLine leaves out where in the program it was.
func firstLine(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return errors.New(string(text))
}

var errMemory = errors.New("its decoder takes more memory than a picture of its size should")

// Bytes returns n bytes of new memory, and where they are. They are the program's, until
// it calls a function that grows its memory.
func (r Run) Bytes(n int64) (at uint32, b []byte, err error) {
	if n < 0 || n > math.MaxInt32 {
		return 0, nil, errMemory
	}
	if at, err = r.Call("malloc", uint32(n)); err != nil {
		return 0, nil, err
	}
	if at == 0 {
		return 0, nil, errMemory
	}
	b, err = r.At(at, n)
	return at, b, err
}

// At returns n bytes that the program has at an address.
func (r Run) At(at uint32, n int64) ([]byte, error) {
	b, ok := r.module.Memory().Read(at, uint32(n))
	if !ok {
		return nil, fmt.Errorf("its decoder says that there are %d bytes at %d", n, at)
	}
	return b, nil
}
