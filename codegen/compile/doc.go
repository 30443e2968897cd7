// Package compile takes a model description the whole way: description and
// checkpoint to program, program through the passes, planned program to a Go
// package, package to a binary that has been checked.
//
//	m, err := compile.Open("model.yaml")      // description, checkpoint, tokenizer, labels
//	defer m.Close()
//	report, err := m.Write(compile.Options{Dir: "mymodel", Check: compile.Quick})
//
// [Model.Write] goes through stages, a list in write.go: each is a function of one job, and a new one is a row.
//
// [Init] writes the description that Open reads, from what a checkpoint's tensors tell.
//
// A [Scratch] is a program that times models side by side.
//
// A build is checked against its own plain Go and against the float64 interpreter. Only other code can reveal a wrong
// import, such as a wrong number of heads: [Model.Hold] compares with tensors of the user's own PyTorch, an [Expected].
//
// It is the only package that sees both ends, ir/model and codegen, so that the
// command and the golden suite share one way. Packages below it have the parts: tune chooses
// precisions, inputs makes the inputs of functions, engine compiles and runs planned
// programs. Code that runs in users' programs belongs to codegen/rt.
package compile
