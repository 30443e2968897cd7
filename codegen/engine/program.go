package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// compiledDir is the folder of the main package, below that of its program.
const compiledDir = "compiled"

// Place is where the package called name belongs in the folder dir of a program, to be
// imported by its main package.
func Place(dir, name string) string { return filepath.Join(dir, compiledDir, name) }

// Around returns the text of a main package that imports the package called model. The text has a %q for
// its import path.
func Around(text string) func(path string) string {
	return func(path string) string { return fmt.Sprintf(text, path+"/model") }
}

// Build makes the executable exe of the packages that have their [Place] in the folder dir
// and of a main package, whose text main returns for an import path: a package called
// name has the import path PATH/name. env changes the environment of the go command. Log, if not nil, is told
// what takes long.
func Build(dir, exe string, main func(path string) string, log func(format string, args ...any), env ...string) error {
	if err := writeMain(dir, log, main); err != nil {
		return err
	}
	return link(dir, exe, log, env...)
}

// Here has programs built to run here, on a CPU of that GOARCH, whatever the environment
// asks builds for.
func Here(arch string) []string { return []string{"GOOS=" + runtime.GOOS, "GOARCH=" + arch} }

// writeMain writes a main package, and the stand-in for the host in which it is built.
func writeMain(dir string, log logger, main func(path string) string) error {
	h, err := findHost(log)
	if err != nil {
		return err
	}
	if err := h.standIn(dir); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, compiledDir, "main.go"), []byte(main(h.path+"/"+compiledDir)), 0o666)
}

// link builds the main package in dir.
func link(dir, exe string, log logger, env ...string) error {
	h, err := findHost(log)
	if err != nil {
		return err
	}
	return h.build(dir, exe, log, env...)
}
