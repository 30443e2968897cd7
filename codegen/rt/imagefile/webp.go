package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/webp"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// checkWebP refuses what the decoder does not know or would believe: animations, and
// chunks that promise more bytes than there are.
func checkWebP(data []byte, _ Options) error {
	end, found, n := 12, false, 0
	for id, body := range chunks(data) {
		if n++; n > maxParts {
			return parts(n, "chunks")
		}
		end += 8 + (len(body)+1)&^1
		switch id {
		case "VP8X":
			if len(body) > 0 && body[0]&2 != 0 {
				return errors.New("animations are not supported: convert one frame to PNG or JPEG")
			}
		case "VP8 ", "VP8L":
			found = true
		}
	}
	// A chunk that is cut off was not counted. Its header has 8 bytes; fewer are junk.
	if promised := int64(binary.LittleEndian.Uint32(data[4:])) + 8; promised > int64(len(data)) || int64(end)+8 <= promised {
		return fmt.Errorf("the file is cut off or damaged: %d bytes, the header promises %d", len(data), promised)
	}
	if !found {
		return errors.New("there is no picture in the file")
	}
	return nil
}

// exifOfWebP finds the EXIF chunk. Some writers begin it as JPEG does.
func exifOfWebP(data []byte) []byte {
	for id, body := range chunks(data) {
		if id == "EXIF" {
			return bytes.TrimPrefix(body, []byte("Exif\x00\x00"))
		}
	}
	return nil
}

// chunks yields name and body of each chunk of a RIFF file until the first one that
// is cut off.
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

// decodeWebP converts lossy pictures, because only here it is known that their YCbCr
// is not JPEG's.
func decodeWebP(data []byte) (image.Image, error) {
	img, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch m := img.(type) {
	case *image.YCbCr:
		return videoRGB(m)
	case *image.NYCbCrA:
		rgb, err := videoRGB(&m.YCbCr)
		if err != nil {
			return nil, err
		}
		if m.AStride < rgb.W || len(m.A) < m.AStride*(rgb.H-1)+rgb.W {
			return nil, fmt.Errorf("the transparency holds %d bytes, want %d x %d", len(m.A), rgb.W, rgb.H)
		}
		for y := range rgb.H {
			row := rgb.Pix[3*y*rgb.W:][:3*rgb.W]
			for x, a := range m.A[y*m.AStride:][:rgb.W] {
				p := row[3*x:][:3]
				p[0], p[1], p[2] = pixel.OverWhite(p[0], a), pixel.OverWhite(p[1], a), pixel.OverWhite(p[2], a)
			}
		}
		return rgb, nil
	}
	return img, nil
}

// videoRGB converts a 4:2:0 picture of VP8: BT.601 with black at 16, in libwebp's
// fixed point, chroma by libwebp's own triangle filter.
func videoRGB(m *image.YCbCr) (*pixel.RGB, error) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	if m.SubsampleRatio != image.YCbCrSubsampleRatio420 || m.Rect.Min != (image.Point{}) {
		return nil, fmt.Errorf("the picture covers %v with chroma %v, want 4:2:0 from (0,0)", m.Rect, m.SubsampleRatio)
	}
	rgb := &pixel.RGB{Pix: make([]uint8, 3*w*h), W: w, H: h}
	cw, ch := (w+1)/2, (h+1)/2
	us, vs := make([]uint8, 2*cw), make([]uint8, 2*cw)
	for y := range h {
		// The other chroma row is above an even row and below an odd one, itself at the
		// edges.
		near := y / 2
		far := min(max(near+2*(y%2)-1, 0), ch-1)
		videoChroma(us, m.Cb[near*m.CStride:][:cw], m.Cb[far*m.CStride:][:cw])
		videoChroma(vs, m.Cr[near*m.CStride:][:cw], m.Cr[far*m.CStride:][:cw])
		row := rgb.Pix[3*y*w:][:3*w]
		for x, l := range m.Y[y*m.YStride:][:w] {
			y, u, v := int32(l)*19077>>8, int32(us[x]), int32(vs[x])
			p := row[3*x:][:3]
			p[0] = clamp6(y + v*26149>>8 - 14234)
			p[1] = clamp6(y - u*6419>>8 - v*13320>>8 + 8708)
			p[2] = clamp6(y + u*33050>>8 - 17685)
		}
	}
	return rgb, nil
}

// videoChroma doubles a row of chroma: 9/16 of the nearest sample, 3/16 of its
// neighbours in the row and in the other row, 1/16 of the one across, with the two
// roundings of libwebp.
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

// clamp6 drops 6 bits after the point and clamps to a byte.
func clamp6(v int32) uint8 { return uint8(min(max(v>>6, 0), 255)) }
