package imagefile

import (
	"fmt"
	"image"
	"io"

	"github.com/multiway-go/multiway/ir/file"
)

// Bounds on the work of decoding, whatever a file says. Options bound the pixels; these
// constants bound the rest.
const (
	// maxParts is the most parts per file: chunks of a PNG or WebP, segments of a JPEG, blocks
	// of a GIF up to the end of its first frame.
	maxParts = 1 << 20
	// maxBlocks is the most strips or tiles of a TIFF, each of which takes a decoder of its
	// own.
	maxBlocks = 1 << 16
	// maxPasses times Options.MaxPixels is the most samples that the scans of a JPEG visit. A
	// progressive picture of 4 components takes 24 passes over all pixels, one in YCbCr takes
	// 14.
	maxPasses = 28
	// packedBase + packedRatio times the unpacked size, in bytes, is the most compressed data:
	// data that unpacks to nothing costs time too.
	packedBase, packedRatio = 1 << 20, 2
	// maxDeflated bounds the bytes of deflate or fax data, unless Options.MaxPixels is larger.
	// A megabyte of empty deflate blocks takes a tenth of a second.
	maxDeflated = DefaultMaxPixels
)

// parts returns an error for a file of more than maxParts parts.
func parts(n int, what string) error {
	if n > maxParts {
		return fmt.Errorf("the file has more than %d %s: %s", maxParts, what, again)
	}
	return nil
}

// packed returns an error for more compressed data than raw bytes of pixels can need.
func packed(bytes, raw int64) error {
	if limit := packedBase + packedRatio*raw; bytes > limit {
		return fmt.Errorf("the file holds %d bytes of compressed data for %d bytes of pixels, want at most %d: %s", bytes, raw, limit, again)
	}
	return nil
}

// flowing returns an error if more compressed data was read than the unpacked bytes can need:
// incompressible pixels take little more than their own size.
func flowing(read, unpacked int64) error {
	if limit := packedBase + unpacked + unpacked/4; read > limit {
		return fmt.Errorf("%d bytes of compressed data for %d bytes of pixels, want at most %d: %s", read, unpacked, limit, again)
	}
	return nil
}

// deflated returns an error for more deflate or fax data than maxDeflated.
func deflated(bytes int64, o Options) error {
	if limit := packedBase + max(maxDeflated, o.maxPixels()); bytes > limit {
		return limitf("the file holds %d bytes of compressed data, want at most %d: scale the picture down, save it as JPEG, or raise the limit of pixels", bytes, limit)
	}
	return nil
}

// turning is the memory, in bytes per pixel, that turning a picture takes: two RGB copies, or
// one of the deepest type.
const turning = 8

const again = "save the picture again in another program"

// headBytes is the length of the beginning of a file that Memory reads to find the size of the
// picture.
const headBytes = 1 << 20

// Memory returns an upper bound of the bytes that File takes at a time for this file, the
// decoded picture included. It depends on the size and format in the first megabyte of the
// file; if that does not hold the size, Memory assumes the largest picture. For a file that
// File refuses, it returns about the memory that the refusal takes.
func Memory(path string, o Options) int64 {
	f, err := file.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() > o.maxBytes() {
		return 0
	}
	head, err := io.ReadAll(io.LimitReader(f, headBytes))
	if err != nil {
		return st.Size()
	}
	kind, err := sniff(head)
	if err != nil {
		return st.Size()
	}
	// The directory of a TIFF may be anywhere in the file; its decoder reads it through
	// io.ReaderAt.
	var r io.Reader = f
	if kind.name != "tiff" {
		r = newMemory(head)
	}
	pixels := o.maxPixels()
	var model image.Config
	if size, c, err := kind.header(r); err == nil {
		model = c
		if checkSize(size, o) != nil {
			return st.Size()
		}
		pixels = int64(size.X) * int64(size.Y)
	} else if st.Size() <= headBytes {
		return st.Size() // the whole file was read, and it holds no picture
	}
	return kind.takes(head, model, pixels, st.Size(), o)
}

// takes returns an upper bound of the bytes that reading a picture takes. head is the file's
// beginning, or all of it; pixels is the size of the picture, size the length of the file.
func (f *format) takes(head []byte, c image.Config, pixels, size int64, o Options) int64 {
	if f.streams(head, o) {
		return size + f.stripMemory(head)
	}
	perPixel := f.memory(head, c)
	// EXIF and XMP may follow the pixels, except in a JPEG.
	known := f.name == "jpeg" || int64(len(head)) == size
	if f.turns(o) && (!known || f.about(head).orientation() != 1) {
		perPixel += turning
	}
	return size + pixels*perPixel + f.extra(size)
}
