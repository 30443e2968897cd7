// Package irtest tests rewrites of programs with the float64 interpreter.
//
// [Equivalent] runs every function of two programs on the same random weights and inputs,
// with texts of several lengths, and compares the results. [Cases] does that for text files
// that also contain the expected text of the rewritten program:
//
//	// What the case is about.
//	program tiny T<=4
//	weight @l0.q.vision.w f32[4,4]
//	weight @l0.q.language.w f32[4,4]
//
//	func pair(x: f32[3+T,4]) segments vision=3, language=T {
//	  ...
//	}
//	-- after --
//	func pair(x: f32[3+T,4]) {
//	  ...
//	}
//
// The after section holds the weights that the rewrite adds, the ones it drops (as
// comments) and all functions. `go test -update` rewrites that section; the float64
// comparison does not depend on it, so that a wrong rewrite still fails.
//
// The random values of a weight depend on its name, so a weight has the same values in
// every program of a test. Weights that a rewrite makes have a loader of their own.
//
// The package is for tests only. It imports ir and defines the flag -update.
package irtest
