//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package blob

import "os"

// Map reads size bytes of f at off; release is nil. Files are mapped on Unix systems only.
func Map(f *os.File, off int64, size int) (data []byte, release func() error, err error) {
	return readFile(f, off, size)
}
