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
// There are two decoders. The package's own equals libjpeg-turbo in every byte, also where that
// smooths a progressive picture of which scans are missing. That of github.com/gen2brain/jpegn takes
// half the time, and its samples differ by a level here and there: it reads sequential pictures that
// are large and not packed with detail, gray or of a chroma sampling that image.YCbCr has. It does not treat
// damage as libjpeg does: where it may have come upon some, the own decoder looks, and
// reads the picture again if so.
//
// [Segments] and [ReadFrame] say what a file asks for before it is decoded. Limits are
// the caller's: Decode allocates by the size that the file says.
//
// The package stands below codegen/rt/imagefile, its only user, and imports package pixel and
// jpegn. It neither writes pictures nor reads EXIF.
package jpeg
