// Package amd64 writes the kernels of package asm for amd64, as Go assembly, with avo used as a library.
//
// [Emit] returns the assembly and the Go declarations of any set of kernels, for codegen/library to put in package
// generated/kernels or, for ops that one package of the runtime has to itself, in that package.
//
//	s, stubs, err := amd64.Emit("kernels", asm.Find("gemm_f32", asm.AVX2))
//
// Each op has one function that writes its kernels: gemm.go and the files of weight formats have tiles of
// matrix products, attention.go the rest of attention, rowwise.go functions of rows. The instruction sets a kernel needs are recorded from its instructions, and Emit refuses
// a kernel that needs more than its level has.
//
// Place in the ladder: imports asm and, alone, avo; imported by codegen/library. It is not for choosing kernels,
// only for writing them.
package amd64
