package amd64

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Neither avo nor Go's assembler knows the instructions of AVX512_BF16. They go through avo's register allocation by
// name; encode then replaces them by their bytes.

const dotProduct = "VDPBF16PS"

// VDPBF16PS adds to each lane of acc the products of the lane's two bfloat16 in a and b, the second before the first.
func (w *writer) VDPBF16PS(a, b, acc operand.Op) {
	w.Instruction(&ir.Instruction{
		Opcode:   dotProduct,
		Operands: []operand.Op{a, b, acc},
		Inputs:   []operand.Op{a, b, acc},
		Outputs:  []operand.Op{acc},
		ISA:      []string{"AVX512BF16"},
	})
}

// encode replaces the instructions that the assembler does not know by their bytes.
func encode(fn *ir.Function) {
	for _, i := range fn.Instructions() {
		if i.Opcode != dotProduct {
			continue
		}
		var z [3]byte
		for n, op := range i.Operands {
			z[n] = byte(op.(reg.VecPhysical).PhysicalIndex())
		}
		b := evexDot(z[0], z[1], z[2])
		text := fmt.Sprintf("$0x%02x%02x%02x%02x; WORD $0x%02x%02x // %s Z%d, Z%d, Z%d", b[3], b[2], b[1], b[0], b[5], b[4], dotProduct, z[0], z[1], z[2])
		i.Opcode, i.Operands = "LONG", []operand.Op{verbatim(text)}
	}
}

// verbatim is an operand that avo prints as it is.
type verbatim string

func (v verbatim) Asm() string { return string(v) }

// evexDot returns the bytes of VDPBF16PS on Z registers, EVEX.512.F3.0F38.W0 52 /r. Operands are register numbers in Go's
// order: the sum, which is the destination, comes last.
func evexDot(a, b, acc byte) [6]byte {
	not := func(r, bit byte) byte { return ^r >> bit & 1 }
	return [6]byte{
		0x62,
		not(acc, 3)<<7 | not(a, 4)<<6 | not(a, 3)<<5 | not(acc, 4)<<4 | 2,
		^b&15<<3 | 1<<2 | 2,
		2<<5 | not(b, 4)<<3,
		0x52,
		3<<6 | acc&7<<3 | a&7,
	}
}
