package compile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	rtexec "github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/interrupt"
	"github.com/multiway-go/multiway/ir/file"
)

// Scratch is a program in a temporary folder that times models side by side. It is not
// checked, and a command runs it and throws it away.
type Scratch struct {
	exe     string
	entries []string // to time; nil: all
	weights []string
	dir     *file.Dir
}

// NewScratch tunes and compiles models, which must have the same functions. Their entries are
// those of the options, or of each description if that is nil. It is an error, before any work,
// if a model cannot be timed with the options. Close removes the program's files.
func NewScratch(models []*Model, asked bench.Options, log func(format string, args ...any)) (_ *Scratch, err error) {
	if err := engine.CanBuild(nil, log); err != nil {
		return nil, err
	}
	dir, err := file.TempDir()
	if err != nil {
		return nil, err
	}
	s := &Scratch{exe: filepath.Join(dir.Path, "bench.exe"), dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	o := Options{Log: log}
	for _, m := range models {
		if err := m.times(asked); err != nil {
			return nil, err // before the work
		}
	}
	entries, only, err := models[0].timed(asked.Entries)
	if err != nil {
		return nil, err
	}
	s.entries = only
	var names []string
	for i, m := range models {
		m, err := m.Tuned(entries, o.log)
		if err != nil {
			return nil, err
		}
		if m.Choice != nil {
			o.log("%s", m.Choice)
		}
		described, _, err := m.Lower(entries)
		if err != nil {
			return nil, err
		}
		opt, err := m.options("", codegen.File)
		if err != nil {
			return nil, err
		}
		planned, err := m.Plan(described)
		if err != nil {
			return nil, err
		}
		o.log("packing weights at precision %s", opt.Precision)
		name := fmt.Sprint("model", i)
		weights := filepath.Join(dir.Path, name+".bin")
		if err := codegen.WriteWeights(weights, planned, nil); err != nil {
			return nil, err
		}
		if _, err := codegen.Write(engine.Place(dir.Path, name), planned, opt); err != nil {
			return nil, err
		}
		s.weights = append(s.weights, weights)
		names = append(names, name)
	}
	o.log("compiling")
	return s, engine.Build(dir.Path, s.exe, func(path string) string {
		imports, packages := "", ""
		for _, name := range names {
			imports += fmt.Sprintf("\t%s %q\n", name, path+"/"+name)
			packages += fmt.Sprintf("%s.Package(), ", name)
		}
		return fmt.Sprintf(benchMain, imports, strings.TrimSuffix(packages, ", "))
	}, log, engine.Here(runtime.GOARCH)...)
}

// timed returns the functions to compile for the entries to time, and the names of what to time; both are nil for all. Whole
// captions need both functions of captions.
func (m *Model) timed(entries []string) (funcs, only []string, err error) {
	funcs, only = entries[:0:0], entries[:0:0]
	for _, e := range entries {
		names := []string{"caption_image", "caption_step"}
		switch {
		case e == bench.Captions && !m.Desc.Captions():
			return nil, nil, fmt.Errorf("entry %q: there is no task captioning", e)
		case e == bench.Captions:
			only = append(only, e)
		default:
			of, err := m.Desc.Functions([]string{e})
			if err != nil {
				return nil, nil, err
			}
			names = nil
			for _, f := range of {
				names = append(names, f.Name)
			}
			only = append(only, names...)
		}
		for _, n := range names {
			if !slices.Contains(funcs, n) {
				funcs = append(funcs, n)
			}
		}
	}
	return funcs, only, nil
}

// times returns an error if the options ask for functions that the compiled model would not have.
func (m *Model) times(o bench.Options) error {
	funcs, _, err := m.timed(o.Entries)
	if err != nil {
		return err
	}
	p, _, err := m.Lower(funcs)
	if err != nil {
		return err
	}
	like := &rt.Package{Name: p.Name, Text: p.MaxT}
	for _, f := range p.Funcs {
		like.Funcs = append(like.Funcs, &rtexec.Func{Name: f.Name, Text: f.UsesT()})
	}
	if len(o.Entries) > 0 {
		o.Entries = nil // the compiled model has only these
	}
	if os.Getenv(engine.EnvExec) != "" {
		o.Levels = nil // levels of another CPU
	}
	return bench.Check(like, o)
}

// benchMain is the format of the main program: the packages' imports, and the list of packages.
const benchMain = `package main

import (
	"github.com/multiway-go/multiway/codegen/rt/bench"

%s)

func main() { bench.Main(%s) }
`

// Run times the models with the options of NewScratch and returns the program's report.
// progress, if not nil, is called with the number of finished measurements and of all.
func (s *Scratch) Run(ctx context.Context, o bench.Options, progress func(done, total int)) (json.RawMessage, error) {
	o.Entries = s.entries
	in, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	command := append(strings.Fields(os.Getenv(engine.EnvExec)), s.exe)
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], s.weights...)...)
	var out bytes.Buffer
	errs := &stderr{progress: progress}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, errs
	if err := interrupt.Run(cmd); err != nil {
		if text, _, _ := strings.Cut(strings.TrimSpace(errs.text.String()+string(errs.rest)), "\n"); text != "" {
			return nil, fmt.Errorf("%s", text)
		}
		return nil, fmt.Errorf("the compiled program ended: %w", err)
	}
	return out.Bytes(), nil
}

// stderr reads the standard error of bench.Main: progress lines, and any others.
type stderr struct {
	progress func(done, total int)
	rest     []byte // of a line that is not complete
	text     bytes.Buffer
}

func (e *stderr) Write(b []byte) (int, error) {
	e.rest = append(e.rest, b...)
	for {
		line, after, ok := bytes.Cut(e.rest, []byte("\n"))
		if !ok {
			e.rest = e.rest[:min(len(e.rest), maxError)]
			return len(b), nil
		}
		e.rest = after
		done, total, ok := bench.Done(string(line))
		switch {
		case !ok && e.text.Len() < maxError:
			e.text.Write(append(line, '\n'))
		case ok && e.progress != nil:
			e.progress(done, total)
		}
	}
}

// maxError bounds the error text of a program that is kept, in bytes.
const maxError = 1 << 12

// Close removes the program and its weights.
func (s *Scratch) Close() error { return s.dir.Remove() }
