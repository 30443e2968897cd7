//lint:file-ignore U1000 TwinFile copies what other packages use

package asm

import (
	"math"
	"unsafe"
)

// gemm_i8_generic takes four columns at a time, whose sums stay in registers.
func gemm_i8_generic(rows int, k int, a *uint8, lda int, b *int8, _ int, c *float32, ldc int, scale *float32, midpoint *float32, bias *float32, acc int, _ *int8, _ int) {
	panel := unsafe.Slice(b, 64*k)
	tail := unsafe.Add(unsafe.Pointer(b), 64*k)
	colScale, compensation, colSum := (*[16]float32)(tail), (*[16]int32)(unsafe.Add(tail, 64)), (*[16]float32)(unsafe.Add(tail, 128))
	for r := range rows {
		row := unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(a), r*lda)), 4*k)
		sums := *compensation
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
		s, z, out := rowOf(scale, r, 1, 1)[0], rowOf(midpoint, r, 1, 1)[0], rowOf(c, r, ldc, 16)
		for j, sum := range sums {
			y := float32(float32(float32(sum)*s)*colScale[j]) + float32(z*colSum[j])
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

func gemm_i7_generic(rows int, k int, a *uint8, lda int, b *int8, bstride int, c *float32, ldc int, scale *float32, midpoint *float32, bias *float32, acc int, pf *int8, pfstep int) {
	gemm_i8_generic(rows, k, a, lda, b, bstride, c, ldc, scale, midpoint, bias, acc, pf, pfstep)
}

func gemm_i16_i8_generic(rows int, k int, a *uint8, lda int, b *int8, _ int, c *float32, ldc int, scale *float32, midpoint *float32, bias *float32, acc int, _ *int8, _ int) {
	panel := unsafe.Slice((*int16)(unsafe.Pointer(b)), 64*k)
	tail := unsafe.Add(unsafe.Pointer(b), 128*k)
	colScale, compensation, colSum := unsafe.Slice((*float32)(tail), 16), unsafe.Slice((*int32)(unsafe.Add(tail, 64)), 16), unsafe.Slice((*float32)(unsafe.Add(tail, 128)), 16)
	for r := range rows {
		row := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(a), r*lda)), 4*k)
		own := *(*int32)(unsafe.Add(unsafe.Pointer(a), r*lda+8*k))
		s, z := rowOf(scale, r, 1, 1)[0], rowOf(midpoint, r, 1, 1)[0]
		for j := range 16 {
			sum := compensation[j] + own
			for i := range k {
				x, v := row[4*i:], panel[64*i+2*j:]
				sum += int32(x[0]+v[32])*int32(x[2]+v[0]) + int32(x[1]+v[33])*int32(x[3]+v[1])
			}
			y := float32(float32(float32(sum)*s)*colScale[j]) + float32(z*colSum[j])
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

func gemm_eights_i8_generic(rows int, k int, a *uint8, lda int, b *int8, _ int, c *float32, ldc int, scale *float32, midpoint *float32, bias *float32, acc int, _ *int8, _ int) {
	room := (k + 1) / 2 * 128
	panel := unsafe.Slice(b, room)
	fours := make([]int8, 64*k+192)
	for i := range fours[:64*k] {
		fours[i] = panel[i/128*128+i%64/4*8+i/64%2*4+i%4]
	}
	copy(fours[64*k:], unsafe.Slice(b, room+192)[room:])
	gemm_i8_generic(rows, k, a, lda, &fours[0], 0, c, ldc, scale, midpoint, bias, acc, nil, 0)
}

func regroup_i8_generic(k int, dst *int8, src *int8) {
	from, room := unsafe.Slice(src, 64*k+192), (k+1)/2*128
	to := unsafe.Slice(dst, room+192)
	for i := range to[:room] {
		to[i] = 0
		if four := i/128*2 + i/4%2; four < k {
			to[i] = from[64*four+i%128/8*4+i%4]
		}
	}
	copy(to[room:], from[64*k:])
}

// widened returns the index in a panel of gemm_i8 of the value with index i in the panel of gemm_i16.
func widened(i int) int { return i/64*64 + i%32/2*4 + i%64/32*2 + i%2 }

func widen_i8_generic(k int, dst *int8, src *int8) {
	panel := unsafe.Slice(src, 64*k+192)
	wide := unsafe.Slice((*int16)(unsafe.Pointer(dst)), 64*k)
	for i := range wide {
		wide[i] = int16(panel[widened(i)])
	}
	tail := unsafe.Add(unsafe.Pointer(dst), 128*k)
	copy(unsafe.Slice((*int8)(tail), 192), panel[64*k:])
	compensation := unsafe.Slice((*int32)(unsafe.Add(tail, 64)), 16)
	for j := range compensation {
		compensation[j] = 0
		for i := range k {
			v := wide[64*i+2*j:]
			compensation[j] -= int32(v[0])*int32(v[32]) + int32(v[1])*int32(v[33])
		}
	}
}

func row_compensation_i8_generic(rows int, k int, a *uint8, lda int) {
	for r := range rows {
		p, sum := unsafe.Add(unsafe.Pointer(a), r*lda), int32(0)
		for i, row := 0, unsafe.Slice((*int16)(p), 4*k); i < len(row); i += 4 {
			sum -= int32(row[i])*int32(row[i+2]) + int32(row[i+1])*int32(row[i+3])
		}
		*(*int32)(unsafe.Add(p, 8*k)) = sum
	}
}

func quant_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, midpoint *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		d := unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32)
		rowOf(scale, r, 1, 1)[0], rowOf(midpoint, r, 1, 1)[0] = quantRow(d, nil, n, func(i int) float32 { return row[i] })
	}
}

func quant_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, midpoint *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		d, residual := twoTermRow(dst, r, ldd, n)
		rowOf(scale, r, 1, 1)[0], rowOf(midpoint, r, 1, 1)[0] = quantRow(d, residual, n, func(i int) float32 { return row[i] })
	}
}

// twoTermRow returns row r of a quantised matrix of i8x2: n values and n residuals, both rounded up to a multiple of 32.
func twoTermRow(dst *uint8, r, ldd, n int) (values, residual []uint8) {
	return unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32),
		unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd+ldd/2)), (n+31)/32*32)
}

func layernorm_quant_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, midpoint *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		mean, unit := moments(row, eps)
		d := unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32)
		rowOf(scale, r, 1, 1)[0], rowOf(midpoint, r, 1, 1)[0] = quantRow(d, nil, n, func(i int) float32 { return float32((float64(row[i]) - mean) * unit) })
	}
}

func layernorm_quant_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, midpoint *float32) {
	for r := range rows {
		row := rowOf(src, r, lds, n)
		mean, unit := moments(row, eps)
		d, residual := twoTermRow(dst, r, ldd, n)
		rowOf(scale, r, 1, 1)[0], rowOf(midpoint, r, 1, 1)[0] = quantRow(d, residual, n, func(i int) float32 { return float32((float64(row[i]) - mean) * unit) })
	}
}

// quantRow quantises n values into dst, and their residuals into residual unless it is nil. It returns scale and midpoint.
func quantRow(dst, residual []uint8, n int, value func(i int) float32) (scale, midpoint float32) {
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
		if residual != nil {
			residual[i] = byte(128 + int(math.RoundToEven(float64(float32(v-whole)*254))))
		}
	}
	return m / 127, z
}

func quant_i16_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, midpoint *float32) {
	for r := range rows {
		d := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), (n+31)/32*32)
		narrow := make([]uint8, len(d))
		quant_i8_generic(1, &narrow[0], 0, &rowOf(src, r, lds, n)[0], lds, n, &rowOf(scale, r, 1, 1)[0], &rowOf(midpoint, r, 1, 1)[0])
		for i, v := range narrow {
			d[i] = int16(v) - 128
		}
	}
}

func quant_i16_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, scale *float32, midpoint *float32) {
	room := (n + 31) / 32 * 32
	for r := range rows {
		narrow := make([]uint8, 2*room)
		quant_i8x2_generic(1, &narrow[0], 2*room, &rowOf(src, r, lds, n)[0], lds, n, &rowOf(scale, r, 1, 1)[0], &rowOf(midpoint, r, 1, 1)[0])
		d := unsafe.Slice((*int16)(unsafe.Add(unsafe.Pointer(dst), r*ldd)), room)
		for i := range d {
			d[i] = 254*(int16(narrow[i])-128) + int16(narrow[room+i]) - 128
		}
	}
}

func layernorm_quant_i16_i8_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, midpoint *float32) {
	norm := make([]float32, n)
	for r := range rows {
		layernorm_f32_generic(1, &norm[0], 0, &rowOf(src, r, lds, n)[0], 0, n, nil, nil, eps)
		d := (*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd))
		quant_i16_i8_generic(1, d, 0, &norm[0], 0, n, &rowOf(scale, r, 1, 1)[0], &rowOf(midpoint, r, 1, 1)[0])
	}
}

func layernorm_quant_i16_i8x2_generic(rows int, dst *uint8, ldd int, src *float32, lds int, n int, eps float32, scale *float32, midpoint *float32) {
	norm := make([]float32, n)
	for r := range rows {
		layernorm_f32_generic(1, &norm[0], 0, &rowOf(src, r, lds, n)[0], 0, n, nil, nil, eps)
		d := (*uint8)(unsafe.Add(unsafe.Pointer(dst), r*ldd))
		quant_i16_i8x2_generic(1, d, ldd, &norm[0], 0, n, &rowOf(scale, r, 1, 1)[0], &rowOf(midpoint, r, 1, 1)[0])
	}
}
