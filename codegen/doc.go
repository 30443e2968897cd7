// Package codegen writes a planned program out as a Go package: straight-line entry
// points over codegen/rt and the kernels of generated/kernels, and the weights as one blob.
//
// [Files] takes the program that package passes leaves behind (every op fused or a
// view, every weight laid out, every value with an address) and emits
//
//	model.go                     the typed API: New, Open, Model, Session, task methods
//	vision_retrieval.go ...      one file a function: each step is one line, its IR beside it
//	weights.go                   where each op's weights are in the blob
//	weights.bin, vocab.bin       the packed weights, the tokenizer
//
// Files are gofmt'ed, and the same program and options give the same bytes. Those of a build
// name it, and the package holds the hash of its weights: files of different builds do not
// compile, or do not open, together. [Place] puts them into a folder that may have others.
//
// The call that an op becomes stands in its row in ir; ops that take more are rows of the
// table in steps.go. codegen imports ir, asm, and codegen/rt for the formats the
// two share. It does not rewrite programs: that is package passes. Nor does it write kernels: package library does.
package codegen
