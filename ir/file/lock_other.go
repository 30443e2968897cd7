//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd && !windows

package file

import (
	"io/fs"
	"os"
)

// locks is false, since these systems have no file locks that this package uses. Temporary files of killed processes cannot
// be told from files in use, so they stay.
const locks = false

func createLocked(path string, perm fs.FileMode) (f, held *os.File, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	return f, f, err
}

func openLocked(path string) (f, held *os.File, err error) {
	f, err = os.OpenFile(path, os.O_RDWR, 0)
	return f, f, err
}

func lockLeftover(string) *os.File { return nil }

func lockFolder(string) (*os.File, error) { return nil, nil }
