// Package engine compiles planned programs and runs them as processes.
//
//	e, err := engine.New(planned, options, "", nil) // generated, compiled, its weights beside it
//	defer e.Close()
//	proc, err := e.Start("avx2")                    // one process per CPU level
//	outs, err := proc.Run("vision", seqs)
//
// An [Engine] is a generated package with a main program, in a temporary folder. [Engines]
// share executables between models that differ only in their weights. [Build] builds other
// programs with generated packages, such as binaries and benchmarks. The go command builds
// them in a temporary copy of the user's module (without its code), so that it finds the
// runtime as that module does and writes nothing there.
//
// It imports codegen, which writes the packages. It knows no descriptions, checkpoints or
// passes: the programs that it runs are planned. Programs that serve models import the
// generated package instead.
package engine
