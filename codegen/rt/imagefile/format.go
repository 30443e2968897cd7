package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/jpeg"
)

// format is a row of the table of formats: all that the package knows of one.
type format struct {
	name, title string
	magic       []string // how files start; ? is any byte
	extensions  []string
	// check refuses what config and decode should not see: files that ask for more work
	// than the budget. nil: they can ask for none.
	check  func(data []byte, o Options) error
	config func(io.Reader) (image.Config, error)
	decode func(data []byte) (image.Image, error)
	memory func(head []byte, c image.Config) int64 // most bytes a pixel that decode takes
	tables int64                                   // most bytes that decode takes besides, for large files
	about  func(data []byte) about                 // nil: files say nothing about their picture
	turned bool                                    // the orientation is part of the format, applied whatever Options say
}

var formats = []format{
	{
		name: "png", title: "PNG",
		magic:      []string{"\x89PNG\r\n\x1a\n"},
		extensions: []string{".png", ".apng"},
		check:      checkPNG,
		config:     configPNG,
		decode:     decodePNG,
		memory:     perPixelPNG,
		about:      aboutPNG,
	},
	{
		name: "jpeg", title: "JPEG",
		magic:      []string{"\xff\xd8\xff"},
		extensions: []string{".jpg", ".jpeg", ".jpe", ".jfif"},
		check:      checkJPEG,
		config:     configJPEG,
		decode:     jpeg.Decode,
		memory:     perPixelJPEG,
		about:      aboutJPEG,
	},
	{
		name: "webp", title: "WebP",
		magic:      []string{"RIFF????WEBP"},
		extensions: []string{".webp"},
		check:      checkWebP,
		config:     configWebP,
		decode:     decodeWebP,
		memory:     perPixel(16),
		tables:     160 << 20,
		about:      aboutWebP,
	},
	{
		name: "gif", title: "GIF",
		magic:      []string{"GIF87a", "GIF89a"},
		extensions: []string{".gif"},
		check:      checkGIF,
		config:     configGIF,
		decode:     decodeGIF,
		memory:     perPixel(1),
	},
	{
		name: "bmp", title: "BMP",
		magic:      []string{"BM"},
		extensions: []string{".bmp", ".dib"},
		config:     configBMP,
		decode:     decodeBMP,
		memory:     perPixel(4),
	},
	{
		name: "tiff", title: "TIFF",
		magic:      []string{"II*\x00", "MM\x00*", "II\x00*", "MM*\x00", "II+\x00", "MM\x00+"},
		extensions: []string{".tif", ".tiff"},
		check:      checkTIFF,
		config:     configTIFF,
		decode:     decodeTIFF,
		memory:     perPixel(24),
		about:      aboutTIFF,
		turned:     true,
	},
}

func perPixel(n int64) func([]byte, image.Config) int64 {
	return func([]byte, image.Config) int64 { return n }
}

// extra is what decode takes besides the pixels: tables as large as 256 times the file.
func (f *format) extra(size int64) int64 { return min(f.tables, 256*size) }

// HasExtension reports whether a file's name ends as that of a picture this package
// reads, in any case. Decoding goes by content, not by name.
func HasExtension(name string) bool {
	e := strings.ToLower(filepath.Ext(name))
	return slices.ContainsFunc(formats, func(f format) bool { return slices.Contains(f.extensions, e) })
}

// unread are how files end that cameras and people put among pictures.
var unread = map[string]Unread{}

func init() {
	for _, e := range strings.Fields(`.heic .heif .hif .avif .jxl .jp2 .j2k .jpx .psd .svg .ico .tga .pcx .ppm .pgm .pbm .pnm .qoi .exr .hdr .xcf
		.cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .dng .raf .orf .rw2 .pef .srw .x3f .3fr .iiq .kdc .dcr .mrw .raw .rwl`) {
		unread[e] = OtherPicture
	}
	for _, e := range strings.Fields(".mov .mp4 .m4v .avi .3gp .mts .m2ts .mkv .webm .wmv .mpg .mpeg") {
		unread[e] = Film
	}
}

// What a file is called like that is not read.
const (
	NoPicture    Unread = iota // or one that is read
	OtherPicture               // such as HEIC, and what cameras call RAW
	Film
)

// Unread is what a file is called like that is not read: NoPicture, OtherPicture or Film.
type Unread uint8

// NotRead says what a file is called like, if that is none of what this package reads.
func NotRead(name string) Unread {
	if HasExtension(name) {
		return NoPicture
	}
	return unread[strings.ToLower(filepath.Ext(name))]
}

// others are kinds of files that people hand in for pictures.
var others = []struct {
	magic string // how files start; ? is any byte
	what  string
	image bool // a picture that could be converted
}{
	{"????ftypavi", "an AVIF picture", true}, // avif, avis
	{"????ftyphei", "a HEIC picture", true},  // heic, heix, heim, heis
	{"????ftyphev", "a HEIC picture", true},  // hevc, hevx
	{"????ftypmif1", "a HEIF picture (HEIC or AVIF)", true},
	{"????ftypmsf1", "a HEIF picture (HEIC or AVIF)", true},
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

const wanted = "want PNG, JPEG, WebP, GIF, BMP or TIFF"

// sniff finds the format of a file by how it starts.
func sniff(data []byte) (*format, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty, " + wanted)
	}
	for i := range formats {
		for _, magic := range formats[i].magic {
			if starts(data, magic) {
				return &formats[i], nil
			}
		}
	}
	for _, o := range others {
		if starts(data, o.magic) {
			if o.image {
				return nil, fmt.Errorf("this is %s, which is not supported: convert it to PNG or JPEG", o.what)
			}
			return nil, fmt.Errorf("this is %s, %s", o.what, wanted)
		}
	}
	head := data[:min(len(data), 1024)]
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))))
	switch {
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return nil, errors.New("this is an HTML page, " + wanted)
	case bytes.HasPrefix(text, []byte("<")) && bytes.Contains(text, []byte("<svg")):
		return nil, errors.New("this is an SVG drawing, which is not supported: convert it to PNG or JPEG")
	}
	for _, f := range formats {
		for _, magic := range f.magic {
			if starts([]byte(magic), string(data)) {
				return nil, fmt.Errorf("the file has %d bytes and may be a %s that was cut off, %s", len(data), f.title, wanted)
			}
		}
	}
	return nil, fmt.Errorf("unknown format (starts with %q), %s", head[:min(len(head), 12)], wanted)
}

// starts reports whether data starts with magic, in which ? is any byte.
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
