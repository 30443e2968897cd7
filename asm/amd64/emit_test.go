package amd64

import (
	"testing"

	"github.com/multiway-go/multiway/asm"
	"github.com/multiway-go/multiway/asm/asmtest"
)

func TestEmit(t *testing.T) { asmtest.Emit(t, "amd64", asm.AVX2, Emit) }

func TestPeak(t *testing.T) {
	asmtest.Peak(t, asm.AVX2, Emit)
	asmtest.Peak(t, asm.AVX512, Emit)
}

// TestInstructionSetsAreRecorded checks that the instruction sets of kernels are recorded, which Permit checks.
func TestInstructionSetsAreRecorded(t *testing.T) {
	for _, k := range asm.Catalogue {
		if l, _ := k.ISA.Level(); l.Arch != "amd64" {
			continue
		}
		f, err := write(k)
		if err != nil {
			t.Fatal(err)
		}
		if uses := beyond(f.Functions()[0].ISA); len(uses) == 0 || uses[0] != "AVX" {
			t.Errorf("%s uses %v, want AVX first", k.Name(), uses)
		}
	}
}
