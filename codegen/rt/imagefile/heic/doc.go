// Package heic has package imagefile read HEIC, which phones write:
//
//	import _ "github.com/multiway-go/multiway/codegen/rt/imagefile/heic"
//
// and build with -tags nodynamic. Without that tag the package is empty, and HEIC is refused
// as if it were not there: the decoder's package would link the program to a dynamic loader,
// and use whatever library the system has. It imports package net, which links the C library
// where cgo is on: CGO_ENABLED=0 makes the program static.
//
// The decoder is libheif 1.18 with libde265 1.0.15, as WebAssembly from
// github.com/gen2brain/heic. Both are under the LGPL, version 3, which who passes a program
// on has to follow: their licences are in that module's folder lib. HEVC is covered by
// patents.
//
// Pictures are what pillow-heif, a plugin of Pillow, shows, within a level: single ones and
// grids, 4:2:0 to 4:4:4 and grey, of 8 to 12 bits, of which 8 are kept, cropped and turned as
// the file itself says. That is part of the format: it is done whatever imagefile.Options say,
// and what EXIF says besides is passed over, since it would turn the picture again. Where a
// picture is cropped at odd pixels, or turned with an odd side, pillow-heif moves subsampled
// chroma by a pixel; this package does not. Colours that are multiplied by transparency are
// divided by it. Of a sequence the still that stands for it is read. Overlays and identity
// derivations are refused, and what is cropped after it was turned.
package heic
