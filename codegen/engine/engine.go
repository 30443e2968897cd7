package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/rt/engineproc"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/file"
)

// Engine is a planned program compiled to a program of its own.
type Engine struct {
	dir     *file.Dir
	weights string
	engines *Engines
	own     bool // engines has no other
	ready   bool // dir can be compiled
}

// New generates and compiles the package of a planned program. weights is the
// file that codegen.WriteWeights made of it, "" to have it made. Close removes what
// the engine made. Log, if not nil, is told what takes long.
func New(p *ir.Program, opt codegen.Options, weights string, log func(format string, args ...any)) (*Engine, error) {
	e, err := (&Engines{Log: log}).New(p, opt, weights)
	if err != nil {
		return nil, err
	}
	e.own = true
	if _, err := e.engines.executable(e, runtime.GOARCH); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// EnvEngines is the environment variable that names a folder in which executables stay, named
// by a hash of their sources: a machine without Go then runs what the same multiway
// compiled on another machine.
const EnvEngines = "MULTIWAY_ENGINES"

// Engines makes engines and compiles each package once: engines that differ only in
// their weights share executables. It and its engines serve one goroutine at a time; the
// zero value is ready. Close removes the executables, unless EnvEngines keeps them; after
// it no engine can be started.
type Engines struct {
	// Log, if not nil, is told what takes long.
	Log func(format string, args ...any)

	dir  string    // of the executables; "" before the first
	temp *file.Dir // the same, if it is to be removed
}

// New is the function New, but that the package is compiled when it is first started.
func (c *Engines) New(p *ir.Program, opt codegen.Options, weights string) (*Engine, error) {
	dir, err := file.TempDir()
	if err != nil {
		return nil, err
	}
	e := &Engine{dir: dir, weights: weights, engines: c}
	if weights == "" {
		e.weights = filepath.Join(dir.Path, "weights.bin")
		err = codegen.WriteWeights(e.weights, p, nil)
	}
	if err == nil {
		opt.Weights = codegen.File
		_, err = codegen.Write(Place(dir.Path, "model"), p, opt)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// executable compiles the engine for a GOARCH, unless that was done.
func (c *Engines) executable(e *Engine, arch string) (string, error) {
	sum, err := hashFiles(Place(e.dir.Path, "model"))
	if err != nil {
		return "", err
	}
	if c.dir == "" {
		if c.dir = os.Getenv(EnvEngines); c.dir == "" {
			if c.temp, err = file.TempDir(); err != nil {
				return "", err
			}
			c.dir = c.temp.Path
		}
	}
	exe := filepath.Join(c.dir, fmt.Sprintf("%x-%s.exe", sum[:12], arch))
	if _, err := os.Stat(exe); err == nil {
		return exe, nil
	}
	if !e.ready {
		if err := writeMain(e.dir.Path, c.Log, Around(procMain)); err != nil {
			return "", err
		}
		e.ready = true
	}
	part := exe + filepath.Base(e.dir.Path) // others may be compiling it too
	if err := link(e.dir.Path, part, c.Log, Here(arch)...); err != nil {
		return "", err
	}
	return exe, os.Rename(part, exe)
}

// Close removes the executables.
func (c *Engines) Close() error {
	if c.temp == nil {
		return nil
	}
	return c.temp.Remove()
}

// hashFiles returns the hash of the names and contents of a folder's files, and of the
// flags that go builds them with.
func hashFiles(dir string) (sum [sha256.Size]byte, err error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", os.Getenv("GOFLAGS"))
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return sum, err
		}
		fmt.Fprintf(h, "%q %d\n", e.Name(), len(data))
		h.Write(data)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// procMain is the main program of an engine, but for the import path of its package.
const procMain = `package main

import (
	"github.com/multiway-go/multiway/codegen/rt/engineproc"

	model %q
)

func main() { engineproc.Main(model.Package()) }
`

// EnvExec is the environment variable that names a program, with arguments, to run the
// engine's processes with, as go test -exec does. A multiway that runs under emulation
// needs it: the engine's processes are for the emulated CPU too.
const EnvExec = "MULTIWAY_EXEC"

// Start starts a process at a CPU level; "" is the best this CPU has. A level of another
// CPU runs under emulation, see Emulator.
func (e *Engine) Start(level string) (*engineproc.Client, error) {
	arch, run := runtime.GOARCH, strings.Fields(os.Getenv(EnvExec))
	if l, ok := asm.ISA(level).Level(); ok && l.Arch != "" && l.Arch != arch {
		emulator, err := Emulator(l.Arch)
		if err != nil {
			return nil, fmt.Errorf("level %s is for %w", level, err)
		}
		arch, run = l.Arch, []string{emulator}
	}
	exe, err := e.engines.executable(e, arch)
	if err != nil {
		return nil, err
	}
	c, err := engineproc.Dial(append(run, exe), level, e.weights)
	if errors.Is(err, syscall.ENOEXEC) {
		return nil, fmt.Errorf("%w: this machine does not run programs for %s by itself; set %s to what does, such as qemu-aarch64-static", err, arch, EnvExec)
	}
	return c, err
}

// Close removes the engine's files.
func (e *Engine) Close() error {
	err := e.dir.Remove()
	if e.own {
		err = errors.Join(err, e.engines.Close())
	}
	return err
}
