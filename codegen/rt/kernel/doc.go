// Package kernel defines the types of kernels and the tables that hold them, and chooses a table for
// the CPU. It counts the CPU's cores.
//
// The nouns:
//
//   - kernel: a function in assembly or Go that computes rows or a tile, such as [Gemm]. The doc
//     comment of its type says what it computes; it comes from package asm's table of ops.
//   - [Table]: the kernels of one level.
//   - core: a physical core that the process can use; [Cores] counts them.
//   - level: a set of CPU features, such as avx2, which includes the features of its base level.
//     [Levels] lists the levels of this CPU.
//
// A package of a model has a table for each level, with only the kernels that the level adds:
//
//	k, names, err := kernel.Choose(tables, "") // the best level that the CPU and the tables have
//
// Imports: golang.org/x/sys; exec and rt import it. It is not for the kernels themselves:
// those are generated (generated/kernels), and package asm defines and tests them.
package kernel
