// Package library writes the kernels out: [Files] those of package generated/kernels, which packages of models use, with their
// tables, and [Homes] those that packages of codegen/rt have of their own, with what the runtime knows of CPU levels, kernels
// and element types. The same catalogue gives the same bytes, which tests compare with what is committed.
//
// Place in the ladder: imports asm, ir for the element types, and alone the emitters of assembly, so that a compiler of models,
// which needs none, links to none. It is not for choosing kernels: codegen/rt/kernel does that.
package library
