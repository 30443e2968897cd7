package heif

import (
	"image"

	"github.com/multiway-go/multiway/codegen/rt/imagefile"
)

// Reader returns an imagefile.Decoder for files whose pictures are coded as codec. memory
// returns the most bytes that decode takes for a coded picture of the given number of pixels,
// besides the file. If turned is set, the file's rotation is applied whatever imagefile.Options
// say.
func Reader(codec string, turned bool, memory func(pixels int64) int64, decode func(m *Memory, c Coded) (Pixels, error)) imagefile.Decoder {
	parse := func(data []byte) (*Picture, error) { return Parse(data, codec) }
	return imagefile.Decoder{
		Turned: turned,
		Config: func(head []byte) (image.Config, error) {
			p, err := parse(head)
			if err != nil {
				return image.Config{}, err
			}
			return image.Config{Width: p.Size.X, Height: p.Size.Y}, nil
		},
		Decode: func(data []byte) (image.Image, error) {
			p, err := parse(data)
			if err != nil {
				return nil, err
			}
			// The file is in the decoder's address space twice: the minimal file and its copy
			// inside the program.
			m := NewMemory(memory(p.coded()) + 2*int64(len(data)))
			return p.image(func(c Coded) (Pixels, error) { return decode(m, c) })
		},
		Memory: func(head []byte) int64 {
			p, err := parse(head)
			if err != nil {
				return 0
			}
			return memory(p.coded()) + 4*int64(p.Size.X)*int64(p.Size.Y)
		},
		Orientation: func(data []byte) int {
			p, err := parse(data)
			if err != nil {
				return 1
			}
			return p.Orientation
		},
	}
}
