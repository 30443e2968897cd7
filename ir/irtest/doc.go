// Package irtest judges rewrites of programs by the float64 interpreter.
//
// [Equivalent] runs two programs on the same random weights and inputs, every
// function, at the shortest and longest text and between. [Cases] does that for
// text files which also pin the rewritten text:
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
// The after section holds the weights that the rewrite declares anew, the ones it
// drops (as comments) and all functions. `go test -update` rewrites that section;
// the float64 check runs all the same, so an update cannot bless a wrong rewrite.
//
// Weights get random values by their name, so a weight has the same values in
// every program of a test. Weights that a rewrite makes bring their own loader.
//
// The package is for tests only. It imports ir and defines the flag -update.
package irtest
