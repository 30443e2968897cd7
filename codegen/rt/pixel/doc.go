// Package pixel turns pictures into the input tensors of a model: it converts any image.Image
// to RGB, resizes it by bicubic or bilinear interpolation, byte for byte as Pillow 11 and 12
// do (but see [Resize] for very tall ones), and normalises it to planar float32.
//
// The package has four nouns. An [RGB] is a picture of packed 8-bit RGB. A [Preprocess] is the
// preprocessing that a model was trained with, as plain data: size, resize mode, treatment of
// transparency, mean and standard deviation. A [Scratch] holds the buffers of one goroutine, so
// that nothing is allocated after the first picture. A [Stream] is a picture that is decoded while
// it is read.
//
//	prep := pixel.Preprocess{
//		Size:   224,
//		Resize: pixel.Stretch,
//		Alpha:  pixel.Drop,
//		Mean:   [3]float32{0.5, 0.5, 0.5},
//		Std:    [3]float32{0.5, 0.5, 0.5},
//	}
//	x := make([]float32, prep.Len())
//	var scratch pixel.Scratch
//	err := prep.Into(x, img, &scratch) // x is [3][224][224]
//
// Pictures are streamed: rows are converted and resampled one at a time, and of the resampled ones
// only those are kept that an output row needs, so a large photograph is never copied whole.
//
// The results are the same bits on every CPU. Resampling is integer arithmetic with weights
// computed without fused multiply-add, and normalisation is a table of the 256 values of a
// channel. On CPUs with AVX2, kernels of package asm resample, convert and interpolate chroma, on
// arm64 they resample; they give the same bits as the Go loops.
//
// The package stands beside codegen/rt in the import ladder and imports only
// golang.org/x/sys/cpu. Package imagefile reads image files. This is no general imaging
// library: two filters, three channels, no colour management.
package pixel

//go:generate go test ../../library -run Homes -update
