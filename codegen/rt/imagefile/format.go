package imagefile

import (
	"fmt"
	"image"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/multiway-go/multiway/codegen/rt/imagefile/jpeg"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// format is a row of the table of formats: all that the package knows about a format.
type format struct {
	name, title string
	magic       []string // possible beginnings of a file; ? is any byte
	extensions  []string
	// check returns an error for files that ask for more work than the budget allows, before
	// config and decode see them; nil: no check is needed.
	check  func(data []byte, o Options) error
	config func(io.Reader) (image.Config, error)
	decode func(data []byte) (image.Image, error)
	memory func(head []byte, c image.Config) int64 // most bytes per pixel that decode takes
	tables int64                                   // most bytes of tables that decode takes besides, see extra
	// strips decodes the picture for a pixel.Stream, reduced by 1, 2, 4 or 8, and stripMemory returns the most bytes that this
	// takes, given the file's beginning; 0: this picture has no strips. nil: no picture has.
	strips      func(data []byte, by int) iter.Seq2[pixel.Strip, error]
	stripMemory func(head []byte) int64
	about       func(data []byte) about // reads the metadata; nil: the format has none
	turned      bool                    // the orientation is part of the format: it is applied whatever Options say
}

// formats are constants: a program that does not decode is linked without the decoders.
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
		magic:       []string{"\xff\xd8\xff"},
		extensions:  []string{".jpg", ".jpeg", ".jpe", ".jfif"},
		check:       checkJPEG,
		config:      configJPEG,
		decode:      jpeg.Decode,
		memory:      perPixelJPEG,
		strips:      jpeg.Strips,
		stripMemory: jpeg.StripMemory,
		about:       aboutJPEG,
	},
	{
		name: "webp", title: "WebP",
		magic:      []string{"RIFF????WEBP"},
		extensions: []string{".webp"},
		check:      checkWebP,
		config:     configWebP,
		decode:     decodeWebP,
		memory:     func([]byte, image.Config) int64 { return 16 },
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
		memory:     func([]byte, image.Config) int64 { return 1 },
	},
	{
		name: "bmp", title: "BMP",
		magic:      []string{"BM"},
		extensions: []string{".bmp", ".dib"},
		config:     configBMP,
		decode:     decodeBMP,
		memory:     func([]byte, image.Config) int64 { return 4 },
	},
	{
		name: "tiff", title: "TIFF",
		magic:      []string{"II*\x00", "MM\x00*", "II\x00*", "MM*\x00", "II+\x00", "MM\x00+"},
		extensions: []string{".tiff", ".tif"},
		check:      checkTIFF,
		config:     configTIFF,
		decode:     decodeTIFF,
		memory:     func([]byte, image.Config) int64 { return 24 },
		about:      aboutTIFF,
		turned:     true,
	},
}

// extra returns an upper bound of the bytes that decode takes besides the pixels, for a file of
// the given size: 256 times the size, at most tables.
func (f *format) extra(size int64) int64 { return min(f.tables, 256*size) }

// HasExtension reports whether a file name has an extension, in any case, of a format that this
// package reads. Decoding goes by content, not by name.
func HasExtension(name string) bool {
	e := strings.ToLower(filepath.Ext(name))
	return slices.ContainsFunc(formats, func(f format) bool { return slices.Contains(f.extensions, e) })
}

// Extensions lists one extension of each format that this package reads, in words: ".png, .jpg
// or .tif".
func Extensions() string {
	var list []string
	for _, f := range formats {
		list = append(list, f.extensions[0])
	}
	return either(list)
}

// IsHEIC reports whether a file name has an extension of HEIC, whether a decoder is linked or
// not.
func IsHEIC(name string) bool {
	return slices.Contains(heicExtensions, strings.ToLower(filepath.Ext(name)))
}

var heicExtensions = []string{".heic", ".heif", ".hif", ".heics", ".heifs"}

// optional are the formats whose decoders are packages below this one. Register moves a row to
// formats.
var optional = []format{
	{
		name: "heic", title: "HEIC",
		magic:      brands("heic", "heix", "heim", "heis", "hevc", "hevx"),
		extensions: heicExtensions,
	},
	{
		name: "avif", title: "AVIF",
		magic:      brands("avif", "avis"),
		extensions: []string{".avif", ".avifs"},
	},
}

// brands returns the beginnings of HEIF files whose major brand is one of the codecs, or whose
// major brand is a general one with one of the codecs among the first compatible brands.
func brands(codecs ...string) (magic []string) {
	for _, codec := range codecs {
		magic = append(magic, "????ftyp"+codec)
		for _, general := range []string{"mif1", "mif2", "msf1"} {
			for n := range 8 {
				magic = append(magic, "????ftyp"+general+"????"+strings.Repeat("????", n)+codec)
			}
		}
	}
	return magic
}

// Decoder is the decoder of an optional format. Its functions must be safe for concurrent use;
// a panic in one becomes an error.
type Decoder struct {
	// Config returns the size of the picture that Decode returns, given the beginning of a
	// file.
	Config func(head []byte) (image.Config, error)
	// Decode decodes a file. The bounds of its result start at (0, 0); it does not apply the
	// orientation.
	Decode func(data []byte) (image.Image, error)
	// Memory returns an upper bound of the bytes that Decode takes, its result included, given
	// the beginning of a file for which Config succeeds.
	Memory func(head []byte) int64
	// Orientation returns the orientation in the file as an EXIF value, 1 to 8.
	Orientation func(data []byte) int
	// Turned is set if the orientation is applied whatever Options say.
	Turned bool
}

// Register adds the decoder of an optional format: heic or avif. Call it during package
// initialisation. It panics if name is another format or is registered already.
func Register(name string, d Decoder) {
	i := slices.IndexFunc(optional, func(f format) bool { return f.name == name })
	if i < 0 {
		panic("imagefile: Register of " + name + ": not an optional format, or registered already")
	}
	f := optional[i]
	optional = slices.Delete(optional, i, i+1)
	f.config = func(r io.Reader) (image.Config, error) {
		head, err := readAll(r)
		if err != nil {
			return image.Config{}, err
		}
		return d.Config(head)
	}
	f.decode = d.Decode
	f.memory = func(head []byte, c image.Config) int64 {
		pixels := max(1, int64(c.Width)*int64(c.Height))
		return (d.Memory(head) + pixels - 1) / pixels
	}
	f.about = func(data []byte) about { return about{turned: d.Orientation(data)} }
	f.turned = d.Turned
	formats = append(formats, f)
}

// missing returns the error for files of an optional format that is not linked.
func (f *format) missing() error {
	return fmt.Errorf("this picture is %s, for which this program was built without a decoder: build with --decoders %s, or import _ %q with -tags nodynamic; or convert it to PNG or JPEG",
		f.title, f.name, path+"/"+f.name)
}

// path is the import path of this package, below which the decoders of optional formats are.
const path = "github.com/multiway-go/multiway/codegen/rt/imagefile"

// WantedDecoder returns the name of the optional format that files with the extension of name are
// of, if its decoder is not linked, and otherwise "".
func WantedDecoder(name string) string {
	e := strings.ToLower(filepath.Ext(name))
	for _, f := range optional {
		if slices.Contains(f.extensions, e) {
			return f.name
		}
	}
	return ""
}

// unread maps extensions of files found among pictures to the kinds that are not read.
var unread = map[string]Unread{}

func init() {
	for _, e := range strings.Fields(`.jxl .jp2 .j2k .jpx .psd .svg .ico .tga .pcx .ppm .pgm .pbm .pnm .qoi .exr .hdr .xcf
		.cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .dng .raf .orf .rw2 .pef .srw .x3f .3fr .iiq .kdc .dcr .mrw .raw .rwl`) {
		unread[e] = OtherPicture
	}
	for _, f := range optional {
		for _, e := range f.extensions {
			unread[e] = OtherPicture
		}
	}
	for _, e := range strings.Fields(".mov .mp4 .m4v .avi .3gp .mts .m2ts .mkv .webm .wmv .mpg .mpeg") {
		unread[e] = Film
	}
}

// Kinds of files that are not read.
const (
	NoPicture    Unread = iota // or a picture that is read
	OtherPicture               // an image format that is not supported, such as HEIC or a camera's RAW
	Film
)

// Unread is a kind of file that is not read, judged by its extension: NoPicture, OtherPicture
// or Film.
type Unread uint8

// NotRead returns the kind of a file that this package does not read, by its extension;
// NoPicture if the extension is read or unknown.
func NotRead(name string) Unread {
	if HasExtension(name) {
		return NoPicture
	}
	return unread[strings.ToLower(filepath.Ext(name))]
}
