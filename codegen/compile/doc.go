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
// A build is judged by itself: by its plain Go and by the float64 interpreter. What an import got wrong, such as a number of
// heads, only other code can tell: [Model.Hold] judges by what the user's own PyTorch computed, an [Expected].
//
// It is the only package that sees both ends, ir/model and codegen, so that the
// command and the golden suite share one way. Packages below it have the parts: tune chooses
// precisions, inputs makes what functions are run on, engine compiles and runs what was
// planned. It is not for what runs in users' programs, which codegen/rt has.
package compile
