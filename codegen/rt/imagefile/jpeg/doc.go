// Package jpeg reads JPEG pictures as libjpeg-turbo 3 does with its default settings, the
// decoder that Pillow uses.
//
//	img, err := jpeg.Decode(data)
//
// Baseline, extended and progressive pictures of 8 bits a sample, by Huffman codes or by
// arithmetic coding, of 1, 3 or 4 components at every sampling are read. Pictures of 12 bits,
// lossless and hierarchical ones are refused. Damage is shown as libjpeg shows it: missing and
// wrong restart markers, bad codes, bytes too many, data that ends early. A file without its
// end marker was cut off and is refused, as Pillow refuses it.
//
// There are two decoders. That of github.com/gen2brain/jpegn, whose luma differs from
// libjpeg's by a level here and there, reads what nearly all files are: whole sequential
// pictures, gray or of a chroma sampling that image.YCbCr has. The package's own, which is
// exact and slower, reads all others, and stands up for the first where that one came upon
// damage, which it does not treat as libjpeg does.
//
// [Segments] and [ReadFrame] say what a file asks for before it is decoded. Limits are
// the caller's: Decode allocates by the size that the file says.
//
// The package stands below codegen/rt/imagefile, its only user, and imports package pixel and
// jpegn. It neither writes pictures nor reads EXIF.
package jpeg
