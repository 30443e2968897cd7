package task

import (
	"errors"
	"image"
	"io"

	"github.com/multiway-go/multiway/codegen/rt"
	"github.com/multiway-go/multiway/codegen/rt/imagefile"
)

// Picture is a picture that a call reads and decodes when it makes the picture's tensor, and releases
// then: pictures in files take no memory while they wait. The picture is turned upright as its EXIF
// says. Its bytes, pixels and memory are limited as by default in the commands; [Picture.With] sets
// other limits. Package imagefile lists the formats. The zero value is no picture.
//
// A picture that cannot be read is an *rt.InputError of its call; errors.Is finds rt.ErrLimit in it if
// the picture is too large.
type Picture struct {
	img  image.Image
	read func(imagefile.Options) (image.Image, error) // nil: img is the picture
	o    imagefile.Options
}

// Image is a picture that is decoded already. It must not change until the call returns.
func Image(img image.Image) Picture { return Picture{img: img} }

// File is the picture in a regular file.
func File(path string) Picture {
	return Picture{read: func(o imagefile.Options) (image.Image, error) {
		img, _, err := imagefile.File(path, o)
		return img, err
	}}
}

// Bytes is the picture in a file that is in memory. data must not change until the call returns.
func Bytes(data []byte) Picture {
	return Picture{read: func(o imagefile.Options) (image.Image, error) {
		img, _, err := imagefile.Bytes(data, o)
		return img, err
	}}
}

// Reader is the picture in a file that r reads to its end. It can be used in one call only, since r is
// read once. While r is read, other pictures of the model may wait to be decoded: read a slow source,
// such as a request's body, into memory and use Bytes.
func Reader(r io.Reader) Picture {
	return Picture{read: func(o imagefile.Options) (image.Image, error) {
		img, _, err := imagefile.Decode(r, o)
		return img, err
	}}
}

// With returns the picture under other limits: of those that are 0 the defaults. They do not concern Image.
func (p Picture) With(o imagefile.Options) Picture {
	p.o = o
	return p
}

// decode returns the picture. maxPixels replaces the decoder's default; 0: none.
func (p Picture) decode(maxPixels int) (image.Image, error) {
	img := p.img
	if p.read != nil {
		o := p.o
		o.Stream = true
		if o.MaxPixels == 0 {
			o.MaxPixels = int64(maxPixels)
		}
		var err error
		if img, err = p.read(o); err != nil {
			if errors.Is(err, imagefile.ErrLimit) {
				err = tooLarge{err}
			}
			return nil, err
		}
	}
	if img == nil {
		return nil, errors.New("it is nil")
	}
	return img, nil
}

// tooLarge is rt.ErrLimit in the words of package imagefile.
type tooLarge struct{ error }

func (tooLarge) Is(target error) bool { return target == rt.ErrLimit }
func (e tooLarge) Unwrap() error      { return e.error }
