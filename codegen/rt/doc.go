// Package rt is what a generated model package links against: weights, memory,
// threads, the choice of kernels, and the steps its entry points are made of.
//
// The nouns:
//
//   - [Package]: what the compiler emitted: functions, kernel tables, limits.
//   - [Model]: a package with its weights open and its kernels chosen; immutable
//     and safe to share.
//   - [Session]: one arena and one set of threads; runs one call at a time and
//     allocates nothing once it is warm.
//   - [Func]: one entry point for one task; its Run is straight-line code over an
//     [Exec], one step a line.
//   - [State]: what the functions of a caption keep between calls, outside the arena:
//     keys and values of the picture, and of each beam's words.
//   - [Blob]: the weight file: a table of tensors and one payload that is used in
//     place, embedded, mapped, or appended to the executable.
//
// A generated function reads like its IR. Offsets and leading dimensions are
// constants in floats, row counts come from the batch:
//
//	func vision(e *rt.Exec) {
//		x := e.Mat(0, 784, e.Rows(197, false), 768)
//		i := e.Mat(160_000, 2320, e.Rows(197, false), 2304)
//		t := e.Mat(640_000, 784, e.Rows(197, false), 768)
//		e.QKV(i, x, t, &l0AttnVisionNorm, &l0AttnVisionQKV)
//		e.SelfAttention(t, i, &l0Attn, sections)
//	}
//
// A batch is packed rows: a value with C rows a sequence holds B*C rows, a text
// value the rows of all texts one after the other, each at its true length; a
// value that joins both holds its [Section]s one after the other. Row-wise steps
// run once over all rows; attention, row selection and means go by sequence.
//
// Results do not depend on the batch, the number of threads or how a call was
// split: the same sequence gives the same bits. They are finite numbers, or an error of
// their sequence ([BatchError], [ErrNotFinite]). [Model.Fingerprint] says whether results
// of two builds can be compared; [WithVerify] has the weights compared with their hash.
//
// Imports: the standard library, golang.org/x/sys and, of ours besides its own rooms, ir/file; everything
// generated imports rt. It is not a tensor library: the steps are those the
// compiler emits, they trust its shapes, and a broken shape is a panic. What
// users give (batches, weight files, options) is checked and gives errors.
package rt
