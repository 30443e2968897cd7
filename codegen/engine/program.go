package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// compiledDir is the folder of the main package in the folder of its program.
const compiledDir = "compiled"

// Place returns the folder for the package called name in the folder dir of a program, where
// the main package can import it.
func Place(dir, name string) string { return filepath.Join(dir, compiledDir, name) }

// Around returns the text of a main package that imports the package called model. The text has a %q for
// its import path.
func Around(text string) func(path string) string {
	return func(path string) string { return fmt.Sprintf(text, path+"/model") }
}

// Build builds the executable exe from a main package and the packages that are in their
// [Place] in the folder dir. main returns the main package's text for an import path PATH, with
// which a package called name is imported as PATH/name. env is added to the environment of the
// go command. Log, if not nil, gets a line before long work.
func Build(dir, exe string, main func(path string) string, log func(format string, args ...any), env ...string) error {
	if err := writeMain(dir, log, main); err != nil {
		return err
	}
	return link(dir, exe, log, env...)
}

// Here returns the environment for building programs that run on this system, with the given
// GOARCH, whatever the user's environment says.
func Here(arch string) []string { return []string{"GOOS=" + runtime.GOOS, "GOARCH=" + arch} }

// writeMain writes a main package and the stand-in in which it is built.
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
