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

// Engine is a planned program that is compiled to an executable.
type Engine struct {
	dir     *file.Dir
	weights string
	engines *Engines
	own     bool // engines belongs to this engine alone
	ready   bool // the sources in dir are complete
}

// New generates and compiles the package of a planned program. weights is the file that
// codegen.WriteWeights wrote for it; "" makes New write one. Close removes the engine's
// files. Log, if not nil, gets a line before long work.
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

// EnvEngines is the environment variable that names a folder in which the compiled executables of engines stay. They are
// named by a hash of their sources, so a machine without Go runs those that the same version of multiway compiled elsewhere.
const EnvEngines = "MULTIWAY_ENGINES"

// Engines makes engines and compiles each package once: engines that differ only in
// their weights share executables. It and its engines serve one goroutine at a time; the
// zero value is ready. Close removes the executables, unless EnvEngines keeps them; after
// it no engine can be started.
type Engines struct {
	// Log, if not nil, gets a line before long work.
	Log func(format string, args ...any)

	dir  string    // folder of the executables; "" before the first one
	temp *file.Dir // the same folder, if Close removes it
}

// New is like the function New, but the package is compiled when it is first started.
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

// executable returns the path of the engine's executable for a GOARCH, and compiles it if it does not exist.
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
	part := exe + filepath.Base(e.dir.Path) // another process may compile it at the same time
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

// procMain is the format of an engine's main program, with a verb for the import path of its package.
const procMain = `package main

import (
	"github.com/multiway-go/multiway/codegen/rt/engineproc"

	model %q
)

func main() { engineproc.Main(model.Package()) }
`

// EnvExec is the environment variable with a command that runs the engine's processes, as
// go test -exec does. It is needed if multiway itself runs under emulation, since the
// engine's processes are for the emulated CPU too.
const EnvExec = "MULTIWAY_EXEC"

// Start starts a process at a CPU level; "" is the best level of this CPU. A level of
// another CPU runs under emulation, see Emulator.
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
		return nil, fmt.Errorf("%w: this machine cannot run programs for %s; set %s to a command that can, such as qemu-aarch64-static", err, arch, EnvExec)
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
