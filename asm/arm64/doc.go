// Package arm64 writes the kernels of package asm for arm64, as Go assembly. It is laid out like asm/amd64: the same files,
// the same functions, the same contracts.
//
//	s, stubs, err := arm64.Emit("kernels", asm.Find("gemm_f32", asm.NEON))
//
// Go's assembler lacks most vector instructions, so there is an emitter: a table of instructions (inst.go) with their
// encodings, operands and ranges, and a method for each (emit.go). Instructions for integers, addresses
// and branches, which Go's assembler does know, are left to it; the others are written as words:
//
//	WORD $0x4f8010c8 // fmla v8.4s, v6.4s, v0.s[0]
//
// Registers are assigned by hand; each kernel's comment says what they hold. An operand out of range is an error that names
// the kernel and the line of its generator.
//
// The encodings are checked three ways: against testdata/encodings.txt, which GNU as made; by disassembling a linked
// program and comparing it with the comments; and by running the kernels, under emulation where there is no arm64 CPU
// (make test-arm64). THROUGHPUT.md says how close the inner loops come to the limits of some CPUs, according to llvm-mca
// (make neon-mca).
//
// # To add an instruction
//
// A row in inst.go's table, a method in emit.go, and go test ./asm/arm64 -run Encodings -update, which needs GNU as
// for aarch64 (on Debian: apt-get install binutils-aarch64-linux-gnu).
//
// Place in the ladder: imports asm alone; imported by codegen/library. It is not for choosing kernels, only for writing them.
package arm64
