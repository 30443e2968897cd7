// Package golden judges the compiler by golden cases: what the original models
// compute, recorded in the format that package golden/cases reads.
//
// [Check] runs cases through two engines, the float64 interpreter of the IR and the
// package that the compiler makes, at any CPU level, and prints a line an output.
// `multiway golden check` is its command; this package's tests run it over testdata.
//
// [Record] makes a case of a user's own model, from pictures and texts of their own: it
// guards a generated package against change, where there is no PyTorch to ask.
//
// Package suite below it runs all of the repository's tests and lists the tests that this machine cannot run.
//
// Trust flows one way: the cases come from PyTorch (reference/ has the recipe), they
// judge the interpreter, and the interpreter judges everything else.
package golden
