package heif

import (
	"errors"
	"fmt"
	"image"
)

// HEVC holds the coding parameters of a picture, from its hvcC box.
type HEVC struct {
	Size   image.Point // of the decoded picture, in pixels
	Chroma int         // 0: grey; 1: 4:2:0, 2: 4:2:2, 3: 4:4:4
	Bits   int         // bits per luma sample
	Colour Colour      // from the HEVC data (VUI); limited range if absent
}

// unsaid is the colour description of HEVC data without one (2: unspecified).
var unsaid = Colour{Primaries: 2, Transfer: 2, Matrix: 2}

// ReadHEVC reads the first sequence parameter set in the body of an hvcC box.
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

// bits reads numbers bit by bit, most significant bit first. Past the end it returns zeros and
// sets short.
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

// ue reads an Exp-Golomb number, ue(v).
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

// readSPS reads a sequence parameter set (ISO 23008-2, 7.3.2.2) up to its colour description.
func readSPS(unit []byte) (h HEVC, err error) {
	h.Colour = unsaid
	r := &bits{}
	for i, b := range unit { // emulation prevention: a 3 after two zero bytes is not data
		if b == 3 && i >= 2 && unit[i-1] == 0 && unit[i-2] == 0 {
			continue
		}
		r.b = append(r.b, b)
	}
	r.u(16 + 4)
	layers := int(r.u(3))
	r.u(1)
	r.at += 96 // profile, tier and level
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
		return h, fmt.Errorf("its chroma format is %d, or coded as separate planes, which is not supported", chroma)
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
	order := int(r.ue()) + 4 // bits of the picture order count
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
	if enabled := r.flag(); enabled && r.flag() { // the lists are present
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
	if r.flag() { // VUI parameters
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
	last := uint32(0) // pictures in the previous set
	for i := range n {
		if i > 0 && r.flag() {
			r.u(1)
			r.ue()
			count := uint32(0)
			for range last + 1 {
				// used_by_curr_pic_flag, or else use_delta_flag.
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
