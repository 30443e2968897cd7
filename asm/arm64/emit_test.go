package arm64

import (
	"bytes"
	"go/format"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
)

// generated is how Go's tools recognise generated files.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

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

func TestEmit(t *testing.T) {
	ks := append(asm.Find("gemm_f32", asm.NEON), asm.Find("gelu_f32", asm.NEON)...)
	s, stubs, err := Emit("mymodel", ks)
	if err != nil {
		t.Fatal(err)
	}
	s2, stubs2, err := Emit("mymodel", ks)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s, s2) || !bytes.Equal(stubs, stubs2) {
		t.Error("the same kernels give other bytes the second time")
	}
	if pretty, err := format.Source(stubs); err != nil {
		t.Error(err)
	} else if d := cmp.Diff(string(pretty), string(stubs)); d != "" {
		t.Errorf("declarations are not gofmt'ed (-want +got):\n%s", d)
	}
	if !strings.Contains(string(stubs), "\npackage mymodel\n") {
		t.Errorf("declarations are not of package mymodel:\n%s", stubs)
	}
	for name, file := range map[string][]byte{"assembly": s, "declarations": stubs} {
		if !generated.Match(file) || !bytes.Contains(file, []byte("\n//go:build arm64 && !noasm\n")) {
			t.Errorf("%s begin:\n%.200s", name, file)
		}
	}
	for _, k := range ks {
		if !bytes.Contains(s, []byte("\nTEXT ·"+k.Name()+"(SB), NOSPLIT, $0-")) {
			t.Errorf("no TEXT of %s", k.Name())
		}
	}
	for line := range strings.Lines(string(s)) {
		if strings.HasPrefix(line, "DATA ") && strings.Count(string(s), line) != 1 {
			t.Errorf("twice: %s", line)
		}
	}
}

func TestEmitRefuses(t *testing.T) {
	for name, k := range map[string]asm.Kernel{
		"gelu_f32_generic: no generator":   {Op: asm.OpGelu, DType: "f32", ISA: asm.Generic},
		"gemm_f32_6x16_avx2: no generator": {Op: asm.OpGemm, DType: "f32", MR: 6, NR: 16, ISA: asm.AVX2},
		"gemm_f32_7x16_neon: no generator": {Op: asm.OpGemm, DType: "f32", MR: 7, NR: 16, ISA: asm.NEON},
		"nothing_neon: no generator":       {Op: "nothing", ISA: asm.NEON},
	} {
		if _, _, err := Emit("m", []asm.Kernel{k}); err == nil || err.Error() != name {
			t.Errorf("error %v, want %s", err, name)
		}
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
