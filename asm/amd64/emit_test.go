package amd64_test

import (
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/amd64"
	"github.com/multiway-go/multiway/asm/asmtest"
)

func TestEmit(t *testing.T) { asmtest.Emit(t, "amd64", asm.AVX2, amd64.Emit) }

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
