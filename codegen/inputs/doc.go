// Package inputs makes inputs for functions of a program and compares their results. Inputs are
// a user's own images and texts ([Reader], [Samples]) or seeded ([Seeded]); [Tensors] converts
// both for the interpreter. [Cosine] compares rows.
//
// Each step of a caption has the results of the step before as inputs: [Interpreted] runs the
// steps in the interpreter.
//
// Package tune, the self-check of a build and the golden suite use it. It imports ir and the
// runtime's formats, and knows no descriptions, passes or engines.
package inputs
