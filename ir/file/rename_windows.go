package file

import (
	"fmt"
	"os"
	"path/filepath"
)

// rename gives the open temporary file its name and closes it. An old file that is mapped or running can be neither replaced
// nor removed, but it can be renamed to a leftover, which the next Create of this file removes once no program uses it.
func rename(f *os.File, path string) error {
	err := os.Rename(f.Name(), path)
	if err != nil {
		dir, base := filepath.Split(path)
		aside := dir + temporary(base)
		if os.Rename(path, aside) == nil {
			if err = os.Rename(f.Name(), path); err == nil {
				os.Remove(aside)
			} else {
				os.Rename(aside, path)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%w; if a program uses the file, end it and run this again", err)
	}
	f.Close()
	return nil
}
