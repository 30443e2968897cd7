package build

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/rt/bench"
	"github.com/multiway-go/multiway/ir/model"
)

// Preset returns the model of a preset with weights from a seed. It needs no file.
func Preset(name string, seed uint64) (*Model, error) {
	d, err := model.Preset(name)
	if err != nil {
		return nil, err
	}
	d.Seed = &seed
	return &Model{Desc: d}, nil
}

// AtPrecision returns the model with everything at one precision. It shares the
// checkpoint with m, which is the one to close.
func (m *Model) AtPrecision(word string) (*Model, error) {
	c, d := *m, *m.Desc
	c.Desc, c.asked = &d, ""
	return &c, d.SetPrecision(word)
}

// Scratch is a program in a temporary folder that times models side by side, unchecked,
// with their weights beside it: for a command that runs it and throws it away.
type Scratch struct {
	exe     string
	weights []string
	dir     string
}

// NewScratch compiles models, which have the same functions, for the entries, nil =
// those of each description, and with the modules kept that Tuned chooses. Close removes
// what it made.
func NewScratch(models []*Model, entries []string, log func(format string, args ...any)) (_ *Scratch, err error) {
	dir, err := os.MkdirTemp("", "multiway-")
	if err != nil {
		return nil, err
	}
	s := &Scratch{exe: filepath.Join(dir, "bench.exe"), dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	o := Options{Log: log}
	var names []string
	for i, m := range models {
		m, choice, err := m.Tuned(entries, o.log)
		if err != nil {
			return nil, err
		}
		for _, s := range m.Smoothed() {
			o.log("%s", s)
		}
		if choice != nil {
			o.log("%s", choice)
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
		weights := filepath.Join(dir, name+".bin")
		if err := codegen.WriteWeights(weights, planned, nil); err != nil {
			return nil, err
		}
		if _, err := codegen.Write(filepath.Join(dir, compiledDir, name), planned, opt); err != nil {
			return nil, err
		}
		s.weights = append(s.weights, weights)
		names = append(names, name)
	}
	o.log("compiling")
	err = writeMain(dir, log, func(path string) string {
		imports, packages := "", ""
		for _, name := range names {
			imports += fmt.Sprintf("\t%s %q\n", name, path+"/"+name)
			packages += fmt.Sprintf("&%s.Package, ", name)
		}
		return fmt.Sprintf(benchMain, imports, strings.TrimSuffix(packages, ", "))
	})
	if err != nil {
		return nil, err
	}
	return s, link(dir, s.exe, log, here(runtime.GOARCH)...)
}

// benchMain is the main program, but for the imports of the packages and their list.
const benchMain = `package main

import (
	"github.com/multiway-go/multiway/codegen/rt/bench"

%s)

func main() { bench.Main(%s) }
`

// Run times the models and returns the report as the program wrote it.
func (s *Scratch) Run(ctx context.Context, o bench.Options) (json.RawMessage, error) {
	in, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	command := append(strings.Fields(os.Getenv(EnvExec)), s.exe)
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], s.weights...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	// An interrupt reaches the program by itself; what it then says is enough.
	if err := cmd.Run(); err != nil {
		if text, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n"); text != "" {
			return nil, fmt.Errorf("%s", text)
		}
		return nil, fmt.Errorf("the compiled program ended: %w", err)
	}
	return out.Bytes(), nil
}

// Close removes the program and its weights.
func (s *Scratch) Close() error { return os.RemoveAll(s.dir) }
