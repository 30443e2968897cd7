// Package imagefile reads picture files: PNG, JPEG, WebP, GIF (its first frame), BMP
// and TIFF.
//
//	img, format, err := imagefile.File("photo.jpg", imagefile.Options{})
//	err = prep.Into(x, img, &scratch) // a pixel.Preprocess
//
// A picture's size is read before the picture, and one that is larger than
// [Options] allow is refused before anything of its size is allocated. Whatever
// the bytes are, the answer is a picture or an error that says what was found; a
// decoder that panics is an error too. What a file can ask for besides its pixels, such
// as scans, chunks, and packed data that unpacks to nothing, is counted against a budget
// that grows with the picture (budget.go). [Memory] says from a file's beginning what
// decoding it takes, for who decodes several at the same time.
//
// Results are meant for package pixel, whose conversion to RGB matches Pillow's:
// JPEG comes as image.YCbCr, because pixel interpolates its chroma as libjpeg does.
// WebP's lossy pictures, whose YCbCr is another one, come as pixel.RGB, converted as
// libwebp does it.
//
// EXIF orientation is ignored unless asked for, as Pillow does. Colour profiles are
// ignored. Animated WebP is refused.
//
// The package stands beside codegen/rt, imports package pixel and the decoders of the
// standard library and golang.org/x/image, and is the only one to know file formats.
// It does not write pictures.
package imagefile
