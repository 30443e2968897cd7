package heif

import (
	"errors"
	"fmt"
	"image"
)

// HEVC is what a picture's hvcC says of how it is coded.
type HEVC struct {
	Size   image.Point // of the decoded picture
	Chroma int         // 0: grey; 1: 4:2:0, 2: 4:2:2, 3: 4:4:4
	Bits   int         // of a sample of grey
	Colour Colour      // as the picture's own data has it; where it says nothing, black is 16
}

// unsaid are the colours of a picture whose data says nothing of them.
var unsaid = Colour{Primaries: 2, Transfer: 2, Matrix: 2}

// ReadHEVC reads the first sequence parameter set of an hvcC.
func ReadHEVC(config []byte) (h HEVC, err error) {
	r := &reader{b: config}
	r.bytes(22)
	for range r.u8() {
		kind := r.u8() & 63
		for range r.u16() {
			unit := r.bytes(r.u16())
			if kind == 33 && !r.short {
				return readSPS(unit)
			}
			if r.short {
				return h, errCut
			}
		}
	}
	return h, errors.New("its hvcC has no sequence parameter set")
}

// bits reads numbers of bits, most significant first. After the end it reads zeros, and
// short is true.
type bits struct {
	b     []byte
	at    int
	short bool
}

func (r *bits) u(n int) (v uint32) {
	for range n {
		bit := uint32(0)
		if r.at/8 < len(r.b) {
			bit = uint32(r.b[r.at/8]>>(7-r.at%8)) & 1
		} else {
			r.short = true
		}
		r.at++
		v = v<<1 | bit
	}
	return v
}

func (r *bits) flag() bool { return r.u(1) != 0 }

// ue reads a number in Exp-Golomb code.
func (r *bits) ue() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; zeros > 31 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// readSPS reads a sequence parameter set as ISO 23008-2 has it under 7.3.2.2, up to what it
// says of colours.
func readSPS(unit []byte) (h HEVC, err error) {
	h.Colour = unsaid
	r := &bits{}
	for i, b := range unit { // a 3 after two zeros is there to keep them from being a start
		if b == 3 && i >= 2 && unit[i-1] == 0 && unit[i-2] == 0 {
			continue
		}
		r.b = append(r.b, b)
	}
	r.u(16 + 4)
	layers := int(r.u(3))
	r.u(1)
	r.at += 96 // profile and level
	var there [8][2]bool
	for i := range layers {
		there[i] = [2]bool{r.flag(), r.flag()}
	}
	if layers > 0 {
		r.at += 2 * (8 - layers)
	}
	for i := range layers {
		if there[i][0] {
			r.at += 88
		}
		if there[i][1] {
			r.at += 8
		}
	}
	r.ue()
	chroma := r.ue()
	if chroma > 3 || chroma == 3 && r.flag() {
		return h, fmt.Errorf("its chroma is of kind %d, or in planes of their own, which is not supported", chroma)
	}
	h.Chroma = int(chroma)
	w, ht := r.ue(), r.ue()
	if w > maxSide || ht > maxSide {
		return h, fmt.Errorf("it is coded as %d x %d pixels, want at most %d on a side", w, ht, maxSide)
	}
	h.Size = image.Pt(int(w), int(ht))
	if r.flag() {
		across, down := [4]int{1, 2, 2, 1}[chroma], [4]int{1, 2, 1, 1}[chroma]
		l, rt, t, b := r.ue(), r.ue(), r.ue(), r.ue()
		if max(l, rt, t, b) > maxSide {
			return h, errCut
		}
		h.Size = h.Size.Sub(image.Pt(across*int(l+rt), down*int(t+b)))
	}
	depth := r.ue()
	if other := r.ue(); depth > 8 || other > 8 {
		return h, fmt.Errorf("its samples have %d and %d bits, want at most 16", depth+8, other+8)
	}
	h.Bits = int(depth) + 8
	order := int(r.ue()) + 4 // bits of a picture's number
	first := layers
	if r.flag() {
		first = 0
	}
	for range layers + 1 - first {
		r.ue()
		r.ue()
		r.ue()
	}
	for range 6 {
		r.ue()
	}
	if enabled := r.flag(); enabled && r.flag() { // and they are here
		r.scalingLists()
	}
	r.u(2)
	if r.flag() {
		r.u(8)
		r.ue()
		r.ue()
		r.u(1)
	}
	r.referenceSets()
	if r.flag() {
		for range min(r.ue(), 33) {
			r.u(min(order, 16) + 1)
		}
	}
	r.u(2)
	if r.flag() { // what is said about use
		if r.flag() && r.u(8) == 255 {
			r.u(32)
		}
		if r.flag() {
			r.u(1)
		}
		if r.flag() {
			r.u(3)
			h.Colour.Known, h.Colour.Full = true, r.flag()
			if r.flag() {
				h.Colour.Primaries, h.Colour.Transfer, h.Colour.Matrix = int(r.u(8)), int(r.u(8)), int(r.u(8))
			}
		}
	}
	if r.short || h.Size.X < 1 || h.Size.Y < 1 {
		return h, errors.New("its sequence parameter set is cut off or damaged")
	}
	return h, nil
}

func (r *bits) scalingLists() {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for range 6 / step {
			if !r.flag() {
				r.ue()
				continue
			}
			if size > 1 {
				r.ue()
			}
			for range min(64, 1<<(4+2*size)) {
				r.ue()
			}
		}
	}
}

func (r *bits) referenceSets() {
	n := r.ue()
	if n > 64 {
		r.short = true
		return
	}
	last := uint32(0) // pictures in the set before
	for i := range n {
		if i > 0 && r.flag() {
			r.u(1)
			r.ue()
			count := uint32(0)
			for range last + 1 {
				// Used by this picture, or else kept for others.
				if used := r.flag(); used || r.flag() {
					count++
				}
			}
			last = count
			continue
		}
		before, after := r.ue(), r.ue()
		if before > 16 || after > 16 {
			r.short = true
			return
		}
		last = before + after
		for range last {
			r.ue()
			r.u(1)
		}
	}
}
