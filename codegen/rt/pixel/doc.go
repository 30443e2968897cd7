// Package pixel turns pictures into the input tensors of a model: any
// image.Image to RGB, a bicubic resize that equals the resize of Pillow 11 and 12 byte for
// byte, and normalisation to planar float32.
//
// The nouns are three. An [RGB] is a picture of packed 8-bit RGB. A [Preprocess]
// says, as plain data, what a model was trained on: size, how to reach it, what is seen of
// transparency, mean and standard deviation. A [Scratch] holds the buffers of one goroutine, so that
// after the first picture nothing is allocated.
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
// Pictures are streamed: rows are converted and resampled two at a time, so a
// large photograph is never copied whole, and memory depends on the size asked
// for, not on the picture's height.
//
// The results are the same bits on every CPU: resampling is integer arithmetic
// after weights computed without fused multiply-add, and normalisation is a table
// of the 256 values of a channel. Kernels of package asm interpolate and convert chroma on
// CPUs that have them, as the loops behind them do.
//
// In the ladder this package stands beside codegen/rt and imports nothing but what tells
// CPUs apart. Reading files is not its business: see package imagefile, the
// only one that knows formats. It is not a general imaging library
// either: one filter, three channels, no colour management.
package pixel

//go:generate go test ../../library -run Homes -update
