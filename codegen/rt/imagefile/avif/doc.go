// Package avif has package imagefile read AVIF, which phones and websites write:
//
//	import _ "github.com/multiway-go/multiway/codegen/rt/imagefile/avif"
//
// and build with -tags nodynamic. Without that tag the package is empty, and AVIF is refused
// as if it were not there: the decoder's package would link the program to a dynamic loader,
// and use whatever library the system has. It imports package net, which links the C library
// where cgo is on: CGO_ENABLED=0 makes the program static.
//
// The decoder is libavif with libaom, as WebAssembly from github.com/gen2brain/avif, under
// licences of BSD, which are in that module's folder lib.
//
// Pictures are what Pillow 12 shows, within 4 levels and 0.7 in the mean: single ones and grids,
// 4:2:0 to 4:4:4 and grey, of 8 and 10 bits, of which 8 are kept. Where blue that is not in RGB
// is cut off, it may be up to 16 levels off if the range is limited, and any such colour in the
// last column of an odd width if chroma is subsampled; so may blue where the file itself does
// not say (nclx) that the range is limited. Of 12 bits and 4:2:0 chroma is interpolated, which
// Pillow does not. Colours that are multiplied by transparency are divided by it.
//
// Pictures are turned as the file itself says, unless imagefile.Options say otherwise, and what
// EXIF says besides is passed over, as by Pillow, since it would turn the picture again; what is
// to be cropped (clap) is left, as by Pillow. Of a
// sequence the still that stands for it is read; one without a still, overlays, and pictures
// that choose among layers (a1op, lsel) are refused.
package avif
