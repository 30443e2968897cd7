// Package onnx writes a function of a program as an ONNX file, so that other engines
// can judge and race a compiled model on the same weights.
//
//	f, err := onnx.Model(p, p.Func("vision"), onnx.Options{})
//	err = f.Write(&set, "vision.onnx")
//
// The program is one whose ops are primitive and whose experts are chosen: after the
// passes route and prune, before any that folds or fuses. Each op becomes a few nodes of
// opset 17; the table in ops.go is the only place that knows them. Every value gains a
// first axis N, the batch; the text length T is an axis that differs from call to call.
// A file is at most 2 GB, so larger weights go to a second one, FILE.data.
//
// The few messages of ONNX's protocol buffers are written by hand (proto.go). The
// package reads no ONNX.
package onnx
