// Package casetest tests a generated package with recorded cases: the test that
// `multiway build --golden` writes into the package calls [Run].
//
//	func TestGolden(t *testing.T) {
//		casetest.Run(t, Package().New, "testdata/golden")
//	}
//
// A case is a folder that `multiway golden record` made from a user's pictures and texts: it
// has inputs, the results of the float64 interpreter, and the accepted errors of float32.
// Every run is called at every CPU level that both the package and the CPU have, alone and
// in a batch with the other runs of its function.
//
// It links the runtime and the case format, but nothing of the compiler.
package casetest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/golden/cases"
)

// Open opens a generated package: Package().New, or a function that calls Package().Open
// with the path of its weights.
type Open func(...rt.Option) (*rt.Model, error)

// Run tests the package that open opens with the recorded cases in the folders dirs, at every CPU level that this machine
// has and the package has kernels for.
func Run(t *testing.T, open Open, dirs ...string) {
	if len(dirs) == 0 {
		t.Fatal("no folder of a recorded case is given")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			c, err := cases.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			functions, err := group(c)
			if err != nil {
				t.Fatal(err)
			}
			levels, err := levels(open)
			if err != nil {
				t.Fatal(err)
			}
			for _, level := range levels {
				t.Run(level, func(t *testing.T) {
					m, err := open(rt.WithLevel(level))
					if err != nil {
						t.Fatal(err)
					}
					defer m.Close()
					for _, f := range functions {
						t.Run(f.name, func(t *testing.T) { f.judge(t, c, m) })
					}
				})
			}
		})
	}
}

// levels lists the CPU levels that this machine has and for which the package has kernels.
func levels(open Open) ([]string, error) {
	m, err := open()
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var have []string
	for _, k := range m.Package().Kernels {
		have = append(have, k.Level)
	}
	return slices.DeleteFunc(kernel.Levels(), func(l string) bool { return !slices.Contains(have, l) }), nil
}

// function is a function of the package, with the runs of the case that call it and their inputs.
type function struct {
	name string
	runs []*cases.Run
	seqs []rt.Seq
}

// group groups the runs of a case by function, in the order of the case, and reads their inputs.
func group(c *cases.Case) ([]*function, error) {
	if c.Task != cases.Recorded {
		return nil, fmt.Errorf("%s: it is a case of task %s, want a recorded case: make one with `multiway golden record`", c.Dir, c.Task)
	}
	var list []*function
	for i := range c.Runs {
		r := &c.Runs[i]
		k := slices.IndexFunc(list, func(f *function) bool { return f.name == r.Function })
		if k < 0 {
			k = len(list)
			list = append(list, &function{name: r.Function})
		}
		b, err := c.Batch(r)
		if err != nil {
			return nil, err
		}
		if b.Size != 1 {
			return nil, fmt.Errorf("%s: run %s: it has %d sequences, want 1", c.Dir, r.Name, b.Size)
		}
		var s rt.Seq
		if images := b.Images["image"]; images != nil {
			s.Image = images[0]
		}
		if b.IDs != nil {
			s.IDs = b.IDs[0]
		}
		list[k].runs = append(list[k].runs, r)
		list[k].seqs = append(list[k].seqs, s)
	}
	return list, nil
}

// judge checks f on each input alone and, if there are several, on all inputs as one batch.
func (f *function) judge(t *testing.T, c *cases.Case, m *rt.Model) {
	fn := m.Func(f.name)
	if fn == nil {
		var have []string
		for _, x := range m.Package().Funcs {
			have = append(have, x.Name)
		}
		t.Fatalf("the package has no function %s, it has %s; record the case again, or build the entry", f.name, strings.Join(have, ", "))
	}
	s := m.NewSession()
	defer s.Close()
	worst := cases.Result{}
	for i := range f.runs {
		f.compare(t, c, s, fn, i, i+1, &worst)
	}
	if len(f.runs) > 1 {
		f.compare(t, c, s, fn, 0, len(f.runs), &worst)
	}
	t.Logf("%d inputs; worst element: %v", len(f.runs), worst)
}

// compare runs f on the inputs [from, to) as one batch and checks each output. It keeps the result with the largest error
// relative to its bound in worst.
func (f *function) compare(t *testing.T, c *cases.Case, s *rt.Session, fn *exec.Func, from, to int, worst *cases.Result) {
	res, err := s.Run(fn, f.seqs[from:to])
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		r := f.runs[i]
		for _, name := range r.OutputNames() {
			k := slices.IndexFunc(fn.Outputs, func(o exec.Output) bool { return o.Name == name })
			if k < 0 {
				t.Errorf("%s: %s has no output %s; record the case again", r.Name, f.name, name)
				continue
			}
			ref, err := c.Reference(r, name)
			if err != nil {
				t.Fatal(err)
			}
			verdict, err := ref.Compare([][]float32{res.Out(k, i-from)})
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
				continue
			}
			if !verdict.OK {
				t.Errorf("%s (%s), output %s, batch of %d: %v", r.Name, strings.Join(r.Source, ", "), name, to-from, verdict)
			}
			if worst.Bound == 0 || verdict.Error*worst.Bound > worst.Error*verdict.Bound {
				*worst = verdict
			}
		}
	}
}
