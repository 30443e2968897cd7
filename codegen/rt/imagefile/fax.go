package imagefile

import (
	"errors"
	"io"
	"math/bits"
	"strings"
)

// Run-length codes of ITU-T T.4, as bit strings: runs of 0 to 63 pixels, then of 64, 128 and so
// on to 1728. faxLong holds the codes from 1792 to 2560, which white and black share.
const (
	faxWhite = `
	00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101
	101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100
	0011000 00000010 00000011 00011010 00011011 00010010 00010011 00010100 00010101 00010110 00010111
	00101000 00101001 00101010 00101011 00101100 00101101 00000100 00000101 00001010 00001011 01010010
	01010011 01010100 01010101 00100100 00100101 01011000 01011001 01011010 01011011 01001010 01001011
	00110010 00110011 00110100 11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000
	01100111 011001100 011001101 011010010 011010011 011010100 011010101 011010110 011010111 011011000
	011011001 011011010 011011011 010011000 010011001 010011010 011000 010011011`
	faxBlack = `
	0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111
	000011000 0000010111 0000011000 0000001000 00001100111 00001101000 00001101100 00000110111
	00000101000 00000010111 00000011000 000011001010 000011001011 000011001100 000011001101 000001101000
	000001101001 000001101010 000001101011 000011010010 000011010011 000011010100 000011010101
	000011010110 000011010111 000001101100 000001101101 000011011010 000011011011 000001010100
	000001010101 000001010110 000001010111 000001100100 000001100101 000001010010 000001010011
	000000100100 000000110111 000000111000 000000100111 000000101000 000001011000 000001011001
	000000101011 000000101100 000001011010 000001100110 000001100111 0000001111 000011001000
	000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 0000001101101
	0000001001010 0000001001011 0000001001100 0000001001101 0000001110010 0000001110011 0000001110100
	0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 0000001010100 0000001010101
	0000001011010 0000001011011 0000001100100 0000001100101`
	faxLong = `
	00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110
	000000010111 000000011100 000000011101 000000011110 000000011111`
)

// faxWidest is the length in bits of the longest code; faxEnd is the length of the end-of-line
// code: 11 zeros and a one.
const (
	faxWidest = 13
	faxEnd    = 12
)

// faxCode is the run of pixels that a code stands for and the length of the code in bits; 0
// bits: no code.
type faxCode struct {
	run  int16
	bits uint8
}

// faxCodes maps the next faxWidest bits to the code that they begin with, for white and for
// black.
var faxCodes [2][1 << faxWidest]faxCode

func init() {
	for color, list := range []string{faxWhite, faxBlack} {
		for i, code := range strings.Fields(list + faxLong) {
			run := int16(i)
			if i >= 64 {
				run = int16(i-63) * 64
			}
			first := 0
			for _, bit := range code {
				first = first<<1 | int(bit-'0')
			}
			rest := faxWidest - len(code)
			for k := range 1 << rest {
				faxCodes[color][first<<rest|k] = faxCode{run, uint8(len(code))}
			}
		}
	}
}

// fax decodes rows of black and white pixels, compressed by T.4 or T.6.
type fax struct {
	data     []byte
	at       int // position in data, in bits
	w        int
	twoD     bool  // T.4 two-dimensional: each row has a tag bit that tells whether it is coded relative to the row above
	group4   bool  // T.6: all rows are coded relative to the row above
	aligned  bool  // rows begin at byte boundaries
	row, ref []int // positions of the colour changes in this row and in the row above; a row starts white
}

var errFax = errors.New("the fax data holds an invalid code")

// peek returns the next n <= 24 bits; past the end of the data they are zeros.
func (f *fax) peek(n int) uint32 {
	v := uint32(0)
	for i := range 4 {
		v <<= 8
		if k := f.at/8 + i; k < len(f.data) {
			v |= uint32(f.data[k])
		}
	}
	return v << (f.at % 8) >> (32 - n)
}

// ended reports whether more bits were read than there are.
func (f *fax) ended() bool { return f.at > 8*len(f.data) }

// read decodes the next row to dst, one bit per pixel, 1 for black.
func (f *fax) read(dst []byte) error {
	f.row, f.ref = f.ref[:0], f.row
	if f.aligned {
		f.at = (f.at + 7) &^ 7
	}
	told := f.group4
	if !f.group4 {
		f.skipEnd()
		if f.twoD {
			told = f.peek(1) == 0
			f.at++
		}
	}
	err := error(nil)
	if told {
		err = f.readTold()
	} else {
		err = f.readRuns()
	}
	if err == nil && f.ended() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	clear(dst)
	for i := 0; i < len(f.row); i += 2 {
		end := f.w
		if i+1 < len(f.row) {
			end = f.row[i+1]
		}
		blacken(dst, f.row[i], end)
	}
	return nil
}

// skipEnd skips an end-of-line code and the fill bits before it, if they are next.
func (f *fax) skipEnd() {
	at := f.at
	for f.peek(faxEnd-1) == 0 && !f.ended() {
		zeros := bits.LeadingZeros32(f.peek(24)) - 8
		f.at += min(zeros, 24)
		if zeros < 24 {
			f.at++ // the final one
			return
		}
	}
	if f.ended() {
		f.at = at
	}
}

// run decodes the length of a run of a colour: 0 is white, 1 is black.
func (f *fax) run(color int) (n int, err error) {
	for {
		c := faxCodes[color][f.peek(faxWidest)]
		if c.bits == 0 || f.ended() {
			return 0, errFax
		}
		f.at += int(c.bits)
		if n += int(c.run); n > f.w {
			return 0, errFax
		}
		if c.run < 64 {
			return n, nil
		}
	}
}

// turn records a colour change at x; x = w is the end of the row.
func (f *fax) turn(x int) error {
	if x > f.w || len(f.row) > 2*f.w+2 { // bounds the number of runs of length 0
		return errFax
	}
	f.row = append(f.row, x)
	return nil
}

// readRuns decodes a row of alternating white and black runs (one-dimensional coding).
func (f *fax) readRuns() error {
	for x, color := 0, 0; x < f.w; color = 1 - color {
		n, err := f.run(color)
		if err != nil {
			return err
		}
		x += n
		if err := f.turn(x); err != nil {
			return err
		}
	}
	return nil
}

// readTold decodes a row relative to the row above (two-dimensional coding).
func (f *fax) readTold() error {
	// Vertical mode: the code, its length, and the offset of the change from the change above.
	vertical := [...]struct {
		code, bits uint32
		right      int
	}{{1, 1, 0}, {3, 3, 1}, {3, 6, 2}, {3, 7, 3}, {2, 3, -1}, {2, 6, -2}, {2, 7, -3}}
	const pass, horizontal = 1, 1 // codes of pass mode (4 bits) and horizontal mode (3 bits)
	k := 0                        // index of a change in the row above
	for x, start := 0, true; x < f.w; {
		color := len(f.row) % 2
		// b1 of T.4: the first change above to the right of x towards the opposite colour. k
		// moves right, and back by a few.
		for k%2 != color || k >= 2 && k-2 < len(f.ref) && f.ref[k-2] > x {
			k--
			if k < 0 {
				k = color
			}
		}
		for k < len(f.ref) && (f.ref[k] < x || f.ref[k] == x && !start) {
			k += 2
		}
		above := func(k int) int {
			if k < len(f.ref) {
				return f.ref[k]
			}
			return f.w
		}
		code := f.peek(7)
		switch {
		case code>>3 == pass:
			f.at += 4
			x = above(k + 1)
		case code>>4 == horizontal:
			f.at += 3
			for c := range 2 {
				n, err := f.run((color + c) % 2)
				if err != nil {
					return err
				}
				x += n
				if err := f.turn(x); err != nil {
					return err
				}
			}
		default:
			found := false
			for _, v := range vertical {
				if code>>(7-v.bits) == v.code {
					f.at += int(v.bits)
					at := above(k) + v.right
					if at < x {
						return errFax
					}
					x, found = at, true
					break
				}
			}
			if !found {
				return errFax
			}
			if err := f.turn(x); err != nil {
				return err
			}
		}
		start = false
		if f.ended() {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// blacken sets the bits from <= i < to.
func blacken(row []byte, from, to int) {
	for ; from < to && from%8 != 0; from++ {
		row[from/8] |= 0x80 >> (from % 8)
	}
	for ; from+8 <= to; from += 8 {
		row[from/8] = 0xff
	}
	for ; from < to; from++ {
		row[from/8] |= 0x80 >> (from % 8)
	}
}
