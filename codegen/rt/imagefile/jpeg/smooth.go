package jpeg

// kernel weighs the first coefficients of a block and its 24 neighbours.
type kernel [5][5]int

func (k kernel) transposed() (t kernel) {
	for y := range k {
		for x := range k {
			t[y][x] = k[x][y]
		}
	}
	return t
}

// What libjpeg-turbo estimates coefficients of a progressive picture by that no scan brought. Each estimate is
// in 256ths.
var (
	// smoothing is by coefficient of the stream, where some of the first nine are known.
	smoothing = [10]kernel{
		1: slope, 2: slope.transposed(),
		3: curve, 5: curve.transposed(),
		4: {{0, -1, 0, 1, 0}, {-1, 10, 0, -10, 1}, {}, {1, -10, 0, 10, -1}, {0, 1, 0, -1, 0}},
	}
	slope = kernel{2: {-7, 50, 0, -50, 7}}
	curve = kernel{{2: -1}, {2: 13}, {2: -24}, {2: 13}, {2: -1}}

	// wideSmoothing is by coefficient of the stream, where none of them is known. The first is estimated too.
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

// noScan is what is missing where no scan was.
var noScan = func() (all [64]int) {
	for i := range all {
		all[i] = -1
	}
	return all
}()

// unfinished says whether the picture is smoothed: it is progressive, every plane has its first
// coefficients, and some of the next nine are not known to the last bit.
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

// smooth estimates coefficients of block (x, y).
func (d *decoder) smooth(block *[64]int16, p *plane, x, y int) {
	missing := &p.missing
	if y/p.V > d.good {
		// The last scan did not come to this row.
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

// neighbours are row y of blocks with two above and two below it. As libjpeg has it, rows that only fill the
// last MCU count for all but the last row of MCUs, whose rows are counted as if all MCUs were as high.
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
