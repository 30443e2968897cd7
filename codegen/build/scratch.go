package build

import (
	"os"
	"path/filepath"

	"github.com/multiway-go/multiway/codegen"
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

// Scratch is a model's binary in a temporary folder, unchecked, with its weights beside
// it: for a command that runs it and throws it away.
type Scratch struct {
	Exe, Weights string
	dir          string
}

// Scratch compiles the model's binary for the entries, nil = the description's. Close
// removes it.
func (m *Model) Scratch(entries []string, log func(format string, args ...any)) (*Scratch, error) {
	o := Options{Log: log}
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
	dir, err := os.MkdirTemp("", "multiway-")
	if err != nil {
		return nil, err
	}
	s := &Scratch{Exe: filepath.Join(dir, opt.Package+".exe"), Weights: filepath.Join(dir, "weights.bin"), dir: dir}
	o.log("packing weights")
	err = codegen.WriteWeights(s.Weights, planned, nil)
	if err == nil {
		o.log("compiling %s", opt.Package)
		err = compile(dir, planned, opt, s.Exe, appMain)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close removes the binary and its weights.
func (s *Scratch) Close() error { return os.RemoveAll(s.dir) }
