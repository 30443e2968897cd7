//lint:file-ignore U1000 TwinFile copies what other packages use

package asm

import (
	"math"
	"unsafe"
)

// Every function below is copied, with what it uses, into generated packages (TwinFile). So this file imports the
// standard library only, and no declaration in it uses one from another file. The twin of a tiled op takes rows where kernels
// take tiles: TwinFile writes the kernels of all tiles from it.
//
// A product that is added to something is converted explicitly, float32(x*y) + z: without that the compiler may fuse the
// two on some CPUs, and the same program would give other bits there.

func gemm_f32_generic(rows int, k int, a *float32, lda int, b *float32, _ int, c *float32, ldc int, bias *float32, acc int, _ *float32, _ int) {
	gemmTile(rows, k, a, lda, b, 16, c, ldc, bias, acc)
}

func gemmv_f32_generic(rows int, k int, a *float32, lda int, b *float32, ldb int, c *float32, ldc int, acc int) {
	gemmTile(rows, k, a, lda, b, ldb, c, ldc, nil, acc)
}

// gemmTile computes a tile of 16 columns; row k of B starts at b + k*ldb.
func gemmTile(rows, k int, a *float32, lda int, b *float32, ldb int, c *float32, ldc int, bias *float32, acc int) {
	for r := range rows {
		row := rowOf(c, r, ldc, 16)
		if acc == 0 {
			clear(row)
		}
		if bias != nil {
			for j, v := range unsafe.Slice(bias, 16) {
				row[j] += v
			}
		}
		gemmRow(row, rowOf(a, r, lda, k), b, ldb)
	}
}

// gemmRow adds a*B to a row of 16 columns. Four sums at a time stay in registers and hide each other's latency; wider
// blocks, or blocks of several rows, are spilled by the compiler and gain nothing.
func gemmRow(c, a []float32, b *float32, ldb int) {
	for j := 0; j < 16; j += 4 {
		c := (*[4]float32)(c[j:])
		c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
		base, at, step := unsafe.Pointer(b), 4*j, 4*ldb
		for _, x := range a {
			v := (*[4]float32)(unsafe.Add(base, at))
			c0 += float32(x * v[0])
			c1 += float32(x * v[1])
			c2 += float32(x * v[2])
			c3 += float32(x * v[3])
			at += step
		}
		c[0], c[1], c[2], c[3] = c0, c1, c2, c3
	}
}

func softmax_f32_generic(rows int, x *float32, ld int, n int, inv *float32) {
	for r := range rows {
		row := rowOf(x, r, ld, (n+15)/16*16)
		clear(row[n:])
		row = row[:n]
		top := row[0]
		for _, v := range row {
			if v > top {
				top = v
			}
		}
		sum := 0.0
		for i, v := range row {
			e := float32(exp2(float64(v - top)))
			row[i] = e
			sum += float64(e)
		}
		rowOf(inv, r, 1, 1)[0] = float32(1 / sum)
	}
}

func scalerows_f32_generic(rows int, dst *float32, ldd int, src *float32, lds int, n int, s *float32) {
	for r := range rows {
		d, scale := rowOf(dst, r, ldd, n), rowOf(s, r, 1, 1)[0]
		for i, v := range rowOf(src, r, lds, n) {
			d[i] = v * scale
		}
	}
}

func layernorm_f32_generic(rows int, dst *float32, ldd int, src *float32, lds int, n int, gain *float32, bias *float32, eps float32) {
	for r := range rows {
		d, row := rowOf(dst, r, ldd, n), rowOf(src, r, lds, n)
		mean, scale := moments(row, eps)
		if gain == nil {
			for i, v := range row {
				d[i] = float32((float64(v) - mean) * scale)
			}
			continue
		}
		g, b := unsafe.Slice(gain, n), unsafe.Slice(bias, n)
		for i, v := range row {
			d[i] = float32(float64((float64(v)-mean)*scale*float64(g[i])) + float64(b[i]))
		}
	}
}

// moments returns the mean of a row and one over its standard deviation.
func moments(row []float32, eps float32) (mean, scale float64) {
	sum := 0.0
	for _, v := range row {
		sum += float64(v)
	}
	mean = sum / float64(len(row))
	sum = 0
	for _, v := range row {
		e := float64(v) - mean
		sum += float64(e * e)
	}
	return mean, 1 / math.Sqrt(sum/float64(len(row))+float64(eps))
}

func gelu_f32_generic(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		d := rowOf(dst, r, ldd, n)
		for i, v := range rowOf(src, r, lds, n) {
			d[i] = gelu(v)
		}
	}
}

func packk_f32_generic(rows int, dst *float32, src *float32, lds int, k int) {
	d := unsafe.Slice(dst, k*16)
	for r := range 16 {
		if r >= rows {
			for i := r; i < len(d); i += 16 {
				d[i] = 0
			}
			continue
		}
		for i, v := range rowOf(src, r, lds, k) {
			d[i*16+r] = v
		}
	}
}

func add_f32_generic(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		d := rowOf(dst, r, ldd, n)
		for i, v := range rowOf(src, r, lds, n) {
			d[i] += v
		}
	}
}

func wgemm_f16_generic(rows int, k int, a *float32, lda int, b *uint16, _ int, c *float32, ldc int, bias *float32, acc int, _ *uint16, _ int) {
	wgemmTile(rows, k, a, lda, b, f16, c, ldc, bias, acc)
}

func wgemm_bf16_generic(rows int, k int, a *float32, lda int, b *uint16, _ int, c *float32, ldc int, bias *float32, acc int, _ *uint16, _ int) {
	wgemmTile(rows, k, a, lda, b, bf16, c, ldc, bias, acc)
}

// wgemmTile is gemmTile over a panel of 16-bit values, a few rows of it at a time.
func wgemmTile(rows, k int, a *float32, lda int, b *uint16, widen func(uint16) float32, c *float32, ldc int, bias *float32, acc int) {
	var panel [64 * 16]float32
	for done := 0; done < k; {
		n := min(64, k-done)
		for i, h := range unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(b), 32*done)), 16*n) {
			panel[i] = widen(h)
		}
		gemmTile(rows, n, (*float32)(unsafe.Add(unsafe.Pointer(a), 4*done)), lda, &panel[0], 16, c, ldc, bias, acc)
		done, bias, acc = done+n, nil, 1
	}
}

func expand_f16_generic(n int, dst *float32, src *uint16) {
	d := unsafe.Slice(dst, n)
	for i, h := range unsafe.Slice(src, n) {
		d[i] = f16(h)
	}
}

func expand_bf16_generic(n int, dst *float32, src *uint16) {
	d := unsafe.Slice(dst, n)
	for i, h := range unsafe.Slice(src, n) {
		d[i] = bf16(h)
	}
}

// bf16 widens a bfloat16.
func bf16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// f16 widens an IEEE half. A NaN becomes a quiet one, as on every CPU.
func f16(h uint16) float32 {
	sign, rest := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case rest < 0x0400: // zero or subnormal: a multiple of 2^-24
		return math.Float32frombits(math.Float32bits(float32(rest)*0x1p-24) | sign)
	case rest < 0x7c00:
		return math.Float32frombits(sign | rest<<13 + 112<<23)
	case rest == 0x7c00:
		return math.Float32frombits(sign | 0x7f800000)
	}
	return math.Float32frombits(sign | 0x7fc00000 | rest<<13)
}

// qgemm_i8_generic takes four columns at a time, whose sums stay in registers.
func qgemm_i8_generic(rows int, k int, a *uint8, lda int, b *int8, _ int, c *float32, ldc int, scale *float32, zero *float32, bias *float32, acc int, _ *int8, _ int) {
	panel := unsafe.Slice(b, 64*k)
	tail := unsafe.Add(unsafe.Pointer(b), 64*k)
	column, start, shift := (*[16]float32)(tail), (*[16]int32)(unsafe.Add(tail, 64)), (*[16]float32)(unsafe.Add(tail, 128))
	for r := range rows {
		row := unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(a), r*lda)), 4*k)
		sums := *start
		for j := 0; j < 16; j += 4 {
			c0, c1, c2, c3 := sums[j], sums[j+1], sums[j+2], sums[j+3]
			for i := 0; i < len(row); i += 4 {
				x := (*[4]uint8)(row[i:])
				x0, x1, x2, x3 := int32(x[0]), int32(x[1]), int32(x[2]), int32(x[3])
				v := (*[16]int8)(panel[16*i+4*j:])
				c0 += x0*int32(v[0]) + x1*int32(v[1]) + x2*int32(v[2]) + x3*int32(v[3])
				c1 += x0*int32(v[4]) + x1*int32(v[5]) + x2*int32(v[6]) + x3*int32(v[7])
				c2 += x0*int32(v[8]) + x1*int32(v[9]) + x2*int32(v[10]) + x3*int32(v[11])
				c3 += x0*int32(v[12]) + x1*int32(v[13]) + x2*int32(v[14]) + x3*int32(v[15])
			}
			sums[j], sums[j+1], sums[j+2], sums[j+3] = c0, c1, c2, c3
		}
		s, z, out := rowOf(scale, r, 1, 1)[0], rowOf(zero, r, 1, 1)[0], rowOf(c, r, ldc, 16)
		for j, sum := range sums {
			y := float32(float32(float32(sum)*s)*column[j]) + float32(z*shift[j])
			if bias != nil {
				y += unsafe.Slice(bias, 16)[j]
			}
			if acc != 0 {
				y += out[j]
			}
			out[j] = y
		}
	}
}

// qgemmw_i8_generic takes the columns one by one.
func qgemmw_i8_generic(rows int, k int, a *uint8, lda int, b *int8, _ int, c *float32, ldc int, scale *float32, zero *float32, bias *float32, acc int, _ *int8, _ int) {
	panel := unsafe.Slice((*int16)(unsafe.Pointer(b)), 64*k)
	tail := unsafe.Add(unsafe.Pointer(b), 128*k)
	column, start, shift := unsafe.Slice((*float32)(tail), 16), unsafe.Slice((*int32)(unsafe.Add(tail, 64)), 16), unsafe.Slice((*float32)(unsafe.Add(tail, 128)), 16)
	for r := range rows {
		row := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(a), r*lda)), 4*k)
		own := *(*int32)(unsafe.Add(unsafe.Pointer(a), r*lda+8*k))
		s, z := rowOf(scale, r, 1, 1)[0], rowOf(zero, r, 1, 1)[0]
		for j := range 16 {
			sum := start[j] + own
			for i := range k {
				x, v := row[4*i:], panel[64*i+2*j:]
				sum += int32(x[0]+v[32])*int32(x[2]+v[0]) + int32(x[1]+v[33])*int32(x[3]+v[1])
			}
			y := float32(float32(float32(sum)*s)*column[j]) + float32(z*shift[j])
			if bias != nil {
				y += unsafe.Slice(bias, 16)[j]
			}
			out := &rowOf(c, r, ldc, 16)[j]
			if acc != 0 {
				y += *out
			}
			*out = y
		}
	}
}

// widened returns which value of a panel is the i-th of the widened one.
func widened(i int) int { return i/64*64 + i%32/2*4 + i%64/32*2 + i%2 }

func widen_i8_generic(k int, dst *int8, src *int8) {
	panel := unsafe.Slice(src, 64*k+192)
	wide := unsafe.Slice((*int16)(unsafe.Pointer(dst)), 64*k)
	for i := range wide {
		wide[i] = int16(panel[widened(i)])
	}
	tail := unsafe.Add(unsafe.Pointer(dst), 128*k)
	copy(unsafe.Slice((*int8)(tail), 192), panel[64*k:])
	start := unsafe.Slice((*int32)(unsafe.Add(tail, 64)), 16)
	for j := range start {
		start[j] = 0
		for i := range k {
			v := wide[64*i+2*j:]
			start[j] -= int32(v[0])*int32(v[32]) + int32(v[1])*int32(v[33])
		}
	}
}

func rowstart_i8_generic(rows int, k int, a *uint8, lda int) {
	for r := range rows {
		p, sum := unsafe.Add(unsafe.Pointer(a), r*lda), int32(0)
		for i, row := 0, unsafe.Slice((*int16)(p), 4*k); i < len(row); i += 4 {
			sum -= int32(row[i])*int32(row[i+2]) + int32(row[i+1])*int32(row[i+3])
		}
		*(*int32)(unsafe.Add(p, 8*k)) = sum
	}
}

func quant_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, zero *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		d := unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32)
		rowOf(scale, r, 1, 1)[0], rowOf(zero, r, 1, 1)[0] = quantRow(d, nil, n, func(i int) float32 { return row[i] })
	}
}

func quant_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, zero *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		d, rest := byteRow(dst, r, ldd, n)
		rowOf(scale, r, 1, 1)[0], rowOf(zero, r, 1, 1)[0] = quantRow(d, rest, n, func(i int) float32 { return row[i] })
	}
}

// byteRow returns both halves of a row, in whole blocks.
func byteRow(dst *uint8, r, ldd, n int) (values, rest []uint8) {
	return unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32),
		unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd+ldd/2)), (n+31)/32*32)
}

func normq_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, zero *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		mean, unit := moments(row, eps)
		d := unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32)
		rowOf(scale, r, 1, 1)[0], rowOf(zero, r, 1, 1)[0] = quantRow(d, nil, n, func(i int) float32 { return float32((float64(row[i]) - mean) * unit) })
	}
}

func normq_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, zero *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		mean, unit := moments(row, eps)
		d, rest := byteRow(dst, r, ldd, n)
		rowOf(scale, r, 1, 1)[0], rowOf(zero, r, 1, 1)[0] = quantRow(d, rest, n, func(i int) float32 { return float32((float64(row[i]) - mean) * unit) })
	}
}

// quantRow rounds n values, and what that takes away unless rest is nil, and returns their scale and their middle.
func quantRow(dst, rest []uint8, n int, value func(i int) float32) (scale, zero float32) {
	lo, hi, nan := value(0), value(0), float32(0)
	for i := range n {
		v := value(i)
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
		nan += float32(v * 0) // NaN if v is not finite
	}
	z := float32(float32(hi+lo)*0.5) + nan
	m, inv := float32(float32(hi-lo)*0.5)+nan, float32(0)
	if m >= 1e-30 {
		inv = 127 / m
	} else if m < 1e-30 {
		m = 0
	}
	for i := range dst {
		v := float32(0)
		if i < n {
			v = float32(value(i)-z) * inv
		}
		whole := float32(math.RoundToEven(float64(v)))
		dst[i] = byte(128 + int(whole))
		if rest != nil {
			rest[i] = byte(128 + int(math.RoundToEven(float64(float32(v-whole)*254))))
		}
	}
	return m / 127, z
}

func quantw_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, zero *float32) {
	for r := range rows {
		d := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32)
		narrow := make([]uint8, len(d))
		quant_i8_generic(1, &narrow[0], 0, &rowOf(src, r, lds, n)[0], lds, n, &rowOf(scale, r, 1, 1)[0], &rowOf(zero, r, 1, 1)[0])
		for i, v := range narrow {
			d[i] = int16(v) - 128
		}
	}
}

func quantw_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, zero *float32) {
	room := (n + 31) / 32 * 32
	for r := range rows {
		narrow := make([]uint8, 2*room)
		quant_i8x2_generic(1, &narrow[0], 2*room, &rowOf(src, r, lds, n)[0], lds, n, &rowOf(scale, r, 1, 1)[0], &rowOf(zero, r, 1, 1)[0])
		d := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), room)
		for i := range d {
			d[i] = 254*(int16(narrow[i])-128) + int16(narrow[room+i]) - 128
		}
	}
}

func normqw_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, zero *float32) {
	norm := make([]float32, n)
	for r := range rows {
		layernorm_f32_generic(1, &norm[0], 0, &rowOf(src, r, lds, n)[0], 0, n, nil, nil, eps)
		d := (*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd))
		quantw_i8_generic(1, d, 0, &norm[0], 0, n, &rowOf(scale, r, 1, 1)[0], &rowOf(zero, r, 1, 1)[0])
	}
}

func normqw_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, zero *float32) {
	norm := make([]float32, n)
	for r := range rows {
		layernorm_f32_generic(1, &norm[0], 0, &rowOf(src, r, lds, n)[0], 0, n, nil, nil, eps)
		d := (*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd))
		quantw_i8x2_generic(1, d, ldd, &norm[0], 0, n, &rowOf(scale, r, 1, 1)[0], &rowOf(zero, r, 1, 1)[0])
	}
}

// dgemm_bf16dot_generic takes four columns at a time, whose sums stay in registers. A product of two bfloat16 has 16 bits and is exact.
func dgemm_bf16dot_generic(rows int, k int, a *uint16, lda int, b *uint16, _ int, c *float32, ldc int, bias *float32, acc int, _ *uint16, _ int) {
	panel := unsafe.Slice(b, 32*k)
	for r := range rows {
		row := unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(a), 2*r*lda)), 2*k)
		out := rowOf(c, r, ldc, 16)
		if acc == 0 {
			clear(out)
		}
		if bias != nil {
			for j, v := range unsafe.Slice(bias, 16) {
				out[j] += v
			}
		}
		for j := 0; j < 16; j += 4 {
			sum := (*[4]float32)(out[j:])
			c0, c1, c2, c3 := sum[0], sum[1], sum[2], sum[3]
			for i := 0; i < len(row); i += 2 {
				x := (*[2]uint16)(row[i:])
				x0, x1 := bf16(x[0]), bf16(x[1])
				v := (*[8]uint16)(panel[16*i+2*j:])
				c0 += float32(x1 * bf16(v[1]))
				c1 += float32(x1 * bf16(v[3]))
				c2 += float32(x1 * bf16(v[5]))
				c3 += float32(x1 * bf16(v[7]))
				c0 += float32(x0 * bf16(v[0]))
				c1 += float32(x0 * bf16(v[2]))
				c2 += float32(x0 * bf16(v[4]))
				c3 += float32(x0 * bf16(v[6]))
			}
			sum[0], sum[1], sum[2], sum[3] = c0, c1, c2, c3
		}
	}
}

func round_bf16dot_generic(rows int, dst *uint16, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		d := unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(dst), 2*r*ldd)), (n+31)/32*32)
		for i, v := range rowOf(src, r, lds, n) {
			d[i] = toBF16(v)
		}
		clear(d[n:])
	}
}

// toBF16 rounds to a bfloat16, ties to even. A NaN stays one.
func toBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// rowOf is row r of the matrix at p with leading dimension ld: n floats.
func rowOf(p *float32, r, ld, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(p), 4*r*ld)), n)
}

// exp2Coef holds the weighted minimax fit 2^f = 1 + f*(c1 + c2*f + ...), -1/2 <= f <= 1/2, right to 9.2e-8 relative.
var exp2Coef = [...]float64{0.693146978, 0.240222421, 0.0555073374, 0.00967151264, 0.00132647271}

// exp2 is 2^y for y <= 0; below -125 it is 2^-125. A NaN stays a NaN.
func exp2(y float64) float64 {
	if y < -125 {
		y = -125
	}
	// Adding and subtracting 1.5*2^52 rounds to the nearest integer, which is then in the low bits of the sum.
	const round = 3 << 51
	t := y + round
	f := y - (t - round)
	p := exp2Coef[4]
	p = float64(p*f) + exp2Coef[3]
	p = float64(p*f) + exp2Coef[2]
	p = float64(p*f) + exp2Coef[1]
	p = float64(p*f) + exp2Coef[0]
	p = float64(p*f) + 1
	return p * math.Float64frombits((math.Float64bits(t)+1023)<<52)
}

// geluCoef holds the fit erfc(u/sqrt2) = 2^(u*(c0 + c1*u + ...)), 0 <= u <= 6, which makes gelu right to 2.2e-8.
var geluCoef = [...]float64{-1.15111105, -0.459162143, -0.0526276112, 0.00724542179, -0.000272076187, -0.000131473023, 2.80568954e-05, -1.90206158e-06}

// gelu is max(x,0) - |x|/2 * erfc(|x|/sqrt2). Past 6 the second term no longer counts. A NaN stays a NaN.
func gelu(x float32) float32 {
	u := math.Abs(float64(x))
	if u > 6 {
		u = 6
	}
	bits := math.Float64bits(float64(x))
	r := math.Float64frombits(bits &^ uint64(int64(bits)>>63)) // max(x, 0): no branch, signs are not predictable
	q := geluCoef[7]
	q = float64(q*u) + geluCoef[6]
	q = float64(q*u) + geluCoef[5]
	q = float64(q*u) + geluCoef[4]
	q = float64(q*u) + geluCoef[3]
	q = float64(q*u) + geluCoef[2]
	q = float64(q*u) + geluCoef[1]
	q = float64(q*u) + geluCoef[0]
	return float32(r - float64(u/2*exp2(q*u)))
}
