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
// Pictures are what Pillow 12 shows, within 5 levels and 0.65 in the mean: single ones and grids,
// 4:2:0 to 4:4:4 and grey, of 8 to 12 bits, of which 8 are kept. Chroma of the last column of an
// odd width is up to 7 levels off, and it is not interpolated across the seams of a grid, where
// hard edges differ by more. They are turned as the file itself says, unless
// imagefile.Options say otherwise, and what EXIF says besides is passed over, as by Pillow,
// since it would turn the picture again; what is to be cropped (clap) is left, as by Pillow.
// Of a sequence the still that stands for it is read. Premultiplied colours are refused.
package avif
