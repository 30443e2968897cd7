package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/webp"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// checkWebP refuses a file with a chunk that is cut off, because the decoder trusts chunk
// sizes.
func checkWebP(data []byte, _ Options) error {
	end, found, n := 12, false, 0
	for id, body := range chunks(data) {
		if n++; n > maxParts {
			return parts(n, "chunks")
		}
		end += 8 + (len(body)+1)&^1
		switch id {
		case "VP8 ", "VP8L", "ANMF":
			found = true
		}
	}
	// A chunk that is cut off was not counted. Fewer than the 8 bytes of a chunk header are
	// ignored.
	if promised := int64(binary.LittleEndian.Uint32(data[4:])) + 8; promised > int64(len(data)) || int64(end)+8 <= promised {
		return fmt.Errorf("the file is cut off or damaged: it has %d bytes, its header says %d", len(data), promised)
	}
	if !found {
		return errors.New("there is no picture in the file")
	}
	return nil
}

// aboutWebP reads the EXIF and XMP chunks if the flags of the header announce them.
func aboutWebP(data []byte) (a about) {
	flags := byte(0)
	for id, body := range chunks(data) {
		switch {
		case id == "VP8X" && len(body) >= webpExtended:
			flags = body[0]
		case id == "EXIF" && flags&webpEXIF != 0:
			a.exif = body
		case id == "XMP " && flags&webpXMP != 0:
			a.xmp = body
		}
	}
	return a
}

// chunks yields the ID and body of each chunk of a RIFF file, up to the first one that is cut
// off.
func chunks(data []byte) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		promised := uint64(binary.LittleEndian.Uint32(data[4:])) + 8
		data := data[:min(promised, uint64(len(data)))]
		data = data[min(12, len(data)):]
		for len(data) >= 8 {
			n := uint64(binary.LittleEndian.Uint32(data[4:]))
			if n > uint64(len(data)-8) || !yield(string(data[:4]), data[8:][:n]) {
				return
			}
			data = data[min(8+n+n&1, uint64(len(data))):]
		}
	}
}

// webpFrame is the picture of a file, or the first frame of an animation with its place on the
// canvas.
type webpFrame struct {
	animated bool
	canvas   image.Point // size of an animation's canvas
	at       image.Point
	alpha    bool   // the header, or a lossless picture itself, announces alpha
	file     []byte // a WebP file of the picture alone
}

const (
	webpAlpha    = 0x10 // flags of VP8X
	webpEXIF     = 0x08
	webpXMP      = 0x04
	webpAnimated = 0x02
	webpExtended = 10 // bytes of the VP8X chunk
)

func le24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// frameOfWebP finds the picture to decode.
func frameOfWebP(data []byte) (f webpFrame, err error) {
	size := image.Point{} // from VP8X; zero without it
	var alpha []byte
	for id, body := range chunks(data) {
		switch {
		case id == "VP8X" && len(body) >= webpExtended:
			f.alpha, f.animated = body[0]&webpAlpha != 0, body[0]&webpAnimated != 0
			size = image.Pt(le24(body[4:])+1, le24(body[7:])+1)
		case id == "ANMF" && f.animated && len(body) >= 16:
			f.canvas, f.at = size, image.Pt(2*le24(body), 2*le24(body[3:]))
			size = image.Pt(le24(body[6:])+1, le24(body[9:])+1)
			if end := f.at.Add(size); end.X > f.canvas.X || end.Y > f.canvas.Y {
				return f, fmt.Errorf("its first frame, %v at %v, is larger than the canvas, %v", size, f.at, f.canvas)
			}
			for id, body := range chunks(webpFile(body[16:])) {
				switch {
				case id == "ALPH":
					alpha = body
				case id == "VP8 " || id == "VP8L":
					f.file = webpPicture(id, body, alpha, size)
					return f, nil
				}
			}
			return f, errors.New("its first frame has no picture")
		case id == "ALPH" && f.alpha:
			alpha = body
		case (id == "VP8 " || id == "VP8L") && !f.animated:
			if id == "VP8L" {
				f.alpha = len(body) > 4 && body[4]&webpAlpha != 0 // after the signature, width and height
			}
			f.file = webpPicture(id, body, alpha, size)
			return f, nil
		}
	}
	return f, errors.New("there is no picture in the file")
}

// webpPicture returns a WebP file of one picture; a VP8X chunk gives the size unless it is
// zero.
func webpPicture(id string, body, alpha []byte, size image.Point) []byte {
	var b []byte
	if id == "VP8L" {
		alpha = nil // VP8L holds its own alpha
	}
	if size != (image.Point{}) {
		w, h := size.X-1, size.Y-1
		flags := byte(0)
		if alpha != nil {
			flags = webpAlpha
		}
		b = webpChunk(b, "VP8X", []byte{flags, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)})
	}
	if alpha != nil {
		b = webpChunk(b, "ALPH", alpha)
	}
	return webpFile(webpChunk(b, id, body))
}

func webpFile(chunks []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(chunks)))
	return append(append(b, "WEBP"...), chunks...)
}

func webpChunk(b []byte, id string, body []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, id...), uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// configWebP reads the size of the picture, or of the canvas of an animation.
func configWebP(r io.Reader) (image.Config, error) {
	head := make([]byte, 12+8+webpExtended)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return image.Config{}, err
	}
	if err == nil && string(head[12:16]) == "VP8X" {
		return image.Config{Width: le24(head[24:]) + 1, Height: le24(head[27:]) + 1}, nil
	}
	return webp.DecodeConfig(io.MultiReader(bytes.NewReader(head[:n]), r))
}

// decodeWebP converts lossy pictures to RGB itself, because their YCbCr differs from JPEG's.
// The canvas around the first frame of an animation is transparent.
func decodeWebP(data []byte) (image.Image, error) {
	f, err := frameOfWebP(data)
	if err != nil {
		return nil, err
	}
	img, err := webp.Decode(bytes.NewReader(f.file))
	if err != nil {
		return nil, err
	}
	switch m := img.(type) {
	case *image.YCbCr:
		rgb := &pixel.RGB{W: m.Rect.Dx(), H: m.Rect.Dy()}
		rgb.Pix = make([]uint8, 3*rgb.W*rgb.H)
		img, err = rgb, videoRGB(rgb.Pix, 3, m)
	case *image.NYCbCrA:
		rgba := image.NewNRGBA(image.Rect(0, 0, m.Rect.Dx(), m.Rect.Dy()))
		err = videoRGB(rgba.Pix, 4, &m.YCbCr)
		w, h := rgba.Rect.Dx(), rgba.Rect.Dy()
		if m.AStride < w || len(m.A) < m.AStride*(h-1)+w {
			return nil, fmt.Errorf("the alpha plane holds %d bytes, want %d x %d", len(m.A), w, h)
		}
		for y := range h {
			row := rgba.Pix[y*rgba.Stride:]
			for x, a := range m.A[y*m.AStride:][:w] {
				row[4*x+3] = a
			}
		}
		img = rgba
	}
	if err != nil {
		return nil, err
	}
	if f.animated && img.Bounds().Size() != f.canvas {
		img = onCanvas(img, f.canvas, f.at)
	}
	if m, ok := img.(*image.NRGBA); ok && !f.alpha {
		for i := 3; i < len(m.Pix); i += 4 {
			m.Pix[i] = 255
		}
	}
	return img, nil
}

// onCanvas copies a picture, an image.NRGBA or a pixel.RGB, to a transparent canvas.
func onCanvas(img image.Image, size, at image.Point) image.Image {
	whole := image.NewNRGBA(image.Rectangle{Max: size})
	b := img.Bounds()
	for y := range b.Dy() {
		row := whole.Pix[whole.PixOffset(at.X, at.Y+y):][:4*b.Dx()]
		switch m := img.(type) {
		case *image.NRGBA:
			copy(row, m.Pix[y*m.Stride:])
		case *pixel.RGB:
			for x := range m.W {
				copy(row[4*x:], m.Pix[3*(y*m.W+x):][:3])
				row[4*x+3] = 255
			}
		}
	}
	return whole
}

// videoRGB converts a 4:2:0 picture of VP8 to the first three of n channels as libwebp does:
// BT.601 of limited range in libwebp's fixed point, chroma by libwebp's triangle filter.
func videoRGB(dst []byte, n int, m *image.YCbCr) error {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if m.SubsampleRatio != image.YCbCrSubsampleRatio420 || m.Rect.Min != (image.Point{}) {
		return fmt.Errorf("the picture covers %v with chroma %v, want 4:2:0 from (0,0)", m.Rect, m.SubsampleRatio)
	}
	cw, ch := (w+1)/2, (h+1)/2
	us, vs := make([]uint8, 2*cw), make([]uint8, 2*cw)
	for y := range h {
		// The far chroma row is above for an even y and below for an odd y; at the edges it is
		// the near row.
		near := y / 2
		far := min(max(near+2*(y%2)-1, 0), ch-1)
		videoChroma(us, m.Cb[near*m.CStride:][:cw], m.Cb[far*m.CStride:][:cw])
		videoChroma(vs, m.Cr[near*m.CStride:][:cw], m.Cr[far*m.CStride:][:cw])
		row := dst[n*y*w:][:n*w]
		for x, l := range m.Y[y*m.YStride:][:w] {
			y, u, v := int32(l)*19077>>8, int32(us[x]), int32(vs[x])
			p := row[n*x:][:3]
			p[0] = clamp6(y + v*26149>>8 - 14234)
			p[1] = clamp6(y - u*6419>>8 - v*13320>>8 + 8708)
			p[2] = clamp6(y + u*33050>>8 - 17685)
		}
	}
	return nil
}

// videoChroma upsamples a row of chroma by two: 9/16 of the nearest sample, 3/16 each of its
// neighbours in the row and in the far row, 1/16 of the diagonal one, with libwebp's two
// roundings.
func videoChroma(dst, near, far []uint8) {
	last := len(near) - 1
	edge := func(x int) uint8 { return uint8((3*int32(near[x]) + int32(far[x]) + 2) >> 2) }
	dst[0], dst[2*last+1] = edge(0), edge(last)
	for x := range last {
		a, b := int32(near[x]), int32(near[x+1])
		c, d := int32(far[x]), int32(far[x+1])
		sum := a + b + c + d + 8
		dst[2*x+1] = uint8(((sum+2*(b+c))>>3 + a) >> 1)
		dst[2*x+2] = uint8(((sum+2*(a+d))>>3 + b) >> 1)
	}
}

// clamp6 removes 6 fractional bits and clamps to 0..255.
func clamp6(v int32) uint8 { return uint8(min(max(v>>6, 0), 255)) }
