//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package blob

import (
	"os"

	"golang.org/x/sys/unix"
)

// Map maps size bytes of f at off, read-only, for as long as release is not called. If that
// fails (an offset inside a page, a file system without mappings), it reads them into memory,
// and release is nil. Reading mapped bytes faults if the file is cut; see [Watch].
func Map(f *os.File, off int64, size int) (data []byte, release func() error, err error) {
	if off%int64(os.Getpagesize()) != 0 {
		return readFile(f, off, size)
	}
	data, err = unix.Mmap(int(f.Fd()), off, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return readFile(f, off, size)
	}
	adviseHuge(data)
	return data, func() error { return unix.Munmap(data) }, nil
}
