// Package imagefile decodes image files: PNG, JPEG, WebP, GIF (first frame), BMP and TIFF, and
// HEIC and AVIF if their packages are linked.
//
//	img, format, err := imagefile.File("photo.jpg", imagefile.Options{})
//	err = prep.Into(x, img, &scratch) // a pixel.Preprocess
//
// The size of a picture is read first; a picture larger than [Options] allow is refused before
// memory of its size is allocated. Any input gives a picture or an error that describes the
// damage, and a panic of a decoder becomes an error. Work that does not depend on the number of
// pixels, such as scans, chunks, and compressed data that unpacks to nothing, is bounded in
// proportion to the picture (budget.go). [Memory] estimates the memory that decoding takes from
// the beginning of a file, for programs that decode several files at a time.
//
// With Options.Stream, a JPEG decodes to a [pixel.Stream]: package pixel decodes it while it resizes
// it, in strips that it turns upright on the way. Other formats, and JPEGs in CMYK, in RGB or with
// subsampling that image.YCbCr does not have, decode to a whole picture.
//
// Results are meant for package pixel, whose conversion to RGB matches Pillow's. Most JPEGs
// decode to image.YCbCr, because package pixel interpolates chroma as libjpeg does. Lossy WebP,
// whose YCbCr differs from JPEG's, decodes to pixel.RGB or image.NRGBA, converted as in
// libwebp. Pictures of only black and white pixels have a palette, and pixel.Keyed marks those in
// which one colour is transparent, because Pillow resizes both in ways of their own.
//
// The package reads the files that Pillow 12 reads, to the pixels that Pillow shows:
//
//   - A picture is turned upright by its EXIF, or else XMP, orientation, found wherever Pillow's exif_transpose finds it. Options can disable this, except for TIFF, which Pillow always turns.
//   - PNG: damage that does not affect pixels, such as a missing end or a wrong checksum after the pixels, is ignored. Other damage is an error.
//   - Animations: the first frame on its canvas. The rest of the canvas is transparent, or has colour 0 in a GIF whose frame has no transparent colour.
//   - BMP: any header and masks, raw or run-length encoded. The fourth byte of a pixel is alpha only if a mask says so and some alpha is not 0.
//   - TIFF and BigTIFF: grey, RGB, palette, CMYK, YCbCr and Lab, with or without alpha, in strips, tiles and planes; uncompressed, LZW, deflate, PackBits, fax (T.4, T.6) and JPEG.
//
// Differences from Pillow: 16-bit grey keeps its high byte, where Pillow clips it to white. BMP
// runs that skip pixels, and TIFFs with samples in planes, big-endian numbers or fax runs at
// the end of a strip, follow their specifications. Lab, which Pillow converts with a LittleCMS
// table, differs by at most 15 levels, and by at most 50 for colours at the limits of sRGB.
//
// Pictures keep their alpha and the colours stored beneath it; package pixel decides how to
// composite them. Colour profiles are ignored, as in Pillow.
//
// The documentation of packages imagefile/heic and imagefile/avif says how to link them;
// without them the error for such a file names them.
//
// The package stands beside codegen/rt and imports packages file, memory, pixel and jpeg and decoders
// of the standard library and golang.org/x/image. Only it and the packages below it know image
// file formats. It does not write pictures.
package imagefile
