package imagefile

import (
	"bytes"
	"fmt"
	"image"
	"io"

	"github.com/multiway-go/multiway/ir/file"
)

// What decoding may do, whatever a file says. Pixels are bounded by Options; these bound
// what a file can ask for besides.
const (
	// maxParts is the most parts of a file that are looked at: chunks of a PNG or WebP,
	// segments of a JPEG, blocks of a GIF up to the end of its first frame.
	maxParts = 1 << 20
	// maxBlocks is the most strips or tiles of a TIFF. Each is unpacked by a decoder
	// of its own.
	maxBlocks = 1 << 16
	// maxPasses times Options.MaxPixels is the most samples that the scans of a JPEG
	// visit. A progressive one of 4 colours takes 24 passes over all pixels, one of
	// YCbCr 14.
	maxPasses = 28
	// packedBase and packedRatio times the size of the unpacked pixels is the most
	// packed data: packed data that unpacks to nothing takes time too.
	packedBase, packedRatio = 1 << 20, 2
	// maxDeflated is the most data packed by deflate or by the codes of fax, or
	// Options.MaxPixels if that is more: of nothing but blocks that unpack to nothing a
	// megabyte takes a tenth of a second.
	maxDeflated = DefaultMaxPixels
)

// parts refuses a file of too many parts.
func parts(n int, what string) error {
	if n > maxParts {
		return fmt.Errorf("the file is made of more than %d %s: %s", maxParts, what, again)
	}
	return nil
}

// packed refuses more packed data than pixels of raw bytes can need.
func packed(bytes, raw int64) error {
	if limit := packedBase + packedRatio*raw; bytes > limit {
		return fmt.Errorf("the file holds %d bytes of packed data for %d bytes of pixels, want at most %d: %s", bytes, raw, limit, again)
	}
	return nil
}

// flowing refuses packed data of which more was read than what came of it can need: pixels
// that do not pack take little more than themselves.
func flowing(read, unpacked int64) error {
	if limit := packedBase + unpacked + unpacked/4; read > limit {
		return fmt.Errorf("%d bytes of packed data for %d bytes of pixels, want at most %d: %s", read, unpacked, limit, again)
	}
	return nil
}

// deflated refuses more data that is slow to unpack than maxDeflated.
func deflated(bytes int64, o Options) error {
	if limit := packedBase + max(maxDeflated, o.maxPixels()); bytes > limit {
		return fmt.Errorf("the file holds %d bytes of packed data, want at most %d: scale the picture down, save it as JPEG, or raise the limit of pixels", bytes, limit)
	}
	return nil
}

// turning is how many bytes a pixel takes that is turned: RGB and RGB, or the deepest kind.
const turning = 8

const again = "save the picture again in another program"

// headBytes is how much of a file Memory reads to find the picture's size.
const headBytes = 1 << 20

// Memory returns at most how many bytes File takes at a time to read the picture, its
// result included, by the size and kind that the file's beginning tells; where it does
// not, that of the largest picture. Of a file that File refuses, it is about what
// refusing takes. It reads a megabyte at most.
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
	// A TIFF's directory may be anywhere, and the decoder finds it by io.ReaderAt.
	var r io.Reader = f
	if kind.name != "tiff" {
		r = bytes.NewReader(head)
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
		return st.Size() // all was seen, and it is no picture
	}
	return kind.takes(head, model, pixels, st.Size(), o)
}

// takes is at most how many bytes reading a picture takes of so many pixels, in a file of
// that size; head is its beginning, or all of it.
func (f *format) takes(head []byte, c image.Config, pixels, size int64, o Options) int64 {
	perPixel := f.memory(head, c)
	// What is said about the picture may stand behind it, but not in a JPEG.
	known := f.name == "jpeg" || int64(len(head)) == size
	if f.turns(o) && (!known || f.about(head).orientation() != 1) {
		perPixel += turning
	}
	return size + pixels*perPixel + f.extra(size)
}
