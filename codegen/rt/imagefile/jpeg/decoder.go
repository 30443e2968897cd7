package jpeg

import (
	"errors"
	"fmt"
	"image"
	"slices"

	"github.com/multiway-go/multiway/codegen/rt/pixel"
)

// decoder decodes one picture from its segments, given in file order.
type decoder struct {
	frame    *Frame
	by       int    // 2, 4 or 8: the picture is reduced to a part of its size; otherwise 0 or 1
	out      *Frame // of the picture that is shown: its size, sampling factors in samples of an MCU
	colours  colours
	quant    [4]*[64]uint16 // in row-major order, not zigzag
	dc, ac   [4]*huffman
	arith    conditioning
	interval int // MCUs between restart markers; 0: no restart markers

	// yield receives the picture: in strips of a row of MCUs if strips is set and the picture
	// allows it, otherwise at once.
	yield  func(pixel.Strip) bool
	strips bool
	unit   int // rows of the picture in a row of MCUs
	shown  int // rows of the picture that yield received

	scans  int // scans read so far
	planes []*plane
	kept   bool // coefficients are stored until all scans are read
	good   int  // last row of MCUs that a scan had data for
	cut    bool // the file ended in a scan
}

// plane is a component during decoding. Its blocks fill whole MCUs of all components.
type plane struct {
	Component
	w, h          int // samples of the picture that is shown, without padding
	across, down  int // blocks that hold samples of the picture
	width, height int // blocks, with the padding to whole MCUs
	quant         *[64]uint16
	coefficients  []int16
	samples       []byte
	stride        int // bytes per row of samples
	side          int // samples of a block in each direction: 8, fewer in a reduced picture
	high          int // block rows in a row of MCUs
	rows          int // block rows that samples has room for
	top           int // the first of them
	above         int // rows of samples before them: the end of the strip above

	// Of a progressive picture, by coefficient in zigzag order: the number of low bits still
	// missing, -1 if no scan had the coefficient; and the same before the last scan.
	missing, before [64]int
}

func (p *plane) block(x, y int) *[64]int16 {
	return (*[64]int16)(p.coefficients[64*(y*p.width+x):])
}

// transform writes the samples of block (x, y), which has the given coefficients.
func (p *plane) transform(x, y int, block *[64]int16) {
	to := p.samples[(p.side*(y-p.top)+p.above)*p.stride+p.side*x:]
	switch p.side {
	case 8:
		idct(to, p.stride, block, p.quant)
	case 4:
		idctHalf(to, p.stride, block, p.quant)
	case 2:
		idctQuarter(to, p.stride, block, p.quant)
	case 1:
		idctEighth(to, block, p.quant)
	}
}

var errTables = errors.New("a table is cut off")

// read decodes the next segment; a scan's segment includes the compressed data after it.
func (d *decoder) read(s Segment) error {
	switch m := s.Marker; {
	case IsFrame(m):
		if d.frame != nil {
			return errors.New("there are two frames")
		}
		f, err := ReadFrame(s)
		if err != nil {
			return err
		}
		d.frame = f
		return nil
	case m == SOS:
		return d.scan(s)
	case m == dht:
		return d.readCodes(s.Body)
	case m == dqt:
		return d.readQuantisers(s.Body)
	case m == dac:
		return d.arith.read(s.Body)
	case m == dri:
		if len(s.Body) != 2 {
			return fmt.Errorf("the restart interval has %d bytes, want 2", len(s.Body))
		}
		d.interval = int(s.Body[0])<<8 | int(s.Body[1])
		return nil
	case APP0 <= m && m <= app15:
		if d.scans == 0 {
			d.colours.see(s)
		}
		return nil
	case m == com, m == dnl, m == EOI:
		return nil
	}
	return fmt.Errorf("unknown marker %#x", s.Marker)
}

func (d *decoder) readQuantisers(b []byte) error {
	for len(b) > 0 {
		n, size := int(b[0]&15), 1
		if b[0]>>4 != 0 {
			size = 2
		}
		if n > 3 {
			return fmt.Errorf("there is a quantisation table %d, want 0 to 3", n)
		}
		b = b[1:]
		if len(b) < 64*size {
			return errTables
		}
		q := new([64]uint16)
		for i := range 64 {
			v := uint16(b[0])
			if size == 2 {
				v = v<<8 | uint16(b[1])
			}
			q[zigzag[i]] = v
			b = b[size:]
		}
		d.quant[n] = q
	}
	return nil
}

func (d *decoder) readCodes(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 {
			return errTables
		}
		class, n := b[0]>>4, b[0]&15
		if class > 1 || n > 3 {
			return fmt.Errorf("there is a Huffman table %d of class %d, want 0 to 3 of 0 or 1", n, class)
		}
		counts, count := b[1:17], 0
		for _, c := range counts {
			count += int(c)
		}
		b = b[17:]
		if count > 256 || count > len(b) {
			return errTables
		}
		h, err := newHuffman(counts, b[:count])
		if err != nil {
			return err
		}
		b = b[count:]
		if class == 0 {
			d.dc[n] = h
		} else {
			d.ac[n] = h
		}
	}
	return nil
}

// scan is a pass over one or more planes.
type scan struct {
	planes       []*plane
	dc, ac       []byte // table numbers, by plane of the scan
	from, to     int    // first and last coefficient, in zigzag order
	high, low    int    // number of low bits missing before the scan (Ah; 0: first scan) and after it (Al)
	across, down int    // MCUs per row, rows of MCUs
	single       bool   // not interleaved: an MCU is one block of the only plane
	packed       []byte // the entropy-coded data
}

// entropy decodes the blocks of a scan: by Huffman or by arithmetic coding.
type entropy interface {
	// restart resets the state after a restart marker.
	restart()
	// block decodes the next block of plane i of the scan into b.
	block(i int, b *[64]int16)
	// over reports whether no data is left before the next restart marker.
	over() bool
}

func (d *decoder) scan(s Segment) error {
	c, err := d.readScan(s)
	if err != nil {
		return err
	}
	if d.scans == 0 {
		d.allocate(c)
	} else if !d.kept {
		return errors.New("there is a scan after the picture")
	}
	d.scans++
	if err := d.quantise(c); err != nil {
		return err
	}
	b := &bits{data: c.packed}
	var e entropy = newArithmetic(d, c, b)
	if !d.frame.Arithmetic {
		if e, err = newCoded(d, c, b); err != nil {
			return err
		}
	}
	if d.frame.Progressive {
		if err := c.progress(d.scans); err != nil {
			return err
		}
	}
	if err := d.walk(c, b, e); err != nil {
		return err
	}
	d.cut = s.Cut && b.marker == ended
	return b.finish()
}

// quantise gives each plane of its first scan the quantisation table that is defined at that
// point.
func (d *decoder) quantise(c *scan) error {
	for _, p := range c.planes {
		if p.quant == nil {
			if p.table > 3 || d.quant[p.table] == nil {
				return fmt.Errorf("there is no quantisation table %d", p.table)
			}
			p.quant = d.quant[p.table]
		}
	}
	return nil
}

func (d *decoder) readScan(s Segment) (*scan, error) {
	b := s.Body
	if d.frame == nil {
		return nil, errors.New("there is a scan before the frame")
	}
	if len(b) < 1 || b[0] < 1 || b[0] > 4 || len(b) != 4+2*int(b[0]) {
		return nil, fmt.Errorf("a scan's header has %d bytes, want 4 and 2 for each of 1 to 4 components", len(b))
	}
	if len(d.planes) == 0 {
		d.makePlanes()
	}
	c := &scan{packed: s.Packed}
	n := int(b[0])
	for i := range n {
		id, tables := b[1+2*i], b[2+2*i]
		at := slices.IndexFunc(d.planes, func(p *plane) bool { return p.ID == id && !slices.Contains(c.planes, p) })
		if at < 0 {
			return nil, fmt.Errorf("a scan is of a component %d that there is not", id)
		}
		c.planes = append(c.planes, d.planes[at])
		c.dc, c.ac = append(c.dc, tables>>4), append(c.ac, tables&15)
	}
	b = b[1+2*n:]
	c.from, c.to, c.high, c.low = int(b[0]), int(b[1]), int(b[2]>>4), int(b[2]&15)
	if n == 1 {
		c.single = true
		c.across, c.down = c.planes[0].across, c.planes[0].down
		return c, nil
	}
	blocks := 0
	for _, p := range c.planes {
		blocks += p.H * p.V
		c.across, c.down = p.width/p.H, p.height/p.V
	}
	if blocks > 10 {
		return nil, fmt.Errorf("a scan has %d blocks in a unit, want 10 at most", blocks)
	}
	return c, nil
}

func (d *decoder) makePlanes() {
	f := d.frame
	across, down := f.sampling()
	by := max(d.by, 1)
	out := *f
	d.out = &out
	out.Size = image.Pt(parts(f.Size.X, by), parts(f.Size.Y, by))
	out.Components = slices.Clone(f.Components)
	for i, c := range f.Components {
		p := &plane{
			Component: c,
			across:    parts(parts(f.Size.X*c.H, across), 8), down: parts(parts(f.Size.Y*c.V, down), 8),
			width: parts(f.Size.X, 8*across) * c.H, height: parts(f.Size.Y, 8*down) * c.V,
			side: 8 / by,
		}
		// As in libjpeg, subsampled planes are reduced less where that does as their upsampling.
		for p.side < 8 && across*8/by%(2*p.side*c.H) == 0 && down*8/by%(2*p.side*c.V) == 0 {
			p.side *= 2
		}
		out.Components[i].H, out.Components[i].V = p.side*c.H, p.side*c.V
		p.w, p.h = parts(f.Size.X*c.H*p.side, 8*across), parts(f.Size.Y*c.V*p.side, 8*down)
		p.stride = p.side * p.width
		p.missing = noScan
		d.planes = append(d.planes, p)
	}
}

// parts returns v/n, rounded up.
func parts(v, n int) int { return (v + n - 1) / n }

// allocate allocates the planes' coefficients, if the first scan shows that they are needed, or
// their samples.
func (d *decoder) allocate(c *scan) {
	d.kept = d.frame.Progressive || len(c.planes) < len(d.planes)
	if !d.frame.Progressive && !d.frame.Arithmetic {
		d.addStandard()
	}
	d.layOut()
	for _, p := range d.planes {
		if d.kept {
			p.coefficients = make([]int16, 64*p.width*p.height)
		} else {
			p.allocate()
		}
	}
}

func (p *plane) allocate() { p.samples = make([]byte, p.stride*(p.side*p.rows+p.above)) }

// addStandard adds the standard Huffman tables (annex K), which MJPEG frames omit.
func (d *decoder) addStandard() {
	for i := range standard[0] {
		if d.dc[i] == nil {
			d.dc[i] = standard[0][i]
		}
		if d.ac[i] == nil {
			d.ac[i] = standard[1][i]
		}
	}
}

// progress checks the parameters of a progressive scan and records the bits that it adds.
func (c *scan) progress(scans int) error {
	bad := c.from > c.to || c.to > 63 || c.low > 13 || c.high != 0 && c.low != c.high-1
	if c.from == 0 {
		bad = bad || c.to != 0
	} else {
		bad = bad || len(c.planes) != 1
	}
	if bad {
		return fmt.Errorf("a scan has coefficients %d to %d of %d components, bits %d to %d", c.from, c.to, len(c.planes), c.high, c.low)
	}
	for _, p := range c.planes {
		for i := min(c.from, 1); i <= max(c.to, 9); i++ {
			p.before[i] = 0
			if scans > 1 {
				p.before[i] = p.missing[i]
			}
		}
		for i := c.from; i <= c.to; i++ {
			p.missing[i] = c.low
		}
	}
	return nil
}

// walk decodes the blocks of a scan.
func (d *decoder) walk(c *scan, b *bits, e entropy) error {
	var scratch [64]int16
	left, due := d.interval, byte(rst0)
	for my := range c.down {
		row := my
		if c.single {
			row /= c.planes[0].V
		}
		for mx := range c.across {
			if d.interval > 0 {
				if left == 0 {
					b.restart(due)
					e.restart()
					due, left = rst0|(due+1)&7, d.interval
				}
				left--
			}
			// Blocks past the end of the data are left unchanged.
			there := !e.over()
			if there || d.frame.Arithmetic {
				d.good = row
			}
			for i, p := range c.planes {
				h, v := p.H, p.V
				if c.single {
					h, v = 1, 1
				}
				for y := my * v; y < (my+1)*v; y++ {
					for x := mx * h; x < (mx+1)*h; x++ {
						block := &scratch
						if d.kept {
							block = p.block(x, y)
						} else {
							*block = [64]int16{}
						}
						if there {
							e.block(i, block)
						}
						if !d.kept {
							p.transform(x, y, block)
						}
					}
				}
			}
		}
		if !d.kept {
			if err := d.show(my); err != nil {
				return err
			}
		}
	}
	return nil
}
