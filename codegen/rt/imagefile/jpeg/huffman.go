package jpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// zigzag maps the coefficient order of the stream to row-major order in a block. Runs in
// damaged data reach up to 15 past the end of a block: as in libjpeg, those coefficients
// overwrite the last one. The end of a block is a run of 64, see huffman.whole.
var zigzag = [128]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
}

const lookBits, wholeBits = 9, 11

// huffman is a Huffman code of a DHT segment.
type huffman struct {
	look   [1 << lookBits]uint16 // length<<8 | symbol of codes of up to lookBits bits, 0 for longer ones
	most   [17]int32             // largest code of each length in bits, -1 if there is none
	offset [17]int32             // symbol index minus code, by length in bits
	symbol [256]byte
	large  bool // some symbol is above 15: not valid in a DC table

	// whole decodes an AC code and the number that follows it at once, by the next wholeBits bits.
	whole [1 << wholeBits]step
}

// step is what an AC code and the number after it say: bits + run<<8 + value<<16. The value
// stands after run zeros; a run of 64 ends the block. Of a partial step, only the code's bits are
// known, and value is the number of bits after them; 0: the code is longer than wholeBits.
type step int32

const partial step = 1 << 6

// newHuffman builds the code that has counts[i] symbols of i+1 bits each.
func newHuffman(counts []byte, symbols []byte) (*huffman, error) {
	h := new(huffman)
	copy(h.symbol[:], symbols)
	h.large = slices.ContainsFunc(symbols, func(s byte) bool { return s > 15 })
	for i := range h.whole {
		h.whole[i] = partial
	}
	code, k := int32(0), int32(0)
	for l := 1; l <= 16; l++ {
		n := int32(counts[l-1])
		h.offset[l], h.most[l] = k-code, -1
		if n > 0 {
			h.most[l] = code + n - 1
		}
		for range n {
			if l <= lookBits {
				first := code << (lookBits - l)
				for i := range int32(1) << (lookBits - l) {
					if first+i < 1<<lookBits {
						h.look[first+i] = uint16(l)<<8 | uint16(h.symbol[k])
					}
				}
			}
			if l <= wholeBits {
				first := code << (wholeBits - l)
				for i := range int32(1) << (wholeBits - l) {
					if first+i < 1<<wholeBits {
						h.whole[first+i] = newStep(h.symbol[k], l, i, wholeBits-l)
					}
				}
			}
			code++
			k++
		}
		// The standard reserves the code of all ones.
		if n > 0 && code >= 1<<l {
			return nil, fmt.Errorf("a Huffman table has more codes of up to %d bits than there are", l)
		}
		code <<= 1
	}
	return h, nil
}

// newStep returns the step of a code of l bits for an AC symbol that is followed by the bits
// after, of which n are known.
func newStep(symbol byte, l int, after int32, n int) step {
	run, size := step(symbol>>4), int(symbol&15)
	switch {
	case size == 0 && run != 15:
		return step(l) | 64<<8
	case size > n:
		return step(l) | partial | run<<8 | step(size)<<16
	}
	return step(l+size) | run<<8 | step(extend(after>>(n-size), size))<<16
}

// bits reads the entropy-coded data of a scan bit by bit and removes byte stuffing.
type bits struct {
	data   []byte
	at     int    // next byte of data
	marker byte   // the marker that ended the data before at, 0 if none did
	acc    uint64 // bit buffer: the high n bits are the next ones, the others are zero
	n      int
	zeros  int  // zero bits appended after the end of the data
	none   bool // the data of this restart interval ended early
}

const ended = EOI // value of bits.marker at the end of the data

// fill loads the buffer to at least 32 bits, with zeros after the end of the data.
func (b *bits) fill() {
	if b.n > 32 {
		return
	}
	if at := b.at; b.marker == 0 && at+4 <= len(b.data) {
		if v := binary.BigEndian.Uint32(b.data[at:]); noStuffing(v) {
			b.acc |= uint64(v) << (32 - b.n)
			b.n += 32
			b.at += 4
			return
		}
	}
	for b.n <= 56 {
		c, ok := b.next()
		if !ok {
			b.zeros += 8
		}
		b.acc |= uint64(c) << (56 - b.n)
		b.n += 8
	}
}

// noStuffing reports whether none of four bytes is 0xff.
func noStuffing(v uint32) bool { return (^v-0x01010101)&v&0x80808080 == 0 }

// next returns the next byte of data, without stuffing; 0 and false at a marker or at the end.
func (b *bits) next() (byte, bool) {
	if b.marker != 0 {
		return 0, false
	}
	if b.at == len(b.data) {
		b.marker = ended
		return 0, false
	}
	c := b.data[b.at]
	b.at++
	if c == 0xff {
		for c == 0xff {
			if b.at == len(b.data) {
				b.marker = ended
				return 0, false
			}
			c = b.data[b.at]
			b.at++
		}
		if c != 0 {
			b.marker = c
			return 0, false
		}
		c = 0xff
	}
	return c, true
}

// over reports whether more bits were read than the data has.
func (b *bits) over() bool { return b.none || b.n < b.zeros }

// restart moves past the next restart marker. Where another marker stands than the one that is
// due, it resynchronises by libjpeg's rule.
func (b *bits) restart(due byte) {
	b.none = b.over()
	b.acc, b.n, b.zeros = 0, 0, 0
	b.resync(due)
	b.none = b.none && b.marker != 0
}

func (b *bits) resync(due byte) {
	for {
		if b.marker == 0 {
			b.seek()
		}
		if b.marker == ended {
			return // the rest of the scan has no data
		}
		if isRestart(b.marker) {
			switch (b.marker - due) & 7 {
			case 1, 2: // belongs to one of the next two intervals: this one has no data
				return
			case 0, 3, 4, 5:
				b.marker = 0
				return
			}
		}
		b.marker = 0 // of an earlier interval, or not a valid marker: skip it
	}
}

// seek moves past the next marker and records it.
func (b *bits) seek() {
	if b.at += next(b.data[b.at:]); b.at == len(b.data) {
		b.marker = ended
		return
	}
	b.marker = b.data[b.at+1]
	b.at += 2
}

// finish returns an error if the rest of a scan's data holds a marker that may not stand there.
func (b *bits) finish() error {
	for {
		if b.marker == 0 {
			b.seek()
		}
		if b.marker == ended {
			return nil
		}
		if !isRestart(b.marker) && b.marker != tem {
			return fmt.Errorf("unknown marker %#x", b.marker)
		}
		b.marker = 0
	}
}

// get returns the next k <= 16 bits; the buffer must hold them.
func (b *bits) get(k int) int32 {
	v := int32(b.acc >> (64 - k))
	b.skip(k)
	return v
}

func (b *bits) skip(k int) {
	b.acc <<= k
	b.n -= k
}

// bit returns the next bit.
func (b *bits) bit() bool {
	if b.n == 0 {
		b.fill()
	}
	one := b.acc>>63 != 0
	b.skip(1)
	return one
}

// code decodes the next symbol; the buffer must hold 17 bits.
func (b *bits) code(h *huffman) int {
	e := h.look[b.acc>>(64-lookBits)]
	if e != 0 {
		b.skip(int(e >> 8))
		return int(e & 0xff)
	}
	return b.longCode(h, lookBits)
}

// longCode is code for a code of more than over bits.
func (b *bits) longCode(h *huffman, over int) int {
	for l := over + 1; l <= 16; l++ {
		if code := int32(b.acc >> (64 - l)); code <= h.most[l] {
			b.skip(l)
			return int(h.symbol[(code+h.offset[l])&0xff])
		}
	}
	b.skip(17)
	return 0
}

// number decodes a signed number of k <= 15 bits.
func (b *bits) number(k int) int32 {
	return int32(extend(b.get(k), k))
}

// extend returns the signed number with the k-bit code v (EXTEND of ITU-T T.81, F.2.2.1).
func extend(v int32, k int) int16 {
	v &= 1<<(k&31) - 1
	// Codes whose first bit is 0 stand for negative numbers.
	return int16(v + ((v-1<<(k&31)>>1)>>31)&(1-1<<(k&31)))
}

// sequential decodes a block of a sequential picture into block, which must be zero. This is
// the hot loop of the decoder: local copies of acc and n stay in registers.
func (b *bits) sequential(block *[64]int16, dc, ac *huffman, before *int32) {
	b.fill()
	if s := b.code(dc); s != 0 {
		*before += b.number(s)
	}
	block[0] = int16(*before)
	acc, n := b.acc, b.n
	for k := 1; k < 64; k++ {
		if n < 32 {
			b.acc, b.n = acc, n
			b.fill()
			acc, n = b.acc, b.n
		}
		s := ac.whole[acc>>(64-wholeBits)]
		acc, n = acc<<(s&63), n-int(s&63)
		if s&partial != 0 {
			b.acc, b.n = acc, n
			s = b.partial(s, ac)
			acc, n = b.acc, b.n
		}
		k += int(s >> 8 & 127)
		block[zigzag[k&127]&63] = int16(s >> 16)
	}
	b.acc, b.n = acc, n
}

// partial returns a partial step with its value, which it reads.
func (b *bits) partial(s step, ac *huffman) step {
	if s == partial {
		s = newStep(byte(b.longCode(ac, wholeBits)), 0, 0, 0)
	}
	if s&partial != 0 {
		s = s&(127<<8) | step(b.number(int(s>>16)))<<16
	}
	return s
}

// coded decodes a scan of Huffman codes.
type coded struct {
	*bits
	scan        *scan
	progressive bool
	dc, ac      [4]*huffman // tables by plane of the scan
	before      [4]int32    // DC coefficient of the previous block, by plane
	run         int         // blocks that remain in the end-of-band run
}

func newCoded(d *decoder, c *scan, b *bits) (*coded, error) {
	e := &coded{bits: b, scan: c, progressive: d.frame.Progressive}
	for i := range c.planes {
		if !e.progressive || c.from == 0 && c.high == 0 {
			if e.dc[i] = pick(&d.dc, c.dc[i]); e.dc[i] == nil {
				return nil, fmt.Errorf("there is no Huffman table %d of class 0", c.dc[i])
			}
			if e.dc[i].large {
				return nil, errors.New("a Huffman table of class 0 has numbers of more than 15 bits")
			}
		}
		if !e.progressive || c.from > 0 {
			if e.ac[i] = pick(&d.ac, c.ac[i]); e.ac[i] == nil {
				return nil, fmt.Errorf("there is no Huffman table %d of class 1", c.ac[i])
			}
		}
	}
	return e, nil
}

// pick returns table n, or nil if there is none.
func pick(tables *[4]*huffman, n byte) *huffman {
	if n > 3 {
		return nil
	}
	return tables[n]
}

func (e *coded) restart() { e.before, e.run = [4]int32{}, 0 }

func (e *coded) block(i int, b *[64]int16) {
	switch {
	case !e.progressive:
		e.sequential(b, e.dc[i], e.ac[i], &e.before[i])
	case e.scan.from > 0 && e.scan.high == 0:
		e.firstAC(b)
	case e.scan.from > 0:
		e.nextAC(b)
	case e.scan.high == 0:
		e.fill()
		if s := e.code(e.dc[i]); s != 0 {
			e.before[i] += e.number(s)
		}
		b[0] = int16(e.before[i] << e.scan.low)
	default:
		e.fill()
		b[0] |= int16(e.get(1) << e.scan.low)
	}
}

// firstAC decodes the first scan of AC coefficients, without their low bits.
func (e *coded) firstAC(b *[64]int16) {
	if e.run > 0 {
		e.run--
		return
	}
	for k := e.scan.from; k <= e.scan.to; k++ {
		e.fill()
		rs := e.code(e.ac[0])
		r, size := rs>>4, rs&15
		switch {
		case size != 0:
			k += r
			b[zigzag[k]&63] = int16(e.number(size) << e.scan.low)
		case r == 15:
			k += 15
		default:
			e.run = 1<<r + int(e.get(r)) - 1
			return
		}
	}
}

// nextAC decodes one further bit of AC coefficients (successive approximation).
func (e *coded) nextAC(b *[64]int16) {
	one, k, to := int16(1)<<e.scan.low, e.scan.from, e.scan.to
	if e.run == 0 {
		for ; k <= to; k++ {
			e.fill()
			rs := e.code(e.ac[0])
			r, size := rs>>4, rs&15
			v := int16(0)
			if size != 0 {
				v = -one
				if e.get(1) != 0 {
					v = one
				}
			} else if r != 15 {
				e.run = 1<<r + int(e.get(r))
				break
			}
			// The new coefficient stands after r coefficients that are still zero.
			for ; k <= to; k++ {
				if c := &b[zigzag[k]&63]; *c != 0 {
					if e.bit() {
						grow(c, one)
					}
				} else if r--; r < 0 {
					break
				}
			}
			if v != 0 {
				b[zigzag[k]&63] = v
			}
		}
	}
	if e.run > 0 {
		for ; k <= to; k++ {
			if c := &b[zigzag[k]&63]; *c != 0 && e.bit() {
				grow(c, one)
			}
		}
		e.run--
	}
}

// grow adds one to the magnitude of a coefficient, unless that bit is set already.
func grow(c *int16, one int16) {
	switch {
	case *c&one != 0:
	case *c > 0:
		*c += one
	default:
		*c -= one
	}
}

// standard holds the Huffman codes of annex K, which MJPEG frames omit, by class (0: DC, 1: AC)
// and number.
var standard = func() (codes [2][2]*huffman) {
	digits := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	for i, c := range [4]struct {
		counts  [16]byte
		symbols []byte
	}{
		{[16]byte{0, 1, 5, 1, 1, 1, 1, 1, 1}, digits},
		{[16]byte{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, digits},
		{[16]byte{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125}, []byte("" +
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07" +
			"\x22\x71\x14\x32\x81\x91\xa1\x08\x23\x42\xb1\xc1\x15\x52\xd1\xf0" +
			"\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28" +
			"\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49" +
			"\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69" +
			"\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89" +
			"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7" +
			"\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5" +
			"\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2" +
			"\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
			"\xf9\xfa")},
		{[16]byte{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119}, []byte("" +
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71" +
			"\x13\x22\x32\x81\x08\x14\x42\x91\xa1\xb1\xc1\x09\x23\x33\x52\xf0" +
			"\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26" +
			"\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48" +
			"\x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68" +
			"\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87" +
			"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5" +
			"\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3" +
			"\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda" +
			"\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8" +
			"\xf9\xfa")},
	} {
		h, err := newHuffman(c.counts[:], c.symbols)
		if err != nil {
			panic(err)
		}
		codes[i/2][i%2] = h
	}
	return codes
}()
