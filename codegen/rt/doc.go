// Package rt is what a program calls that uses a generated model.
//
// The nouns:
//
//   - [Package]: what the compiler emitted: functions, kernel tables, limits.
//   - [Model]: a package with its weights open and its kernels chosen; immutable and safe to
//     share.
//   - [Session]: an arena and threads; runs one call at a time and allocates nothing once it
//     is warm.
//   - [Seq] and [Result]: what a call takes of each sequence of a batch, and what it gives.
//
// A generated package opens its model, with [Option]s, and has methods for its tasks; below
// them is
//
//	m, err := p.New(rt.WithThreads(2))
//	s := m.NewSession()
//	r, err := s.Run(m.Func("vision"), []rt.Seq{{Image: pixels}})
//	row := r.Out(0, 0)
//
// Results do not depend on the batch, the number of threads or how a call was split: the same
// sequence gives the same bits. The exception is matrices stored as int8x2, in which int8 has
// those that make embeddings: at the CPU levels avx2 and avx512, products of fewer than nine rows
// differ from those of more in the last bits. Results are finite numbers, or an error of their
// sequence ([BatchError], [ErrNotFinite]). [Model.Fingerprint] says whether results of two builds
// can be compared; [WithVerify] has the weights compared with their hash. [WithBatching] packs
// concurrent calls together. What users give (batches, weight files, options) is checked and
// gives errors.
//
// It stands on three rooms, which import one way: kernel (what steps are made of, the choice by
// the CPU), blob (the weight file), and exec (the steps that generated code calls). All import
// the standard library, golang.org/x/sys and, of ours, ir/file alone: nothing of the compiler.
// Not here: what tasks and programs do with a model (rt/task, rt/caption, rt/cli, rt/bench).
package rt
