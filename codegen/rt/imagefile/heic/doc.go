// Package heic adds a HEIC decoder to package imagefile:
//
//	import _ "github.com/multiway-go/multiway/codegen/rt/imagefile/heic"
//
// Build with -tags nodynamic. Without that tag the package is empty, and HEIC files are refused
// as if it were not imported: the decoder's module would then link the program to a dynamic
// loader and use any libheif that the system has. The module imports package net, which links
// the C library if cgo is on: CGO_ENABLED=0 gives a static program.
//
// The decoder is libheif 1.18 with libde265 1.0.15, as WebAssembly from
// github.com/gen2brain/heic. Both are under the LGPL, version 3, whose terms bind anyone who
// distributes the program: the licences are in that module's folder lib. HEVC is covered by
// patents.
//
// The package reads single pictures and grids, 4:2:0 to 4:4:4 and grey, of 8 to 12 bits; it
// keeps 8 bits. Pixels differ from pillow-heif, a plugin of Pillow, by at most one level. Crop
// (clap) and rotation (irot, imir) are part of the format: they are applied whatever
// imagefile.Options say, and the EXIF orientation is ignored, because it would turn the picture
// twice. pillow-heif moves subsampled chroma by a pixel where a picture is cropped at odd
// pixels, or turned with an odd side; this package does not. Premultiplied colours are divided
// by alpha. Of an image sequence the primary still is read. Overlays (iovl), identity
// derivations (iden) and a crop after a rotation are refused.
package heic
