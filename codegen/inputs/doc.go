// Package inputs makes what functions of a program are run on, and compares what they
// compute: images and texts of a user's own ([Reader], [Samples]), seeded inputs
// ([Seeded]), either as tensors of the interpreter ([Tensors]), and rows by their angles
// ([Cosine]).
//
// A caption's next input is what its last step made: [Interpreted] runs both in the
// interpreter.
//
// Those who judge share it: the chooser of precisions, the self-check, the golden suite. It
// stands above ir and the runtime's formats, and knows no descriptions, passes or engines.
package inputs
