// Package asmtest tests what every emitter of package asm's kernels has to do, whatever it writes, and has what tests of any
// package share: what a machine lacks, what takes long, what hostile files and full disks have to end in, what is in an archive.
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

// generated is how Go's tools recognise generated files.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// Emit holds that emit writes kernels of an architecture twice alike, as files of the package asked for that Go's tools
// know as generated and formatted, with every kernel and each table once; and that it refuses kernels that no generator
// of the architecture writes.
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
		if !generated.Match(file) || !bytes.Contains(file, []byte("\n//go:build "+arch+" && !noasm\n")) {
			t.Errorf("%s begin:\n%.200s", name, file)
		}
	}
	for _, k := range ks {
		if !bytes.Contains(s, []byte("\nTEXT ·"+k.Name()+"(SB), NOSPLIT, $")) {
			t.Errorf("no TEXT of %s", k.Name())
		}
	}
	for line := range strings.Lines(string(s)) {
		if strings.HasPrefix(line, "DATA ") && strings.Count(string(s), line) != 1 {
			t.Errorf("twice: %s", line)
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
