//go:build unix

package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// special reports whether names in the folder stand for open files and devices, such as /dev/stdout. They must not be replaced
// even if they point to a regular file at the moment.
func special(dir string) bool {
	dir, err := filepath.Abs(dir)
	return err == nil && dir == "/dev"
}

// own reports whether a file belongs to the user of this process.
func own(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}

// syncFolder syncs the names in a folder to disk.
func syncFolder(dir string) error {
	d, err := openFolder(dir)
	if err != nil {
		return nil // the folder may be writable but not readable
	}
	defer d.Close()
	return synced(d)
}
