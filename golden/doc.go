// Package golden tests the compiler with golden cases: results of the original models, in
// the format of package golden/cases.
//
// [Check] runs cases in two engines, the float64 interpreter of the IR and the compiled
// package at any CPU level, and prints a line for each output. The command is `multiway
// golden check`; this package's tests run it on testdata.
//
// [Record] makes a case from a user's own model, pictures and texts, which protects a
// generated package against changes without PyTorch.
//
// Command suite in this folder runs all of the repository's tests and lists those that this
// machine cannot run.
//
// The cases come from PyTorch (see reference/). They test the interpreter, and everything else
// is compared with the interpreter.
package golden
