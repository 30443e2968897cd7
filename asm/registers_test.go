package asm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRegisters(t *testing.T) {
	var r Registers
	r.Add("C, row after row", "Z0", "Z1", "Z2", "Z8")
	r.Add("acc", "AX")
	r.Add("b", "Z3", "Z4")
	r.Add("bias", "AX")
	r.Add("acc", "AX")
	want := []string{"Z0..Z2 Z8 C, row after row", "AX        acc, then bias", "Z3 Z4     b"}
	if d := cmp.Diff(want, r.Lines()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
