package decode

import (
	"bytes"
	"fmt"
)

// maxScans bounds a progressive JPEG's scans. Encoders make about ten; a scan of a few
// bytes can make a decoder walk the whole picture.
const maxScans = 100

func checkJPEG(data []byte) error {
	scans := 0
	for marker := range segments(data) {
		if marker == startOfScan {
			scans++
		}
	}
	if scans > maxScans {
		return fmt.Errorf("the file holds %d scans of the picture, want at most %d: convert the picture to PNG", scans, maxScans)
	}
	return nil
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
	firstRestart = 0xd0
	lastRestart  = 0xd7
	temporary    = 0x01
)

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
