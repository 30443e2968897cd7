package golden_test

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/engine"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/exec"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/beit3tiny"
	"github.com/multiway-go/multiway/generated/emoji"
	"github.com/multiway-go/multiway/generated/kernels"
	"github.com/multiway-go/multiway/generated/mwttiny"
	"github.com/multiway-go/multiway/generated/vlmotiny"
	"github.com/multiway-go/multiway/ir/precision"
)

// here skips a test of a level that this CPU or this build lacks.
func here(t *testing.T, level asm.ISA) {
	t.Helper()
	if !slices.Contains(kernel.Levels(), string(level)) {
		asmtest.Missing(t, string(level), fmt.Sprintf("this CPU has the levels %v", kernel.Levels()))
	}
	if level != asm.Generic && !slices.ContainsFunc(kernels.All(), func(k kernels.Kernel) bool { return k.Level == string(level) }) {
		asmtest.Missing(t, string(level), "left out of this build by -tags noasm")
	}
}

// native lists the levels of this architecture with kernels, lowest first.
func native() (levels []asm.ISA) {
	for _, l := range asm.Levels {
		if l.Arch == "" || l.Arch == runtime.GOARCH {
			levels = append(levels, l.ISA)
		}
	}
	return levels
}

// TestLevels reports the levels that are missing here, at which tests of golden cases, builds and generated packages do not run.
func TestLevels(t *testing.T) {
	for _, level := range native() {
		t.Run(string(level), func(t *testing.T) { here(t, level) })
	}
}

// outputs runs a function on a batch and returns every value of its results.
type outputs func(f *exec.Func, batch []rt.Seq) ([]float32, error)

// sameBits compares the results of every function without a state between the levels of this CPU. Levels with assembly give the
// same bits. Plain Go rounds products before it adds them, so its results differ by at most the relative error most, in the norm
// of all values. open starts a level and returns a function that ends it.
func sameBits(t *testing.T, pkg *rt.Package, most float64, open func(t *testing.T, level string) (outputs, func())) {
	t.Helper()
	var plain, first [][]float32
	var assembled asm.ISA
	for _, level := range native() {
		t.Run(string(level), func(t *testing.T) {
			here(t, level)
			run, done := open(t, string(level))
			defer done()
			var all [][]float32
			for _, f := range pkg.Funcs {
				if f.Stores != nil || f.States != nil {
					continue
				}
				for _, n := range []int{1, 3, 16} {
					var batch []rt.Seq
					for i := range n {
						batch = append(batch, sequence(f, 1+i*7%pkg.Text, uint64(i)))
					}
					got, err := run(f, batch)
					if err != nil {
						t.Fatal(err)
					}
					k := len(all)
					all = append(all, slices.Clone(got))
					if first != nil {
						if !slices.Equal(first[k], got) {
							t.Errorf("%s of %d sequences: %s and %s give different bits", f.Name, n, assembled, level)
						}
					} else if plain != nil {
						if e := distance(plain[k], got); !(e <= most) {
							t.Errorf("%s of %d sequences: %s is off plain Go by %.2g of the values' norm, want at most %g", f.Name, n, level, e, most)
						}
					}
				}
			}
			if len(all) == 0 {
				t.Error("no function was run")
			}
			switch {
			case level == asm.Generic:
				plain = all
			case first == nil:
				first, assembled = all, level
			}
		})
	}
}

// distance returns the norm of the difference of two lists over the norm of the first.
func distance(want, got []float32) float64 {
	if len(want) != len(got) {
		return math.Inf(1)
	}
	var off, all float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		off, all = off+d*d, all+float64(w)*float64(w)
	}
	return math.Sqrt(off / all)
}

// Levels of the committed packages give the same bits, also of the demo with weights in 16 bits.
func TestLevelsGiveTheSameBits(t *testing.T) {
	for _, pkg := range []*rt.Package{beit3tiny.Package(), mwttiny.Package(), vlmotiny.Package(), emoji.Package()} {
		t.Run(pkg.Name, func(t *testing.T) {
			sameBits(t, pkg, 1e-5, func(t *testing.T, level string) (outputs, func()) {
				m, err := pkg.New(rt.WithLevel(level))
				if err != nil {
					t.Fatal(err)
				}
				s := m.NewSession()
				return func(f *exec.Func, batch []rt.Seq) (all []float32, err error) {
					r, err := s.Run(f, batch)
					if err != nil {
						return nil, err
					}
					for i := range f.Outputs {
						all = append(all, r.All(i)...)
					}
					return all, nil
				}, func() { m.Close() }
			})
		})
	}
}

// Levels give the same bits at every precision with the same arithmetic on all levels.
func TestLevelsGiveTheSameBitsAtEveryPrecision(t *testing.T) {
	asmtest.Slow(t)
	var engines engine.Engines
	t.Cleanup(func() {
		if err := engines.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, pkg := range []*rt.Package{mwttiny.Package(), vlmotiny.Package()} {
		for _, row := range precision.Formats {
			if row.Name == precision.F32 || row.Name == precision.Int8X2 { // whose second product levels add in different ways
				continue
			}
			t.Run(pkg.Name+"/"+row.Name, func(t *testing.T) {
				m := openModel(t, filepath.Join(generated, pkg.Name, pkg.Name+".yaml"))
				if err := m.Desc.SetPrecision(row.Name); err != nil {
					t.Fatal(err)
				}
				p, _, err := m.Lower(nil)
				if err != nil {
					t.Fatal(err)
				}
				if p, err = m.Plan(p); err != nil {
					t.Fatal(err)
				}
				opt, err := m.CodeOptions()
				if err != nil {
					t.Fatal(err)
				}
				e, err := engines.New(p, opt, "")
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				// For plain Go: a different sum may round to another int8.
				most := max(1e-5, min(row.Rounding.Tolerance/10, 1-row.Rounding.Least))
				sameBits(t, pkg, most, func(t *testing.T, level string) (outputs, func()) {
					proc, err := e.Start(level)
					if err != nil {
						t.Fatal(err)
					}
					return func(f *exec.Func, batch []rt.Seq) (all []float32, err error) {
						outs, err := proc.Run(f.Name, batch)
						for _, o := range outs {
							all = append(all, slices.Concat(o.Seqs...)...)
						}
						return all, err
					}, func() { proc.Close() }
				})
			})
		}
	}
}
