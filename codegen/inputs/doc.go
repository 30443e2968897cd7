// Package inputs makes what functions of a program are run on, and compares what they
// compute: pictures and texts of a user's own ([Reader], [Samples]), seeded inputs
// ([Seeded]), either as tensors of the interpreter ([Tensors]), and rows by their angles
// ([Cosine]).
//
// Those who judge share it: the chooser of precisions, the self-check, the golden suite. It
// runs nothing itself.
package inputs
