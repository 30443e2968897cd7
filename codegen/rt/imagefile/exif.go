package imagefile

import (
	"bytes"
	"math"
)

// about is what a file says about its picture, nil where it says nothing.
type about struct {
	exif []byte // a TIFF
	xmp  []byte // an XML text

	turned int // the orientation that the format itself has; 0: it has none
}

// orientation is 1 to 8, 1 for upright: the format's own, else EXIF's if there is one,
// else XMP's. Anything damaged counts as upright.
func (a about) orientation() int {
	v, found := a.turned, a.turned != 0
	if !found {
		v, found = exifOrientation(a.exif)
	}
	if !found {
		v = xmpOrientation(a.xmp)
	}
	if v < 1 || v > 8 {
		return 1
	}
	return v
}

// exifOrientation reads the orientation from an EXIF block: a number of any kind.
func exifOrientation(exif []byte) (v int, found bool) {
	for bytes.HasPrefix(exif, []byte(exifPrefix)) {
		exif = exif[len(exifPrefix):]
	}
	e := directory(bytes.NewReader(exif)).entry(tagOrientation)
	if e == nil || e.count == 0 {
		return 0, false
	}
	if x := e.real(); x == math.Trunc(x) && x >= 1 && x <= 8 {
		v = int(x)
	}
	return v, true
}

const exifPrefix = "Exif\x00\x00" // what precedes EXIF in a JPEG

// xmpOrientation finds tiff:Orientation, an attribute or an element.
func xmpOrientation(xmp []byte) int {
	for {
		_, rest, found := bytes.Cut(xmp, []byte("tiff:Orientation"))
		if !found {
			return 0
		}
		for _, sign := range []string{`="`, ">"} {
			if v, ok := bytes.CutPrefix(rest, []byte(sign)); ok && len(v) > 0 && '0' <= v[0] && v[0] <= '9' {
				return int(v[0] - '0')
			}
		}
		xmp = rest
	}
}
