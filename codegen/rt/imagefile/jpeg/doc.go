// Package jpeg reads JPEG pictures as libjpeg-turbo 3 does with its default settings, the
// decoder that Pillow uses.
//
//	img, err := jpeg.Decode(data)
//
// Baseline, extended and progressive pictures of 8 bits a sample, by Huffman codes or by
// arithmetic coding, of 1, 3 or 4 components at every sampling are read. Pictures of 12 bits,
// lossless and hierarchical ones are refused. Damage is shown as libjpeg shows it: missing and
// wrong restart markers, bad codes, bytes too many, data that ends early. A file that ends before its
// picture does, without an end marker, was cut off and is refused, as Pillow refuses it.
//
// Every sample equals libjpeg-turbo's, also where that smooths a progressive picture of which scans are
// missing. The inverse transform is a kernel of package asm on CPUs that have it, else its twin in Go.
//
// [Segments] and [ReadFrame] say what a file asks for before it is decoded. Limits are
// the caller's: Decode allocates by the size that the file says.
//
// The package stands below codegen/rt/imagefile, its only user, and imports package pixel. It neither writes pictures nor reads EXIF.
package jpeg

//go:generate go test ../../../library -run Homes -update
