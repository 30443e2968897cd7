package amd64

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Go's assembler knows neither the instructions of AVX512_BF16 nor the VEX encodings of AVX_VNNI. They go through avo's
// register allocation by name; encode then replaces them by their bytes.

// encoded are the instructions that encode replaces, by their names in avo's functions.
var encoded = map[string]struct {
	text  string // the instruction's name in Go's syntax
	reg   string // the class of its registers
	bytes func(a, b, acc byte) []byte
}{
	"VDPBF16PS":    {"VDPBF16PS", "Z", evexDot},
	"VPDPBUSD_VEX": {"VPDPBUSD", "Y", vexDot},
}

// VDPBF16PS adds to each lane of acc the products of the lane's two bfloat16 in a and b, the second before the first.
func (w *writer) VDPBF16PS(a, b, acc operand.Op) { w.encoded("VDPBF16PS", "AVX512BF16", a, b, acc) }

// VPDPBUSD_VEX adds to each lane of acc the products of the lane's four int8 in a and four uint8 in b. All are Y registers.
func (w *writer) VPDPBUSD_VEX(a, b, acc operand.Op) {
	w.encoded("VPDPBUSD_VEX", "AVXVNNI", a, b, acc)
}

func (w *writer) encoded(opcode, isa string, a, b, acc operand.Op) {
	w.Instruction(&ir.Instruction{
		Opcode:   opcode,
		Operands: []operand.Op{a, b, acc},
		Inputs:   []operand.Op{a, b, acc},
		Outputs:  []operand.Op{acc},
		ISA:      []string{isa},
	})
}

// encode replaces the instructions that the assembler does not know by their bytes.
func encode(fn *ir.Function) {
	for _, i := range fn.Instructions() {
		e, ok := encoded[i.Opcode]
		if !ok {
			continue
		}
		var n [3]byte
		for j, op := range i.Operands {
			n[j] = byte(op.(reg.VecPhysical).PhysicalIndex())
		}
		b := e.bytes(n[0], n[1], n[2])
		text := fmt.Sprintf("$0x%02x%02x%02x%02x; ", b[3], b[2], b[1], b[0])
		if len(b) == 5 {
			text += fmt.Sprintf("BYTE $0x%02x", b[4])
		} else {
			text += fmt.Sprintf("WORD $0x%02x%02x", b[5], b[4])
		}
		text += fmt.Sprintf(" // %s %[2]s%[3]d, %[2]s%[4]d, %[2]s%[5]d", e.text, e.reg, n[0], n[1], n[2])
		i.Opcode, i.Operands = "LONG", []operand.Op{verbatim(text)}
	}
}

// verbatim is an operand that avo prints as it is.
type verbatim string

func (v verbatim) Asm() string { return string(v) }

// flipped returns a bit of a register's number, inverted.
func flipped(r, bit byte) byte { return ^r >> bit & 1 }

// evexDot returns the bytes of VDPBF16PS on Z registers, EVEX.512.F3.0F38.W0 52 /r. Operands are register numbers in Go's
// order: the sum, which is the destination, comes last.
func evexDot(a, b, acc byte) []byte {
	return []byte{
		0x62,
		flipped(acc, 3)<<7 | flipped(a, 4)<<6 | flipped(a, 3)<<5 | flipped(acc, 4)<<4 | 2,
		^b&15<<3 | 1<<2 | 2,
		2<<5 | flipped(b, 4)<<3,
		0x52,
		3<<6 | acc&7<<3 | a&7,
	}
}

// vexDot returns the bytes of VPDPBUSD on Y registers, VEX.256.66.0F38.W0 50 /r, of operands as evexDot has them.
func vexDot(a, b, acc byte) []byte {
	return []byte{
		0xc4,
		flipped(acc, 3)<<7 | 1<<6 | flipped(a, 3)<<5 | 2,
		^b&15<<3 | 1<<2 | 1,
		0x50,
		3<<6 | acc&7<<3 | a&7,
	}
}
