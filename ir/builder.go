package ir

// Builder writes one function of a program. It collects the first error and goes
// on with harmless values, so that model descriptions read as straight lines.
type Builder struct {
	P   *Program
	F   *Func
	err error
}
