// Package codegen compiles a planned program to a Go package: straight-line functions that
// call codegen/rt and the kernels of generated/kernels, and one weight file (blob).
//
// [Files] takes a program after all passes (every op is fused or a view, every weight has a
// layout, every value an address) and emits
//
//	model.go                     the typed API: New, Open, Model, Session, task methods
//	vision_retrieval.go ...      one file per function: each step is one line, with its IR above it
//	weights.go                   the offsets of each op's weights in the weight file
//	weights.bin, vocab.bin       the packed weights, the tokenizer
//	example_multiway_test.go     an example of the typed API, for tasks that have one
//
// Files are gofmt'ed, and the same program and options give the same bytes. Go files of
// different builds do not compile together, and a package does not open the weights of
// another build. [Place] puts the files into a folder, which may have other files.
//
// The op table of ir gives the runtime call of most ops; the table in steps.go has functions
// for the other ones. codegen imports ir, asm, and codegen/rt for the formats that both use.
// Package passes rewrites programs, and package library writes kernels.
package codegen
