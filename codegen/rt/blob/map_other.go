//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package blob

import "os"

// mapFile reads size bytes of f at off. Weights are mapped on Unix systems only.
func mapFile(f *os.File, off int64, size int) ([]byte, func() error, error) {
	return readFile(f, off, size)
}
