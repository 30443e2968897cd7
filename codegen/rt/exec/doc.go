// Package exec is what generated code calls: the steps that functions are made of, over an
// arena, threads and the batch under way.
//
// The nouns:
//
//   - [Exec]: kernels, weights, arena, threads and a batch; its methods are steps.
//   - [Func]: a function of a model; its Run is straight-line code over an Exec.
//   - [Mat]: a matrix in the arena. Layers ([Linear], [Norm], [Attention] and others) say where
//     the weights of a step are.
//   - [State]: what the functions of a caption keep between calls, outside the arena: keys
//     and values of the picture, and of each beam's words.
//
// A generated function reads like its IR. Offsets in the arena are constants in bytes, leading
// dimensions constants in floats, row counts come from the batch:
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
// A batch is packed rows: a value with C rows a sequence holds B*C rows, a text value the rows
// of all texts one after the other, each at its true length; a value that joins both holds its
// [Section]s one after the other. Row-wise steps run once over all rows; attention, row
// selection and means go by sequence. Results do not depend on the batch, the number of
// threads or how a call was split, with the exception that package rt names.
//
// Steps allocate nothing once their memory has grown. They trust the compiler's shapes, and a
// broken shape is a panic; what users give is checked before, by rt.
//
// Imports: blob (element types, memory, faults) and kernel. It is not a tensor library: the
// steps are the calls that the compiler emits.
package exec
