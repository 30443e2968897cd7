package imagefile

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// checkGIF walks the blocks up to the end of the first frame, the last that the decoder
// reads. It takes extensions apart as the decoder does, which goes by their kind and not
// by the sizes they give.
func checkGIF(data []byte, o Options) error {
	const (
		screen     = 13
		colorTable = 0x80
		extension  = 0x21
		frame      = 0x2c
		text       = 0x01
		control    = 0xf9
		comment    = 0xfe
		app        = 0xff
	)
	n := 0
	skip := func(k int) { data = data[min(k, len(data)):] }
	table := func(flags byte) {
		if flags&colorTable != 0 {
			skip(3 << (1 + flags&7))
		}
	}
	// blocks passes over blocks up to an empty one and returns their bytes.
	blocks := func() (sum int64) {
		for len(data) > 0 && n <= maxParts {
			k := int(data[0])
			skip(1 + k)
			if n++; k == 0 {
				break
			}
			sum += int64(k)
		}
		return sum
	}
	if len(data) < screen {
		return nil
	}
	flags := data[10]
	skip(screen)
	table(flags)
	for len(data) >= 2 {
		if n++; n > maxParts {
			return parts(n, "blocks")
		}
		kind, label := data[0], data[1]
		skip(1)
		switch kind {
		case extension:
			skip(1)
			switch label {
			case text:
				skip(13)
			case control:
				skip(6)
				continue
			case app:
				if len(data) > 0 {
					skip(1 + int(data[0]))
				}
			case comment:
			default:
				return nil // which the decoder refuses
			}
			blocks()
		case frame:
			if len(data) < 10 {
				return nil
			}
			w, h := int64(data[4])|int64(data[5])<<8, int64(data[6])|int64(data[7])<<8
			flags := data[8]
			skip(9)
			table(flags)
			skip(1)
			sum := blocks()
			if n > maxParts {
				return parts(n, "blocks")
			}
			return packed(sum, min(w*h, o.maxPixels()))
		default:
			return nil
		}
	}
	return nil
}

// decodeGIF puts the first frame on the canvas, which is white where no frame is.
func decodeGIF(data []byte) (image.Image, error) {
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	frame, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	canvas := image.Rect(0, 0, c.Width, c.Height)
	at := frame.Bounds()
	if at == canvas {
		return frame, nil
	}
	if at.Empty() || !at.In(canvas) {
		return nil, fmt.Errorf("the first frame covers %v of a canvas of %v", at, canvas)
	}
	var rgb pixel.RGB
	if err := pixel.ToRGB(&rgb, frame, nil); err != nil {
		return nil, err
	}
	whole := &pixel.RGB{Pix: bytes.Repeat([]byte{255}, 3*c.Width*c.Height), W: c.Width, H: c.Height}
	for y := range rgb.H {
		copy(whole.Pix[3*((at.Min.Y+y)*whole.W+at.Min.X):], rgb.Pix[3*y*rgb.W:][:3*rgb.W])
	}
	return whole, nil
}
