// Package kernel holds what steps are made of: the types of kernels, the tables that they stand
// in, and the choice of a table by the CPU.
//
// The nouns:
//
//   - kernel: a function of assembly or Go that computes rows or a tile, such as [Gemm]. What
//     each type of them computes stands at the type, which package asm's table of ops gives.
//   - [Table]: the kernels of one level of CPUs.
//   - level: features of a CPU that are asked for together, such as avx2; a level includes
//     its base. [Levels] lists the levels of this CPU.
//
// A package has a table a level, and each has only what its level adds:
//
//	k, names, err := kernel.Choose(tables, "") // the best that CPU and tables have
//
// Imports: golang.org/x/sys; exec and rt import it. It is not for the kernels themselves:
// those are generated (generated/kernels), and package asm defines and tests them.
package kernel
