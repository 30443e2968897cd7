package imagefile

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"math"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/jpeg"
)

// checkJPEG bounds the samples that the scans visit: a scan of a few bytes can make a decoder
// visit the whole picture.
func checkJPEG(data []byte, o Options) error {
	var f *jpeg.Frame
	n, scans, passes := 0, 0, 0.0
	for s := range jpeg.Segments(data) {
		if n++; n > maxParts {
			return parts(n, "segments")
		}
		switch {
		case jpeg.IsFrame(s.Marker) && f == nil:
			var err error
			if f, err = jpeg.ReadFrame(s); err != nil {
				return nil // the decoder returns this error
			}
		case s.Marker == jpeg.SOS && f != nil:
			scans++
			passes += passesOf(f, s)
		}
	}
	if f == nil || int64(f.Size.X)*int64(f.Size.Y) > o.maxPixels() {
		return nil // refused by its size
	}
	if most := float64(maxPasses * o.maxPixels() / f.Padded()); passes > most {
		return fmt.Errorf("the file holds %d scans, which is %.0f passes of %d x %d pixels, want at most %.0f: %s",
			scans, math.Ceil(passes), f.Size.X, f.Size.Y, most, again)
	}
	return nil
}

// passesOf returns the cost of a scan in passes over all pixels. A sequential scan includes the
// inverse DCT, which counts as four passes. Arithmetic coding, in which a few bytes can encode
// many coefficients of many steps each, multiplies the cost by four.
func passesOf(f *jpeg.Frame, s jpeg.Segment) float64 {
	n := f.Passes(s)
	if !f.Progressive {
		n *= 4
	}
	if f.Arithmetic {
		n *= 4
	}
	return n
}

func configJPEG(r io.Reader) (image.Config, error) {
	data, err := readAll(r)
	if err != nil {
		return image.Config{}, err
	}
	f, err := jpeg.FindFrame(data)
	if err != nil {
		return image.Config{}, err
	}
	return image.Config{Width: f.Size.X, Height: f.Size.Y}, nil
}

// perPixelJPEG returns the bytes per pixel that decoding takes.
func perPixelJPEG(head []byte, c image.Config) int64 {
	const worst = 19 // for four planes
	pixels := max(1, int64(c.Width)*int64(c.Height))
	if n := jpeg.Memory(head); n > 0 {
		return (n + pixels - 1) / pixels
	}
	return worst
}

// aboutJPEG reads the metadata in segments before the first scan. EXIF data may span several
// segments.
func aboutJPEG(data []byte) (a about) {
	for s := range jpeg.Segments(data) {
		if s.Marker == jpeg.SOS {
			break
		}
		if s.Marker != jpeg.APP1 {
			continue
		}
		if exif, ok := bytes.CutPrefix(s.Body, []byte(exifPrefix)); ok {
			a.exif = append(a.exif, exif...)
		} else if xmp, ok := bytes.CutPrefix(s.Body, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok {
			a.xmp = xmp
		}
	}
	return a
}
