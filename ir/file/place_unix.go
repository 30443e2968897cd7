//go:build unix

package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// special reports whether names of a folder stand for open files and devices, such as /dev/stdout: also where one stands
// for a regular file just now it is not to be replaced.
func special(dir string) bool {
	dir, err := filepath.Abs(dir)
	return err == nil && dir == "/dev"
}

// own reports whether a file is of the user that this process acts for.
func own(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}

// syncFolder makes the names in a folder safe from a power failure.
func syncFolder(dir string) error {
	d, err := openFolder(dir)
	if err != nil {
		return nil // a folder may be written and not read
	}
	defer d.Close()
	return synced(d)
}
