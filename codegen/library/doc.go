// Package library writes kernels as source files: [Files] writes package generated/kernels, which packages of models use, with
// its tables, and [Homes] the kernels of packages of codegen/rt, with the runtime's facts about CPU levels, kernels
// and element types. The same catalogue gives the same bytes, which tests compare with what is committed.
//
// Place in the ladder: imports asm, ir for the element types, and alone the emitters of assembly, so that a compiler of models,
// which needs none, links to none. It is not for choosing kernels: codegen/rt/kernel does that.
package library
