package engine_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/inputs"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/engineproc"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/ir"
	"github.com/multiway-go/multiway/ir/irtest"
	"github.com/multiway-go/multiway/ir/precision"
	"github.com/multiway-go/multiway/passes"
)

// parse reads a program of testdata and gives it random weights.
func parse(t testing.TB, path string) *ir.Program {
	t.Helper()
	p := irtest.Read(t, path)
	irtest.RandomWeights(p)
	return p
}

// batch makes inputs of a function, with texts of the given lengths.
func batch(f *ir.Func, lengths []int) []rt.Seq {
	var seqs []rt.Seq
	for i, n := range lengths {
		seqs = append(seqs, inputs.Seeded(f, fmt.Sprint(i), n, 50))
	}
	return seqs
}

// interpret runs a function on one sequence in float64.
func interpret(t *testing.T, p *ir.Program, f *ir.Func, s rt.Seq) map[string]*ir.Tensor {
	t.Helper()
	in, n := inputs.Tensors(f, s)
	out, err := p.Run(f.Name, n, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every step of generated code equals its op in the interpreter, in batches of sequences of different
// lengths, at every level of this CPU.
func TestEngineRunsEveryStep(t *testing.T) {
	described := parse(t, "testdata/steps.ir")
	planned, err := passes.Run(described, passes.Options{Rows: 40})
	if err != nil {
		t.Fatal(err)
	}
	ops := map[string]bool{}
	for _, f := range planned.Funcs {
		for _, v := range f.Values {
			ops[v.Op.Name] = true
		}
	}
	for _, name := range strings.Fields("add attnout concat crossattention embed embed_patches embed_rows ffn gelu join l2norm layernorm linear mean mul qkv rows select selfattention tanh") {
		if !ops[name] {
			t.Errorf("the planned program has no %s, so this test does not run it", name)
		}
	}

	e, err := engine.New(planned, codegen.Options{Package: "steps", From: "steps.ir", Rows: 40, Text: described.MaxT}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	lengths := []int{1, 9, 4, 2, 9, 7, 1, 3, 9, 9} // more rows than the limit of one pass
	for _, level := range kernel.Levels() {
		t.Run(level, func(t *testing.T) {
			proc, err := e.Start(level)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := proc.Close(); err != nil {
					t.Error(err)
				}
			}()
			for _, f := range described.Funcs {
				seqs := batch(f, lengths)
				outs, err := proc.Run(f.Name, seqs)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, o := range outs {
					names = append(names, o.Name)
				}
				var want []string
				for _, v := range f.Results {
					want = append(want, v.Name)
				}
				if d := cmp.Diff(want, names); d != "" {
					t.Errorf("%s: outputs (-want +got)\n%s", f.Name, d)
				}
				compare(t, described, f, seqs, outs, 1e-5)
			}
			// The process goes on after an error.
			if _, err := proc.Run("nosuch", nil); err == nil || !strings.Contains(err.Error(), `no function "nosuch"`) {
				t.Errorf("got error %v", err)
			}
			if _, err := proc.Run("language", []rt.Seq{{IDs: make([]int32, 10)}}); err == nil || !strings.Contains(err.Error(), "10 ids, the limit is 9") {
				t.Errorf("got error %v", err)
			}
			if outs, err := proc.Run("language", nil); err != nil || len(outs) != 2 || len(outs[0].Seqs) != 0 {
				t.Errorf("an empty batch: %v, %v", outs, err)
			}
		})
	}
	if _, err := e.Start("avx9"); err == nil || !strings.Contains(err.Error(), `unknown level "avx9"`) {
		t.Errorf("got error %v", err)
	}
}

// compare compares outputs of a function with the interpreter's, within a bound for numbers of magnitude 1.
func compare(t *testing.T, p *ir.Program, f *ir.Func, seqs []rt.Seq, outs []engineproc.Output, bound float64) {
	t.Helper()
	for i, s := range seqs {
		all := interpret(t, p, f, s)
		for n, o := range outs {
			want, got := all[o.Name].F, o.Seqs[i]
			if len(got) != len(want) || o.Cols != f.Results[n].Type.Cols() {
				t.Fatalf("%s %s: sequence %d has %d values in rows of %d, want %d", f.Name, o.Name, i, len(got), o.Cols, len(want))
			}
			for j := range want {
				if d := math.Abs(float64(got[j]) - want[j]); !(d <= bound*(1+math.Abs(want[j]))) {
					t.Fatalf("%s %s: sequence %d of %d ids, value %d: got %g, want %g", f.Name, o.Name, i, len(s.IDs), j, got[j], want[j])
				}
			}
		}
	}
}

// Every activation equals the interpreter's, inside an ffn and alone, and so do gated blocks, for all formats of weights.
func TestEngineRunsEveryActivation(t *testing.T) {
	described := parse(t, "testdata/activations.ir")
	for _, a := range ir.Activations {
		if described.Func(a.Name) == nil {
			t.Errorf("testdata/activations.ir has no function %s", a.Name)
		}
	}
	for _, test := range []struct {
		format string
		bound  float64
		finer  []precision.Override
	}{
		{"f32", 1e-5, nil}, {"bf16", 1e-5, nil},
		{"bf16dot", 1e-2, nil}, {"int8", 1e-1, nil}, {"int8x2", 1e-3, nil}, // a number may be rounded the other way
		{"int8", 1e-1, []precision.Override{{Module: "ffn.gated.gate", Format: "bf16"}, {Module: "ffn.bare.fc1", Format: "f16"}}},
	} {
		planned, err := passes.Run(described, passes.Options{Rows: 40, Precision: precision.Map{Default: test.format, Overrides: test.finer}})
		if err != nil {
			t.Fatal(err)
		}
		e, err := engine.New(planned, codegen.Options{Package: "activations", From: "activations.ir", Rows: 40, Text: described.MaxT}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		for _, level := range kernel.Levels() {
			t.Run(fmt.Sprint(test.format, test.finer, " ", level), func(t *testing.T) {
				proc, err := e.Start(level)
				if err != nil {
					t.Fatal(err)
				}
				defer proc.Close()
				for _, f := range planned.Funcs {
					seqs := batch(f, []int{1, 9, 4, 7, 9, 9, 3})
					outs, err := proc.Run(f.Name, seqs)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, planned, f, seqs, outs, test.bound)
				}
			})
		}
	}
}

// A stem equals the interpreter's in all formats of weights.
func TestEngineRunsAStem(t *testing.T) {
	asmtest.Slow(t)
	for _, format := range precision.Formats {
		described := parse(t, "testdata/steps.ir")
		described.Funcs = []*ir.Func{described.Func("stem")}
		planned, err := passes.Run(described, passes.Options{Rows: 40, Precision: precision.Uniform(format.Name)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := engine.New(planned, codegen.Options{Package: "stem", From: "steps.ir", Rows: 40, Text: described.MaxT}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		for _, level := range kernel.Levels() {
			t.Run(format.Name+" "+level, func(t *testing.T) {
				proc, err := e.Start(level)
				if err != nil {
					t.Fatal(err)
				}
				defer proc.Close()
				f := planned.Funcs[0]
				seqs := batch(f, make([]int, 20)) // more than a pass takes
				outs, err := proc.Run(f.Name, seqs)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, planned, f, seqs, outs, max(1e-5, format.Rounding.Tolerance))
			})
		}
	}
}

func TestEngineErrors(t *testing.T) {
	p := parse(t, "testdata/steps.ir")
	if _, err := engine.New(p, codegen.Options{Package: "steps", Rows: 40, Text: 9}, "", nil); err == nil {
		t.Error("a program that is not planned was compiled")
	}
	planned, err := passes.Run(p, passes.Options{Rows: 40})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range planned.Weights {
		w.Load = nil
	}
	if _, err := engine.New(planned, codegen.Options{Package: "steps", Rows: 40, Text: 9}, "", nil); err == nil || !strings.Contains(err.Error(), "bind a checkpoint first") {
		t.Errorf("a program without weights: got error %v", err)
	}
}

// Engines of one package with different weights share an executable, and each
// computes with its own. Where executables are kept, they do so without Go.
func TestEnginesShareExecutables(t *testing.T) {
	t.Setenv(engine.EnvEngines, t.TempDir())
	shareExecutables(t)
	t.Setenv("PATH", t.TempDir())
	shareExecutables(t)
	t.Setenv(engine.EnvEngines, "")
	engines := &engine.Engines{}
	planned, err := passes.Run(parse(t, "testdata/steps.ir"), passes.Options{Rows: 40})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engines.New(planned, codegen.Options{Package: "steps", Rows: 40, Text: 9}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Start("generic"); err == nil {
		t.Error("an engine was compiled without Go")
	}
	if left, err := engine.Executables(engines); err != nil || len(left) > 0 {
		t.Errorf("%v are left of what was not compiled (%v)", left, err)
	}
	if err := engines.Close(); err != nil {
		t.Error(err)
	}
}

func shareExecutables(t *testing.T) {
	var engines engine.Engines
	defer engines.Close()
	for _, scale := range []float32{1, 0.5, 3} {
		described := parse(t, "testdata/steps.ir")
		for _, w := range described.Weights {
			load := w.Load
			w.Load = func() ([]float32, error) {
				x, err := load()
				for i := range x {
					x[i] *= scale
				}
				return x, err
			}
		}
		planned, err := passes.Run(described, passes.Options{Rows: 40})
		if err != nil {
			t.Fatal(err)
		}
		e, err := engines.New(planned, codegen.Options{Package: "steps", Rows: 40, Text: described.MaxT}, "")
		if err != nil {
			t.Fatal(err)
		}
		proc, err := e.Start("generic")
		if err != nil {
			t.Fatal(err)
		}
		f := described.Func("language")
		seqs := batch(f, []int{4})
		outs, err := proc.Run(f.Name, seqs)
		if err != nil {
			t.Fatal(err)
		}
		all := interpret(t, described, f, seqs[0])
		for _, o := range outs {
			for j, want := range all[o.Name].F {
				if d := math.Abs(float64(o.Seqs[0][j]) - want); !(d <= 1e-5*(1+math.Abs(want))) {
					t.Fatalf("weights times %g: %s value %d: got %g, want %g", scale, o.Name, j, o.Seqs[0][j], want)
				}
			}
		}
		if err := proc.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if exes, err := engine.Executables(&engines); err != nil || len(exes) != 1 {
			t.Errorf("%v are the executables after weights times %g, want one (%v)", exes, scale, err)
		}
	}
}
