package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// others are file types that users give by mistake.
var others = []struct {
	magic string // beginning of a file; ? is any byte
	what  string
	image bool // an image format that other programs can convert
}{
	{"????ftypmif1", "a HEIF picture", true},
	{"????ftypmsf1", "a HEIF picture", true},
	{"????ftyp", "a video (MP4 or QuickTime)", false},
	{"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", true},
	{"\xff\x0a", "a JPEG XL picture", true},
	{"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture", true},
	{"\xff\x4f\xff\x51", "a JPEG 2000 picture", true},
	{"8BPS", "a Photoshop file", true},
	{"\x00\x00\x01\x00", "an ICO icon", true},
	{"qoif", "a QOI picture", true},
	{"%PDF", "a PDF document", true},
	{"%!PS", "a PostScript document", true},
	{"P1\n", "a PBM picture", true}, {"P4\n", "a PBM picture", true},
	{"P2\n", "a PGM picture", true}, {"P5\n", "a PGM picture", true},
	{"P3\n", "a PPM picture", true}, {"P6\n", "a PPM picture", true},
	{"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)", false},
	{"RIFF????AVI ", "a video (AVI)", false},
	{"RIFF????WAVE", "a sound (WAV)", false},
	{"PK\x03\x04", "a ZIP archive", false},
	{"\x1f\x8b", "a gzip archive", false},
	{"version https://git-lfs", "a Git LFS pointer, not the file it stands for", false},
}

// wanted lists the formats that are read.
func wanted() string {
	var titles []string
	for _, f := range formats {
		titles = append(titles, f.title)
	}
	return "want " + either(titles)
}

// either joins two or more words as alternatives: "a, b or c".
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// sniff finds the format of a file by its first bytes.
func sniff(data []byte) (*format, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty, " + wanted())
	}
	for i := range formats {
		if formats[i].is(data) {
			return &formats[i], nil
		}
	}
	for i := range optional {
		if optional[i].is(data) {
			return nil, optional[i].missing()
		}
	}
	for _, o := range others {
		if starts(data, o.magic) {
			if o.image {
				return nil, fmt.Errorf("this is %s, which is not supported: convert it to PNG or JPEG", o.what)
			}
			return nil, fmt.Errorf("this is %s, %s", o.what, wanted())
		}
	}
	head := data[:min(len(data), 1024)]
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))))
	switch {
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return nil, errors.New("this is an HTML page, " + wanted())
	case bytes.HasPrefix(text, []byte("<")) && bytes.Contains(text, []byte("<svg")):
		return nil, errors.New("this is an SVG drawing, which is not supported: convert it to PNG or JPEG")
	}
	for _, f := range formats {
		for _, magic := range f.magic {
			if starts([]byte(magic), string(data)) {
				return nil, fmt.Errorf("the file has %d bytes and may be a %s that was cut off, %s", len(data), f.title, wanted())
			}
		}
	}
	return nil, fmt.Errorf("unknown format (starts with %q), %s", head[:min(len(head), 12)], wanted())
}

// is reports whether a file begins with one of the format's signatures.
func (f *format) is(data []byte) bool {
	return slices.ContainsFunc(f.magic, func(magic string) bool { return starts(data, magic) })
}

// starts reports whether data begins with magic, in which ? matches any byte.
func starts(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != data[i] {
			return false
		}
	}
	return true
}
