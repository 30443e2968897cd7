// Package imagefile reads picture files: PNG, JPEG, WebP, GIF (its first frame), BMP
// and TIFF; HEIC and AVIF where their packages are linked.
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
// JPEG mostly comes as image.YCbCr, because pixel interpolates its chroma as libjpeg does.
// WebP's lossy pictures, whose YCbCr is another one, come as pixel.RGB or image.NRGBA,
// converted as libwebp does it.
//
// What is read, and what is seen, is what Pillow 12 reads and shows:
//
//   - A picture is turned upright as its EXIF says, or else its XMP, wherever Pillow's
//     exif_transpose finds them; Options can leave it as it is stored. A TIFF always is
//     turned, as Pillow turns it.
//   - PNG with damage that costs no pixel, such as a missing end or a wrong sum after the
//     pixels, is read; of other damage the error says what was found.
//   - Of an animation the first frame is shown on its canvas, which around it is clear, or of
//     colour 0 where the frame has no transparent colour.
//   - BMP of any header and masks, raw or in runs; its fourth bytes are alpha only where a
//     mask says so, and not if all are 0.
//   - TIFF and BigTIFF of grey, RGB, palette, CMYK, YCbCr and Lab, with and without alpha,
//     in strips, tiles and planes; raw, LZW, deflate, PackBits, fax and JPEG.
//
// It differs where Pillow turns a picture into something else: a 16-bit grey keeps its high
// byte, and is not white; runs of a BMP that skip pixels, and TIFFs of samples in planes, of
// big-endian numbers, or of fax runs at the end of a strip, are read as their specifications
// have it. Lab, which Pillow has LittleCMS convert by way of a table, is within 15 levels,
// and within 50 for colours that sRGB hardly has.
//
// Pictures keep their transparency, with the colours beneath it as they are in the file:
// what becomes of it, package pixel is told. Colour profiles are ignored, as Pillow does.
//
// HEIC and AVIF are read where packages imagefile/heic and imagefile/avif are imported,
// whose documentation says what that takes; elsewhere the error for such a file names them.
//
// The package stands beside codegen/rt, imports packages file, pixel and jpeg and decoders of
// the standard library and golang.org/x/image, and is, with those below it, the only one to
// know file formats. It does not write pictures.
package imagefile
