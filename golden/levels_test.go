package golden_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/codegen/build"
	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/generated/beit3tiny"
	"github.com/multiway-go/multiway/generated/emoji"
	"github.com/multiway-go/multiway/generated/mwttiny"
	"github.com/multiway-go/multiway/generated/vlmotiny"
)

// assembled are the levels of this CPU that the compiler makes kernels for, plain Go left
// out: it rounds products before it adds them.
func assembled(t *testing.T) []string {
	t.Helper()
	levels := slices.DeleteFunc(rt.Levels(), func(l string) bool {
		_, built := asm.ISA(l).Level()
		return !built || l == string(asm.Generic)
	})
	if len(levels) < 2 {
		t.Skipf("this CPU has the levels %v; it takes two with assembly", rt.Levels())
	}
	return levels
}

// outputs runs a function on a batch and returns every value of its results.
type outputs func(f *rt.Func, batch []rt.Seq) ([]float32, error)

// sameBits compares what levels compute of every function that keeps nothing between its
// calls. open starts a level and returns what ends it.
func sameBits(t *testing.T, pkg *rt.Package, levels []string, open func(level string) (outputs, func())) {
	t.Helper()
	var first [][]float32
	for i, level := range levels {
		run, done := open(level)
		defer done()
		k := 0
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
				if i == 0 {
					first = append(first, slices.Clone(got))
				} else if !slices.Equal(first[k], got) {
					t.Errorf("%s of %d sequences: %s and %s give different bits", f.Name, n, levels[0], level)
				}
				k++
			}
		}
	}
	if len(first) == 0 {
		t.Error("no function was run")
	}
}

// Levels with assembly differ in speed and in nothing else: the committed packages, the
// demo with its weights in 16 bits among them.
func TestLevelsGiveTheSameBits(t *testing.T) {
	for _, pkg := range []*rt.Package{&beit3tiny.Package, &mwttiny.Package, &vlmotiny.Package, &emoji.Package} {
		t.Run(pkg.Name, func(t *testing.T) {
			sameBits(t, pkg, assembled(t), func(level string) (outputs, func()) {
				m, err := pkg.New(rt.WithLevel(level))
				if err != nil {
					t.Fatal(err)
				}
				s := m.NewSession()
				return func(f *rt.Func, batch []rt.Seq) (all []float32, err error) {
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

// The same at every precision whose arithmetic levels share.
func TestLevelsGiveTheSameBitsAtEveryPrecision(t *testing.T) {
	var engines build.Engines
	t.Cleanup(func() {
		if err := engines.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, pkg := range []*rt.Package{&mwttiny.Package, &vlmotiny.Package} {
		for _, precision := range []string{"bf16", "f16", "int8", "bf16dot"} {
			t.Run(pkg.Name+"/"+precision, func(t *testing.T) {
				levels := assembled(t)
				m := openModel(t, filepath.Join(generated, pkg.Name, pkg.Name+".yaml"))
				if err := m.Desc.SetPrecision(precision); err != nil {
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
				sameBits(t, pkg, levels, func(level string) (outputs, func()) {
					proc, err := e.Start(level)
					if err != nil {
						t.Fatal(err)
					}
					return func(f *rt.Func, batch []rt.Seq) (all []float32, err error) {
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
