// Package avif adds an AVIF decoder to package imagefile:
//
//	import _ "github.com/multiway-go/multiway/codegen/rt/imagefile/avif"
//
// Build with -tags nodynamic. Without that tag the package is empty, and AVIF files are refused
// as if it were not imported: the decoder's module would then link the program to a dynamic
// loader and use any libavif that the system has. The module imports package net, which links
// the C library if cgo is on: CGO_ENABLED=0 gives a static program.
//
// The decoder is libavif with libaom, as WebAssembly from github.com/gen2brain/avif. Both have
// BSD licences, which are in that module's folder lib.
//
// The package reads single pictures and grids, 4:2:0 to 4:4:4 and grey, of 8, 10 and 12 bits;
// it keeps 8 bits. Pixels differ from Pillow 12 by at most 4 levels, by 0.7 in the mean,
// except: blue that is clipped to RGB may be up to 16 levels off if the range is limited, and
// so may blue if limited range is not signalled in the file (nclx); any clipped colour in the
// last column of an odd width may be off if chroma is subsampled; and 12-bit 4:2:0 chroma is
// interpolated, which Pillow does not do. Premultiplied colours are divided by alpha.
//
// Pictures are turned by the properties irot and imir, unless imagefile.Options say otherwise.
// As in Pillow, the EXIF orientation is ignored, because it would turn the picture twice, and
// so is the crop (clap). Of an image sequence the primary still is read. Sequences without a
// still, overlays (iovl) and layered pictures (a1op, lsel) are refused.
package avif
