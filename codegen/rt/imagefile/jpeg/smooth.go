package jpeg

// kernel weighs the DC coefficients of a block and its 24 neighbours.
type kernel [5][5]int

func (k kernel) transposed() (t kernel) {
	for y := range k {
		for x := range k {
			t[y][x] = k[x][y]
		}
	}
	return t
}

// Kernels of libjpeg-turbo's block smoothing, which estimates the AC coefficients that no scan
// of a progressive picture has had. Weights are in 1/256.
var (
	// smoothing is indexed by coefficient in zigzag order; it applies if at least one of the
	// coefficients 1 to 9 is known.
	smoothing = [10]kernel{
		1: slope, 2: slope.transposed(),
		3: curve, 5: curve.transposed(),
		4: {{0, -1, 0, 1, 0}, {-1, 10, 0, -10, 1}, {}, {1, -10, 0, 10, -1}, {0, 1, 0, -1, 0}},
	}
	slope = kernel{2: {-7, 50, 0, -50, 7}}
	curve = kernel{{2: -1}, {2: 13}, {2: -24}, {2: 13}, {2: -1}}

	// wideSmoothing is indexed likewise; it applies if none of them is known, and estimates the
	// DC coefficient too.
	wideSmoothing = [10]kernel{
		0: {{-2, -6, -8, -6, -2}, {-6, 6, 42, 6, -6}, {-8, 42, 152, 42, -8}, {-6, 6, 42, 6, -6}, {-2, -6, -8, -6, -2}},
		1: wideSlope, 2: wideSlope.transposed(),
		3: wideCurve, 5: wideCurve.transposed(),
		4: {{-1, 0, 0, 0, 1}, {0, 9, 0, -9, 0}, {}, {0, -9, 0, 9, 0}, {1, 0, 0, 0, -1}},
		6: wideThird, 9: wideThird.transposed(),
		7: wideTwist, 8: wideTwist.transposed(),
	}
	wideSlope = kernel{{-1, -1, 0, 1, 1}, {-3, 13, 0, -13, 3}, {-3, 38, 0, -38, 3}, {-3, 13, 0, -13, 3}, {-1, -1, 0, 1, 1}}
	wideCurve = kernel{{2: 1}, {0, 2, 7, 2, 0}, {0, -5, -14, -5, 0}, {0, 2, 7, 2, 0}, {2: 1}}
	wideThird = kernel{1: {0, 1, 0, -1, 0}, 2: {0, 2, 0, -2, 0}, 3: {0, 1, 0, -1, 0}}
	wideTwist = kernel{1: {0, 1, -3, 1, 0}, 3: {0, -1, 3, -1, 0}}
)

// noScan is the value of plane.missing before any scan.
var noScan = func() (all [64]int) {
	for i := range all {
		all[i] = -1
	}
	return all
}()

// unfinished reports whether the picture needs smoothing: it is progressive, every plane has its DC
// coefficients, and some of the coefficients 1 to 9 in zigzag order lack bits. A quantisation step of
// 0 among these coefficients rules smoothing out.
func (d *decoder) unfinished() bool {
	if !d.frame.Progressive {
		return false
	}
	some := false
	for _, p := range d.planes {
		if p.missing[0] < 0 {
			return false
		}
		for i, low := range p.missing[:10] {
			if p.quant[zigzag[i]] == 0 {
				return false
			}
			some = some || i > 0 && low != 0
		}
	}
	return some
}

// smooth estimates the missing coefficients of block (x, y).
func (d *decoder) smooth(block *[64]int16, p *plane, x, y int) {
	missing := &p.missing
	if y/p.V > d.good {
		// The last scan ended before this row.
		if missing = &p.before; d.scans == 1 {
			missing = &noScan
		}
	}
	kernels, wide := &smoothing, true
	for _, low := range missing[1:10] {
		wide = wide && low < 0
	}
	if wide {
		kernels = &wideSmoothing
	}
	rows := p.neighbours(y)
	for i := 9; i >= 0; i-- {
		low, at := missing[i], zigzag[i]
		if kernels[i] == (kernel{}) || i > 0 && (low == 0 || block[at] != 0) {
			continue
		}
		sum := 0
		for ky, weights := range kernels[i] {
			for kx, weight := range weights {
				if weight != 0 {
					sum += weight * int(p.block(min(max(x+kx-2, 0), p.across-1), rows[ky])[0])
				}
			}
		}
		num, q := sum*int(p.quant[0]), int(p.quant[at])
		v := (q<<7 + max(num, -num)) / (q << 8)
		if i > 0 && low > 0 {
			v = min(v, 1<<low-1)
		}
		if num < 0 {
			v = -v
		}
		block[at] = int16(v)
	}
}

// neighbours returns the block rows y-2 to y+2, limited to the plane. As in libjpeg, rows of
// padding count except in the last row of MCUs; in that row, positions are computed as if every
// row of MCUs had its height.
func (p *plane) neighbours(y int) [5]int {
	last := p.height/p.V - 1
	mcu := y / p.V
	high := p.V
	if mcu == last {
		high = p.down - last*p.V
	}
	at, most := mcu*high+y%p.V, high*(last+1)-1
	rows := [5]int{y, y, y, y, y}
	if at > 0 {
		rows[1] = y - 1
	}
	rows[0] = rows[1]
	if at > 1 {
		rows[0] = y - 2
	}
	if at < most {
		rows[3] = y + 1
	}
	rows[4] = rows[3]
	if at < most-1 {
		rows[4] = y + 2
	}
	return rows
}
