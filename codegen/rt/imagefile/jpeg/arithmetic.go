package jpeg

import "fmt"

// conditioning holds the parameters of the DAC segments for each table: the bounds L and U of
// DC tables (low, high) and Kx of AC tables (k), with the defaults of the standard.
type conditioning struct {
	low, high [16]byte
	k         [16]byte
	known     bool
}

func (a *conditioning) init() {
	if a.known {
		return
	}
	a.known = true
	for i := range a.high {
		a.high[i], a.k[i] = 1, 5
	}
}

func (a *conditioning) read(b []byte) error {
	a.init()
	for len(b) > 0 {
		if len(b) < 2 {
			return errTables
		}
		i, v := b[0], b[1]
		b = b[2:]
		switch {
		case i >= 32:
			return fmt.Errorf("there is an arithmetic table %#x", i)
		case i >= 16:
			a.k[i-16] = v
		case v&15 > v>>4:
			return fmt.Errorf("an arithmetic table has conditions %d to %d", v&15, v>>4)
		default:
			a.low[i], a.high[i] = v&15, v>>4
		}
	}
	return nil
}

// arithmetic decodes a scan coded as in annex D of ITU-T T.81, with the names of that annex.
type arithmetic struct {
	*bits
	*conditioning
	scan        *scan
	progressive bool

	c, a    int64
	ct      int
	broken  bool // damaged data: nothing more is read before the next restart marker
	before  [4]int32
	context [4]int // statistics area for the next DC difference, by plane of the scan
	dc      [16]*[64]byte
	ac      [16]*[256]byte
	fixed   byte // +statistics for a bit of even probability
}

func newArithmetic(d *decoder, c *scan, b *bits) *arithmetic {
	d.arith.init()
	e := &arithmetic{bits: b, conditioning: &d.arith, scan: c, progressive: d.frame.Progressive}
	e.restart()
	return e
}

func (e *arithmetic) restart() {
	for i := range e.scan.planes {
		e.dc[e.scan.dc[i]], e.ac[e.scan.ac[i]] = new([64]byte), new([256]byte)
	}
	e.before, e.context = [4]int32{}, [4]int{}
	e.c, e.a, e.ct, e.broken = 0, 0, -16, false
	e.fixed = 113
}

func (e *arithmetic) over() bool { return e.broken }

// decide decodes one binary decision with the statistics bin st.
func (e *arithmetic) decide(st *byte) int {
	for e.a < 0x8000 {
		if e.ct--; e.ct < 0 {
			data, _ := e.next() // past the end the data counts as zeros, as the standard has it
			e.c = e.c<<8 | int64(data)
			if e.ct += 8; e.ct < 0 {
				// The first call reads two bytes.
				if e.ct++; e.ct == 0 {
					e.a = 0x8000
				}
			}
		}
		e.a <<= 1
	}
	sv := *st
	s := &estimates[sv&0x7f]
	qe := int64(s.qe)
	nl, nm := s.lps, s.mps
	e.a -= qe
	temp := e.a << e.ct
	if e.c >= temp {
		e.c -= temp
		if e.a < qe {
			*st = sv&0x80 ^ nm
		} else {
			*st = sv&0x80 ^ nl
			sv ^= 0x80
		}
		e.a = qe
	} else if e.a < 0x8000 {
		if e.a < qe {
			*st = sv&0x80 ^ nl
			sv ^= 0x80
		} else {
			*st = sv&0x80 ^ nm
		}
	}
	return int(sv >> 7)
}

func (e *arithmetic) block(i int, b *[64]int16) {
	c := e.scan
	switch {
	case !e.progressive:
		if e.difference(i) {
			b[0] = int16(e.before[i])
			e.firstAC(b, c.ac[i], 1, 63, 0)
		}
	case c.from == 0 && c.high == 0:
		if e.difference(i) {
			b[0] = int16(e.before[i] << c.low)
		}
	case c.from == 0:
		b[0] |= int16(e.decide(&e.fixed) << c.low)
	case c.high == 0:
		e.firstAC(b, c.ac[i], c.from, c.to, c.low)
	default:
		e.nextAC(b, c.from, c.to, int16(1)<<c.low)
	}
}

// category decodes the magnitude category: the highest bit of a number, starting from m. It
// returns that bit and the index in chances of its last decision.
func (e *arithmetic) category(m int, chances []byte, at int) (int, int) {
	for e.decide(&chances[at]) != 0 {
		if m <<= 1; m == 0x8000 {
			e.broken = true
			break
		}
		at++
	}
	return m, at
}

// lower decodes the bits below the highest bit m, with one statistics bin, and returns the
// number with its sign.
func (e *arithmetic) lower(m, sign int, chance *byte) int32 {
	v := m
	for m >>= 1; m != 0; m >>= 1 {
		if e.decide(chance) != 0 {
			v |= m
		}
	}
	if sign != 0 {
		return -int32(v + 1)
	}
	return int32(v + 1)
}

// difference decodes the DC difference of plane i and adds it to before. It reports false if
// the data is damaged.
func (e *arithmetic) difference(i int) bool {
	table := e.scan.dc[i]
	chances, at := e.dc[table][:], e.context[i]
	if e.decide(&chances[at]) == 0 {
		e.context[i] = 0
		return true
	}
	sign := e.decide(&chances[at+1])
	at += 2 + sign
	m := e.decide(&chances[at])
	if m != 0 {
		if m, at = e.category(m, chances, 20); e.broken {
			return false
		}
	}
	switch {
	case m < 1<<e.low[table]>>1:
		e.context[i] = 0
	case m > 1<<e.high[table]>>1:
		e.context[i] = 12 + 4*sign
	default:
		e.context[i] = 4 + 4*sign
	}
	e.before[i] += e.lower(m, sign, &chances[at+14])
	return true
}

// firstAC decodes the first scan of AC coefficients from to to, without their low bits.
func (e *arithmetic) firstAC(b *[64]int16, table byte, from, to, low int) {
	chances := e.ac[table][:]
	for k := from; k <= to; k++ {
		at := 3 * (k - 1)
		if e.decide(&chances[at]) != 0 {
			return // end of block: the rest is zero
		}
		for e.decide(&chances[at+1]) == 0 {
			at += 3
			if k++; k > to {
				e.broken = true
				return
			}
		}
		sign := e.decide(&e.fixed)
		at += 2
		m := e.decide(&chances[at])
		if m != 0 && e.decide(&chances[at]) != 0 {
			at = 217
			if k <= int(e.k[table]) {
				at = 189
			}
			if m, at = e.category(2, chances, at); e.broken {
				return
			}
		}
		b[zigzag[k]] = int16(e.lower(m, sign, &chances[at+14]) << low)
	}
}

// nextAC decodes one further bit of AC coefficients from to to (successive approximation); one
// is the value of that bit.
func (e *arithmetic) nextAC(b *[64]int16, from, to int, one int16) {
	chances := e.ac[e.scan.ac[0]][:]
	last := to // index of the last coefficient that is not zero yet
	for last > 0 && b[zigzag[last]] == 0 {
		last--
	}
	for k := from; k <= to; k++ {
		at := 3 * (k - 1)
		if k > last && e.decide(&chances[at]) != 0 {
			return
		}
		for {
			c := &b[zigzag[k]]
			if *c != 0 {
				if e.decide(&chances[at+2]) != 0 {
					if *c < 0 {
						*c -= one
					} else {
						*c += one
					}
				}
				break
			}
			if e.decide(&chances[at+1]) != 0 {
				*c = one
				if e.decide(&e.fixed) != 0 {
					*c = -one
				}
				break
			}
			at += 3
			if k++; k > to {
				e.broken = true
				return
			}
		}
	}
}

// estimates is table D.2: the probability Qe of the less probable symbol (lps), and the next
// states after the less and the more probable symbol, with 0x80 set if the two symbols change
// places. The last state is fixed at even probability.
var estimates = [114]struct {
	qe       uint16
	lps, mps byte
}{
	{0x5a1d, 0x81, 1}, {0x2586, 0xe, 2}, {0x1114, 0x10, 3}, {0x080b, 0x12, 4},
	{0x03d8, 0x14, 5}, {0x01da, 0x17, 6}, {0x00e5, 0x19, 7}, {0x006f, 0x1c, 8},
	{0x0036, 0x1e, 9}, {0x001a, 0x21, 10}, {0x000d, 0x23, 11}, {0x0006, 0x9, 12},
	{0x0003, 0xa, 13}, {0x0001, 0xc, 13}, {0x5a7f, 0x8f, 15}, {0x3f25, 0x24, 16},
	{0x2cf2, 0x26, 17}, {0x207c, 0x27, 18}, {0x17b9, 0x28, 19}, {0x1182, 0x2a, 20},
	{0x0cef, 0x2b, 21}, {0x09a1, 0x2d, 22}, {0x072f, 0x2e, 23}, {0x055c, 0x30, 24},
	{0x0406, 0x31, 25}, {0x0303, 0x33, 26}, {0x0240, 0x34, 27}, {0x01b1, 0x36, 28},
	{0x0144, 0x38, 29}, {0x00f5, 0x39, 30}, {0x00b7, 0x3b, 31}, {0x008a, 0x3c, 32},
	{0x0068, 0x3e, 33}, {0x004e, 0x3f, 34}, {0x003b, 0x20, 35}, {0x002c, 0x21, 9},
	{0x5ae1, 0xa5, 37}, {0x484c, 0x40, 38}, {0x3a0d, 0x41, 39}, {0x2ef1, 0x43, 40},
	{0x261f, 0x44, 41}, {0x1f33, 0x45, 42}, {0x19a8, 0x46, 43}, {0x1518, 0x48, 44},
	{0x1177, 0x49, 45}, {0x0e74, 0x4a, 46}, {0x0bfb, 0x4b, 47}, {0x09f8, 0x4d, 48},
	{0x0861, 0x4e, 49}, {0x0706, 0x4f, 50}, {0x05cd, 0x30, 51}, {0x04de, 0x32, 52},
	{0x040f, 0x32, 53}, {0x0363, 0x33, 54}, {0x02d4, 0x34, 55}, {0x025c, 0x35, 56},
	{0x01f8, 0x36, 57}, {0x01a4, 0x37, 58}, {0x0160, 0x38, 59}, {0x0125, 0x39, 60},
	{0x00f6, 0x3a, 61}, {0x00cb, 0x3b, 62}, {0x00ab, 0x3d, 63}, {0x008f, 0x3d, 32},
	{0x5b12, 0xc1, 65}, {0x4d04, 0x50, 66}, {0x412c, 0x51, 67}, {0x37d8, 0x52, 68},
	{0x2fe8, 0x53, 69}, {0x293c, 0x54, 70}, {0x2379, 0x56, 71}, {0x1edf, 0x57, 72},
	{0x1aa9, 0x57, 73}, {0x174e, 0x48, 74}, {0x1424, 0x48, 75}, {0x119c, 0x4a, 76},
	{0x0f6b, 0x4a, 77}, {0x0d51, 0x4b, 78}, {0x0bb6, 0x4d, 79}, {0x0a40, 0x4d, 48},
	{0x5832, 0xd0, 81}, {0x4d1c, 0x58, 82}, {0x438e, 0x59, 83}, {0x3bdd, 0x5a, 84},
	{0x34ee, 0x5b, 85}, {0x2eae, 0x5c, 86}, {0x299a, 0x5d, 87}, {0x2516, 0x56, 71},
	{0x5570, 0xd8, 89}, {0x4ca9, 0x5f, 90}, {0x44d9, 0x60, 91}, {0x3e22, 0x61, 92},
	{0x3824, 0x63, 93}, {0x32b4, 0x63, 94}, {0x2e17, 0x5d, 86}, {0x56a8, 0xdf, 96},
	{0x4f46, 0x65, 97}, {0x47e5, 0x66, 98}, {0x41cf, 0x67, 99}, {0x3c3d, 0x68, 100},
	{0x375e, 0x63, 93}, {0x5231, 0x69, 102}, {0x4c0f, 0x6a, 103}, {0x4639, 0x6b, 104},
	{0x415e, 0x67, 99}, {0x5627, 0xe9, 106}, {0x50e7, 0x6c, 107}, {0x4b85, 0x6d, 103},
	{0x5597, 0x6e, 109}, {0x504f, 0x6f, 107}, {0x5a10, 0xee, 111}, {0x5522, 0x70, 109},
	{0x59eb, 0xf0, 111}, {0x5a1d, 0x71, 113},
}
