package golden_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
	"github.com/multiway-go/multiway/codegen/rt/kernel"
	"github.com/multiway-go/multiway/generated/kernels"
)

// usable returns the kernel, or the reason why it cannot run here, with the missing feature of asmtest.Features.
func usable(k asm.Kernel) (c kernels.Kernel, lacks, why string) {
	all := kernels.All()
	i := slices.IndexFunc(all, func(c kernels.Kernel) bool { return c.Name == k.Name() })
	if i < 0 {
		if l, _ := k.ISA.Level(); l.Arch != runtime.GOARCH {
			return c, string(k.ISA), "is for " + l.Arch
		}
		return c, string(k.ISA), "left out of this build by -tags noasm"
	}
	if !slices.Contains(kernel.Levels(), string(k.ISA)) {
		return c, string(k.ISA), fmt.Sprintf("this CPU has the levels %v", kernel.Levels())
	}
	return all[i], "", ""
}

// tester tests the kernels of an op.
type tester struct {
	test func(c *check, k asm.Kernel, f any) // of a kernel that this CPU can run
	sum  uint64                              // of what TestSameBitsOfCPUs has kernels in assembly compute; 0: nothing
	once bool                                // an element takes at most one rounding, so twins compute it too
}

// testers has the tester of each op. Each file adds its own.
var testers = map[asm.Op]tester{
	asm.OpPeakFMA: {test: func(_ *check, _ asm.Kernel, f any) { f.(func(int))(1) }}, // it returns; asmtest.Peak reads its loop
}

// TestKernels compares every kernel that this CPU can run with float64, at every size that may be special, in memory that
// ends, and in memory that starts, at a protected page.
func TestKernels(t *testing.T) {
	c := &check{in: newFence(t, 1<<19), in2: newFence(t, 1<<16), out: newFence(t, 1<<19), vec: newFence(t, 1<<14), vec2: newFence(t, 1<<14)}
	for _, k := range asm.Catalogue {
		t.Run(k.Name(), func(t *testing.T) {
			test := testers[k.Op].test
			if test == nil {
				t.Fatalf("op %s has no tester", k.Op)
			}
			f, lacks, why := usable(k)
			if lacks != "" {
				asmtest.Missing(t, lacks, why)
			}
			for _, c.front = range []bool{false, true} {
				c.T, c.rng = t, rand.New(rand.NewPCG(1, 2))
				test(c, k, f.Func)
			}
		})
	}
}

// TestKernelTable checks that the compiled kernels equal the catalogue.
func TestKernelTable(t *testing.T) {
	for _, c := range kernels.All() {
		k, ok := asm.ByName(c.Name)
		if !ok || string(k.ISA) != c.Level {
			t.Errorf("%s of level %s is not in the catalogue", c.Name, c.Level)
			continue
		}
		if got, want := fmt.Sprintf("%T", c.Func), signature(k.Op); got != want {
			t.Errorf("%s is a %s, want %s", c.Name, got, want)
		}
	}
}

// signature returns the op's Go type without the names of its parameters.
func signature(op asm.Op) string {
	var params []string
	for _, p := range op.Row().Params() {
		params = append(params, p.Type)
	}
	return "func(" + strings.Join(params, ", ") + ")"
}

// check is the state of a test: its memory and its random numbers.
type check struct {
	*testing.T
	rng                     *rand.Rand
	in, in2, out, vec, vec2 []float32 // fenced
	front                   bool      // matrices stand at the start of their fence, else at its end
}

// unit is the unit roundoff of float32.
const unit = 0x1p-24

// canary fills memory that no kernel may write. It is a NaN, to show in results if a kernel reads it.
const canary = 0x7fc0dead

// mat is a matrix in a fence: rows of n floats, ld apart. It touches one end of the fence; the other side has canaries.
type mat struct {
	p           []float32
	rows, n, ld int
	canaries    []float32
}

func (m mat) row(r int) []float32 { return m.p[r*m.ld:][:m.n] }

func (m mat) ptr() *float32 { return &m.p[0] }

// newMat puts a matrix at the end or the start of the fence, with canaries around it, and fills it with fill.
func (c *check) newMat(fence []float32, rows, n, ld int, fill func() float32) mat {
	const around = 64
	size := (rows-1)*ld + n
	m := mat{rows: rows, n: n, ld: ld}
	if at := len(fence) - size; c.front {
		m.p, m.canaries = fence[:size], fence[size:min(len(fence), size+around)]
	} else {
		m.p, m.canaries = fence[at:], fence[max(0, at-around):at]
	}
	for i := range m.p {
		m.p[i] = math.Float32frombits(canary)
	}
	for i := range m.canaries {
		m.canaries[i] = math.Float32frombits(canary)
	}
	for r := range rows {
		for i := range n {
			m.p[r*ld+i] = fill()
		}
	}
	return m
}

// intact reports writes outside the matrix.
func (c *check) intact(m mat, what string) {
	c.Helper()
	for i, v := range m.canaries {
		if math.Float32bits(v) != canary {
			c.Fatalf("%s: wrote %v outside the output, %d floats before or after it", what, v, i)
		}
	}
	for i, v := range m.p {
		if i%m.ld >= m.n && math.Float32bits(v) != canary {
			c.Fatalf("%s: wrote %v past row %d, at column %d of %d", what, v, i/m.ld, i%m.ld, m.n)
		}
	}
}

// near reports a value that differs from want by more than bound, or is NaN.
func (c *check) near(got float32, want, bound float64, what string, r, i int) {
	if e := math.Abs(float64(got) - want); !(e <= bound) {
		c.Helper()
		c.Fatalf("%s: [%d][%d] = %v, want %v: error %.3g, bound %.3g", what, r, i, got, want, e, bound)
	}
}

// same reports a value whose bits differ from want's.
func (c *check) same(got, want float32, what string, r, i int) {
	if math.Float32bits(got) != math.Float32bits(want) {
		c.Helper()
		c.Fatalf("%s: [%d][%d] = %v, want exactly %v", what, r, i, got, want)
	}
}

func (c *check) normal() float32 { return float32(c.rng.NormFloat64()) }

// scores returns random inputs of softmax, some far below the largest.
func (c *check) scores() float32 { return float32(c.rng.NormFloat64() * 20) }

// upTo returns 1 to n, and then more.
func upTo(n int, more ...int) []int {
	var s []int
	for i := 1; i <= n; i++ {
		s = append(s, i)
	}
	return append(s, more...)
}

func ptr(s []float32) *float32 {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}
