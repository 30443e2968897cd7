//lint:file-ignore U1000 TwinFile copies what other packages use

package asm

import (
	"math"
	"unsafe"
)

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

// moments returns the mean of a row and 1/sqrt(variance+eps).
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

func gelu_tanh_f32_generic(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	geluTanh.apply(rows, dst, ldd, src, lds, n)
}

func quick_gelu_f32_generic(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	quickGelu.apply(rows, dst, ldd, src, lds, n)
}

func pack_keys_f32_generic(rows int, dst *float32, src *float32, lds int, k int) {
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

func mul_f32_generic(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	for r := range rows {
		d := rowOf(dst, r, ldd, n)
		for i, v := range rowOf(src, r, lds, n) {
			d[i] *= v
		}
	}
}

// rowOf returns the first n floats of row r of the matrix at p with leading dimension ld.
func rowOf(p *float32, r, ld, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(p), 4*r*ld)), n)
}

// exp2Coef holds c1.. of the weighted minimax fit 2^f = 1 + f*(c1 + c2*f + ...) for -1/2 <= f <= 1/2, with a relative error of
// at most 9.2e-8.
var exp2Coef = [...]float64{0.693146978, 0.240222421, 0.0555073374, 0.00967151264, 0.00132647271}

// exp2 is 2^y for y < 1024; below -125 it is 2^-125. A NaN stays a NaN.
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

// geluCoef holds c0.. of the fit erfc(u/sqrt2) = 2^(u*(c0 + c1*u + ...)) for 0 <= u <= 6, with which gelu has an error of at most
// 2.2e-8.
var geluCoef = [...]float64{-1.15111105, -0.459162143, -0.0526276112, 0.00724542179, -0.000272076187, -0.000131473023, 2.80568954e-05, -1.90206158e-06}

// gelu is max(x,0) - |x|/2 * erfc(|x|/sqrt2). For |x| > 6 the second term is negligible. A NaN stays a NaN.
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

// sigmoidGelu is x*sigmoid(p(x)), computed as x/(1+2^(x*(coef[0]+coef[1]*x^2+...))); the power decreases with x. An x below low
// counts as low, where the result is negligible and the power still below 2^126.
type sigmoidGelu struct {
	coef []float64
	low  float64
}

var geluTanh = sigmoidGelu{[]float64{-2 * math.Log2E * math.Sqrt2 / math.SqrtPi, -2 * math.Log2E * math.Sqrt2 / math.SqrtPi * 0.044715}, -10}

var quickGelu = sigmoidGelu{[]float64{-1.702 * math.Log2E}, -50}

// apply computes the elements of rows. A NaN stays a NaN.
func (s *sigmoidGelu) apply(rows int, dst *float32, ldd int, src *float32, lds int, n int) {
	last := len(s.coef) - 1
	for r := range rows {
		d := rowOf(dst, r, ldd, n)
		for i, v := range rowOf(src, r, lds, n) {
			x := float64(v)
			if x < s.low {
				x = s.low
			}
			p, square := s.coef[last], float64(x*x)
			for j := last - 1; j >= 0; j-- {
				p = float64(p*square) + s.coef[j]
			}
			d[i] = float32(x / (1 + float64(exp2(float64(p*x)))))
		}
	}
}
