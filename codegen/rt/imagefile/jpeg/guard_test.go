//go:build (linux || darwin) && (amd64 || arm64) && !noasm

package jpeg

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	_ "github.com/gen2brain/jpegn"
)

// jpegn's transform, by the CPU's vectors and in Go. Blocks are overwritten.
//
//go:linkname jpegnIDCT github.com/gen2brain/jpegn.idct
func jpegnIDCT(block *[64]int32, out []byte, offset, stride int)

//go:linkname jpegnIterative github.com/gen2brain/jpegn.idctIterative
func jpegnIterative(block *[64]int32, out []byte, offset, stride int)

// jpegn's assembly stays within its block and its plane, which here end and begin at pages that nobody may touch, and
// equals jpegn's Go code.
func TestFence(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, width := range []int{8, 16, 24, 64, 512} {
		blocks := fence(t, 2*256)
		for _, at := range []int{0, len(blocks) - 256} {
			block := (*[64]int32)(unsafe.Pointer(&blocks[at]))
			plane := fence(t, 8*width)
			for _, plane := range [][]byte{plane[:8*width], plane[len(plane)-8*width:]} {
				for x := 0; x < width; x += 8 {
					for _, known := range []int{0, 1, 3, 64} {
						var coefficients [64]int32
						for i := range known {
							coefficients[i] = int32(r.IntN(1<<11) - 1<<10)
						}
						want := make([]byte, 8*width)
						copy(want, plane)
						*block = coefficients
						jpegnIDCT(block, plane, x, width)
						*block = coefficients
						jpegnIterative(block, want, x, width)
						if !bytes.Equal(plane, want) {
							t.Fatalf("block at column %d of %d, %d coefficients: assembly writes other samples than Go", x, width, known)
						}
					}
				}
			}
		}
	}
}

// fence returns at least n bytes between two pages that nobody may touch.
func fence(t *testing.T, n int) []byte {
	page := syscall.Getpagesize()
	size := (n + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	for _, guard := range [][]byte{m[:page], m[page+size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[page:][:size:size]
}
