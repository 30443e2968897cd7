// Package heif parses HEIF containers (HEIC and AVIF files) and runs the decoders of the
// pictures in them.
//
//	imagefile.Register("heic", heif.Reader("hvc1", true, memory, func(m *heif.Memory, c heif.Coded) (heif.Pixels, error) {
//		... sandbox.Run(m, func(r heif.Run) error { ... r.Call("decode", ...) ... })
//	}))
//
// A file consists of boxes, which describe the picture: one coded picture or a grid of them,
// its crop and rotation, and an auxiliary picture that is its alpha channel. [Parse] reads the
// boxes and checks every number in them against the file; it refuses features that it does not
// know with an error that names them. A decoder gets one coded picture at a time (for AVIF a
// whole grid), in a new file made by [Coded.File], so that only sizes and the codec's own data
// reach it.
//
// Decoders are WebAssembly programs and run in a [Sandbox] with bounded memory; a crash in one
// is an error.
//
// The package stands below imagefile/heic and imagefile/avif, which a program links only on
// request, and imports wazero, a WebAssembly runtime.
package heif
