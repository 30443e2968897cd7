// Package blob reads and writes weight files. The compiler writes one for each model, and every
// process that runs the model maps it and uses the weights in place.
//
// The nouns:
//
//   - [Blob]: an open weight file, in memory, mapped, or at the end of an executable.
//   - [Tensor]: an entry of its table: name, element type, shape, offset and size of the packed data.
//   - [DType]: an element type.
//
// A file consists of a header, the table, and the payload, which starts at a multiple of a page:
//
//	err := blob.Write(f, blob.PackingPanels16, tensors, func(i int, w io.Writer) error { ... })
//	b, err := blob.Open("weights.bin")
//	data := b.Data(0) // of tensors[0]
//
// [LayoutHash] ties a generated package to the files that it may open. Opening reads only header
// and table; [Blob.Verify] reads the rest. Every number of a header is checked before memory is
// allocated or mapped according to it, and an error says what to do.
//
// Imports: ir/file and golang.org/x/sys; exec and rt import it, and the compiler writes with
// it. It is not for checkpoints (ir/checkpoint). It does not interpret the packing: a tensor is
// bytes.
package blob
