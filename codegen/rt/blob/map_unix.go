//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package blob

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps size bytes of f at off, read-only. If that fails (an offset inside a page,
// a file system without mappings), it reads them into memory.
func mapFile(f *os.File, off int64, size int) ([]byte, func() error, error) {
	if off%int64(os.Getpagesize()) != 0 {
		return readFile(f, off, size)
	}
	data, err := unix.Mmap(int(f.Fd()), off, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return readFile(f, off, size)
	}
	adviseHuge(data)
	return data, func() error { return unix.Munmap(data) }, nil
}
