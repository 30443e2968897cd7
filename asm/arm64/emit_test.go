package arm64

import (
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
)

// native lists the kernels that this package writes.
func native() []asm.Kernel {
	var ks []asm.Kernel
	for _, k := range asm.Catalogue {
		if l, _ := k.ISA.Level(); l.Arch == "arm64" {
			ks = append(ks, k)
		}
	}
	return ks
}

// write writes one kernel and returns the writer, which still knows its instructions.
func write(t *testing.T, k asm.Kernel) *writer {
	t.Helper()
	w := newWriter()
	if err := w.kernel(k); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestEmit(t *testing.T) { asmtest.Emit(t, "arm64", asm.NEON, Emit) }

// TestPermitted checks that a kernel may use what its level has and no more.
func TestPermitted(t *testing.T) {
	k, _ := asm.ByName("qgemm_i8_6x16_neondot")
	if needs, err := Requires(k); err != nil || !slices.Equal(needs, []string{"ASIMDDP"}) {
		t.Errorf("%s requires %v, %v, want ASIMDDP", k.Name(), needs, err)
	}
	k.ISA = asm.NEON
	w := newWriter()
	w.name = k.Name()
	w.SDOTlane(0, 1, 2, 3)
	if err := k.Permit(w.isas); err == nil || err.Error() != "qgemm_i8_6x16_neon: uses ASIMDDP, which level neon does not have" {
		t.Errorf("error %v", err)
	}
}

// TestOutOfRange checks that a mistake of a generator is an error that says which kernel, which line and why.
func TestOutOfRange(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *writer)
		want string
	}{
		{"vector", func(w *writer) { w.FADD(32, 1, 2) }, "fadd v32.4s, v1.4s, v2.4s: operand d: V32, want V0 to V31"},
		{"reserved", func(w *writer) { w.ADDI(1, 18, 0) }, "add x1, x18, #0: operand n: R18, want R0 to R26 and not R18"},
		{"goroutine", func(w *writer) { w.MOVR(28, 1) }, "mov x28, x1: operand d: R28, want R0 to R26 and not R18"},
		{"lane", func(w *writer) { w.FMLAlane(1, 2, 3, 4) }, "fmla v1.4s, v2.4s, v3.s[4]: operand i: 4, want a multiple of 1 from 0 to 3"},
		{"offset", func(w *writer) { w.LDP(1, 2, 3, 1024) }, "ldp q1, q2, [x3, #1024]: operand o: 1024, want a multiple of 16 from -1024 to 1008"},
		{"multiple", func(w *writer) { w.LDR(1, 2, 8) }, "ldr q1, [x2, #8]: operand o: 8, want a multiple of 16 from 0 to 65520"},
		{"negative", func(w *writer) { w.LDRpost(1, 2, -257) }, "ldr q1, [x2], #-257: operand o: -257, want a multiple of 1 from -256 to 255"},
		{"immediate", func(w *writer) { w.CMPI(1, 4096) }, "cmp x1, #4096: operand i: 4096, want a multiple of 1 from 0 to 4095"},
		{"parameter", func(w *writer) { w.arg("q", 1) }, "no parameter q"},
	} {
		w := newWriter()
		w.name = "gemm_f32_6x16_neon"
		c.do(w)
		_, _, line, _ := runtime.Caller(0)
		at := regexp.MustCompile(`^gemm_f32_6x16_neon: emit_test.go:(\d+): (.*)$`)
		var m []string
		if w.err != nil {
			m = at.FindStringSubmatch(w.err.Error())
		}
		if m == nil || m[2] != c.want {
			t.Errorf("%s: error %v, want %s", c.name, w.err, c.want)
			continue
		}
		if n, err := strconv.Atoi(m[1]); err != nil || n > line || n < line-40 {
			t.Errorf("%s: line %s", c.name, m[1])
		}
	}
}

func TestFrame(t *testing.T) {
	args, size := frame("func(rows int, x *float32, eps float32, n int, last float32)")
	want := []arg{{"rows", 0, false}, {"x", 8, false}, {"eps", 16, true}, {"n", 24, false}, {"last", 32, true}}
	if d := cmp.Diff(want, args, cmp.AllowUnexported(arg{})); d != "" || size != 36 {
		t.Errorf("size %d, want 36; parameters (-want +got):\n%s", size, d)
	}
}
