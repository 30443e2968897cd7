// Package compile builds a model: it turns a description and a checkpoint into a program,
// runs the passes on it, generates a Go package, checks the package and builds a binary.
//
//	m, err := compile.Open("model.yaml")      // description, checkpoint, tokenizer, labels
//	defer m.Close()
//	report, err := m.Write(compile.Options{Dir: "mymodel", Check: compile.Quick})
//
// [Model.Write] runs the stages that are listed in write.go.
//
// [Init] writes a description for Open, as far as a checkpoint's tensors and the configuration
// files beside it determine it.
//
// A [Scratch] is a program that times models side by side.
//
// A build is checked against its own plain Go and against the float64 interpreter. Only other code can reveal a wrong
// import, such as a wrong number of heads: [Model.Hold] compares with tensors of the user's own PyTorch, an [Expected].
//
// It is the only package that imports both ir/model and codegen; the command and the golden
// suite build models through it. The parts are in packages below it: tune chooses formats,
// inputs makes the inputs of functions, engine compiles and runs planned programs. Code that
// runs in users' programs belongs to codegen/rt.
package compile
