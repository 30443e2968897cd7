package blob

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHuge has the system read a mapped file in huge pages where it can. Pages of the file that are in
// memory already stay as they are.
func adviseHuge(mapped []byte) {
	unix.Madvise(mapped, unix.MADV_HUGEPAGE) // fails on a system without huge pages
}

// copyHuge copies data into memory backed by huge pages. ok is false if the system does
// not provide them.
func copyHuge(data []byte) (copied []byte, release func() error, ok bool) {
	mem, err := unix.Mmap(-1, 0, len(data)+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, false
	}
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(mem))) % hugePage)
	dst := mem[off : off+len(data)]
	if err := unix.Madvise(mem, unix.MADV_HUGEPAGE); err != nil {
		unix.Munmap(mem)
		return nil, nil, false
	}
	copy(dst, data)
	return dst, func() error { return unix.Munmap(mem) }, true
}
