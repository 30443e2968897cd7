// Package blob is the weight file: what the compiler writes once and every process of a model
// uses where it lies.
//
// The nouns:
//
//   - [Blob]: an open weight file, in memory, mapped, or at the end of an executable.
//   - [Tensor]: a row of its table: name, element type, shape, and where its packed bytes are.
//   - [DType]: an element type.
//
// A file is a header, the table, and the payload, which starts at a page:
//
//	err := blob.Write(f, blob.PackingPanels16, tensors, func(i int, w io.Writer) error { ... })
//	b, err := blob.Open("weights.bin")
//	data := b.Data(0) // of tensors[0]
//
// [LayoutHash] ties a generated package to the files that it may open. Opening reads header
// and table alone; [Blob.Verify] reads the rest. Every number of a header is checked before
// anything is allocated or mapped by it, and an error says how to go on.
//
// Imports: ir/file and golang.org/x/sys; exec and rt import it, and the compiler writes with
// it. It is not for checkpoints (ir/checkpoint), and does not know what a packing is: tensors
// are bytes.
package blob
