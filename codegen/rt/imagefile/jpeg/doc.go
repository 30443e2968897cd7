// Package jpeg decodes JPEG pictures as libjpeg-turbo 3 does with its default settings, the
// decoder that Pillow uses.
//
//	img, err := jpeg.Decode(data)
//
// It reads baseline, extended and progressive pictures of 8 bits per sample, Huffman or
// arithmetic coded, with 1, 3 or 4 components and any sampling factors. It refuses pictures of
// 12 bits, lossless and hierarchical ones. Damaged data (missing or wrong restart markers,
// invalid codes, surplus bytes, an early end of a scan) decodes to the pixels of libjpeg-turbo.
// A file without an end marker that stops before its picture is complete is refused, as by
// Pillow.
//
// Every sample equals libjpeg-turbo's, block smoothing of incomplete progressive pictures
// included. The inverse DCT is a kernel of package asm on amd64 with AVX2 and on arm64, and Go
// code elsewhere.
//
// [Strips] decodes a row of MCUs at a time, so that neither the picture nor its planes are in
// memory; a progressive picture, whose scans each add to all of it, has its coefficients in memory. It
// also reduces pictures to a half, a quarter or an eighth, as libjpeg does.
//
// [Segments] and [ReadFrame] tell what a file asks for before it is decoded. The caller
// enforces limits: Decode allocates by the size in the file.
//
// The package stands below codegen/rt/imagefile, its only user, and imports package pixel. It
// does not write pictures or read EXIF.
package jpeg

//go:generate go test ../../../library -run Homes -update
