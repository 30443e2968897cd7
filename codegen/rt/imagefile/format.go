package imagefile

import (
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
		extensions: []string{".tiff", ".tif"},
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

// HasExtension reports whether a file's name has the extension of a picture that this package
// reads, in any case. Decoding goes by content, not by name.
func HasExtension(name string) bool {
	e := strings.ToLower(filepath.Ext(name))
	return slices.ContainsFunc(formats, func(f format) bool { return slices.Contains(f.extensions, e) })
}

// Extensions says in words how names of pictures end that this package reads: ".png, .jpg or .tif".
func Extensions() string {
	var list []string
	for _, f := range formats {
		list = append(list, f.extensions[0])
	}
	return either(list)
}

// IsHEIC reports whether a file's name has an extension of HEIC pictures, whether they are read or not.
func IsHEIC(name string) bool {
	return slices.Contains(heicExtensions, strings.ToLower(filepath.Ext(name)))
}

var heicExtensions = []string{".heic", ".heif", ".hif", ".heics", ".heifs"}

// optional are formats that packages below this one read where they are linked: Register
// moves a row to formats.
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

// brands are how files start that name one of the codecs first, or, where they name a
// general brand first, among what else they are compatible with.
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

// Decoder is what a package gives that reads a format of its own. Its functions are called
// by several goroutines; one that panics answers with an error.
type Decoder struct {
	// Config returns the size of the picture that Decode returns, from a file's beginning.
	Config func(head []byte) (image.Config, error)
	// Decode decodes a file. Its result starts at (0, 0), and is not turned.
	Decode func(data []byte) (image.Image, error)
	// Memory returns at most how many bytes Decode takes, its result included, from a
	// file's beginning of which Config could read the size.
	Memory func(head []byte) int64
	// Orientation returns what the file says of how it is turned, 1 to 8 as EXIF numbers it.
	Orientation func(data []byte) int
	// Turned has it be turned whatever Options say.
	Turned bool
}

// Register has files of a format be read: heic or avif. Packages do so when they are
// initialised, before any picture is read; it panics if the format is another, or
// was registered before.
func Register(name string, d Decoder) {
	i := slices.IndexFunc(optional, func(f format) bool { return f.name == name })
	if i < 0 {
		panic("imagefile: Register of " + name + ", which is no format that a package reads, or is registered")
	}
	f := optional[i]
	optional = slices.Delete(optional, i, i+1)
	f.config = func(r io.Reader) (image.Config, error) {
		head, err := io.ReadAll(r)
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

// missing says what has files of an optional format be read.
func (f *format) missing() error {
	return fmt.Errorf("this picture is %s, for which this program was built without a decoder: build with --decoders %s, or import _ %q with -tags nodynamic; or convert it to PNG or JPEG",
		f.title, f.name, path+"/"+f.name)
}

// path is this package's, below which those for further formats are.
const path = "github.com/multiway-go/multiway/codegen/rt/imagefile"

// unread are how files end that cameras and people put among pictures.
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

// What a file is called like that is not read.
const (
	NoPicture    Unread = iota // or one that is read
	OtherPicture               // such as HEIC, and what cameras call RAW
	Film
)

// Unread is a kind of file that is not read, by extension: NoPicture, OtherPicture or Film.
type Unread uint8

// NotRead tells by the extension of a file that this package does not read what kind of file it is; NoPicture if the extension is read or
// unknown.
func NotRead(name string) Unread {
	if HasExtension(name) {
		return NoPicture
	}
	return unread[strings.ToLower(filepath.Ext(name))]
}
