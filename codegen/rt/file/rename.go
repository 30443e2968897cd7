//go:build !windows

package file

import "os"

// rename gives the open temporary its name and closes it: it is held until then.
func rename(f *os.File, path string) error {
	err := os.Rename(f.Name(), path)
	if err == nil {
		f.Close()
	}
	return err
}
