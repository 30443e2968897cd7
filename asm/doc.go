// Package asm is the catalogue of kernels: which there are, what each computes, and how the matrices they read lie in
// memory. It is plain data and pure Go; the packages below it, one per architecture, write the
// assembly.
//
// # Nouns
//
// A [Kernel] is a row of the [Catalogue]: op, dtype, tile and ISA. Its [Kernel.Name] follows from these and is the Go
// symbol, the name of its benchmark and its name in errors:
//
//	gemm_f32_6x16_avx2     op gemm on float32, tile of 6 rows and 16 columns of C, for AVX2 and FMA
//	gelu_f32_generic       op gelu on float32, in plain Go
//
// Its [Kernel.Family], gemm_f32, is what the compiler selects; the [ISA] is chosen by the CPU at run time, and [Best] says
// what a level runs: its own kernels, or else the kernels of the level below. An op's Go type and contract are in its row of [Ops].
//
// A [Layout] says how weights [N,K] become panels. A twin is a Go function in twin_*.go, one for each family of kernels. It is the
// family's generic kernel, which runs on CPUs without assembly and under -tags noasm, and what the assembly is tested against.
// [TwinFile] copies the twins into package generated/kernels.
//
// # Calling convention
//
// Kernels are called through Go's stack convention (ABI0) with addresses of the first elements. Strides and leading
// dimensions count floats, pfstep counts bytes, flags are 0 or 1. Lengths are at least 1, numbers of rows at least 0; a tile
// takes exactly the rows that it is for. Nothing outside the stated elements is read or written, with one exception:
// softmax needs room for whole panels of 16 in each row, and zeroes them. Addresses need no alignment beyond that of a
// float32; 64 bytes is faster. Kernels keep no state, do not allocate and cannot be preempted: a caller that calls many
// should do so in a Go function that is not inlined, so that the garbage collector can stop it between calls.
//
// A NaN in the input gives a NaN in the output, never a plausible number.
//
// Sums have a fixed order: gemm and gemm_nn add products in the order of k; sums over a row are 32 partial sums, element i in sum
// i%32. So results have the same bits for every tile, and for every ISA but for twins and the sign of zeros.
//
// # Panels
//
// The right-hand side of a product is stored as panels of 16 columns, [panel][k][16], on every CPU. Zeros pad the columns to
// whole panels and each column to a multiple of four bytes. A CPU with narrower vectors reads a row of a panel into several
// registers, one with wider vectors reads several panels side by side. Step k0 of panel p is at [Layout.Offset](p, k0), so a
// caller may split k as it likes.
//
//	l := asm.Heads(768, 3, 12, 64)             // q, k and v of 12 heads as one product
//	w := make([]float32, l.Floats())
//	l.Pack(w, q, k, v)
//
// README's section "Changing it" says which files a new kernel, tile or CPU level is written in. An op that models do not use,
// only a package of codegen/rt, has that package as Home in its row; the package has the Go function and chooses by the CPU.
//
// Place in the ladder: it imports the standard library only; passes (layouts, families), the emitters and codegen import it.
// It is not for running models: generated/kernels has the kernels that generated packages use, and codegen/rt/exec drives them.
package asm
