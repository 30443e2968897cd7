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

// Sandbox is a WebAssembly program without access to files; its output is dropped. It is
// compiled once, when it first runs. It is safe for concurrent use.
type Sandbox struct {
	compile func() (compiled, error)
}

type compiled struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

// NewSandbox returns the sandbox of a gzipped WebAssembly program.
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

// Memory is a linear memory that programs run in, one after the other.
type Memory struct {
	limit uint64
	b     []byte
	used  int // length of the prefix of b that may not be zero
}

// NewMemory returns a memory of at most limit bytes, which are allocated when a program first
// runs in it.
func NewMemory(limit int64) *Memory {
	return &Memory{limit: uint64(min(max(limit, 0), math.MaxInt/2, math.MaxUint32))}
}

// Allocate implements experimental.MemoryAllocator of wazero with m itself, cleared.
func (m *Memory) Allocate(_, _ uint64) experimental.LinearMemory {
	if m.b == nil {
		m.b = make([]byte, 0, m.limit)
	}
	clear(m.b[:m.used])
	m.used = 0
	return m
}

// Reallocate returns the first size bytes of the memory, nil beyond the limit.
func (m *Memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	m.used = max(m.used, int(size))
	return m.b[:size]
}

// Free does nothing: the next program uses the memory again.
func (m *Memory) Free() {}

// Run is a running program.
type Run struct {
	module api.Module
}

// Run starts the program in m and calls f with it. Nothing else may use m until Run returns.
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

// Call calls an exported function and returns its first result.
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

// firstLine drops the stack trace of the program from err.
func firstLine(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return errors.New(string(text))
}

var errMemory = errors.New("its decoder takes more memory than the limit for a picture of its size")

// Bytes allocates n bytes in the program's memory and returns their address and contents. b is
// valid until the program grows its memory.
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

// At returns the n bytes of the program's memory at an address.
func (r Run) At(at uint32, n int64) ([]byte, error) {
	b, ok := r.module.Memory().Read(at, uint32(n))
	if !ok {
		return nil, fmt.Errorf("its decoder returned %d bytes at address %d, outside its memory", n, at)
	}
	return b, nil
}
