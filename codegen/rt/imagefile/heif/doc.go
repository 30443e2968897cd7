// Package heif takes HEIC and AVIF files apart, and runs the decoders of the pictures in them.
//
//	imagefile.Register("heic", heif.Reader("hvc1", true, memory, func(m *heif.Memory, c heif.Coded) (heif.Pixels, error) {
//		... sandbox.Run(m, func(r heif.Run) error { ... r.Call("decode", ...) ... })
//	}))
//
// A file is made of boxes, which say what the picture is: one coded picture, or a grid of
// them, how it is cropped and turned, and another such picture that is its transparency. [Parse]
// reads them and holds every number in them against the file; what it does not know it
// refuses in words. A decoder is then given one coded picture at a time, or of AVIF a whole
// grid, in a file that [Coded.File] makes anew, so that nothing of the boxes reaches it but
// sizes and what the codec itself needs.
//
// Decoders are WebAssembly and run in a [Sandbox], whose memory is bounded; what goes wrong
// in one is an error.
//
// The package stands below imagefile/heic and imagefile/avif, which are linked only where
// they are asked for, and imports the runtime of WebAssembly, wazero.
package heif
