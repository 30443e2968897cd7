// Package exec runs compiled functions: it has the steps that generated code calls, the arena and
// threads that they use, and the current batch.
//
// The nouns:
//
//   - [Exec]: kernels, weights, arena, threads and a batch; its methods are steps.
//   - [Func]: a function of a model; its Run is straight-line code over an Exec.
//   - [Mat]: a matrix in the arena. Layers ([Linear], [Norm], [Attention] and others) say where
//     the weights of a step are.
//   - [State]: the key/value cache of a caption, which outlives calls and is not in the arena.
//
// A generated function reads like its IR. Offsets in the arena are constants in bytes, leading
// dimensions constants in floats; numbers of rows depend on the batch:
//
//	func vision(e *exec.Exec) {
//		rows197 := e.Rows(197, false)
//		x := e.Mat(0, 784, rows197, 768)
//		i := e.Mat(640_000, 2320, rows197, 2304)
//		t := e.Mat(2_560_000, 784, rows197, 768)
//		e.QKV(i, x, t, &l0AttnVisionLN, &l0AttnVisionQKV)
//		e.SelfAttention(t, i, &attention, sections197)
//	}
//
// The rows of a batch are packed, without padding: a value with C rows per sequence has B*C rows, a
// text value has the rows of all texts, one after the other. A value that joins both has its
// [Section]s one after the other. Row-wise steps run once over all rows; attention, row selection
// and means run per sequence. Results do not depend on the batch, the number of threads or how a
// call was split.
//
// Steps allocate nothing once their memory has grown. They trust the shapes that the compiler
// chose, and panic if these do not fit; rt checks what users pass.
//
// Imports: blob (element types, memory, faults) and kernel. It is not a tensor library: it has the
// steps that the compiler emits, no others.
package exec
