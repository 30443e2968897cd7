// Package asm is the catalogue of kernels: which there are, what each computes, and how the matrices they read lie in
// memory. It is plain data and pure Go; the packages below it, one an architecture, write the assembly.
//
// # Nouns
//
// A [Kernel] is a row of the [Catalogue]: op, dtype, tile and ISA. Its [Kernel.Name] follows from these and is the Go
// symbol, the name of its benchmark and what errors call it:
//
//	gemm_f32_6x16_avx2     op gemm on float32, tile of 6 rows and 16 columns of C, for AVX2 and FMA
//	gelu_f32_generic       op gelu on float32, in plain Go
//
// Its [Kernel.Family], gemm_f32, is what the compiler selects; the [ISA] is chosen by the CPU at run time, and [Best] says
// what a level runs: its own kernels, or else the kernels of the level below. An op's Go type and contract are in its row of [Ops].
//
// A [Layout] says how weights [N,K] become panels. A twin is the Go function of twin_*.go that generic kernels of a family are:
// what runs on a CPU without assembly and under -tags noasm. [TwinFile] copies them into package generated/kernels.
//
// # Calling convention
//
// Kernels are called through Go's stack convention (ABI0) with addresses of the first elements. Strides and leading
// dimensions count floats, pfstep counts bytes, flags are 0 or 1. Every length of at least 1 is valid and every number of
// rows from 0 (of a tile: exactly its own). Nothing outside the stated elements is read or written, with one exception:
// softmax needs room for whole panels of 16 in each row, and zeroes them. Addresses need no alignment beyond that of a
// float32; 64 bytes is faster. Kernels keep no state, do not allocate and run up to their end: a caller that loops over many
// should do so in a Go function that is not inlined, so that the collector can stop it in between.
//
// A NaN that goes in comes out as NaN; it never becomes a plausible number.
//
// Sums are taken in a fixed order: gemm and gemm_nn in the order of k, element by element; rows in 32 partial sums, element i
// in the sum i%32. So results have the same bits for every tile and, twins and the sign of a zero excepted, every ISA.
//
// # Panels
//
// The right-hand side of a product is stored as panels of 16 columns, [panel][k][16], zero padded to whole panels of
// whole groups of four bytes a column, on every CPU: a narrower CPU reads a row of a panel in several registers, a
// wider one reads several panels side by side. A block of the k loop that starts at k0 in panel p is at
// [Layout.Offset](p, k0), so blocking is the caller's choice.
//
//	l := asm.Heads(768, 3, 12, 64)             // q, k and v of 12 heads as one product
//	w := make([]float32, l.Floats())
//	l.Pack(w, q, k, v)
//
// README's section "Changing it" says which files a new kernel, tile or CPU level is written in. What models do not use, but a
// package of codegen/rt, has that package as Home in its row; its twin and the choice by the CPU stand there.
//
// Place in the ladder: above nothing but the standard library, below passes (layouts, families), the emitters and codegen.
// It is not for running models: generated/kernels has the kernels that generated packages use, and codegen/rt/exec drives them.
package asm
