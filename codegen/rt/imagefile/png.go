package imagefile

import (
	"image"
	"image/color"
)

// checkPNG walks the chunks as far as the decoder does.
func checkPNG(data []byte, o Options) error {
	n := 0
	var idat, raw int64
	for kind, body := range chunksOfPNG(data) {
		if n++; n > maxParts {
			return parts(n, "chunks")
		}
		switch kind {
		case "IHDR":
			raw = rawPNG(body, o)
		case "IDAT":
			idat += int64(len(body))
		}
	}
	if err := packed(idat, raw); err != nil {
		return err
	}
	return deflated(idat, o)
}

// rawPNG is how many bytes the rows have that a header promises, at most those of the
// largest picture.
func rawPNG(header []byte, o Options) int64 {
	if len(header) < 10 {
		return 0
	}
	samples := map[byte]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[header[9]] // by the colour type
	w, h, bits := int64(be32(header)), int64(be32(header[4:])), samples*int64(header[8])
	if h == 0 || w > o.maxPixels()/h {
		return 8 * o.maxPixels()
	}
	// A byte before each row; rows of an interlaced picture are at most twice as many.
	return h * (w*bits/8 + 3)
}

func perPixelPNG(_ []byte, c image.Config) int64 {
	switch c.ColorModel {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		return 16 // twice the pixels, if they are interlaced
	}
	return 8
}

// chunksOfPNG yields kind and body of each chunk up to the end of the picture or the
// first chunk that is cut off, with what there is of it.
func chunksOfPNG(data []byte) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		data := data[8:]
		for len(data) >= 8 {
			n, kind := uint64(be32(data)), string(data[4:8])
			body := data[8:]
			if n > uint64(len(body)) {
				yield(kind, body)
				return
			}
			if !yield(kind, body[:n]) || kind == "IEND" {
				return
			}
			data = body[min(n+4, uint64(len(body))):]
		}
	}
}

// exifOfPNG finds the eXIf chunk.
func exifOfPNG(data []byte) []byte {
	for kind, body := range chunksOfPNG(data) {
		if kind == "eXIf" {
			return body
		}
	}
	return nil
}
