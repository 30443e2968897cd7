// Package library writes kernels as source files. [Files] returns package generated/kernels, which packages of models import,
// with its tables. [Homes] returns the kernels that packages of codegen/rt contain, with the runtime's tables of CPU levels,
// kernels and element types. The same catalogue gives the same bytes; tests compare them with the committed files.
//
// It imports asm, ir for the element types, and the emitters of assembly, which no package of the model compiler needs to
// link. Package codegen/rt/kernel chooses kernels at run time.
package library
