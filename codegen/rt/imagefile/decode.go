package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/multiway-go/multiway/codegen/rt/memory"
	"github.com/multiway-go/multiway/codegen/rt/pixel"
	"github.com/multiway-go/multiway/ir/file"
)

// Defaults of Options.
const (
	DefaultMaxPixels = 64 << 20
	DefaultMaxBytes  = 256 << 20
)

// Options are the limits and settings of decoding. The zero value is ready to use.
type Options struct {
	// MaxPixels is the largest width x height that is decoded; 0: DefaultMaxPixels. Decoding
	// takes 2 to 8 bytes per pixel, and more for rare formats: 16 for a PNG of 16 bits, 19 for
	// a CMYK JPEG, up to 24 for a TIFF plus 8 to turn it, up to 52 for HEIC and AVIF. Memory
	// returns the figure for a given file. No side may be longer than pixel.MaxSide. The
	// deflate data of a TIFF may be up to max(MaxPixels, DefaultMaxPixels) bytes plus a MiB.
	MaxPixels int64
	// MaxBytes is the largest file that is read, in bytes; 0: DefaultMaxBytes.
	MaxBytes int64
	// MaxMemory is the most bytes that decoding may take, the file and the result included. A
	// picture that may take more, as Memory estimates, is refused. 0: three quarters of the memory
	// that the process can use. A quarter is left for everything else, because the system kills a
	// process that exceeds its memory without a message.
	MaxMemory int64
	// IgnoreOrientation leaves pictures as they are stored. Otherwise they are turned and
	// mirrored upright as their EXIF, or else their XMP, says. TIFF and HEIC are always turned,
	// because their orientation is part of the format.
	IgnoreOrientation bool
	// Stream returns a pixel.Stream where the format allows: most JPEGs. The file is decoded when
	// package pixel reads the picture, a strip at a time, and turned on the way, so that neither the
	// picture nor its planes are in memory. Damage is an error of that package's functions then, and
	// the picture retains the file.
	Stream bool
}

func (o Options) maxPixels() int64 {
	if o.MaxPixels > 0 {
		return o.MaxPixels
	}
	return DefaultMaxPixels
}

func (o Options) maxBytes() int64 {
	if o.MaxBytes > 0 {
		return o.MaxBytes
	}
	return DefaultMaxBytes
}

func (o Options) maxMemory() int64 {
	if o.MaxMemory > 0 {
		return o.MaxMemory
	}
	return defaultMaxMemory()
}

var defaultMaxMemory = sync.OnceValue(func() int64 { return memory.Hard() / 4 * 3 })

// ErrLimit is found by errors.Is in the errors for pictures and files that are too large.
var ErrLimit = errors.New("over the limit")

// limitError is ErrLimit in words of its own.
type limitError struct{ error }

func limitf(format string, args ...any) error { return limitError{fmt.Errorf(format, args...)} }

func (limitError) Is(target error) bool { return target == ErrLimit }
func (e limitError) Unwrap() error      { return errors.Unwrap(e.error) }

// ErrMaxPixels is the cause of an error for a picture larger than Options.MaxPixels.
var ErrMaxPixels = errors.New("scale it down or raise the limit")

// File reads a picture from a regular file, as Decode does. Errors name the file, quoted by
// file.Quote.
func File(path string, o Options) (image.Image, string, error) {
	data, err := Load(path, o)
	if err != nil {
		return nil, "", err
	}
	return Loaded(path, data, o)
}

// Loaded is File for a file that Load has read.
func Loaded(path string, data []byte, o Options) (image.Image, string, error) {
	named := func(err error) error { return fmt.Errorf("%s: %w", file.Quote(path), err) }
	img, name, err := decoded(data, o, named)
	if err != nil {
		return nil, "", named(err)
	}
	return img, name, nil
}

// Load reads a regular file, for Loaded. Errors, such as of a file larger than o allows, name it as those of File do.
func Load(path string, o Options) ([]byte, error) {
	f, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := opened(f, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Quote(path), err)
	}
	return data, nil
}

func opened(f *os.File, o Options) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > o.maxBytes() {
		return nil, tooManyBytes(o)
	}
	if err := checkMemory(st.Size(), o); err != nil {
		return nil, err
	}
	// Allocated at full size: a growing buffer takes up to three times as much.
	data := bytes.NewBuffer(make([]byte, 0, st.Size()+bytes.MinRead))
	_, err = data.ReadFrom(io.LimitReader(f, o.maxBytes()+1))
	return data.Bytes(), err
}

// Decode reads r to its end and decodes the picture. It returns the picture, whose bounds start
// at (0, 0) and whose type depends on the decoder, and the name of its format: png, jpeg, webp,
// gif, bmp or tiff, or heic or avif if their packages are linked.
func Decode(r io.Reader, o Options) (image.Image, string, error) {
	data, err := io.ReadAll(io.LimitReader(r, o.maxBytes()+1))
	if err != nil {
		return nil, "", err
	}
	return Bytes(data, o)
}

// Bytes is Decode for a file in memory. It does not retain data, except with Options.Stream.
func Bytes(data []byte, o Options) (image.Image, string, error) {
	return decoded(data, o, func(err error) error { return err })
}

// decoded is Bytes. The errors of a pixel.Stream pass through wrap.
func decoded(data []byte, o Options, wrap func(error) error) (image.Image, string, error) {
	if int64(len(data)) > o.maxBytes() {
		return nil, "", tooManyBytes(o)
	}
	f, err := sniff(data)
	if err != nil {
		return nil, "", err
	}
	size, c, err := f.size(data, o)
	if err != nil {
		return nil, "", err
	}
	if err := checkSize(size, o); err != nil {
		return nil, "", fmt.Errorf("%s: %w", f.title, err)
	}
	if err := checkMemory(f.takes(data, c, int64(size.X)*int64(size.Y), int64(len(data)), o), o); err != nil {
		return nil, "", fmt.Errorf("%s: the picture is %d x %d pixels: %w", f.title, size.X, size.Y, err)
	}
	if f.streams(data, o) {
		return f.stream(data, size, o, wrap), f.name, nil
	}
	img, err := f.picture(data)
	if err != nil {
		return nil, "", err
	}
	if img.Bounds() != (image.Rectangle{Max: size}) {
		return nil, "", fmt.Errorf("damaged %s: the picture covers %v, the header promises %d x %d pixels", f.title, img.Bounds(), size.X, size.Y)
	}
	if f.turns(o) {
		if img, err = oriented(img, f.about(data).orientation()); err != nil {
			return nil, "", fmt.Errorf("%s: %w", f.title, err)
		}
	}
	return img, f.name, nil
}

// streams reports whether the picture of the file that begins with head is decoded in strips.
func (f *format) streams(head []byte, o Options) bool {
	return o.Stream && f.strips != nil && f.stripMemory(head) > 0
}

func (f *format) stream(data []byte, size image.Point, o Options, wrap func(error) error) *pixel.Stream {
	turn := pixel.Turn(0)
	if f.turns(o) {
		turn = pixel.Turn(f.about(data).orientation())
	}
	reduced := func(by int) *pixel.Stream {
		return &pixel.Stream{
			Size: image.Pt((size.X+by-1)/by, (size.Y+by-1)/by),
			Turn: turn,
			Strips: func(yield func(pixel.Strip, error) bool) {
				if err := f.each(data, by, func(s pixel.Strip) bool { return yield(s, nil) }); err != nil {
					yield(pixel.Strip{}, wrap(err))
				}
			},
		}
	}
	m := reduced(1)
	m.Reduced = reduced
	return m
}

// each passes the strips of the picture, reduced by the given factor, to yield until that returns
// false.
func (f *format) each(data []byte, by int, yield func(pixel.Strip) bool) (err error) {
	defer f.guard(&err)
	for strip, err := range f.strips(data, by) {
		if err != nil {
			return f.wrap(err)
		}
		if !yield(strip) {
			return nil
		}
	}
	return nil
}

// turns reports whether pictures of the format are turned upright.
func (f *format) turns(o Options) bool { return f.turned || f.about != nil && !o.IgnoreOrientation }

func tooManyBytes(o Options) error {
	return limitf("the file is larger than %d bytes, Options.MaxBytes: scale the picture down", o.maxBytes())
}

func checkSize(size image.Point, o Options) error {
	switch limit := o.maxPixels(); {
	case size.X <= 0 || size.Y <= 0:
		return fmt.Errorf("the picture is %d x %d pixels, want at least 1 x 1", size.X, size.Y)
	case size.X > pixel.MaxSide || size.Y > pixel.MaxSide:
		return limitf("the picture is %d x %d pixels, want at most %d on a side: scale it down", size.X, size.Y, pixel.MaxSide)
	case int64(size.X)*int64(size.Y) > limit:
		return limitf("the picture is %d x %d pixels, the limit is %d pixels: %w", size.X, size.Y, limit, ErrMaxPixels)
	}
	return nil
}

// checkMemory returns an error if takes is more than Options.MaxMemory.
func checkMemory(takes int64, o Options) error {
	if limit := o.maxMemory(); takes > limit {
		return limitf("decoding may take %d MiB, more than the limit of %d MiB for this process: scale the picture down, or raise that limit",
			takes>>20, limit>>20)
	}
	return nil
}

// size runs the format's check for excessive work, then reads the size of the picture without
// decoding it.
func (f *format) size(data []byte, o Options) (size image.Point, c image.Config, err error) {
	if f.check != nil {
		if err := f.check(data, o); err != nil {
			return size, c, fmt.Errorf("%s: %w", f.title, err)
		}
	}
	return f.header(newMemory(data))
}

// memoryReader reads a file, or the beginning of one, that is in memory.
type memoryReader struct {
	*bytes.Reader
	data []byte
}

func newMemory(data []byte) memoryReader { return memoryReader{bytes.NewReader(data), data} }

// readAll is io.ReadAll without a copy of what is in memory.
func readAll(r io.Reader) ([]byte, error) {
	if m, ok := r.(memoryReader); ok {
		return m.data, nil
	}
	return io.ReadAll(r)
}

// header reads the size of the picture.
func (f *format) header(r io.Reader) (size image.Point, c image.Config, err error) {
	defer f.guard(&err)
	c, err = f.config(r)
	if err != nil {
		return size, c, f.wrap(err)
	}
	return image.Pt(c.Width, c.Height), c, nil
}

func (f *format) picture(data []byte) (img image.Image, err error) {
	defer f.guard(&err)
	img, err = f.decode(data)
	if err != nil {
		return nil, f.wrap(err)
	}
	return img, nil
}

func (f *format) wrap(err error) error {
	if strings.Contains(err.Error(), "cut off") { // it needs no guess at the cause
		return fmt.Errorf("cannot decode this %s: %w", f.title, err)
	}
	return fmt.Errorf("cannot decode this %s: %w (the file is cut off, damaged, or of a kind that is not supported: if other programs show it, convert it to PNG or JPEG)", f.title, err)
}

// guard turns a panic of a decoder into an error: decoders from other modules read untrusted
// bytes.
func (f *format) guard(err *error) {
	if r := recover(); r != nil {
		*err = f.wrap(fmt.Errorf("the decoder failed: %v", r))
	}
}
