package imagefile

import (
	"bytes"
	"fmt"
	"image"
	"math"
)

// frame is what a JPEG says of the picture before its first scan.
type frame struct {
	progressive bool
	w, h        int64
	samples     int64 // of a pass: the pixels, and what fills the last blocks
	ids         []byte
	shares      []float64 // of the pixels that a component has samples for
}

// checkJPEG counts the samples that the scans visit: a scan of a few bytes can make a
// decoder walk the whole picture.
func checkJPEG(data []byte, o Options) error {
	var f frame
	n, scans, passes := 0, 0, 0.0
	for marker, body := range segments(data) {
		if n++; n > maxParts {
			return parts(n, "segments")
		}
		switch {
		case isFrame(marker) && f.ids == nil:
			f = frameOf(marker, body)
		case marker == startOfScan:
			scans++
			passes += f.scan(body)
		}
	}
	if f.w*f.h > o.maxPixels() {
		return nil // which is refused for that
	}
	if most := float64(maxPasses * o.maxPixels() / max(1, f.samples)); passes > most {
		return fmt.Errorf("the file holds %d scans, which is %.0f passes of %d x %d pixels, want at most %.0f: %s",
			scans, math.Ceil(passes), f.w, f.h, most, again)
	}
	return nil
}

// frameOf reads the header of a frame; of one that is cut off there are no components.
func frameOf(marker byte, body []byte) frame {
	if len(body) < 6 {
		return frame{}
	}
	f := frame{progressive: marker == progressiveFrame, h: int64(body[1])<<8 | int64(body[2]), w: int64(body[3])<<8 | int64(body[4])}
	most, across, down := 1.0, int64(8), int64(8) // the pixels of the largest block of blocks
	for c := body[6:]; len(c) >= 3 && len(f.ids) < int(body[5]); c = c[3:] {
		n := float64(c[1]>>4) * float64(c[1]&15)
		f.ids, f.shares, most = append(f.ids, c[0]), append(f.shares, n), max(most, n)
		across, down = max(across, 8*int64(c[1]>>4)), max(down, 8*int64(c[1]&15))
	}
	f.samples = (f.w + across - 1) / across * across * ((f.h + down - 1) / down * down)
	for i := range f.shares {
		f.shares[i] /= most
		if len(f.shares) == 1 {
			f.shares[i] = 1 // whatever its sampling
		}
	}
	return f
}

// scan is how many passes of all pixels a scan takes. One of a sequential picture also
// makes the pixels, which is worth four.
func (f *frame) scan(body []byte) float64 {
	if len(body) == 0 {
		return 0
	}
	sum := 0.0
	for c := body[1:min(1+2*int(body[0]), len(body))]; len(c) >= 2; c = c[2:] {
		if i := bytes.IndexByte(f.ids, c[0]); i >= 0 {
			sum += f.shares[i]
		}
	}
	if !f.progressive {
		sum *= 4
	}
	return sum
}

// perPixelJPEG counts a byte a sample, four more for the coefficients of a progressive
// picture, and what the planes are converted to where they are.
func perPixelJPEG(head []byte, _ image.Config) int64 {
	n := int64(4)
	progressive := true
	for marker, body := range segments(head) {
		if isFrame(marker) {
			f := frameOf(marker, body)
			n, progressive = int64(len(f.ids)), f.progressive
			break
		}
	}
	if progressive {
		return 5*n + 8
	}
	return n + 8
}

// exifOfJPEG finds the first EXIF segment.
func exifOfJPEG(data []byte) []byte {
	for marker, body := range segments(data) {
		if exif, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok && marker == app1 {
			return exif
		}
	}
	return nil
}

const (
	startOfImage = 0xd8
	endOfImage   = 0xd9
	startOfScan  = 0xda
	app1         = 0xe1

	firstFrame       = 0xc0 // baseline
	progressiveFrame = 0xc2
	firstRestart     = 0xd0
	lastRestart      = 0xd7
	temporary        = 0x01
)

// isFrame says whether a marker begins a frame of a kind that is decoded.
func isFrame(marker byte) bool { return firstFrame <= marker && marker <= progressiveFrame }

// segments yields the marker and body of each segment of a JPEG until the end of
// the picture or the first one that is cut off. Compressed data after a scan's header
// is passed over.
func segments(data []byte) func(yield func(byte, []byte) bool) {
	return func(yield func(byte, []byte) bool) {
		for {
			// In compressed data 0xff is followed by 0 or a restart marker.
			i := bytes.IndexByte(data, 0xff)
			if i < 0 || i+1 >= len(data) {
				return
			}
			marker := data[i+1]
			if marker == 0xff { // padding
				data = data[i+1:]
				continue
			}
			data = data[i+2:]
			if marker == 0 || marker == temporary || marker == startOfImage || firstRestart <= marker && marker <= lastRestart {
				continue
			}
			if marker == endOfImage || len(data) < 2 {
				return
			}
			n := int(data[0])<<8 | int(data[1])
			if n < 2 || n > len(data) || !yield(marker, data[2:n]) {
				return
			}
			data = data[n:]
		}
	}
}
