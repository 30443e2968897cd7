// Package asmtest has the tests that every emitter of package asm's kernels must pass, and helpers for tests of any package:
// files, commands and errors, skipping tests that a machine cannot run or that take long, checks of errors about hostile files,
// limits on file sizes, and archives of test data.
package asmtest

import (
	"bytes"
	"go/format"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
)

// generated is the pattern by which Go's tools recognise generated files.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// Emit tests emit, the emitter of an architecture: it is deterministic; its files are marked as generated, formatted, of the given
// package, and have every kernel and each constant once; and it refuses kernels that the architecture has no generator for.
func Emit(t *testing.T, arch string, isa asm.ISA, emit func(pkg string, kernels []asm.Kernel) (asmFile, stubFile []byte, err error)) {
	t.Helper()
	ks := append(asm.Find("gemm_f32", isa), asm.Find("gelu_f32", isa)...)
	s, stubs, err := emit("mymodel", ks)
	if err != nil {
		t.Fatal(err)
	}
	s2, stubs2, err := emit("mymodel", ks)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s, s2) || !bytes.Equal(stubs, stubs2) {
		t.Error("a second call gives other bytes")
	}
	if pretty, err := format.Source(stubs); err != nil {
		t.Error(err)
	} else if d := cmp.Diff(string(pretty), string(stubs)); d != "" {
		t.Errorf("declarations are not gofmt'ed (-want +got):\n%s", d)
	}
	if !strings.Contains(string(stubs), "\npackage mymodel\n") {
		t.Errorf("declarations are not in package mymodel:\n%s", stubs)
	}
	for name, file := range map[string][]byte{"assembly": s, "declarations": stubs} {
		if !generated.Match(file) || !bytes.Contains(file, []byte("\n//go:build "+arch+" && !noasm\n")) {
			t.Errorf("%s begin:\n%.200s", name, file)
		}
	}
	for _, k := range ks {
		if !bytes.Contains(s, []byte("\nTEXT ·"+k.Name()+"(SB), NOSPLIT, $")) {
			t.Errorf("no TEXT for %s", k.Name())
		}
	}
	for line := range strings.Lines(string(s)) {
		if strings.HasPrefix(line, "DATA ") && strings.Count(string(s), line) != 1 {
			t.Errorf("written twice: %s", line)
		}
	}

	tooTall := ks[0]
	tooTall.MR = 99
	foreign, _ := asm.ByName("gemm_f32_6x16_neon")
	if arch == "arm64" {
		foreign, _ = asm.ByName("gemm_f32_6x16_avx2")
	}
	for _, k := range []asm.Kernel{asm.Find("gelu_f32", asm.Generic)[0], foreign, tooTall, {Op: "nothing", ISA: isa}} {
		if _, _, err := emit("m", []asm.Kernel{k}); err == nil || err.Error() != k.Name()+": no generator" {
			t.Errorf("%s: error %v, want that there is no generator", k.Name(), err)
		}
	}
}

// Patterns of the instructions in the loop of peak_fma.
var (
	multiplyAdd = regexp.MustCompile(`^VFMADD231PS [YZ]0, [YZ]0, [YZ]\d+$|// fmla v\d+\.4s, v0\.4s, v0\.s\[0\]$`)
	countdown   = regexp.MustCompile(`^(DECQ|SUBS) `)
	branch      = regexp.MustCompile(`^(JNZ|BNE|BEQ) `)
)

// Peak checks that each round of a level's peak_fma is 12 multiply-adds into different registers and nothing else. Only then does
// it measure the peak rate.
func Peak(t *testing.T, isa asm.ISA, emit func(pkg string, kernels []asm.Kernel) (asmFile, stubFile []byte, err error)) {
	t.Helper()
	s, _, err := emit("bench", asm.Find("peak_fma", isa))
	if err != nil {
		t.Fatal(err)
	}
	_, loop, _ := strings.Cut(string(s), "\nloop:\n")
	rounds, sums := 0, map[string]bool{}
	for line := range strings.Lines(loop) {
		line = strings.TrimSpace(line)
		switch {
		case multiplyAdd.MatchString(line):
			if sums[line] {
				t.Errorf("%s: twice: %s", isa, line)
			}
			sums[line] = true
		case countdown.MatchString(line):
			rounds++
		case !branch.MatchString(line):
			t.Errorf("%s: in the loop: %s", isa, line)
		}
		if strings.HasSuffix(line, " loop") {
			break
		}
	}
	if rounds == 0 || len(sums) != 12*rounds {
		t.Errorf("%s: %d multiply-adds in %d rounds, want 12 in each", isa, len(sums), rounds)
	}
}
