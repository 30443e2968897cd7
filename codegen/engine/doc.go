// Package engine compiles planned programs and runs them as processes.
//
//	e, err := engine.New(planned, options, "", nil) // generated, compiled, its weights beside it
//	defer e.Close()
//	proc, err := e.Start("avx2")                    // one process a CPU level
//	outs, err := proc.Run("vision", seqs)
//
// An [Engine] is a generated package and a main program around it, in a temporary folder.
// [Engines] share executables where only weights differ. [Build] makes other programs of
// generated packages: binaries, benchmarks. The go command builds all of them in a stand-in for
// the user's module, which finds the runtime where that does and writes nothing there.
//
// It stands above codegen, which writes the packages, and beside the tools that judge and
// choose. It knows no descriptions, no checkpoints and no passes: the programs that it runs are planned.
// It is not for serving models, which import their package.
package engine
