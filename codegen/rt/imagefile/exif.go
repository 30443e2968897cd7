package imagefile

import (
	"bytes"
	"math"
)

// about is the metadata of a picture that may hold its orientation; nil fields are absent.
type about struct {
	exif []byte // in TIFF format
	xmp  []byte // in XML

	turned int // orientation in the format itself, as an EXIF value; 0: none
}

// orientation returns an EXIF orientation, 1 to 8: from the format itself, else from EXIF, else
// from XMP. Missing or damaged metadata gives 1, upright.
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

// exifOrientation reads the orientation from an EXIF block; found reports whether the tag is
// there. Any numeric type is accepted.
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

const exifPrefix = "Exif\x00\x00" // prefix of EXIF data in a JPEG segment

// xmpOrientation finds tiff:Orientation, as an attribute or an element; 0 if there is none.
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
