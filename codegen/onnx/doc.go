// Package onnx writes a function of a program as an ONNX file, so that a compiled model can be
// compared with other engines, in results and speed, on the same weights.
//
//	f, err := onnx.Model(p, p.Func("vision"), onnx.Options{})
//	err = f.Write(&set, "vision.onnx")
//
// The program's ops must be primitive and its experts chosen: it has gone through the passes
// route and prune, and no pass that folds or fuses. Each op becomes a few nodes of opset 17,
// by the table in ops.go. Every value gets a first axis N, the batch; N and the text length T
// are dynamic axes. An ONNX file has at most 2 GB, so larger weights go to a second file,
// FILE.data.
//
// proto.go writes the few protocol buffer messages that ONNX needs. The package does not read
// ONNX.
package onnx
