package amd64_test

import (
	"bytes"
	"go/format"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/amd64"
)

// generated is how Go's tools recognise generated files.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestEmit(t *testing.T) {
	ks := append(asm.Find("gemm_f32", asm.AVX2), asm.Find("gelu_f32", asm.AVX2)...)
	s, stubs, err := amd64.Emit("mymodel", ks)
	if err != nil {
		t.Fatal(err)
	}
	s2, stubs2, err := amd64.Emit("mymodel", ks)
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
		if !generated.Match(file) || !bytes.Contains(file, []byte("\n//go:build amd64 && !noasm\n")) {
			t.Errorf("%s begin:\n%.200s", name, file)
		}
	}
	for _, k := range ks {
		if !bytes.Contains(s, []byte("\nTEXT ·"+k.Name()+"(SB), NOSPLIT, $")) {
			t.Errorf("no TEXT of %s", k.Name())
		}
	}
}

func TestEmitRefuses(t *testing.T) {
	for name, k := range map[string]asm.Kernel{
		"gelu_f32_generic: no generator": {Op: asm.OpGelu, DType: "f32", ISA: asm.Generic},
		"nothing_avx2: no generator":     {Op: "nothing", ISA: asm.AVX2},
	} {
		if _, _, err := amd64.Emit("m", []asm.Kernel{k}); err == nil || err.Error() != name {
			t.Errorf("error %v, want %s", err, name)
		}
	}
}

// TestRequires checks that what kernels need was recorded, and that a level's name promises as much.
func TestRequires(t *testing.T) {
	for _, k := range asm.Catalogue {
		if l, _ := k.ISA.Level(); l.Arch != "amd64" {
			continue
		}
		needs, err := amd64.Requires(k)
		if err != nil {
			t.Fatal(err)
		}
		if len(needs) == 0 || needs[0] != "AVX" {
			t.Errorf("%s requires %v, want AVX first", k.Name(), needs)
		}
	}
}
